/* SPDX-License-Identifier: Apache-2.0 */
/* POST /init: the node tells this envd who it is. On the path of every sandbox start, so it touches
 * memory only; files follow in guest_settle().
 *
 * Who may: the control socket, and who knows the control token (gate.c); the access token is no key
 * to it. A member that is absent stays as it was, envVars are replaced whole, an empty accessToken
 * lets everybody in. A request whose timestamp is before the last one's is answered as if it had
 * been obeyed, so that a late one of an earlier start changes nothing. The clock needs no setting:
 * a sandbox has the machine's. */
#include <arpa/inet.h>
#include <fcntl.h>

#include "envd/answer.h"
#include "envd/env.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/service.h"

enum {
    INIT_BODY_MAX = 512 << 10,
    HOSTNAME_MAX = 64,
};

static bool is_older(const struct init_request *new, const struct init_request *old)
{
    if (!new->has_timestamp || !old->has_timestamp)
        return false;
    if (new->timestamp.seconds != old->timestamp.seconds)
        return new->timestamp.seconds < old->timestamp.seconds;
    return new->timestamp.nanos < old->timestamp.nanos;
}

static bool keep_text(struct arena *a, bool *has, struct str *now, bool had, struct str before)
{
    if (*has || !had)
        return true;
    *has = true;
    *now = arena_str(a, before);
    return now->at != NULL;
}

static bool keep_envs(struct arena *a, struct init_request *now, const struct init_request *before)
{
    const struct codec_pair *from = before->envs.items;
    struct codec_pair *to;

    if (now->has_envs || !before->has_envs)
        return true;
    to = arena_array(a, before->envs.count, sizeof(to[0]));
    for (size_t i = 0; to != NULL && i < before->envs.count; i++) {
        to[i] = (struct codec_pair){arena_str(a, from[i].key), arena_str(a, from[i].value)};
        if (to[i].key.at == NULL || to[i].value.at == NULL)
            return false;
    }
    now->has_envs = true;
    now->envs = (struct codec_list){to, before->envs.count};
    return to != NULL || before->envs.count == 0;
}

/* What this request leaves out stays as it was. */
static bool keep_rest(struct arena *a, struct init_request *now, const struct init_request *old)
{
    static const struct {
        uint16_t has, text;
    } kept[] = {
  /* clang-format off */
        {offsetof(struct init_request, has_sandbox_id), offsetof(struct init_request, sandbox_id)},
        {offsetof(struct init_request, has_template_id), offsetof(struct init_request, template_id)},
        {offsetof(struct init_request, has_access_token), offsetof(struct init_request, access_token)},
        {offsetof(struct init_request, has_control_token), offsetof(struct init_request, control_token)},
        {offsetof(struct init_request, has_user), offsetof(struct init_request, user)},
        {offsetof(struct init_request, has_workdir), offsetof(struct init_request, workdir)},
        {offsetof(struct init_request, has_hostname), offsetof(struct init_request, hostname)},
        {offsetof(struct init_request, has_events_address), offsetof(struct init_request, events_address)},
  /* clang-format on */
    };
    char *to = (char *)now;
    const char *from = (const char *)old;

    if (!now->has_timestamp) {
        now->has_timestamp = old->has_timestamp;
        now->timestamp = old->timestamp;
    }
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        size_t has = kept[i].has, text = kept[i].text;

        if (!keep_text(a, (bool *)(to + has), (struct str *)(void *)(to + text),
                       *(const bool *)(from + has),
                       *(const struct str *)(const void *)(from + text)))
            return false;
    }
    return keep_envs(a, now, old);
}

/* Fresh randomness for a sandbox that was restored: mixed in, not credited (that needs a privilege
 * a sandbox does not have). */
static void stir(struct str entropy)
{
    auto_fd int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

    if (fd >= 0)
        ignore(write(fd, entropy.at, entropy.len)); /* the pool is seeded without it as well */
}

static bool has_valid_envs(const struct init_request *r)
{
    const struct codec_pair *pairs = r->envs.items;

    for (size_t i = 0; i < r->envs.count; i++) {
        if (!env_is_valid(pairs[i].key, pairs[i].value))
            return false;
    }
    return r->envs.count < ENV_VARS_MAX / 2;
}

static bool is_address(struct str text)
{
    char address[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    return str_to_c(text, address, sizeof(address)) &&
           (inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1);
}

/* An option that would do nothing is refused, unless it asks for nothing. */
static bool is_supported(const struct init_request *r)
{
    static const char *const nothing[] = {"", "null", "[]", "\"\""};
    bool has_volumes = true, has_certificates = true;

    for (size_t i = 0; i < COUNT_OF(nothing); i++) {
        has_volumes &= !str_is(r->volumes, nothing[i]);
        has_certificates &= !str_is(r->certificates, nothing[i]);
    }
    return !has_volumes && !has_certificates;
}

static bool is_valid(const struct init_request *r, const char **why)
{
    if (!has_valid_envs(r))
        *why = "envVars has a name or value that cannot be in an environment, or too many";
    else if (r->hostname.len > HOSTNAME_MAX)
        *why = "hostname is longer than 64 bytes";
    else if (r->hostname.len > 0 && memchr(r->hostname.at, '\n', r->hostname.len) != NULL)
        *why = "hostname has a line break in it";
    else if (r->events_address.len > 0 && !is_address(r->events_address))
        *why = "hyperloopIP is not an address";
    else if (r->replay_bytes > REPLAY_MOST)
        *why = "replayBytes is more than 8388608";
    else
        return true;
    return false;
}

/* After most resumes. */
static bool is_settled_as(const struct guest *g, const struct init_request *now)
{
    const struct init_request *c = &g->config;

    return g->is_settled && str_eq(c->hostname, now->hostname) &&
           str_eq(c->events_address, now->events_address) &&
           str_eq(c->sandbox_id, now->sandbox_id) && str_eq(c->template_id, now->template_id);
}

static void apply(struct guest *g, struct arena *a, const struct init_request *now)
{
    bool is_settled = is_settled_as(g, now);

    arena_done(&g->config_arena);
    g->config_arena = *a;
    g->config = *now;
    g->config.entropy = (struct str){NULL, 0};
    if (now->has_replay_bytes)
        g->processes.replay_max = now->replay_bytes; /* of those to come */
    guest_claimed(g);
    if (!is_settled)
        guest_settle_soon(g);
    if (g->is_init && now->hostname.len > 0)
        ignore(sethostname(now->hostname.at, now->hostname.len)); /* EPERM without the privilege */
    if (now->entropy.len > 0)
        stir(now->entropy);
}

static void init_ready(void *ctx, struct exchange *x)
{
    struct guest *g = ctx;
    struct str body = exchange_body(x);
    struct init_request now = {0};
    struct arena a;
    const char *why;
    struct err err;

    arena_init(&a, GUEST_CONFIG_MAX);
    if (json_decode(&init_request_message, body.len > 0 ? body : STR("{}"), &a, &now, &err) != 0) {
        answer_failure(x, &err);
        arena_done(&a);
        return;
    }
    if (!is_valid(&now, &why)) {
        answer_error(x, 400, "%s", why);
        arena_done(&a);
        return;
    }
    if (!is_supported(&now)) {
        answer_error(x, 501, "volumeMounts and caBundle are not supported");
        arena_done(&a);
        return;
    }
    if (is_older(&now, &g->config)) {
        arena_done(&a); /* a late request of an earlier start: a newer one has been obeyed */
    } else if (keep_rest(&a, &now, &g->config)) {
        apply(g, &a, &now);
    } else {
        arena_done(&a);
        answer_error(x, 429, "more than %d bytes of configuration", GUEST_CONFIG_MAX);
        return;
    }
    service_start(g);
    answer_empty(x, 204);
}

void init_post(struct guest *g, struct exchange *x)
{
    exchange_collect(x, INIT_BODY_MAX, init_ready, NULL, g);
}

/* POST /prepare: this sandbox was started before anybody asked for one. */
void prepare_post(struct guest *g, struct exchange *x)
{
    guest_prepare(g);
    answer_empty(x, 204);
}
