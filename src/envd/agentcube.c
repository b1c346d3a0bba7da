/* SPDX-License-Identifier: Apache-2.0 */
/* The table of /envd/... and what all its requests have in common; routes.c calls. */
#include "envd/agentcube.h"

#include "envd/answer.h"
#include "envd/files.h"
#include "envd/guest.h"
#include "envd/paths.h"

typedef void door_fn(struct door *d);

/* Rows too long for one line crash the table alignment of clang-format 14. */
/* clang-format off */
static const struct codec_field request_fields[] = {
    {1, "path", CODEC_STRING, 0, offsetof(struct door_request, path)},
    {2, "sourcePath", CODEC_STRING, 0, offsetof(struct door_request, source_path)},
    {3, "targetPath", CODEC_STRING, 0, offsetof(struct door_request, target_path)},
    {4, "parents", CODEC_BOOL, 0, offsetof(struct door_request, parents)},
    {5, "content", CODEC_BYTES, 0, offsetof(struct door_request, content)},
    {6, "cmd", CODEC_STRING, CODEC_REPEATED, offsetof(struct door_request, cmd)},
    {7, "env", CODEC_MAP, 0, offsetof(struct door_request, env)},
    {8, "cwd", CODEC_STRING, 0, offsetof(struct door_request, cwd)},
    {9, "timeout", CODEC_RAW, 0, offsetof(struct door_request, timeout)},
    {10, "pty", CODEC_RAW, 0, offsetof(struct door_request, pty)},
    {11, "processId", CODEC_STRING, 0, offsetof(struct door_request, process_id)},
    {12, "data", CODEC_STRING, 0, offsetof(struct door_request, data)},
    {13, "encoding", CODEC_STRING, 0, offsetof(struct door_request, encoding)},
    {14, "signal", CODEC_RAW, 0, offsetof(struct door_request, signal)},
};
static const struct codec_message request_message = {
    NULL, sizeof(struct door_request), request_fields, COUNT_OF(request_fields)};

static const struct door_route {
    const char *method, *path;
    door_fn *fn;
    const struct codec_message *response;
} routes[] = {
    {"POST", "filesystem/upload", door_upload, &agentcube_entry_message},
    {"GET", "filesystem/download", door_download, NULL},
    {"GET", "filesystem/list", door_list, &agentcube_entry_message},
    {"GET", "filesystem/stat", door_stat, &agentcube_entry_message},
    {"POST", "filesystem/mkdir", door_mkdir, &agentcube_entry_message},
    {"POST", "filesystem/move", door_move, &empty_message},
    {"DELETE", "filesystem/remove", door_remove, &empty_message},
    {"POST", "process/start", door_start, NULL},
    {"GET", "process/events", door_events, NULL},
    {"POST", "process/input", door_input, NULL},
    {"POST", "process/close-stdin", door_close_stdin, NULL},
    {"POST", "process/signal", door_signal, NULL},
    {"GET", "process/list", door_processes, NULL},
};
/* clang-format on */

void door_fail(struct door *d, const struct err *err)
{
    rpc_fail_err(d->call.peer, err);
}

void door_call(struct door *d, rpc_fn *fn, const void *in)
{
    d->call.in = in;
    fn(&d->call);
    d->call.in = NULL;
}

/* The JSON of the body, if it is that; then the query. */
static int read_request(struct door *d, struct err *err)
{
    struct exchange *x = d->call.peer.x;
    struct str type = http_field(exchange_head(x), "Content-Type");
    struct str body = exchange_body(x);
    struct str path, id;

    if (body.len > 0 && !files_is_type(type, "multipart/form-data") &&
        json_decode(&request_message, body, &d->call.arena, &d->in, err) != 0)
        return -1;
    if (!files_parameter(x, "path", &path) || !files_parameter(x, "process_id", &id))
        return err_set(err, ERR_INVALID, "malformed query");
    d->in.path = path.at == NULL ? d->in.path : path;
    d->in.process_id = id.at == NULL ? d->in.process_id : id;
    return 0;
}

/* A request whose body is to come. In the arena of its exchange. */
struct pending {
    struct guest *guest;
    const struct door_route *route;
};

static void ready(void *ctx, struct exchange *x)
{
    const struct pending *p = ctx;
    const struct door_route *r = p->route;
    struct guest *g = p->guest;
    struct door d = {.method = {.response = r->response}};
    struct err err;

    d.call.guest = g;
    d.call.peer = (struct rpc_peer){x, CONNECT_REST};
    d.call.keepalive_ms = AGENTCUBE_KEEPALIVE_MS;
    d.call.method = &d.method;
    arena_init(&d.call.arena, AGENTCUBE_ARENA_MAX);
    if (read_request(&d, &err) != 0 || guest_user(g, STR(""), &d.call.arena, &d.user, &err) != 0 ||
        path_resolve(STR(""), &d.user, g->config.workdir, &d.call.arena, &d.workspace, &err) != 0)
        door_fail(&d, &err);
    else
        r->fn(&d);
    arena_done(&d.call.arena);
}

static void too_large(void *ctx, struct exchange *x)
{
    (void)ctx;
    answer_error(x, 413, "request body is larger than %d bytes", AGENTCUBE_BODY_MAX);
}

void agentcube_serve(struct guest *g, struct exchange *x)
{
    const struct http_head *h = exchange_head(x);
    struct str path = str_from(h->path, sizeof("/envd/") - 1);
    const struct door_route *r = NULL;
    struct pending *p;
    unsigned status = 404;

    for (size_t i = 0; i < COUNT_OF(routes) && r == NULL; i++) {
        if (!str_is(path, routes[i].path))
            continue;
        status = 405;
        if (str_is(h->method, routes[i].method))
            r = &routes[i];
    }
    if (r == NULL) {
        answer_error(x, status, status == 405 ? "method not allowed" : "not found");
        return;
    }
    p = arena_alloc(exchange_arena(x), sizeof(*p));
    if (p == NULL) {
        answer_error(x, 429, "out of memory");
        return;
    }
    *p = (struct pending){g, r};
    exchange_collect(x, AGENTCUBE_BODY_MAX, ready, too_large, p);
}
