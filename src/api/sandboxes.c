/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes over REST: create, detail, delete, timeout, refresh. Called by the gate. */
#include "api/call.h"
#include "api/errors.h"
#include "api/fields.h"
#include "api/sandbox_json.h"
#include "api/sandbox_network.h"
#include "domain/creation.h"
#include "domain/network.h"

enum {
    REFRESH_MIN_S = 15, /* RX-04 */
    REFRESH_MAX_S = 3600,
};

/* A refusal before anything is done. */
struct refusal {
    unsigned status;
    const char *text;
};

/* The metadata that says what lifecycle.idle says, for clients that can send nothing else. */
static const char mode_name[] = "sandlot.timeout_mode";

/* What cannot be done is refused, never ignored (design.md rule 2). */
static struct refusal check_features(const struct create_body *b)
{
    const struct network_body *n = b->network;
    bool resumes = b->auto_resume != NULL && b->auto_resume->enabled;

    if (b->has_auto_pause_memory && !b->auto_pause_memory && !b->auto_pause)
        return (struct refusal){400, "autoPauseMemory=false only applies when autoPause is true."};
    if (b->has_auto_pause_memory && !b->auto_pause_memory && resumes)
        return (struct refusal){
            400, "autoPauseMemory=false (filesystem-only auto-pause) cannot be combined with "
                 "autoResume: a filesystem-only snapshot cannot be auto-resumed by traffic and "
                 "must be resumed explicitly."};
    if (!is_empty_json(b->volume_mounts))
        return (struct refusal){400, "Volume mounts are not enabled."};
    if (b->iam != NULL && !is_empty_json(b->iam->tokens))
        return (struct refusal){400,
                                "Sandbox IAM workload tokens are not available for your team."};
    if (n != NULL && !is_empty_json(n->https_ports))
        return (struct refusal){501, "network.httpsPorts is not implemented yet"};
    return (struct refusal){0, NULL};
}

static int check_network(const struct network_body *n, bool is_secure, struct arena *a,
                         struct egress_rules *out, struct err *err)
{
    struct egress_ask ask;

    if (n == NULL)
        return 0;
    ask = (struct egress_ask){&n->allow_out, &n->deny_out, n->rules, n->egress_proxy};
    if (n->has_allow_public && !n->allow_public && !is_secure)
        return err_set(err, ERR_INVALID,
                       "You cannot create a sandbox without public access unless you enable "
                       "secure envd access via 'secure' flag.");
    if (egress_check(&ask, a, out, err) != 0)
        return -1;
    return network_check_mask(n->mask_host, err);
}

static void on_created(void *ctx, const struct sandbox *s, const struct err *err)
{
    struct call *c = ctx;

    if (err != NULL)
        call_fail_placement(c, err);
    else
        sandbox_json_reply(c, 201, s);
}

/* Refused before anything was done. Only an Idempotency-Key makes the two conflicts. */
static void fail_create(struct call *c, const struct err *err)
{
    if (err->kind == ERR_CONFLICT)
        call_error(c, 409, "idempotency_key_reused", "%s", err->text);
    else if (err->kind == ERR_EXISTS)
        call_error(c, 409, "idempotency_sandbox_ended", "%s", err->text);
    else
        call_fail(c, err);
}

/* RX-01: the request decides, then its metadata, then the configuration. */
static int read_mode(struct call *c, const struct create_body *b, bool *out_is_idle,
                     struct err *err)
{
    const struct codec_pair *pairs = b->metadata.items;

    *out_is_idle = c->api->config.is_idle_default;
    for (size_t i = 0; i < b->metadata.count; i++) {
        if (!str_is(pairs[i].key, mode_name))
            continue;
        *out_is_idle = str_is(pairs[i].value, "idle");
        if (!*out_is_idle && !str_is(pairs[i].value, "absolute"))
            return err_set(err, ERR_INVALID, "metadata %s must be 'absolute' or 'idle'", mode_name);
    }
    if (b->lifecycle != NULL && b->lifecycle->has_idle)
        *out_is_idle = b->lifecycle->idle;
    return 0;
}

static int read_repeat_key(struct call *c, struct str *out, struct err *err)
{
    *out = http_field(exchange_head(c->x), "idempotency-key");
    return out->at == NULL ? 0 : creation_check(*out, err);
}

static void create(struct call *c, const struct create_body *b, bool is_secure)
{
    const struct network_body *n = b->network;
    struct refusal no = check_features(b);
    struct egress_rules rules = {0};
    struct sandbox_params p = {
        .team = c->team,
        .template_ref = b->template_id,
        .timeout_s =
            b->has_timeout ? b->timeout : (int64_t)domain_timeout_default_s(c->api->domain),
        .is_secure = is_secure,
        .is_offline = b->has_allow_internet && !b->allow_internet,
        .pauses_at_end = b->auto_pause,
        .pauses_files_only = b->has_auto_pause_memory && !b->auto_pause_memory,
        .may_resume = b->auto_resume != NULL && b->auto_resume->enabled,
        .metadata = b->metadata,
        .env = b->env,
    };
    struct err err = {0};

    if (no.text != NULL) {
        call_error(c, no.status, NULL, "%s", no.text);
        return;
    }
    if (n != NULL) {
        p.is_private = n->has_allow_public && !n->allow_public;
        p.mask_host = n->mask_host;
        p.allow_out = n->allow_out;
        p.deny_out = n->deny_out;
    }
    if (check_network(n, is_secure, exchange_arena(c->x), &rules, &err) != 0) {
        call_fail(c, &err);
        return;
    }
    p.rules = rules.rules;
    p.proxy = rules.proxy;
    if (read_mode(c, b, &p.is_idle, &err) != 0 || read_repeat_key(c, &p.repeat_key, &err) != 0 ||
        sandbox_create(c->api->domain, &p, on_created, c, &err) != 0)
        fail_create(c, &err);
}

void sandbox_post_v1(struct call *c)
{
    struct create_body body = {0};

    if (call_body(c, &create_v1_message, false, &body) == 0)
        create(c, &body, body.secure);
}

void sandbox_post_v2(struct call *c)
{
    struct create_body body = {0};

    if (call_body(c, &create_v2_message, false, &body) == 0)
        create(c, &body, true);
}

void sandbox_detail(struct call *c)
{
    const struct sandbox *s;
    struct str id;

    if (call_sandbox_id(c, &id) != 0)
        return;
    s = sandbox_get(c->api->domain, c->team, id);
    if (s == NULL)
        sandbox_json_missing(c, id);
    else
        sandbox_json_detail(c, s);
}

static void on_killed(void *ctx, const struct sandbox *s, const struct err *err)
{
    struct call *c = ctx;

    ignore(s == NULL);
    if (err == NULL)
        call_reply_empty(c, 204);
    else
        call_error(c, error_status(err->kind), NULL, "Error killing sandbox: %s", err->text);
}

void sandbox_delete(struct call *c)
{
    struct err err = {0};
    struct str id;

    if (call_sandbox_id(c, &id) != 0)
        return;
    if (sandbox_kill(c->api->domain, c->team, id, on_killed, c, &err) != 0)
        call_fail(c, &err);
}

static void on_end_set(void *ctx, const struct sandbox *s, const struct err *err)
{
    struct call *c = ctx;

    ignore(s == NULL); /* it may be gone already: the end was stored and then came */
    if (err == NULL)
        call_reply_empty(c, 204);
    else
        call_error(c, error_status(err->kind), NULL, "Error when setting sandbox timeout: %s",
                   err->text);
}

static void set_end(struct call *c, enum end_rule rule, int64_t seconds)
{
    struct end_change change = {rule, seconds, on_end_set, c};
    struct err err = {0};
    struct str id;

    if (call_sandbox_id(c, &id) != 0)
        return;
    if (sandbox_set_end(c->api->domain, c->team, id, &change, &err) != 0)
        call_fail(c, &err);
}

void sandbox_timeout(struct call *c)
{
    struct time_body body = {0};

    if (call_body(c, &time_required_message, false, &body) == 0)
        set_end(c, END_SET, body.timeout);
}

void sandbox_refresh(struct call *c)
{
    struct refresh_body body = {0};
    int64_t seconds = REFRESH_MIN_S;

    if (call_body(c, &refresh_message, true, &body) != 0)
        return;
    if (body.has_duration)
        seconds = body.duration;
    else if (body.has_timeout)
        seconds = body.timeout;
    if (seconds < 0 || seconds > REFRESH_MAX_S)
        call_error(c, 400, NULL, "validation error: duration must be between 0 and %d",
                   REFRESH_MAX_S);
    else
        set_end(c, END_EXTEND, seconds < REFRESH_MIN_S ? REFRESH_MIN_S : seconds);
}
