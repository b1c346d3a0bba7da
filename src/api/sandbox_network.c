/* SPDX-License-Identifier: Apache-2.0 */
/* PUT /sandboxes/{id}/network, and the checks it shares with create. Called by the gate. */
#include "api/sandbox_network.h"

#include "api/call.h"
#include "api/errors.h"
#include "api/fields.h"
#include "domain/network.h"
#include "domain/network_rules.h"

bool is_empty_json(struct str raw)
{
    for (size_t i = 0; i < raw.len; i++)
        if (strchr("{}[] \t\r\n", raw.at[i]) == NULL)
            return str_is(str_trim(raw), "null");
    return true;
}

int egress_check(const struct egress_ask *ask, struct arena *a, struct egress_rules *out,
                 struct err *err)
{
    if (network_check_deny(ask->deny_out, err) != 0 ||
        network_rules_read(ask->rules, a, &out->rules, err) != 0 ||
        network_proxy_read(ask->egress_proxy, a, &out->proxy, err) != 0)
        return -1;
    return network_check_allow(ask->allow_out, ask->deny_out, err);
}

static void on_changed(void *ctx, const struct sandbox *s, const struct err *err)
{
    struct call *c = ctx;

    ignore(s == NULL); /* it may have ended since the rules were stored */
    if (err == NULL)
        call_reply_empty(c, 204);
    else
        call_error(c, error_status(err->kind), NULL, "Error updating sandbox network config: %s",
                   err->text);
}

/* Replaces all rules: what is absent is cleared (wire.md 2.8). */
void sandbox_network_put(struct call *c)
{
    struct network_update_body body = {0};
    struct network_change change = {.fn = on_changed, .ctx = c};
    struct egress_ask ask = {&body.allow_out, &body.deny_out};
    struct egress_rules rules = {0};
    struct err err = {0};
    struct str id;

    if (call_sandbox_id(c, &id) != 0 || call_body(c, &network_update_message, true, &body) != 0)
        return;
    ask.rules = body.rules;
    ask.egress_proxy = body.egress_proxy;
    change.is_offline = body.has_allow_internet && !body.allow_internet;
    change.allow_out = body.allow_out;
    change.deny_out = body.deny_out;
    if (egress_check(&ask, exchange_arena(c->x), &rules, &err) != 0) {
        call_fail(c, &err);
        return;
    }
    change.rules = rules.rules;
    change.proxy = rules.proxy;
    if (sandbox_set_network(c->api->domain, c->team, id, &change, &err) != 0)
        call_fail(c, &err);
}
