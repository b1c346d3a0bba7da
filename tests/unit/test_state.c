/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/state.c: what is written is read; anything else is refused. */
#include "runtime/linux/state.h"
#include "test.h"

static const struct state sample = {
    .pid = 4711,
    .start_time = 99,
    .slot = 3,
    .uid = 262144,
    .dir = "abc.1f",
    .cgroup = "77-xyz-1",
    .rootfs = "/t",
    .envd = "/g",
    .boot_id = "3f0b8f0e-2f4c-4d11-9a55-0123456789ab",
    .limits = {512 << 20, 100, 64, (uint64_t)1 << 40},
};

static void comes_back(void)
{
    char text[STATE_SIZE];
    size_t len = state_format(&sample, text);
    struct state s;
    struct err err = {0};

    CHECK(state_parse((struct str){text, len}, &s, &err) == 0);
    CHECK(s.pid == 4711 && s.start_time == 99 && s.slot == 3 && s.uid == 262144);
    CHECK(strcmp(s.dir, sample.dir) == 0 && strcmp(s.cgroup, sample.cgroup) == 0);
    CHECK(strcmp(s.rootfs, "/t") == 0 && strcmp(s.boot_id, sample.boot_id) == 0);
    CHECK(s.limits.memory_bytes == sample.limits.memory_bytes);
    CHECK(s.limits.disk_bytes == sample.limits.disk_bytes && s.limits.pids_max == 64);
}

static void a_part_is_refused(void)
{
    char text[STATE_SIZE];
    size_t len = state_format(&sample, text);
    struct state s;
    struct err err = {0};

    for (size_t part = 0; part < len; part++)
        CHECK(state_parse((struct str){text, part}, &s, &err) == -1);
}

static void nonsense_is_refused(void)
{
    static const char *const bad[] = {
        "pid 0\nstart_time 1\nslot 1\nuid 1\ndir a\ncgroup b\nmemory_bytes 1\ncpu_percent "
        "1\npids_max 1\n"
        "disk_bytes 1\nend 1\n",
        "pid 1x\nstart_time 1\nslot 1\nuid 1\ndir a\ncgroup b\nmemory_bytes 1\ncpu_percent "
        "1\npids_max 1\n"
        "disk_bytes 1\nend 1\n",
        "pid 2\nstart_time 1\nslot 1\nuid 1\ndir ../a\ncgroup b\nmemory_bytes 1\ncpu_percent 1\n"
        "pids_max 1\ndisk_bytes 1\nend 1\n",
        "pid 99999999999\nstart_time 1\nslot 1\nuid 1\ndir a\ncgroup b\nmemory_bytes "
        "1\ncpu_percent 1\n"
        "pids_max 1\ndisk_bytes 1\nend 1\n",
        "end 1\n",
    };
    struct state s;
    struct err err = {0};

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(state_parse(str_of(bad[i]), &s, &err) == -1 && err.kind == ERR_INVALID);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"comes back",          comes_back         },
        {"a part is refused",   a_part_is_refused  },
        {"nonsense is refused", nonsense_is_refused},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
