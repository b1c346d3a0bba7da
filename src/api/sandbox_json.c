/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the answers about sandboxes. Called by sandboxes.c and sandbox_list.c. */
#include "api/sandbox_json.h"

#include "api/call.h"
#include "api/errors.h"
#include "api/fields.h"
#include "base/clock.h"
#include "domain/network_rules.h"

/* Of no meaning here; clients want a string (wire.md 2.7). */
static const char client_id[] = "sandlot";

static struct str token_of(const struct sandbox *s)
{
    return s->r.is_secure ? s->r.access_token : (struct str){0};
}

static struct sandbox_reply reply_of(const struct call *c, const struct sandbox *s)
{
    return (struct sandbox_reply){
        .template_id = s->r.template_id,
        .sandbox_id = s->r.id,
        .client_id = str_of(client_id),
        .envd_version = str_of(domain_envd_version),
        .alias = s->r.alias,
        .access_token = token_of(s),
        .traffic_token = s->r.traffic_token,
        .domain = str_of(c->api->config.domain),
    };
}

void sandbox_json_reply(struct call *c, unsigned status, const struct sandbox *s)
{
    const struct sandbox_reply reply = reply_of(c, s);

    call_reply(c, status, &sandbox_reply_message, &reply);
}

void sandbox_json_put(const struct call *c, const struct sandbox *s, struct buf *out)
{
    const struct sandbox_reply reply = reply_of(c, s);

    json_encode(&sandbox_reply_message, &reply, out);
}

struct times {
    char started[RFC3339_MAX], end[RFC3339_MAX];
};

static void fill(struct detail_reply *reply, struct times *times, const struct sandbox *s)
{
    rfc3339_format_ms(s->r.started_at_ms, times->started);
    rfc3339_format_ms(s->r.paused_at_ms > 0 ? s->r.paused_at_ms : s->end_stored_ms, times->end);
    *reply = (struct detail_reply){
        .template_id = s->r.template_id,
        .sandbox_id = s->r.id,
        .client_id = str_of(client_id),
        .alias = s->r.alias,
        .started_at = str_of(times->started),
        .end_at = str_of(times->end),
        .envd_version = str_of(domain_envd_version),
        .state = str_of(sandbox_public_name(sandbox_state_row(s->state)->shown)),
        .cpu_count = s->r.cpu_count,
        .memory_mb = s->r.memory_mb,
        .disk_mb = s->r.disk_mb,
        .metadata = s->r.metadata,
    };
}

void sandbox_json_detail(struct call *c, const struct sandbox *s)
{
    struct lifecycle_reply lifecycle = {.auto_resume = s->r.may_resume,
                                        .on_timeout =
                                            s->r.pauses_at_end ? STR("pause") : STR("kill"),
                                        .idle = s->r.idle_s > 0};
    struct network_reply network = {s->r.allow_out, s->r.deny_out, !s->r.is_private,
                                    s->r.mask_host};
    struct proxy_reply proxy;
    struct detail_reply reply;
    struct times times;
    struct buf rules;

    fill(&reply, &times, s);
    if ((c->scopes & KEY_WRITE) != 0)
        reply.access_token = token_of(s); /* with it one may run anything inside */
    reply.domain = str_of(c->api->config.domain);
    reply.allow_internet = !s->r.is_offline;
    buf_init(&rules, REPLY_MAX);
    if (s->r.rules.count > 0)
        network_rules_json(&s->r.rules, &rules);
    network.rules = buf_str(&rules);
    if (s->r.proxy != NULL) { /* its password is told to nobody */
        proxy = (struct proxy_reply){s->r.proxy->address, s->r.proxy->username};
        network.egress_proxy = &proxy;
    }
    reply.network = &network;
    reply.lifecycle = &lifecycle;
    call_reply(c, 200, &detail_reply_message, &reply);
    buf_done(&rules);
}

void sandbox_json_listed(const struct sandbox *s, struct buf *out)
{
    struct detail_reply reply;
    struct times times;

    fill(&reply, &times, s);
    json_encode(&listed_reply_message, &reply, out);
}

void sandbox_json_missing(struct call *c, struct str id)
{
    call_error(c, 404, NULL, "Sandbox \"%.*s\" doesn't exist or you don't have access to it",
               STR_ARG(str_upto(id, SANDBOX_KEY_MAX)));
}
