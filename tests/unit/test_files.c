/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/files.c and tree.c: small files, and removing trees of any shape. */
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "runtime/linux/files.h"
#include "test.h"

enum {
    DEEP = 500,
    PATIENCE_S = 10,
    PATH_SIZE = 128,
};

static char top[] = "/tmp/test-files-XXXXXX";
static int top_fd = -1;

static void small_files(void)
{
    char space[8];
    struct str text;
    struct err err = {0};
    uint64_t number = 0;

    CHECK(file_create(top_fd, "f", STR("1234\n"), &err) == 0);
    CHECK(file_create(top_fd, "f", STR("x"), &err) == -1 && err.kind == ERR_EXISTS);
    CHECK(file_number(top_fd, "f", &number) && number == 1234);
    CHECK(file_read(top_fd, "f", space, sizeof(space), &text, &err) == 0);
    CHECK(str_is(text, "1234\n") && space[5] == '\0');
    CHECK(file_read(top_fd, "f", space, 3, &text, &err) == 0 && str_is(text, "12"));
    CHECK(file_write(top_fd, "none", STR("x"), &err) == -1 && err.kind == ERR_NOT_FOUND);
    CHECK(!file_number(top_fd, "none", &number));
    CHECK(tree_remove(top_fd, "f", &err) == 0);
}

static void fields(void)
{
    const struct str text = STR("low 1\noom_kill 23\noom 4\nbad x\n");
    uint64_t value = 0;

    CHECK(text_field(text, "oom_kill", &value) && value == 23);
    CHECK(text_field(text, "oom", &value) && value == 4);
    CHECK(!text_field(text, "bad", &value) && !text_field(text, "kill", &value));
    CHECK(!text_field(STR(""), "oom", &value));
}

static void directories(void)
{
    char path[PATH_SIZE];
    struct err err = {0};
    struct stat st;

    snprintf(path, sizeof(path), "%s/a/b/c", top);
    CHECK(dir_make(path, &err) == 0 && dir_make(path, &err) == 0);
    CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
    CHECK(dir_make("relative", &err) == -1 && err.kind == ERR_INVALID);
    CHECK(tree_remove(top_fd, "a", &err) == 0 && stat(path, &st) != 0);
}

static void removes_what_is_deep(void)
{
    struct err err = {0};
    struct stat st;
    int at;

    CHECK(mkdirat(top_fd, "deep", 0755) == 0);
    at = openat(top_fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < DEEP; i++) {
        int below;

        CHECK(mkdirat(at, "d", 0755) == 0 && mkdirat(at, "e", 0755) == 0);
        CHECK(file_create(at, "f", STR("x"), &err) == 0);
        below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(below >= 0);
        close(at);
        at = below;
    }
    close(at);
    CHECK(tree_remove(top_fd, "deep", &err) == 0);
    CHECK(fstatat(top_fd, "deep", &st, 0) != 0);
}

static bool set_immutable(int fd, bool is_on)
{
    int flags = 0;

    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
        return false;
    flags = is_on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

/* A file system that refuses must not keep the remover busy for ever. */
static void gives_up_on_what_cannot_go(void)
{
    struct err err = {0};
    int first, at;

    CHECK(mkdirat(top_fd, "stuck", 0755) == 0);
    first = at = openat(top_fd, "stuck", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < DEEP; i++) {
        int below;

        CHECK(mkdirat(at, "d", 0755) == 0);
        below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (at != first)
            close(at);
        at = below;
    }
    close(at);
    if (!set_immutable(first, true)) {
        CHECK(tree_remove(top_fd, "stuck", &err) == 0);
        close(first);
        test_skip("no immutable directories here");
    }
    alarm(PATIENCE_S); /* ends the test */
    CHECK(tree_remove(top_fd, "stuck", &err) == -1);
    alarm(0);
    CHECK(set_immutable(first, false));
    close(first);
    CHECK(tree_remove(top_fd, "stuck", &err) == 0);
}

static void does_not_follow_links(void)
{
    struct err err = {0};
    struct stat st;

    CHECK(mkdirat(top_fd, "keep", 0755) == 0 && mkdirat(top_fd, "gone", 0755) == 0);
    CHECK(file_create(top_fd, "keep/me", STR("x"), &err) == 0);
    CHECK(symlinkat("../keep", top_fd, "gone/link") == 0);
    CHECK(symlinkat("keep", top_fd, "toplink") == 0);
    CHECK(tree_remove(top_fd, "gone", &err) == 0 && tree_remove(top_fd, "toplink", &err) == 0);
    CHECK(fstatat(top_fd, "keep/me", &st, 0) == 0);
    CHECK(tree_remove(top_fd, "keep", &err) == 0);
    CHECK(tree_remove(top_fd, "keep", &err) == 0); /* nothing there is success */
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"small files",                small_files               },
        {"fields",                     fields                    },
        {"directories",                directories               },
        {"removes what is deep",       removes_what_is_deep      },
        {"gives up on what cannot go", gives_up_on_what_cannot_go},
        {"does not follow links",      does_not_follow_links     },
    };
    int result;

    if (mkdtemp(top) == NULL)
        return 2;
    top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    result = test_main(tests, COUNT_OF(tests), argc, argv);
    rmdir(top);
    return result;
}
