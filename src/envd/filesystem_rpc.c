/* SPDX-License-Identifier: Apache-2.0 */
/* filesystem.Filesystem: Stat, MakeDir, Move, Remove. Everything is done as root; the user decides
 * what relative paths mean and who owns what is created (wire.md 3.1). */
#include <errno.h>
#include <stdio.h>

#include "envd/answer.h"
#include "envd/entry.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/paths.h"
#include "envd/removal.h"

enum {
    REMOVE_BATCH = 500 /* entries removed before others have their turn */
};

static const struct empty nothing = {0};

/* False: the call has been answered. */
static bool resolve(struct rpc_call *call, const struct user *u, struct str path, struct str *out)
{
    struct err err;

    if (path_resolve(path, u, call->guest->config.workdir, &call->arena, out, &err) == 0)
        return true;
    rpc_fail_err(call->peer, &err);
    return false;
}

static void reply_entry(struct rpc_call *call, struct str path)
{
    struct entry_info info;
    const struct entry_response response = {&info};
    const struct codec_message *wanted = call->method->response;
    struct owners owners;
    struct err err;

    if (wanted == &empty_message) {
        rpc_reply(call->peer, wanted, &nothing);
        return;
    }
    owners_init(&owners);
    if (entry_read(path, &owners, &call->arena, &info, &err) == 0) {
        if (answer_is_legacy(call->peer.x))
            entry_trim(&info);
        rpc_reply(call->peer, wanted,
                  wanted == &entry_response_message ? (const void *)&response : &info);
    } else {
        rpc_fail_err(call->peer, &err);
    }
    owners_done(&owners);
}

void filesystem_stat_rpc(struct rpc_call *call)
{
    const struct path_request *in = call->in;
    struct user user;
    struct str path;

    if (rpc_user(call, &user) == 0 && resolve(call, &user, in->path, &path))
        reply_entry(call, path);
}

void filesystem_make_dir_rpc(struct rpc_call *call)
{
    const struct path_request *in = call->in;
    struct user user;
    struct str path;
    struct stat st;
    struct err err;

    if (rpc_user(call, &user) != 0 || !resolve(call, &user, in->path, &path))
        return;
    if (stat(path.at, &st) == 0 && S_ISDIR(st.st_mode)) {
        rpc_fail(call->peer, CONNECT_ALREADY_EXISTS, "directory already exists: %.300s", path.at);
        return;
    }
    if (stat(path.at, &st) == 0) {
        rpc_fail(call->peer, CONNECT_INVALID_ARGUMENT,
                 "path already exists but it is not a directory: %.300s", path.at);
        return;
    }
    if (path_make_dirs(path.at, &user, &err) != 0)
        rpc_fail_err(call->peer, &err);
    else
        reply_entry(call, path);
}

static void answer_failed_move(struct rpc_call *call, int sys, const char *from)
{
    if (sys == ENOENT)
        rpc_fail(call->peer, CONNECT_NOT_FOUND, "source file not found: %.300s", from);
    else
        rpc_fail(call->peer, CONNECT_INTERNAL, "error renaming '%.180s': %s", from, strerror(sys));
}

/* Make the parents of `to`, and take them back if nothing can be moved there. */
static void move(struct rpc_call *call, struct str from, struct str to, const struct user *user)
{
    struct str parent = path_parent(to, &call->arena);
    struct err err;
    size_t first;

    if (parent.at == NULL) {
        rpc_fail(call->peer, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
    } else if (path_make_dirs_noted(parent.at, user, &first, &err) != 0) {
        rpc_fail_err(call->peer, &err);
    } else if (rename(from.at, to.at) == 0) {
        reply_entry(call, to);
    } else {
        int sys = errno;

        path_unmake_dirs(parent.at, first);
        answer_failed_move(call, sys, from.at);
    }
}

void filesystem_move_rpc(struct rpc_call *call)
{
    const struct move_request *in = call->in;
    struct user user;
    struct str from, to;
    struct stat st;

    if (rpc_user(call, &user) != 0 || !resolve(call, &user, in->source, &from) ||
        !resolve(call, &user, in->destination, &to))
        return;
    if (lstat(from.at, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
        answer_failed_move(call, ENOENT, from.at);
    else
        move(call, from, to, &user);
}

/* A tree on its way out. It goes on when the client leaves. */
struct remove_call {
    struct loop *loop;
    struct rpc_peer peer; /* .x is NULL when the client left */
    struct removal *removal;
    struct timer turn;
};

static void remove_gone(void *ctx, struct exchange *x)
{
    struct remove_call *r = ctx;

    (void)x;
    r->peer.x = NULL;
}

static void remove_turn(void *ctx)
{
    struct remove_call *r = ctx;
    struct rpc_peer peer = r->peer;
    bool is_done = false;
    struct err err;
    int rc = removal_run(r->removal, REMOVE_BATCH, &is_done, &err);

    if (rc == 0 && !is_done) {
        timer_start(r->loop, &r->turn, 0, remove_turn, r);
        return;
    }
    removal_free(r->removal);
    free(r);
    if (peer.x == NULL)
        return;
    exchange_on_gone(peer.x, NULL, NULL);
    if (rc == 0)
        rpc_reply(peer, &empty_message, &nothing);
    else
        rpc_fail_err(peer, &err);
}

/* Takes the removal. */
static void remove_tree(struct rpc_call *call, struct removal *removal)
{
    struct remove_call *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        removal_free(removal);
        rpc_fail(call->peer, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *r = (struct remove_call){.loop = call->guest->loop, .peer = call->peer, .removal = removal};
    exchange_on_gone(call->peer.x, remove_gone, r);
    remove_turn(r);
}

void filesystem_remove_rpc(struct rpc_call *call)
{
    const struct path_request *in = call->in;
    struct removal *removal;
    struct user user;
    struct str path;
    struct err err;

    if (rpc_user(call, &user) != 0 || !resolve(call, &user, in->path, &path))
        return;
    path = path_trim(path, &call->arena); /* the link itself, not where it leads */
    if (path.at == NULL)
        rpc_fail(call->peer, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
    else if (removal_new(path.at, &removal, &err) != 0)
        rpc_fail_err(call->peer, &err);
    else if (removal != NULL)
        remove_tree(call, removal);
    else
        rpc_reply(call->peer, &empty_message, &nothing);
}
