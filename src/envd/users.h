/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups of the image: /etc/passwd and /etc/group, read when they are needed.
 *
 * Nothing is cached between requests, because programs in the sandbox add users. Lines that are
 * broken or too long are skipped. The functions on text are pure, for tests. */
#ifndef ENVD_USERS_H
#define ENVD_USERS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    USERS_FILE_MAX = 1 << 20, /* bytes read of each file */
    USER_GROUPS_MAX = 256,    /* supplementary groups of one user */
};

struct user {
    uint32_t uid, gid;
    struct str name, home;
};

/* On the text of a passwd file. The result points into the text. */
bool passwd_by_name(struct str text, struct str name, struct user *out);
bool passwd_by_uid(struct str text, uint32_t uid, struct user *out);
/* On the text of a group file. Name of a gid, .at NULL when unknown. */
struct str group_by_gid(struct str text, uint32_t gid);
/* Groups that list `name` as a member, at most `max`; returns how many. */
size_t group_members(struct str text, struct str name, uint32_t *out, size_t max);

/* Look a user up by name, else by decimal uid. `root` exists even when no file says so. Strings are
 * copied to `a`. ERR_NOT_FOUND when there is none. */
must_check int user_find(struct str name, struct arena *a, struct user *out, struct err *err);
/* Primary and supplementary groups; returns how many were written. */
size_t user_groups(const struct user *u, uint32_t out[USER_GROUPS_MAX]);

/* Names of owners for a listing: both files are read once, the last answers are remembered. */
struct owners {
    struct buf passwd, group;
    bool is_loaded;
    bool has_uid, has_gid;
    uint32_t uid, gid;
    struct str user_name, group_name;
    char uid_text[12], gid_text[12];
};

void owners_init(struct owners *o);
void owners_done(struct owners *o);
/* The name, or the number in decimal. Valid until the next call. */
struct str owners_user(struct owners *o, uint32_t uid);
struct str owners_group(struct owners *o, uint32_t gid);

#endif
