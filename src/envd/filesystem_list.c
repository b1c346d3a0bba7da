/* SPDX-License-Identifier: Apache-2.0 */
/* filesystem.Filesystem/ListDir. Entries are encoded one by one as they are found, so memory is the
 * answer itself and the names of the directories that are open. */
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
    LIST_LEVELS_MAX = 512,
    LIST_NAMES_MAX = 64 << 20, /* bytes for the names of one directory */
};

struct listing {
    struct rpc_call *call;
    struct owners owners;
    struct buf out;
    size_t count;
    uint32_t depth;
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

/* Append one entry: JSON by hand around it; in protobuf a repeated field is its items, one after
 * another. */
static void put_entry(struct listing *l, const struct entry_info *info)
{
    const struct list_dir_response one = {
        .entries = {(struct entry_info *)(uintptr_t)info, 1}
    }; /* only read */

    if (l->call->peer.form == CONNECT_PROTO) {
        proto_encode(&list_dir_response_message, &one, &l->out);
        return;
    }
    buf_add_text(&l->out, l->count == 0 ? "" : ",");
    json_encode(&entry_info_message, info, &l->out);
}

static int list(struct listing *l, struct str dir, uint32_t level, struct err *err);

static int list_entry(struct listing *l, struct str dir, const char *name, uint32_t level,
                      struct err *err)
{
    const char *slash = str_has_suffix(dir, "/") ? "" : "/";
    struct entry_info info;
    struct arena a;
    char *path;
    int rc = 0;

    arena_init(&a, 256 << 10);
    path = arena_printf(&a, "%.*s%s%s", STR_ARG(dir), slash, name);
    if (path == NULL)
        rc = err_set(err, ERR_LIMIT, "out of memory");
    else if (entry_read(str_of(path), &l->owners, &a, &info, err) != 0)
        rc = err->kind == ERR_NOT_FOUND ? 0 : -1; /* removed while we look: not there */
    else if (l->count == LIST_ENTRIES_MAX)
        rc = too_large(err);
    else {
        put_entry(l, &info);
        l->count++;
        if (!buf_ok(&l->out))
            rc = too_large(err);
        else if (info.permissions.at[0] == 'd' && level < l->depth && level < LIST_LEVELS_MAX)
            rc = list(l, str_of(path), level + 1, err);
    }
    arena_done(&a);
    return rc;
}

/* Entries of `dir`, each directory before what is in it. Links are not entered. */
static int list(struct listing *l, struct str dir, uint32_t level, struct err *err)
{
    struct names names;
    int rc = names_read(&names, dir.at, err);

    for (size_t i = 0; rc == 0 && i < names.count; i++)
        rc = list_entry(l, dir, names.at[i], level, err);
    names_done(&names);
    if (rc != 0 && err->kind == ERR_NOT_FOUND && level > 1)
        return 0; /* a directory that was removed while we look */
    return rc;
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
    struct listing l = {.call = call, .depth = in->depth == 0 ? 1 : in->depth};
    bool is_json = call->peer.form == CONNECT_JSON;
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
    if (!check_root(call, path.at))
        return;
    owners_init(&l.owners);
    buf_init(&l.out, ANSWER_BODY_MAX);
    buf_add_text(&l.out, is_json ? "{\"entries\":[" : "");
    if (list(&l, path, 1, &err) == 0) {
        buf_add_text(&l.out, is_json ? "]}" : "");
        rpc_reply_buf(call->peer, &l.out);
    } else {
        rpc_fail_err(call->peer, &err);
    }
    buf_done(&l.out);
    owners_done(&l.owners);
}
