/* SPDX-License-Identifier: Apache-2.0 */
/* envd/users: passwd and group texts, broken lines included. */
#include "envd/users.h"
#include "test.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
                             "# comment\n"
                             "broken:x:abc:0::/:/bin/sh\n"
                             "short:x:1:1\n"
                             ":x:7:7::/:/bin/sh\n"
                             "huge:x:4294967295:1::/:/bin/sh\n"
                             "user:x:1000:1001:A, B:/home/user:/bin/sh:more\n"
                             "last:x:5:6::/last:/bin/sh";
static const char group[] = "root:x:0:\n"
                            "sudo:x:27:bob,user\n"
                            "users:x:100:user\n"
                            "bad:x:\n"
                            "userx:x:200:userx,xuser\n"
                            "user:x:1001:";

static void by_name(void)
{
    struct user u;

    CHECK(passwd_by_name(str_of(passwd), STR("user"), &u));
    CHECK(u.uid == 1000 && u.gid == 1001 && str_is(u.home, "/home/user"));
    CHECK(passwd_by_name(str_of(passwd), STR("last"), &u) && str_is(u.home, "/last"));
    CHECK(!passwd_by_name(str_of(passwd), STR("use"), &u));
    CHECK(!passwd_by_name(str_of(passwd), STR("users"), &u));
    CHECK(!passwd_by_name(str_of(passwd), STR("broken"), &u));
    CHECK(!passwd_by_name(str_of(passwd), STR("short"), &u));
    CHECK(!passwd_by_name(str_of(passwd), STR("huge"), &u));
    CHECK(!passwd_by_name(str_of(passwd), STR(""), &u));
    CHECK(!passwd_by_name(STR(""), STR("root"), &u));
}

static void by_uid(void)
{
    struct user u;

    CHECK(passwd_by_uid(str_of(passwd), 5, &u) && str_is(u.name, "last"));
    CHECK(!passwd_by_uid(str_of(passwd), 7, &u));
    CHECK(!passwd_by_uid(str_of(passwd), 42, &u));
}

static void groups(void)
{
    uint32_t ids[4];

    CHECK(str_is(group_by_gid(str_of(group), 27), "sudo"));
    CHECK(str_is(group_by_gid(str_of(group), 1001), "user"));
    CHECK(group_by_gid(str_of(group), 28).at == NULL);
    CHECK(group_members(str_of(group), STR("user"), ids, 4) == 2);
    CHECK(ids[0] == 27 && ids[1] == 100);
    CHECK(group_members(str_of(group), STR("user"), ids, 1) == 1);
    CHECK(group_members(str_of(group), STR("nobody"), ids, 4) == 0);
}

static void lookup(void)
{
    struct arena a;
    struct user u;
    struct err err;

    arena_init(&a, 65536);
    CHECK(user_find(STR("root"), &a, &u, &err) == 0 && u.uid == 0);
    CHECK(user_find(STR("0"), &a, &u, &err) == 0 && str_is(u.name, "root"));
    CHECK(user_find(STR("no-such-user"), &a, &u, &err) != 0 && err.kind == ERR_NOT_FOUND);
    CHECK(user_find(STR("987654"), &a, &u, &err) != 0);
    arena_done(&a);
}

static void owner_names(void)
{
    struct owners o;

    owners_init(&o);
    CHECK(str_is(owners_user(&o, 0), "root"));
    CHECK(str_is(owners_user(&o, 0), "root"));
    CHECK(str_is(owners_user(&o, 987654), "987654"));
    CHECK(str_is(owners_group(&o, 0), "root"));
    CHECK(str_is(owners_group(&o, 987655), "987655"));
    owners_done(&o);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"users by name",      by_name    },
        {"users by uid",       by_uid     },
        {"groups and members", groups     },
        {"lookup on the host", lookup     },
        {"names of owners",    owner_names},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
