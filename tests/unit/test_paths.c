/* SPDX-License-Identifier: Apache-2.0 */
/* envd/paths and envd/removal: what a client's path means, and trees made and removed. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "envd/paths.h"
#include "envd/removal.h"
#include "test.h"

static const struct user user = {
    1000, 1000, {"user",       4 },
      {"/home/user", 10}
};

static void resolving(void)
{
    static const struct {
        const char *path, *workdir, *want; /* want NULL: ERR_INVALID */
    } rows[] = {
        {"",            "",     "/home/user"      },
        {"",            "/app", "/app"            },
        {"",            "app",  "/home/user/app"  },
        {"~",           "/app", "/home/user"      },
        {"~/",          "",     "/home/user"      },
        {"~/a/../b",    "",     "/home/user/b"    },
        {"~root",       "",     NULL              },
        {"~root/x",     "",     NULL              },
        {"a.txt",       "/app", "/home/user/a.txt"},
        {"./a//b/.",    "",     "/home/user/a/b"  },
        {"../../../..", "",     "/"               },
        {"../x",        "",     "/home/x"         },
        {"/a/../b",     "",     "/a/../b"         },
        {"/",           "",     "/"               },
    };
    struct arena a;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str out = {0};
        struct err err = {0};
        int rc = path_resolve(str_of(rows[i].path), &user, str_of(rows[i].workdir), &a, &out, &err);

        test_note("'%s' -> '%.*s'", rows[i].path, STR_ARG(out));
        CHECK((rc == 0) == (rows[i].want != NULL));
        CHECK(rc == 0 ? str_is(out, rows[i].want) && out.at[out.len] == '\0'
                      : err.kind == ERR_INVALID);
    }
    arena_done(&a);
}

static void refusing(void)
{
    static char large[PATH_LEN_MAX + 2];
    struct arena a;
    struct str out;
    struct err err;

    arena_init(&a, 1 << 20);
    memset(large, 'a', sizeof(large) - 1);
    CHECK(path_resolve(str_of(large), &user, STR(""), &a, &out, &err) != 0);
    large[PATH_LEN_MAX] = '\0';
    CHECK(path_resolve(str_of(large), &user, STR(""), &a, &out, &err) != 0); /* home in front */
    large[0] = '/';
    CHECK(path_resolve(str_of(large), &user, STR(""), &a, &out, &err) == 0);
    CHECK(path_resolve(STR("/a\0b"), &user, STR(""), &a, &out, &err) != 0);
    arena_done(&a);
}

static void parts(void)
{
    struct arena a;

    arena_init(&a, 65536);
    CHECK(str_is(path_base(STR("/a/b")), "b"));
    CHECK(str_is(path_base(STR("/a/b//")), "b"));
    CHECK(str_is(path_base(STR("/")), "/"));
    CHECK(str_is(path_parent(STR("/a/b"), &a), "/a"));
    CHECK(str_is(path_parent(STR("/a//b/"), &a), "/a"));
    CHECK(str_is(path_parent(STR("/a"), &a), "/"));
    CHECK(str_is(path_parent(STR("/"), &a), "/"));
    arena_done(&a);
}

static void touch(const char *path)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
}

static bool remove_tree(const char *path)
{
    struct removal *r;
    struct err err;
    bool is_done = false;
    int rc = removal_new(path, &r, &err);

    if (r == NULL)
        return rc == 0;
    while (rc == 0 && !is_done)
        rc = removal_run(r, 1, &is_done, &err);
    removal_free(r);
    return rc == 0;
}

static void trees(void)
{
    const struct user me = {
        getuid(), getgid(), {"me", 2},
          {"/",  1}
    };
    char root[] = "/tmp/test_paths.XXXXXX";
    char path[256];
    struct stat st;
    struct err err;

    CHECK(mkdtemp(root) != NULL);
    snprintf(path, sizeof(path), "%s/a//b/c/", root);
    CHECK(path_make_dirs(path, &me, &err) == 0);
    CHECK(path_make_dirs(path, &me, &err) == 0);
    CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
    snprintf(path, sizeof(path), "%s/a/file", root);
    touch(path);
    CHECK(path_make_dirs(path, &me, &err) != 0 && err.kind == ERR_INVALID);
    snprintf(path, sizeof(path), "%s/a/link", root);
    CHECK(symlink("/", path) == 0);
    snprintf(path, sizeof(path), "%s/a/b/dangling", root);
    CHECK(symlink("nowhere", path) == 0);
    snprintf(path, sizeof(path), "%s/none", root);
    CHECK(remove_tree(path));
    CHECK(remove_tree(root));
    CHECK(lstat(root, &st) != 0 && stat("/", &st) == 0);
    CHECK(remove_tree(root));
    CHECK(!remove_tree("/tmp/.") && !remove_tree("/tmp/..") && !remove_tree("."));
}

/* Nothing is left of directories whose last cannot be made, and of those that are taken back. */
static void directories_undone(void)
{
    const struct user me = {
        getuid(), getgid(), {"me", 2},
          {"/",  1}
    };
    char root[] = "/tmp/test_paths.XXXXXX";
    char path[512];
    struct stat st;
    struct err err;
    size_t first;
    int len;

    CHECK(mkdtemp(root) != NULL);
    len = snprintf(path, sizeof(path), "%s/a/b/", root);
    memset(path + len, 'x', 300); /* longer than a name may be */
    path[len + 300] = '\0';
    CHECK(path_make_dirs(path, &me, &err) != 0 && err.kind == ERR_INVALID);
    snprintf(path, sizeof(path), "%s/a", root);
    CHECK(stat(path, &st) != 0);
    snprintf(path, sizeof(path), "%s/a//b/c", root);
    CHECK(path_make_dirs_noted(path, &me, &first, &err) == 0 && first == strlen(root) + 2);
    path_unmake_dirs(path, first);
    CHECK(stat(root, &st) == 0);
    snprintf(path, sizeof(path), "%s/a", root);
    CHECK(stat(path, &st) != 0);
    CHECK(symlink("nowhere", path) == 0);
    CHECK(path_make_dirs(path, &me, &err) != 0 && err.kind == ERR_INVALID);
    CHECK(path_make_dirs_noted(root, &me, &first, &err) == 0 && first == 0);
    path_unmake_dirs(root, first);
    CHECK(stat(root, &st) == 0);
    CHECK(remove_tree(root));
}

/* Far deeper than descriptors or a path reach, with more than one branch. */
static void deep_trees(void)
{
    char root[] = "/tmp/test_paths.XXXXXX";
    int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    CHECK(mkdtemp(root) != NULL);
    for (int branch = 0; branch < 2; branch++) {
        CHECK(chdir(root) == 0);
        for (int i = 0; i < 3000; i++) {
            char name[32];

            snprintf(name, sizeof(name), "directory-%d", i == 0 ? branch : 0);
            CHECK(mkdir(name, 0700) == 0 && chdir(name) == 0);
            if (i % 100 == 0)
                touch("file");
        }
    }
    CHECK(fchdir(home) == 0 && close(home) == 0);
    CHECK(remove_tree(root));
    CHECK(lstat(root, &st) != 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"what a path means",      resolving         },
        {"paths that are refused", refusing          },
        {"base and parent",        parts             },
        {"make and remove a tree", trees             },
        {"directories undone",     directories_undone},
        {"deep trees",             deep_trees        },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
