/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/places.c: a directory goes with its last holder; where that cannot be, with the
 * next one that can. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/linux/files.h"
#include "runtime/linux/places.h"
#include "test.h"

static char dir[64];
static struct places places;

static void makes(void)
{
    static const char *const names[] = {"sandboxes", "sandboxes/a", "sandboxes/a/u", "sandboxes/b",
                                        "sandboxes/b/u"};
    int fd;

    snprintf(dir, sizeof(dir), "/tmp/sandlot-places-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        CHECK(mkdirat(fd, names[i], 0700) == 0);
    places_init(&places, dir, fd);
}

static bool is_there(const char *name)
{
    return faccessat(places.data_fd, name, F_OK, 0) == 0;
}

static void removes(void)
{
    struct err err = {0};

    own_close_fd(&places.data_fd);
    places_done(&places);
    CHECK(tree_remove(AT_FDCWD, dir, &err) == 0);
}

static void goes_with_its_last_holder(void)
{
    makes();
    place_hold(&places, "sandboxes/a");
    place_hold(&places, "sandboxes/a");
    CHECK(place_holders(&places, "sandboxes/a") == 2);
    place_leave(&places, "sandboxes/a");
    CHECK(is_there("sandboxes/a/u"));
    place_leave(&places, "sandboxes/a");
    CHECK(!is_there("sandboxes/a") && is_there("sandboxes/b"));
    removes();
}

static void is_removed_later(void)
{
    struct rlimit before, none;

    makes();
    place_hold(&places, "sandboxes/a");
    place_hold(&places, "sandboxes/b");
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = (struct rlimit){0, before.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    place_leave(&places, "sandboxes/a");
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(is_there("sandboxes/a/u"));
    place_leave(&places, "sandboxes/b");
    CHECK(!is_there("sandboxes/a") && !is_there("sandboxes/b"));
    removes();
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a directory goes with its last holder",            goes_with_its_last_holder},
        {"what could not be removed goes with the next one", is_removed_later         },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
