/* SPDX-License-Identifier: Apache-2.0 */
/* envd/watch_kind: what the kernel's events mean to a client. */
#include <sys/inotify.h>

#include "envd/watch_kind.h"
#include "test.h"

/* wire.md 3.8: one message per kind, order CREATE, RENAME, CHMOD, WRITE, REMOVE. */
static void kinds(void)
{
    static const struct {
        uint32_t mask;
        size_t count;
        enum watch_kind want[WATCH_KINDS_MAX];
    } rows[] = {
        {0,                                              0, {0}                                                                 },
        {IN_CREATE,                                      1, {WATCH_CREATE}                                                      },
        {IN_CREATE | IN_ISDIR,                           1, {WATCH_CREATE}                                                      },
        {IN_MOVED_TO,                                    1, {WATCH_CREATE}                                                      },
        {IN_MOVED_FROM,                                  1, {WATCH_RENAME}                                                      },
        {IN_MOVE_SELF,                                   1, {WATCH_RENAME}                                                      },
        {IN_ATTRIB,                                      1, {WATCH_CHMOD}                                                       },
        {IN_MODIFY,                                      1, {WATCH_WRITE}                                                       },
        {IN_DELETE,                                      1, {WATCH_REMOVE}                                                      },
        {IN_DELETE_SELF,                                 1, {WATCH_REMOVE}                                                      },
        {IN_OPEN | IN_CLOSE | IN_ACCESS | IN_Q_OVERFLOW, 0, {0}                                                                 },
        {IN_MODIFY | IN_ATTRIB,                          2, {WATCH_CHMOD, WATCH_WRITE}                                          },
        {IN_DELETE | IN_MODIFY | IN_CREATE,              3, {WATCH_CREATE, WATCH_WRITE, WATCH_REMOVE}                           },
        {IN_ALL_EVENTS,                                  5, {WATCH_CREATE, WATCH_RENAME, WATCH_CHMOD, WATCH_WRITE, WATCH_REMOVE}},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        enum watch_kind out[WATCH_KINDS_MAX];
        size_t count = watch_kinds(rows[i].mask, out);

        test_note("mask %#x", rows[i].mask);
        CHECK(count == rows[i].count);
        for (size_t k = 0; k < count && k < rows[i].count; k++)
            CHECK(out[k] == rows[i].want[k]);
    }
    CHECK((watch_mask() & (IN_OPEN | IN_CLOSE | IN_ACCESS)) == 0); /* reading is no event */
}

static void entries_and_repeats(void)
{
    static const struct {
        enum watch_kind kind;
        bool has_entry, merges;
    } rows[] = {
        {WATCH_CREATE, true,  false},
        {WATCH_WRITE,  true,  true },
        {WATCH_REMOVE, false, false},
        {WATCH_RENAME, false, false},
        {WATCH_CHMOD,  true,  true },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        CHECK(watch_kind_has_entry(rows[i].kind) == rows[i].has_entry);
        CHECK(watch_kind_merges(rows[i].kind) == rows[i].merges);
    }
    CHECK(!watch_kind_has_entry((enum watch_kind)0));
    CHECK(!watch_kind_merges((enum watch_kind)9));
}

static void mounts(void)
{
    static const struct {
        uint64_t type;
        enum mount_kind want;
    } rows[] = {
        {0x6969,             MOUNT_NETWORK}, /* NFS */
        {0x517B,             MOUNT_NETWORK}, /* SMB */
        {0xFF534D42,         MOUNT_NETWORK}, /* CIFS */
        {0xFFFFFFFFFF534D42, MOUNT_NETWORK}, /* the same as a signed number */
        {0xFE534D42,         MOUNT_NETWORK}, /* SMB2 */
        {0x65735546,         MOUNT_NETWORK}, /* FUSE */
        {0x9fa0,             MOUNT_PSEUDO }, /* proc */
        {0x62656572,         MOUNT_PSEUDO }, /* sysfs */
        {0x63677270,         MOUNT_PSEUDO }, /* cgroup2 */
        {0xEF53,             MOUNT_TELLS  }, /* ext4 */
        {0x01021994,         MOUNT_TELLS  }, /* tmpfs */
        {0x794c7630,         MOUNT_TELLS  }, /* overlay */
        {0,                  MOUNT_TELLS  },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK(mount_kind(rows[i].type) == rows[i].want);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"kinds",               kinds              },
        {"entries and repeats", entries_and_repeats},
        {"mounts",              mounts             },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
