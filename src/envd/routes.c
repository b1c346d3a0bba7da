/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the row of a request, asks the gate, runs the handler. The server calls routes_serve().
 *
 * Paths are fixed strings, so the table is searched as it is: envd needs no compiled router. */
#include "envd/routes.h"

#include "envd/agentcube.h"
#include "envd/answer.h"
#include "envd/gate.h"
#include "envd/guest.h"
#include "envd/handlers.h"

enum route_flag {
    ROUTE_SEES_FILES = 1, /* wants /etc and /run to agree with the last /init */
};

struct route {
    const char *method, *path;
    enum gate_class gate;
    unsigned flags;
    void (*plain)(struct guest *g, struct exchange *x);
    const struct rpc_method *rpc;
};

/* Rows too long for one line crash the table alignment of clang-format 14. */
/* clang-format off */
static const struct rpc_method process_list = {
    &empty_message, &process_list_message, false, process_list_rpc};
static const struct rpc_method process_start = {
    &start_request_message, &event_response_message, true, process_start_rpc};
static const struct rpc_method process_connect = {
    &selector_request_message, &event_response_message, true, process_connect_rpc};
static const struct rpc_method process_update = {
    &update_request_message, &empty_message, false, process_update_rpc};
static const struct rpc_method process_send_input = {
    &send_input_request_message, &empty_message, false, process_send_input_rpc};
static const struct rpc_method process_send_signal = {
    &send_signal_request_message, &empty_message, false, process_send_signal_rpc};
static const struct rpc_method process_close_stdin = {
    &selector_request_message, &empty_message, false, process_close_stdin_rpc};
static const struct rpc_method filesystem_stat = {
    &path_request_message, &entry_response_message, false, filesystem_stat_rpc};
static const struct rpc_method filesystem_make_dir = {
    &path_request_message, &entry_response_message, false, filesystem_make_dir_rpc};
static const struct rpc_method filesystem_move = {
    &move_request_message, &entry_response_message, false, filesystem_move_rpc};
static const struct rpc_method filesystem_list = {
    &list_dir_request_message, &list_dir_response_message, false, filesystem_list_rpc};
static const struct rpc_method filesystem_remove = {
    &path_request_message, &empty_message, false, filesystem_remove_rpc};
static const struct rpc_method filesystem_watch = {
    &watch_request_message, &watch_response_message, true, filesystem_watch_rpc};
static const struct rpc_method watcher_create = {
    &watch_request_message, &watcher_request_message, false, filesystem_watch_rpc};
static const struct rpc_method watcher_events = {
    &watcher_request_message, &watcher_events_message, false, filesystem_watcher_events_rpc};
static const struct rpc_method watcher_remove = {
    &watcher_request_message, &empty_message, false, filesystem_watcher_remove_rpc};

static const struct route routes[] = {
    {"GET", "/health", GATE_OPEN, 0, health_get, NULL},
    {"GET", "/metrics", GATE_TOKEN, 0, metrics_get, NULL},
    {"GET", "/envs", GATE_TOKEN, 0, envs_get, NULL},
    {"GET", "/envd/health", GATE_OPEN, 0, health_get, NULL},
    {"GET", "/envd/env", GATE_TOKEN, 0, envs_get, NULL},
    {"GET", "/files", GATE_OWN, ROUTE_SEES_FILES, files_get, NULL},
    {"POST", "/files", GATE_OWN, ROUTE_SEES_FILES, files_post, NULL},
    {"POST", "/files/compose", GATE_TOKEN, ROUTE_SEES_FILES, files_compose, NULL},
    {"POST", "/init", GATE_CONTROL, 0, init_post, NULL},
    {"POST", "/prepare", GATE_CONTROL, 0, prepare_post, NULL},
    {"POST", "/freeze", GATE_CONTROL, 0, freeze_post, NULL},
    {"POST", "/unfreeze", GATE_CONTROL, 0, freeze_post, NULL},
    {"POST", "/collapse", GATE_CONTROL, 0, freeze_post, NULL},
    {"POST", "/fsfreeze", GATE_CONTROL, 0, freeze_post, NULL},
    {"POST", "/fsthaw", GATE_CONTROL, 0, freeze_post, NULL},
    {"POST", "/process.Process/List", GATE_TOKEN, 0, NULL, &process_list},
    {"POST", "/process.Process/Start", GATE_TOKEN, ROUTE_SEES_FILES, NULL, &process_start},
    {"POST", "/process.Process/Connect", GATE_TOKEN, 0, NULL, &process_connect},
    {"POST", "/process.Process/Update", GATE_TOKEN, 0, NULL, &process_update},
    {"POST", "/process.Process/StreamInput", GATE_TOKEN, 0, process_stream_input, NULL},
    {"POST", "/process.Process/SendInput", GATE_TOKEN, 0, NULL, &process_send_input},
    {"POST", "/process.Process/SendSignal", GATE_TOKEN, 0, NULL, &process_send_signal},
    {"POST", "/process.Process/CloseStdin", GATE_TOKEN, 0, NULL, &process_close_stdin},
    {"POST", "/filesystem.Filesystem/Stat", GATE_TOKEN, ROUTE_SEES_FILES, NULL, &filesystem_stat},
    {"POST", "/filesystem.Filesystem/MakeDir", GATE_TOKEN, ROUTE_SEES_FILES, NULL,
     &filesystem_make_dir},
    {"POST", "/filesystem.Filesystem/Move", GATE_TOKEN, ROUTE_SEES_FILES, NULL, &filesystem_move},
    {"POST", "/filesystem.Filesystem/ListDir", GATE_TOKEN, ROUTE_SEES_FILES, NULL,
     &filesystem_list},
    {"POST", "/filesystem.Filesystem/Remove", GATE_TOKEN, ROUTE_SEES_FILES, NULL,
     &filesystem_remove},
    {"POST", "/filesystem.Filesystem/WatchDir", GATE_TOKEN, ROUTE_SEES_FILES, NULL,
     &filesystem_watch},
    {"POST", "/filesystem.Filesystem/CreateWatcher", GATE_TOKEN, ROUTE_SEES_FILES, NULL,
     &watcher_create},
    {"POST", "/filesystem.Filesystem/GetWatcherEvents", GATE_TOKEN, 0, NULL, &watcher_events},
    {"POST", "/filesystem.Filesystem/RemoveWatcher", GATE_TOKEN, 0, NULL, &watcher_remove},
};
/* clang-format on */

/* HEAD is answered as GET; the server leaves the body out. */
static bool method_matches(struct str method, const char *wanted)
{
    return str_is(method, wanted) || (str_is(method, "HEAD") && str_is(STR("GET"), wanted));
}

static const struct route *find(struct str method, struct str path, bool *out_has_path)
{
    *out_has_path = false;
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        if (!str_is(path, routes[i].path))
            continue;
        *out_has_path = true;
        if (method_matches(method, routes[i].method))
            return &routes[i];
    }
    return NULL;
}

void routes_serve(void *ctx, struct exchange *x)
{
    struct guest *g = ctx;
    const struct http_head *h = exchange_head(x);
    bool has_path;
    const struct route *r = find(h->method, h->path, &has_path);

    if (str_is(h->method, "OPTIONS") && http_field(h, "Origin").at != NULL) {
        answer_empty(x, 204); /* a browser asks whether it may */
        return;
    }
    if (!gate_pass(g, x, r == NULL ? GATE_TOKEN : r->gate))
        return;
    if (r == NULL && !has_path && str_has_prefix(h->path, "/envd/")) {
        guest_settle(g);
        agentcube_serve(g, x);
        return;
    }
    if (r == NULL) {
        answer_error(x, has_path ? 405 : 404, has_path ? "method not allowed" : "not found");
        return;
    }
    if ((r->flags & ROUTE_SEES_FILES) != 0)
        guest_settle(g);
    if (r->rpc != NULL)
        rpc_begin(g, x, r->rpc);
    else
        r->plain(g, x);
}
