/* SPDX-License-Identifier: Apache-2.0 */
/* See audit.h. */
#include "egress/audit.h"

#include <arpa/inet.h>

#include "base/clock.h"
#include "base/host_name.h"
#include "egress/outlet.h"
#include "egress/verdict.h"

static const struct bucket_rule per_outlet = {AUDIT_PER_S, AUDIT_BURST};
static const struct bucket_rule of_all = {AUDIT_ALL_PER_S, AUDIT_ALL_BURST};

bool audit_is_on(const struct outlet *o)
{
    return o->policy.audit_percent > 0;
}

/* Evenly: with 25 percent each fourth. */
static bool is_chosen(struct outlet *o, bool is_denied)
{
    if (is_denied)
        return true;
    o->audit.percents += o->policy.audit_percent;
    if (o->audit.percents < 100)
        return false;
    o->audit.percents -= 100;
    return true;
}

static bool may_tell(struct outlet *o)
{
    struct egress *e = o->egress;
    uint64_t now_ms = loop_now_ms(e->loop);

    return bucket_take(&o->audit.rate, &per_outlet, 1, now_ms) &&
           bucket_take(&e->audits, &of_all, 1, now_ms);
}

static const char *rule_of(const struct outlet *o, const struct audit_note *n, struct str name)
{
    const char *rule;
    enum verdict v;

    if (n->rule != NULL || n->to == NULL)
        return n->rule;
    v = verdict(&o->egress->site, &o->policy, n->to, name, &rule);
    /* It is forbidden nevertheless: of all that the kernel alone knows. */
    return v == VERDICT_ALLOW && n->is_denied ? "address of this machine" : rule;
}

static struct str address_text(const struct place *to, char out[INET6_ADDRSTRLEN])
{
    bool is_v4 = place_is_v4(to);

    if (inet_ntop(is_v4 ? AF_INET : AF_INET6, to->address + (is_v4 ? 12 : 0), out,
                  INET6_ADDRSTRLEN) == NULL)
        return (struct str){0};
    return str_of(out);
}

void audit_tell(struct outlet *o, const struct audit_note *n)
{
    uint64_t now_ms = loop_now_ms(o->egress->loop);
    uint64_t took_ms = n->began_ms != 0 && now_ms > n->began_ms ? now_ms - n->began_ms : 0;
    struct str name = str_of(n->name);
    char address[INET6_ADDRSTRLEN];
    struct egress_record r = {
        .id = str_of(o->id),
        .at_ms = clock_wall_ms() - (int64_t)took_ms,
        .took_ms = took_ms,
        .protocol = str_of(n->protocol),
        .is_denied = n->is_denied,
        .detail = str_of(n->detail),
        .up = n->up,
        .down = n->down,
    };

    if (!audit_is_on(o) || !is_chosen(o, n->is_denied))
        return;
    if (!host_name_is_good(name))
        name = (struct str){0};
    r.name = name;
    r.rule = str_of(rule_of(o, n, name));
    if (n->to != NULL) {
        r.address = address_text(n->to, address);
        r.port = n->to->port;
    }
    r.missed = o->audit.missed;
    if (may_tell(o) && egress_tell(o->egress, &r))
        o->audit.missed = 0;
    else if (o->audit.missed < UINT32_MAX)
        o->audit.missed++;
}
