/* SPDX-License-Identifier: Apache-2.0 */
/* Router mode: sandbox::LEAF takes a call to sandbox::provider::NAME::LEAF of the worker that has
 * it, and its result or error back as it is. Which name is said by the payload's `provider`, which
 * the provider does not see. */
#include <stdio.h>

#include "worker/worker_internal.h"

enum {
    LONG_MS = 600 * 1000, /* snapshots */
    PROBE_MS = 10 * 1000,
    PAYLOAD_MAX = 65 << 20,
};

enum {
    IN_PROVIDER,
    IN_TIMEOUT,
};

struct routing {
    char provider[65];
    uint64_t timeout_ms;
};

static void on_probed(void *ctx, struct str result, const struct engine_error *error)
{
    struct job *j = ctx;
    const struct routing *r = j->state;

    ignore((long)result.len);
    j->forward = NULL;
    if (error != NULL && str_is(error->code, "function_not_found"))
        job_fault(j, FAULT_PROVIDER, "there is no provider '%s'; iii worker add sandbox-%s",
                  r->provider, r->provider);
    else
        job_fault(j, FAULT_CAPABILITY, "provider '%s' has no %s", r->provider, j->function->leaf);
}

static void forward(struct job *j, const char *leaf, struct str payload, uint64_t timeout_ms,
                    engine_result_fn *fn)
{
    const struct routing *r = j->state;
    char id[ENGINE_FUNCTION_MAX];

    ignore(snprintf(id, sizeof(id), "sandbox::provider::%s::%s", r->provider, leaf));
    j->forward = engine_invoke(j->worker->engine, str_of(id), payload, timeout_ms, fn, j);
}

static void on_result(void *ctx, struct str result, const struct engine_error *error)
{
    struct job *j = ctx;
    const struct routing *r = j->state;
    struct buf out;

    j->forward = NULL;
    if (error == NULL) {
        buf_init(&out, PAYLOAD_MAX);
        buf_add_str(&out, result);
        job_done(j, &out);
    } else if (str_is(error->code, "function_not_found")) {
        /* The whole provider, or this function of it? */
        forward(j, "list", STR("{}"), PROBE_MS, on_probed);
    } else if (str_is(error->code, "timeout")) {
        job_fault(j, FAULT_UPSTREAM, "provider '%s' did not answer within %llu ms", r->provider,
                  (unsigned long long)r->timeout_ms);
    } else {
        job_error(j, error); /* the provider's own words (IW-33) */
    }
}

static bool put_payload(struct job *j, struct buf *out)
{
    struct codec_list members = {0};
    const struct codec_pair *pairs;
    bool is_first = true;

    if (!str_is(j->data, "null") && json_members(j->data, &j->arena, &members, NULL) != 0)
        return false;
    pairs = members.items;
    buf_add_byte(out, '{');
    for (size_t i = 0; i < members.count; i++) {
        if (str_is(pairs[i].key, "provider"))
            continue;
        buf_add_text(out, is_first ? "" : ",");
        json_quote(out, pairs[i].key);
        buf_add_byte(out, ':');
        buf_add_str(out, pairs[i].value);
        is_first = false;
    }
    buf_add_byte(out, '}');
    return buf_ok(out);
}

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!((name.at[i] >= 'a' && name.at[i] <= 'z') ||
              (name.at[i] >= '0' && name.at[i] <= '9') || name.at[i] == '-' || name.at[i] == '_'))
            return false;
    return name.len > 0 && name.len <= 64;
}

/* As long as what it does may take (IW-34), and a request's time for the way and the killing. */
static uint64_t time_for(const struct job *j)
{
    const struct settings *s = &j->worker->settings;
    const struct arg *timeout = &j->args[IN_TIMEOUT];
    const char *leaf = j->function->leaf;
    uint64_t own = s->exec_timeout_ms;

    if (timeout->is_set)
        own = (uint64_t)timeout->number;
    else if (strcmp(leaf, "snapshot") == 0 || strcmp(leaf, "branch") == 0)
        own = LONG_MS;
    return own + s->request_timeout_ms;
}

static void run_route(struct job *j)
{
    const struct arg *named = &j->args[IN_PROVIDER];
    struct str name = named->is_set && named->text.len > 0
                          ? named->text
                          : str_of(j->worker->settings.default_provider);
    struct routing *r = job_state(j, sizeof(*r));
    struct buf payload;

    if (!is_name(name)) {
        job_fault(j, FAULT_INPUT, "field 'provider' is no name of a provider");
        return;
    }
    ignore(str_to_c(name, r->provider, sizeof(r->provider))); /* checked */
    r->timeout_ms = time_for(j);
    buf_init(&payload, PAYLOAD_MAX);
    if (put_payload(j, &payload))
        forward(j, j->function->leaf, buf_str(&payload), r->timeout_ms, on_result);
    else
        job_fault(j, FAULT_CAPACITY, "the payload is too large");
    buf_done(&payload);
}

/* clang-format off */
static const struct param in[] = {
    {"provider", PARAM_TEXT, 0, "which provider; absent or empty: the router's default"},
    {"timeout_ms", PARAM_NUMBER, 0, "of exec and run: how long the program may take", 1, 86400000},
};

/* What else their payloads hold, and their results, is what the provider says. */
static const struct function rows[] = {
    {"create", "make a sandbox, at a provider", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"exec", "run a program in a sandbox", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"stop", "end a sandbox", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"list", "sandboxes of a provider", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"snapshot", "keep a sandbox as an image", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"expose_port", "where a port of a sandbox is reached", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"branch", "copies of a running sandbox, where a provider has them", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"run", "code in a sandbox of its own, where a provider has it", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"catalog::list", "images of a provider", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::read", "read a file", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::write", "write a file", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::ls", "entries of a directory", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::stat", "what a file is", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::mkdir", "make a directory", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::rm", "remove", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::chmod", "change permissions", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::mv", "move", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::grep", "search in files", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
    {"fs::sed", "replace in files", in, NULL, COUNT_OF(in), 0, run_route, NULL, true},
};
/* clang-format on */

const struct function_table router_functions = {rows, COUNT_OF(rows)};
