/* SPDX-License-Identifier: Apache-2.0 */
/* filesystem.Filesystem: WatchDir, CreateWatcher, GetWatcherEvents, RemoveWatcher. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/paths.h"

static const struct empty nothing = {0};

/* False: the call has been answered. The root may be a link. */
static bool check_root(struct rpc_call *call, const char *path, bool may_be_network)
{
    struct stat st = {0};
    struct statfs fs = {0};
    int sys = stat(path, &st) != 0 || statfs(path, &fs) != 0 ? errno : 0;

    if (sys == ENOENT)
        rpc_fail(call->peer, CONNECT_NOT_FOUND, "path %.400s not found", path);
    else if (sys == ENOTDIR || (sys == 0 && !S_ISDIR(st.st_mode)))
        rpc_fail(call->peer, CONNECT_INVALID_ARGUMENT, "path %.400s not a directory", path);
    else if (sys == ELOOP)
        rpc_fail(call->peer, CONNECT_FAILED_PRECONDITION,
                 "cyclic symlink or chain too long at '%.300s'", path);
    else if (sys != 0)
        rpc_fail(call->peer, CONNECT_INTERNAL, "stat '%.300s': %s", path, strerror(sys));
    else if (!may_be_network && mount_kind((uint64_t)fs.f_type) == MOUNT_NETWORK)
        rpc_fail(call->peer, CONNECT_INVALID_ARGUMENT,
                 "cannot watch path on network filesystem: %.300s", path);
    else
        return true;
    return false;
}

void filesystem_watch_rpc(struct rpc_call *call)
{
    const struct watch_request *in = call->in;
    struct watch_target target = {
        .is_recursive = in->recursive,
        .may_be_network = in->allow_network_mounts,
    };
    struct user user;
    struct str path;
    struct err err;

    if (rpc_user(call, &user) != 0)
        return;
    if (path_resolve(in->path, &user, call->guest->config.workdir, &call->arena, &path, &err) !=
        0) {
        rpc_fail_err(call->peer, &err);
        return;
    }
    target.path = path_trim(path, &call->arena).at; /* one slash before names */
    if (target.path == NULL)
        rpc_fail(call->peer, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
    else if (check_root(call, path.at, in->allow_network_mounts) &&
             watcher_open(&call->guest->watchers, call, &target, in->include_entry, &err) != 0)
        rpc_fail_err(call->peer, &err);
}

/* NULL: the call has been answered. */
static struct watcher *find(struct rpc_call *call)
{
    const struct watcher_request *in = call->in;
    struct watcher *w = watcher_find(&call->guest->watchers, in->watcher_id);

    if (w == NULL)
        rpc_fail(call->peer, CONNECT_NOT_FOUND, "watcher with id %.*s not found",
                 STR_ARG(str_upto(in->watcher_id, 100)));
    return w;
}

void filesystem_watcher_events_rpc(struct rpc_call *call)
{
    struct watcher *w = find(call);

    if (w != NULL)
        watcher_take(w, call->peer);
}

void filesystem_watcher_remove_rpc(struct rpc_call *call)
{
    struct watcher *w = find(call);

    if (w == NULL)
        return;
    watcher_close(w);
    rpc_reply(call->peer, &empty_message, &nothing);
}
