/* SPDX-License-Identifier: Apache-2.0 */
/* /envd/filesystem/...: every path is first brought into the workspace. */
#include <errno.h>

#include "envd/agentcube.h"
#include "envd/answer.h"
#include "envd/files.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/multipart.h"
#include "envd/paths.h"
#include "envd/target.h"
#include "envd/workspace.h"

static const struct codec_enum_value type_values[] = {
    {FILE_TYPE_UNSPECIFIED, "other"    },
    {FILE_TYPE_FILE,        "file"     },
    {FILE_TYPE_DIRECTORY,   "directory"},
};
static const struct codec_enum type_enum = {type_values, COUNT_OF(type_values)};

/* Rows too long for one line crash the table alignment of clang-format 14. */
/* clang-format off */
static const struct codec_field entry_fields[] = {
    {1, "name", CODEC_STRING, CODEC_ALWAYS, offsetof(struct entry_info, name)},
    {2, "path", CODEC_STRING, CODEC_ALWAYS, offsetof(struct entry_info, path)},
    {3, "type", CODEC_ENUM, CODEC_ALWAYS, offsetof(struct entry_info, type), 0, &type_enum},
    {4, "size", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct entry_info, size)},
    {5, "mode", CODEC_STRING, CODEC_ALWAYS, offsetof(struct entry_info, permissions)},
    {6, "modified", CODEC_TIMESTAMP, CODEC_ALWAYS, offsetof(struct entry_info, modified)},
};
const struct codec_message agentcube_entry_message = {
    NULL, sizeof(struct entry_info), entry_fields, COUNT_OF(entry_fields)};
/* clang-format on */

/* False: the call has been answered. */
static bool resolve(struct door *d, struct str path, enum workspace_end end, struct str *out)
{
    struct err err;

    if (workspace_resolve(d->workspace, path, end, &d->call.arena, out, &err) == 0)
        return true;
    door_fail(d, &err);
    return false;
}

void door_list(struct door *d)
{
    struct list_dir_request in = {0};

    if (resolve(d, d->in.path, WORKSPACE_FOLLOW, &in.path))
        door_call(d, filesystem_list_rpc, &in);
}

void door_stat(struct door *d)
{
    struct path_request in;

    if (resolve(d, d->in.path, WORKSPACE_FOLLOW, &in.path))
        door_call(d, filesystem_stat_rpc, &in);
}

void door_download(struct door *d)
{
    struct str path;

    if (resolve(d, d->in.path, WORKSPACE_FOLLOW, &path))
        files_send(d->call.guest, d->call.peer.x, path);
}

void door_mkdir(struct door *d)
{
    struct path_request in;
    struct str parent;
    struct stat st;

    if (!resolve(d, d->in.path, WORKSPACE_FOLLOW, &in.path))
        return;
    parent = path_parent(in.path, &d->call.arena);
    if (lstat(in.path.at, &st) == 0)
        rpc_fail(d->call.peer, CONNECT_ALREADY_EXISTS, "path exists: %.300s", in.path.at);
    else if (!d->in.parents && (parent.at == NULL || stat(parent.at, &st) != 0))
        rpc_fail(d->call.peer, CONNECT_NOT_FOUND, "path not found: %.300s", parent.at);
    else
        door_call(d, filesystem_make_dir_rpc, &in);
}

void door_move(struct door *d)
{
    struct move_request in;

    if (resolve(d, d->in.source_path, WORKSPACE_ITSELF, &in.source) &&
        resolve(d, d->in.target_path, WORKSPACE_ITSELF, &in.destination))
        door_call(d, filesystem_move_rpc, &in);
}

void door_remove(struct door *d)
{
    struct path_request in;

    if (resolve(d, d->in.path, WORKSPACE_ITSELF, &in.path))
        door_call(d, filesystem_remove_rpc, &in);
}

/* The parts of a form. The body is read twice: once for its path, which may come last, and once for
 * the file. */
struct form {
    struct arena *arena;
    struct buf path;
    struct str file_name;
    bool is_path, is_file, has_file; /* the part that is being read, and whether there was one */
    struct target *target;           /* NULL: for the path */
};

static int on_part(void *ctx, struct str name, struct str file_name, struct err *err)
{
    struct form *f = ctx;

    f->is_path = str_is(name, "path") && f->target == NULL;
    f->is_file = str_is(name, "file");
    if (f->is_file && f->has_file && f->target == NULL)
        return err_set(err, ERR_INVALID, "more than one part called 'file'");
    if (f->is_file && f->target == NULL)
        f->file_name = arena_str(f->arena, path_base(file_name));
    f->has_file |= f->is_file;
    return 0;
}

static int on_bytes(void *ctx, struct str data, struct err *err)
{
    struct form *f = ctx;

    if (f->is_path)
        buf_add_str(&f->path, data);
    return f->is_file && f->target != NULL ? target_write(f->target, data, err) : 0;
}

static int on_part_end(void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    return 0;
}

static int read_form(struct form *f, struct exchange *x, struct err *err)
{
    static const struct multipart_events events = {on_part, on_bytes, on_part_end};
    struct multipart m;
    int rc = multipart_init(&m, http_field(exchange_head(x), "Content-Type"), &events, f, err);

    if (rc != 0)
        return -1;
    if (multipart_feed(&m, exchange_body(x), err) != 0 || multipart_end(&m, err) != 0)
        rc = -1;
    multipart_done(&m);
    return rc;
}

/* Where to, when the body is a form. */
static int read_form_path(struct door *d, struct form *f, struct err *err)
{
    if (read_form(f, d->call.peer.x, err) != 0)
        return -1;
    if (!f->has_file)
        return err_set(err, ERR_INVALID, "no part called 'file' in the body");
    if (!buf_ok(&f->path))
        return err_set(err, ERR_INVALID, "path is longer than %d bytes", PATH_LEN_MAX);
    if (f->path.len > 0)
        d->in.path = buf_str(&f->path);
    else if (d->in.path.len == 0)
        d->in.path = f->file_name;
    return 0;
}

static int write_file(struct door *d, struct form *f, struct str path, struct err *err)
{
    struct target_spec spec = {.path = path, .user = &d->user, .expected = d->in.content.len};
    struct target target;
    bool is_done;
    int rc;

    target_init(&target);
    rc = target_begin(&target, &spec, &d->call.arena, err);
    f->target = &target;
    if (rc == 0)
        rc = f->has_file ? read_form(f, d->call.peer.x, err)
                         : target_write(&target, d->in.content, err);
    if (rc == 0)
        rc = target_end(&target, &is_done, err); /* in one step: it was not staged */
    target_discard(&target);
    f->target = NULL;
    return rc;
}

static int upload(struct door *d, struct form *f, struct str *path, struct err *err)
{
    struct str type = http_field(exchange_head(d->call.peer.x), "Content-Type");

    if (files_is_type(type, "multipart/form-data") && read_form_path(d, f, err) != 0)
        return -1;
    if (d->in.path.len == 0)
        return err_set(err, ERR_INVALID, "path is required");
    if (workspace_resolve(d->workspace, d->in.path, WORKSPACE_FOLLOW, &d->call.arena, path, err) !=
        0)
        return -1;
    return write_file(d, f, *path, err);
}

void door_upload(struct door *d)
{
    struct form f = {.arena = &d->call.arena};
    struct path_request in;
    struct err err;

    buf_init(&f.path, PATH_LEN_MAX);
    if (upload(d, &f, &in.path, &err) != 0)
        door_fail(d, &err);
    else
        door_call(d, filesystem_stat_rpc, &in);
    buf_done(&f.path);
}
