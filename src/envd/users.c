/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the image's passwd and group files; used by RPC and file handlers to resolve who acts. */
#include "envd/users.h"

#include <fcntl.h>
#include <stdio.h>

enum {
    PASSWD_FIELDS = 7,
    GROUP_FIELDS = 4,
    READ_SIZE = 4096, /* most images' files fit */
};

/* Split "a:b:c" into exactly `count` parts (the last takes the rest). */
static bool split_fields(struct str line, struct str *parts, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        if (str_find(line, ':') < 0)
            return false;
        parts[i] = str_cut(line, ':', &line);
    }
    parts[count - 1] = line;
    return true;
}

static bool parse_id(struct str text, uint32_t *out)
{
    uint64_t value;

    if (!str_to_u64(text, &value) || value >= UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}

/* The next entry of a passwd text, broken lines skipped. */
static bool passwd_next(struct str *text, struct user *out)
{
    struct str parts[PASSWD_FIELDS];

    while (text->len > 0) {
        struct str line = str_cut(*text, '\n', text);

        if (!split_fields(line, parts, PASSWD_FIELDS) || parts[0].len == 0)
            continue;
        if (!parse_id(parts[2], &out->uid) || !parse_id(parts[3], &out->gid))
            continue;
        out->name = parts[0];
        out->home = parts[5];
        return true;
    }
    return false;
}

bool passwd_by_name(struct str text, struct str name, struct user *out)
{
    struct user u;

    while (passwd_next(&text, &u)) {
        if (!str_eq(u.name, name))
            continue;
        *out = u;
        return true;
    }
    return false;
}

bool passwd_by_uid(struct str text, uint32_t uid, struct user *out)
{
    struct user u;

    while (passwd_next(&text, &u)) {
        if (u.uid != uid)
            continue;
        *out = u;
        return true;
    }
    return false;
}

static bool group_next(struct str *text, struct str *out_name, uint32_t *out_gid,
                       struct str *out_members)
{
    struct str parts[GROUP_FIELDS];

    while (text->len > 0) {
        struct str line = str_cut(*text, '\n', text);

        if (!split_fields(line, parts, GROUP_FIELDS) || parts[0].len == 0)
            continue;
        if (!parse_id(parts[2], out_gid))
            continue;
        *out_name = parts[0];
        *out_members = parts[3];
        return true;
    }
    return false;
}

struct str group_by_gid(struct str text, uint32_t gid)
{
    struct str name, members;
    uint32_t found;

    while (group_next(&text, &name, &found, &members)) {
        if (found == gid)
            return name;
    }
    return (struct str){NULL, 0};
}

static bool is_member(struct str members, struct str name)
{
    while (members.len > 0) {
        if (str_eq(str_cut(members, ',', &members), name))
            return true;
    }
    return false;
}

size_t group_members(struct str text, struct str name, uint32_t *out, size_t max)
{
    struct str group, members;
    uint32_t gid;
    size_t count = 0;

    while (count < max && group_next(&text, &group, &gid, &members)) {
        if (is_member(members, name))
            out[count++] = gid;
    }
    return count;
}

/* Read a file into a fresh buffer. A missing or unreadable one is an empty one: such images exist.
 */
static void read_file(const char *path, struct buf *out)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got;
    char *room;

    buf_init(out, USERS_FILE_MAX);
    if (fd < 0)
        return;
    while ((room = buf_room(out, READ_SIZE)) != NULL && (got = read(fd, room, READ_SIZE)) > 0) {
        buf_fill(out, (size_t)got);
        if (got < READ_SIZE)
            break; /* of a regular file that is all; asking again would cost memory first */
    }
}

int user_find(struct str name, struct arena *a, struct user *out, struct err *err)
{
    struct buf passwd;
    struct user u;
    uint32_t uid;
    bool is_found;

    read_file("/etc/passwd", &passwd);
    is_found = passwd_by_name(buf_str(&passwd), name, &u) ||
               (parse_id(name, &uid) && passwd_by_uid(buf_str(&passwd), uid, &u));
    if (!is_found && str_is(name, "root")) {
        u = (struct user){0, 0, STR("root"), STR("/root")};
        is_found = true;
    }
    if (is_found) {
        u.name = arena_str(a, u.name);
        u.home = arena_str(a, u.home.len > 0 ? u.home : STR("/"));
    }
    buf_done(&passwd);
    if (!is_found)
        return err_set(err, ERR_NOT_FOUND, "unknown user '%.*s'", STR_ARG(name));
    if (u.name.at == NULL || u.home.at == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    *out = u;
    return 0;
}

static size_t without(uint32_t *ids, size_t count, uint32_t id)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (ids[i] != id)
            ids[kept++] = ids[i];
    }
    return kept;
}

size_t user_groups(const struct user *u, uint32_t out[USER_GROUPS_MAX])
{
    struct buf group;
    size_t count;

    read_file("/etc/group", &group);
    out[0] = u->gid;
    count = group_members(buf_str(&group), u->name, out + 1, USER_GROUPS_MAX - 1);
    buf_done(&group);
    return 1 + without(out + 1, count, u->gid); /* Alpine lists root in root, too */
}

void owners_init(struct owners *o)
{
    *o = (struct owners){0};
    buf_init(&o->passwd, USERS_FILE_MAX);
    buf_init(&o->group, USERS_FILE_MAX);
}

void owners_done(struct owners *o)
{
    buf_done(&o->passwd);
    buf_done(&o->group);
}

static void owners_load(struct owners *o)
{
    if (o->is_loaded)
        return;
    read_file("/etc/passwd", &o->passwd);
    read_file("/etc/group", &o->group);
    o->is_loaded = true;
}

static struct str id_text(uint32_t id, char out[12])
{
    int len = snprintf(out, 12, "%u", id);

    return (struct str){out, (size_t)len};
}

struct str owners_user(struct owners *o, uint32_t uid)
{
    struct user u;

    if (o->has_uid && o->uid == uid)
        return o->user_name;
    owners_load(o);
    if (passwd_by_uid(buf_str(&o->passwd), uid, &u))
        o->user_name = u.name;
    else
        o->user_name = uid == 0 ? STR("root") : id_text(uid, o->uid_text);
    o->uid = uid;
    o->has_uid = true;
    return o->user_name;
}

struct str owners_group(struct owners *o, uint32_t gid)
{
    struct str name;

    if (o->has_gid && o->gid == gid)
        return o->group_name;
    owners_load(o);
    name = group_by_gid(buf_str(&o->group), gid);
    if (name.at == NULL)
        name = gid == 0 ? STR("root") : id_text(gid, o->gid_text);
    o->group_name = name;
    o->gid = gid;
    o->has_gid = true;
    return name;
}
