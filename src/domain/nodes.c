/* SPDX-License-Identifier: Apache-2.0 */
/* See nodes.h. */
#include "domain/nodes.h"

#include <stdio.h>

#include "base/clock.h"
#include "domain/domain_internal.h"
#include "domain/pack.h"

enum {
    SETTING_MAX = 64,
};

static const char setting[] = "node.status"; /* "draining 1764000000000" */

struct report {
    struct node_report r;
};

struct nodes {
    struct domain *domain;
    enum node_status wanted, saving;
    int64_t changed_ms;
    struct report *report; /* NULL: none yet */
    char actor[ACTOR_MAX + 1];
    nodes_done_fn *fn; /* waits for the commit; one at a time */
    void *ctx;
};

static const char *const names[NODE_STATUS_COUNT] = {
    [NODE_STATUS_READY] = "ready",
    [NODE_STATUS_DRAINING] = "draining",
    [NODE_STATUS_STANDBY] = "standby",
    [NODE_STATUS_CONNECTING] = "connecting",
};

const char *node_status_name(enum node_status status)
{
    return names[status];
}

bool node_status_parse(struct str word, enum node_status *out)
{
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_is(word, names[i])) {
            *out = (enum node_status)i;
            return true;
        }
    return false;
}

void nodes_get(const struct domain *d, struct node_info *out)
{
    const struct nodes *n = d->nodes;

    *out = (struct node_info){.status = n->wanted, .status_changed_ms = n->changed_ms};
    if (n->report != NULL) {
        out->report = n->report->r;
        out->has_report = true;
    }
    if (!str_to_c(str_upto(out->report.host, NODE_ID_MAX), out->id, sizeof(out->id)) ||
        out->id[0] == '\0')
        memcpy(out->id, "node", sizeof("node"));
    ignore(snprintf(out->instance, sizeof(out->instance), "%.40s-%llx", out->id,
                    (unsigned long long)out->report.started_at_ms));
    if (!domain_node_is_ready(d))
        out->status = NODE_STATUS_CONNECTING;
}

int nodes_check_placing(const struct domain *d, struct err *err)
{
    if (d->nodes->wanted == NODE_STATUS_READY)
        return 0;
    return err_set(err, ERR_UNAVAILABLE, "the node is %s: it takes no new sandboxes",
                   names[d->nodes->wanted]);
}

static void on_stored(void *ctx, const struct err *err)
{
    struct nodes *n = ctx;
    nodes_done_fn *fn = n->fn;

    n->fn = NULL;
    if (err == NULL) {
        n->wanted = n->saving;
        n->changed_ms = clock_wall_ms();
        event_emit(n->domain, (struct event){.kind = EVENT_NODE_STATUS,
                                             .subject = STR("node"),
                                             .actor = str_of(n->actor),
                                             .detail = names[n->wanted]});
    }
    fn(n->ctx, err);
}

int nodes_set_status(struct domain *d, enum node_status status, nodes_done_fn *fn, void *ctx,
                     struct err *err)
{
    struct nodes *n = d->nodes;
    char text[SETTING_MAX];

    if (status == NODE_STATUS_CONNECTING)
        return err_set(err, ERR_INVALID, "status 'connecting' is observed and cannot be set");
    if (n->fn != NULL)
        return err_set(err, ERR_CONFLICT, "another change of the status is being stored");
    ignore(snprintf(text, sizeof(text), "%s %lld", names[status], (long long)clock_wall_ms()));
    if (store_put(d->store, STORE_SETTING, str_of(setting), str_of(text), err) != 0)
        return -1;
    n->saving = status;
    n->fn = fn;
    n->ctx = ctx;
    ignore(str_to_c(domain_actor(d), n->actor, sizeof(n->actor))); /* an actor fits */
    store_commit(d->store, on_stored, n);
    return 0;
}

int nodes_load(struct domain *d, struct err *err)
{
    struct nodes *n = d->nodes;
    struct err missing = {0};
    struct str at;
    struct buf text;
    bool is_good;

    buf_init(&text, SETTING_MAX);
    if (store_get(d->store, STORE_SETTING, str_of(setting), &text, &missing) != 0) {
        buf_done(&text);
        if (missing.kind == ERR_NOT_FOUND)
            return 0;
        return err_set(err, missing.kind, "%s", missing.text);
    }
    is_good = node_status_parse(str_cut(buf_str(&text), ' ', &at), &n->wanted) &&
              str_to_i64(at, &n->changed_ms) && n->wanted != NODE_STATUS_CONNECTING;
    buf_done(&text);
    return is_good ? 0 : err_set(err, ERR_INVALID, "not a setting of '%s'", setting);
}

const struct node_report *nodes_last_report(const struct domain *d)
{
    return d->nodes->report == NULL ? NULL : &d->nodes->report->r;
}

void nodes_report(struct domain *d, const struct node_report *r)
{
    free(d->nodes->report);
    d->nodes->report =
        pack_new(&node_report_message, r, sizeof(struct report), offsetof(struct report, r));
}

struct nodes *nodes_new(struct domain *d)
{
    struct nodes *n = mem_zero(sizeof(*n));

    n->domain = d;
    n->changed_ms = clock_wall_ms();
    return n;
}

void nodes_free(struct nodes *n)
{
    if (n == NULL)
        return;
    free(n->report);
    free(n);
}
