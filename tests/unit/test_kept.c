/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/kept.c, places.c and images.c: records come back whole or not at all, layers are
 * counted, and of images two facts are changed and nothing else. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "runtime/linux/files.h"
#include "runtime/linux/images.h"
#include "runtime/linux/kept.h"
#include "runtime/linux/places.h"
#include "test.h"

static char dir[] = "/tmp/sandlot-kept-XXXXXX";
static int dir_fd = -1;

static void opens(void)
{
    CHECK(mkdtemp(dir) != NULL);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(dir_fd >= 0);
}

static void fill(struct kept *k)
{
    *k = (struct kept){
        .id = "abc",
        .has_memory = true,
        .is_frozen = true,
        .boot_id = "3f0b8f0e-2f4c-4d11-9a55-0123456789ab",
        .limits = {512 << 20, 150, 64, (uint64_t)1 << 40},
        .disk_bytes = 77,
        .below_bytes = 33,
        .rootfs = mem_text("/t/rootfs"),
        .envd = mem_text("/g/envd")
    };
    stack_add(&k->layers, "/a");
    stack_add(&k->layers, "/b");
}

static void comes_back(void)
{
    struct kept k, back;
    struct err err = {0};

    fill(&k);
    CHECK(kept_write(dir_fd, &k, &err) == 0);
    CHECK(kept_read(dir_fd, &back, &err) == 0);
    CHECK(strcmp(back.id, "abc") == 0 && back.has_memory && back.is_frozen && !back.has_userns);
    CHECK(back.limits.pids_max == 64 && back.limits.cpu_percent == 150 && back.disk_bytes == 77);
    CHECK(back.below_bytes == 33 && strcmp(back.boot_id, k.boot_id) == 0);
    CHECK(back.layers.count == 2 && strcmp(back.layers.paths[1], "/b") == 0);
    CHECK(strcmp(back.rootfs, k.rootfs) == 0 && strcmp(back.envd, k.envd) == 0);
    kept_done(&back);
    CHECK(kept_revoke(dir_fd, KEPT_SYNCED, &err) == 0);
    CHECK(kept_read(dir_fd, &back, &err) == -1 && err.kind == ERR_NOT_FOUND);
    kept_renew(dir_fd);
    CHECK(kept_read(dir_fd, &back, &err) == 0);
    kept_done(&back);
    CHECK(kept_write(dir_fd, &k, &err) == 0); /* again */
    CHECK(kept_read(dir_fd, &back, &err) == 0);
    kept_done(&back);
    kept_remove(dir_fd);
    CHECK(kept_read(dir_fd, &back, &err) == -1);
    kept_done(&k);
}

static void a_part_is_refused(void)
{
    char space[4096];
    struct kept k, back;
    struct str text;
    struct err err = {0};

    fill(&k);
    CHECK(kept_write(dir_fd, &k, &err) == 0);
    CHECK(file_read(dir_fd, "kept", space, sizeof(space), &text, &err) == 0);
    for (size_t part = 0; part < text.len; part++)
        CHECK(kept_parse(str_upto(text, part), &back, &err) == -1);
    kept_done(&k);
}

static void the_last_holder_removes(void)
{
    struct places p = {0};
    struct stack s = {.count = 0};
    char *layer;

    places_init(&p, dir, dir_fd);
    CHECK(mkdirat(dir_fd, "sandboxes", 0700) == 0 && mkdirat(dir_fd, "sandboxes/a.1", 0700) == 0);
    layer = place_layer(&p, "sandboxes/a.1");
    stack_add(&s, "/somebody/elses/u");
    stack_add(&s, layer);
    CHECK(place_is_ours(&p, layer) && !place_is_ours(&p, "/somebody/elses/u"));
    place_hold(&p, "sandboxes/a.1");
    places_hold_stack(&p, &s);
    CHECK(place_holders(&p, "sandboxes/a.1") == 2);
    place_leave(&p, "sandboxes/a.1");
    CHECK(faccessat(dir_fd, "sandboxes/a.1", F_OK, 0) == 0);
    places_leave_stack(&p, &s);
    CHECK(faccessat(dir_fd, "sandboxes/a.1", F_OK, 0) != 0);
    stack_done(&s);
    free(layer);
    places_done(&p);
}

static const unsigned char inventory[] = {
    0x16, 0x31, 0x31, 0x58, 0x22, 0,    0,    0,    0x08, 0x02, 0x10, 0x01, 0x1a, 0x18,
    0x08, 0x01, 0x10, 0x01, 0x18, 0x01, 0x20, 0x01, 0x28, 0x01, 0x30, 0x02, 0x38, 0x03,
    0x40, 0x04, 0x48, 0x06, 0x50, 0x07, 0x58, 0x08, 0x60, 0x05, 0x20, 0x01};
enum { NET_AT = 25 };

static void the_network_is_parted(void)
{
    char space[256];
    const struct str whole = {(const char *)inventory, sizeof(inventory)};
    struct str text;
    struct err err = {0};

    CHECK(file_create(dir_fd, "inventory.img", whole, &err) == 0);
    CHECK(images_part_network(dir_fd, &err) == 0);
    CHECK(file_read(dir_fd, "inventory.img", space, sizeof(space), &text, &err) == 0);
    CHECK(text.len == whole.len && text.at[NET_AT] == 0x7f);
    space[NET_AT] = 2;
    CHECK(memcmp(space, inventory, sizeof(inventory)) == 0);
    for (size_t part = 0; part < NET_AT; part++) {
        CHECK(unlinkat(dir_fd, "inventory.img", 0) == 0);
        CHECK(file_create(dir_fd, "inventory.img", str_upto(whole, part), &err) == 0);
        CHECK(images_part_network(dir_fd, &err) == -1);
    }
}

static void links_have_their_own_map(void)
{
    static const char map[] = "\x19\x43\x56\x54\x06\x49\x47\x55\x1c\0\0\0\x0a\x0c\x08\0\x10\x80\x80"
                              "\x80\x80\x07\x18\x80\x80\x04\x12\x0c\x08\0\x10\x80\x80\x80\x80\x07"
                              "\x18\x80\x80\x04";
    char space[256];
    struct str text;
    struct err err = {0};
    auto_fd int to = -1;

    CHECK(file_create(dir_fd, "userns-14.img", STR("old"), &err) == 0);
    CHECK(file_create(dir_fd, "core-1.img", STR("same"), &err) == 0);
    CHECK(mkdirat(dir_fd, "to", 0700) == 0 && dir_open(dir_fd, "to", &to, &err) == 0);
    CHECK(images_link(dir_fd, to, true, 1879048192, &err) == 0);
    CHECK(file_read(to, "core-1.img", space, sizeof(space), &text, &err) == 0);
    CHECK(str_is(text, "same"));
    CHECK(file_read(to, "userns-14.img", space, sizeof(space), &text, &err) == 0);
    CHECK(text.len == sizeof(map) - 1 && memcmp(text.at, map, text.len) == 0);
    CHECK(file_read(dir_fd, "userns-14.img", space, sizeof(space), &text, &err) == 0);
    CHECK(str_is(text, "old"));
}

static void closes(void)
{
    struct err err = {0};

    CHECK(tree_remove(AT_FDCWD, dir, &err) == 0);
    own_close_fd(&dir_fd);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"opens",                               opens                   },
        {"a record comes back",                 comes_back              },
        {"a part of a record is refused",       a_part_is_refused       },
        {"the last holder removes",             the_last_holder_removes },
        {"the network is parted, nothing else", the_network_is_parted   },
        {"links have their own map",            links_have_their_own_map},
        {"closes",                              closes                  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
