/* SPDX-License-Identifier: Apache-2.0 */
/* filesystem.Filesystem/ListDir. Entries are encoded one by one as they are found, so memory is the
 * answer itself and the names of the directories on the way to the current one. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "envd/answer.h"
#include "envd/entry.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/paths.h"

enum {
    LIST_ENTRIES_MAX = 200000,
    LIST_BATCH = 1000,         /* entries before others have their turn */
    LIST_NAMES_MAX = 64 << 20, /* bytes for the names of one directory */
};

/* Names of one directory, sorted as bytes. */
struct names {
    struct arena arena;
    char **at;
    size_t count, room;
};

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct names *n, const char *name)
{
    struct str copy = arena_str(&n->arena, str_of(name));

    if (n->count == n->room) {
        size_t room = n->room == 0 ? 64 : n->room * 2;
        char **grown = realloc(n->at, room * sizeof(n->at[0]));

        if (grown == NULL)
            return -1;
        n->at = grown;
        n->room = room;
    }
    if (copy.at == NULL)
        return -1;
    n->at[n->count++] = (char *)(uintptr_t)copy.at; /* the arena's, so ours */
    return 0;
}

static void names_done(struct names *n)
{
    arena_done(&n->arena);
    free(n->at);
}

static int too_large(struct err *err)
{
    return err_set(err, ERR_LIMIT, "the listing is too large: more than %d entries or %d MiB",
                   LIST_ENTRIES_MAX, ANSWER_BODY_MAX >> 20);
}

static int names_read(struct names *n, const char *path, struct err *err)
{
    DIR *dir = opendir(path);
    const struct dirent *e;
    int rc = 0;

    *n = (struct names){0};
    arena_init(&n->arena, LIST_NAMES_MAX);
    if (dir == NULL)
        return err_sys(err, errno, "open directory '%.150s'", path);
    while (rc == 0 && (e = readdir(dir)) != NULL) {
        if (str_is(str_of(e->d_name), ".") || str_is(str_of(e->d_name), ".."))
            continue;
        rc = n->count == LIST_ENTRIES_MAX ? -1 : add_name(n, e->d_name);
    }
    closedir(dir);
    if (rc != 0)
        return too_large(err);
    if (n->count > 0)
        qsort(n->at, n->count, sizeof(n->at[0]), compare);
    return 0;
}

/* A directory that is being listed. */
struct level {
    struct level *up;
    struct names names;
    size_t next; /* of `names` */
    struct str path;
};

/* A listing in the making. It is a batch per turn, so that a large one keeps nobody waiting. */
struct listing {
    struct loop *loop;
    struct rpc_peer peer;
    struct timer turn;
    struct level *deepest;
    const struct codec_message *entry; /* of one, in JSON */
    struct owners owners;
    struct buf out;
    size_t count;
    uint32_t level, depth;
    bool is_legacy;
};

/* Append one entry: JSON by hand around it; in protobuf a repeated field is its items, one after
 * another. */
static void put_entry(struct listing *l, const struct entry_info *info)
{
    const struct list_dir_response one = {
        .entries = {(struct entry_info *)(uintptr_t)info, 1}
    }; /* only read */

    if (l->peer.form == CONNECT_PROTO) {
        proto_encode(&list_dir_response_message, &one, &l->out);
        return;
    }
    buf_add_text(&l->out, l->count == 0 ? "" : ",");
    json_encode(l->entry, info, &l->out);
}

/* The names of `path` come next. */
static int descend(struct listing *l, struct str path, struct err *err)
{
    struct level *level = calloc(1, sizeof(*level) + path.len + 1);
    char *copy = (char *)(level + 1);

    if (level == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (names_read(&level->names, path.at, err) != 0) {
        names_done(&level->names);
        free(level);
        /* Below the root: removed while we look. */
        return l->deepest != NULL && err->kind == ERR_NOT_FOUND ? 0 : -1;
    }
    memcpy(copy, path.at, path.len);
    level->path = (struct str){copy, path.len};
    level->up = l->deepest;
    l->deepest = level;
    l->level++;
    return 0;
}

static void ascend(struct listing *l)
{
    struct level *level = l->deepest;

    l->deepest = level->up;
    l->level--;
    names_done(&level->names);
    free(level);
}

/* One entry, a directory before what is in it. Links are not entered. */
static int list_entry(struct listing *l, struct str path, struct arena *a, struct err *err)
{
    struct entry_info info;
    bool is_dir;

    if (entry_read(path, &l->owners, a, &info, err) != 0)
        return err->kind == ERR_NOT_FOUND ? 0 : -1; /* removed while we look: not there */
    is_dir = info.permissions.at[0] == 'd';
    if (l->is_legacy)
        entry_trim(&info);
    if (l->count == LIST_ENTRIES_MAX)
        return too_large(err);
    put_entry(l, &info);
    l->count++;
    if (!buf_ok(&l->out))
        return too_large(err);
    return is_dir && l->level < l->depth ? descend(l, path, err) : 0;
}

static int list_next_entry(struct listing *l, struct err *err)
{
    struct level *level = l->deepest;
    const char *slash = str_is(level->path, "/") ? "" : "/";
    struct arena a;
    char *path;
    int rc;

    if (level->next == level->names.count) {
        ascend(l);
        return 0;
    }
    arena_init(&a, 256 << 10);
    path =
        arena_printf(&a, "%.*s%s%s", STR_ARG(level->path), slash, level->names.at[level->next++]);
    rc = path == NULL ? err_set(err, ERR_LIMIT, "out of memory")
                      : list_entry(l, str_of(path), &a, err);
    arena_done(&a);
    return rc;
}

static void listing_free(struct listing *l)
{
    timer_stop(&l->turn);
    while (l->deepest != NULL)
        ascend(l);
    buf_done(&l->out);
    owners_done(&l->owners);
    free(l);
}

static void list_gone(void *ctx, struct exchange *x)
{
    (void)x;
    listing_free(ctx);
}

static void list_turn(void *ctx)
{
    struct listing *l = ctx;
    struct err err;
    int rc = 0;

    for (size_t i = 0; i < LIST_BATCH && rc == 0 && l->deepest != NULL; i++)
        rc = list_next_entry(l, &err);
    if (rc == 0 && l->deepest != NULL) {
        timer_start(l->loop, &l->turn, 0, list_turn, l);
        return;
    }
    exchange_on_gone(l->peer.x, NULL, NULL);
    buf_add_text(&l->out, l->peer.form == CONNECT_PROTO ? "" : "]}");
    if (rc == 0)
        rpc_reply_buf(l->peer, &l->out);
    else
        rpc_fail_err(l->peer, &err);
    listing_free(l);
}

/* False: the call has been answered. The root itself may be a link. */
static bool check_root(struct rpc_call *call, const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    if (stat(path, &st) == 0 || errno == ENOTDIR)
        rpc_fail(call->peer, CONNECT_INVALID_ARGUMENT, "path is not a directory: %.300s", path);
    else if (errno == ENOENT)
        rpc_fail(call->peer, CONNECT_NOT_FOUND, "path not found: %.300s", path);
    else if (errno == ELOOP)
        rpc_fail(call->peer, CONNECT_FAILED_PRECONDITION,
                 "cyclic symlink or chain too long at '%.300s'", path);
    else
        rpc_fail(call->peer, CONNECT_INTERNAL, "stat '%.200s': %s", path, strerror(errno));
    return false;
}

void filesystem_list_rpc(struct rpc_call *call)
{
    const struct list_dir_request *in = call->in;
    struct listing *l;
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
    path = path_trim(path, &call->arena);
    if (path.at == NULL || (l = calloc(1, sizeof(*l))) == NULL) {
        rpc_fail(call->peer, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    l->loop = call->guest->loop;
    l->peer = call->peer;
    l->entry = call->peer.form == CONNECT_REST ? call->method->response : &entry_info_message;
    l->is_legacy = answer_is_legacy(call->peer.x);
    l->depth = in->depth == 0 ? 1 : in->depth;
    owners_init(&l->owners);
    buf_init(&l->out, ANSWER_BODY_MAX);
    buf_add_text(&l->out, call->peer.form == CONNECT_PROTO ? "" : "{\"entries\":[");
    if (!check_root(call, path.at)) {
        listing_free(l);
    } else if (descend(l, path, &err) != 0) {
        rpc_fail_err(call->peer, &err);
        listing_free(l);
    } else {
        exchange_on_gone(l->peer.x, list_gone, l);
        list_turn(l);
    }
}
