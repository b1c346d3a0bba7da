/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/pager.c: for which images and with which program memory comes later. That it does
 * is for runtime_keep to show. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/linux/files.h"
#include "runtime/linux/pager.h"
#include "test.h"

enum { KIB = 1 << 10 };

static char dir[64];
static int fd;

static void makes(void)
{
    snprintf(dir, sizeof(dir), "/tmp/sandlot-pager-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
}

static void removes(void)
{
    struct err err = {0};

    own_close_fd(&fd);
    CHECK(tree_remove(AT_FDCWD, dir, &err) == 0);
}

static void has_image(const char *name, off_t kib)
{
    auto_fd int image = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    CHECK(image >= 0 && ftruncate(image, kib * KIB) == 0);
}

static void much_memory_comes_later(void)
{
    makes();
    CHECK(!pager_pays(fd, 1000 * KIB, 0) && !pager_pays(-1, 1000 * KIB, 0));
    has_image("pages-1.img", 999);
    has_image("pagemap-1.img", 5000);
    CHECK(!pager_pays(fd, 1000 * KIB, 0) && pager_pays(fd, 999 * KIB, 0));
    has_image("pages-2.img", 1);
    CHECK(pager_pays(fd, 1000 * KIB, 0));
    removes();
}

/* Pages that two processes have since one forked are in the images of both. */
static void not_what_may_be_shared(void)
{
    makes();
    has_image("pages-1.img", 8000);
    has_image("pages-2.img", 600);
    has_image("pages-3.img", 400);
    CHECK(pager_pays(fd, 1000 * KIB, 0));
    has_image("pages-4.img", 1);
    CHECK(!pager_pays(fd, 1000 * KIB, 0));
    CHECK(pager_pays(fd, 1, 0));
    removes();
}

static void not_without_room_for_a_fork(void)
{
    makes();
    has_image("pages-1.img", 1000);
    CHECK(pager_pays(fd, 1000 * KIB, 2000 * KIB) && !pager_pays(fd, 1000 * KIB, 1999 * KIB));
    CHECK(pager_pays(fd, 1, 1999 * KIB));
    removes();
}

static void not_with_any_program(void)
{
    bool has_device = access("/dev/userfaultfd", R_OK | W_OK) == 0;
    char path[128];
    struct err err = {0};

    makes();
    snprintf(path, sizeof(path), "%s/criu", dir);
    CHECK(!pager_is_possible(path));
    CHECK(file_create(fd, "criu.patches", str_of("0123\n criu-huge.patch \n"), &err) == 0);
    CHECK(!pager_is_possible(path));
    CHECK(unlinkat(fd, "criu.patches", 0) == 0);
    CHECK(file_create(fd, "criu.patches", str_of("0123\n criu-huge.patch criu-lazy.patch \n"),
                      &err) == 0);
    CHECK(pager_is_possible(path) == has_device);
    removes();
    if (!has_device)
        test_skip("no /dev/userfaultfd here");
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"much memory comes later",            much_memory_comes_later    },
        {"not what processes may share",       not_what_may_be_shared     },
        {"not without room for a fork",        not_without_room_for_a_fork},
        {"not with any program that restores", not_with_any_program       },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
