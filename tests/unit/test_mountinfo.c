/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/mountinfo.c: fields, escapes, lines that make no sense. */
#include "runtime/linux/mountinfo.h"
#include "test.h"

static void takes_the_fields(void)
{
    char text[] = "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 master:3 - tmpfs tmpfs rw,a=b\n"
                  "38 31 0:35 /in /mnt/my\\040disk\\134x rw - cgroup cgroup rw,cpu,cpuacct\n";
    char *at = text;
    struct mountinfo m;

    CHECK(mountinfo_next(&at, &m));
    CHECK(str_is(m.root, "/") && str_is(m.point, "/sys/fs/cgroup") && str_is(m.type, "tmpfs"));
    CHECK(mountinfo_has(&m, STR("a=b")) && !mountinfo_has(&m, STR("a")));
    CHECK(mountinfo_next(&at, &m));
    CHECK(str_is(m.root, "/in") && str_is(m.point, "/mnt/my disk\\x"));
    CHECK(m.point.at[m.point.len] == '\0');
    CHECK(mountinfo_has(&m, STR("cpu")) && mountinfo_has(&m, STR("cpuacct")));
    CHECK(!mountinfo_has(&m, STR("pu")));
    CHECK(!mountinfo_next(&at, &m));
}

static void skips_what_makes_no_sense(void)
{
    static const char *const lines[] = {
        "",
        "\n\n",
        "1 2 0:1 / /x rw\n",
        "1 2 0:1 / /x rw -\n",
        "1 2 0:1 / /x rw - type\n",
        "1 2 0:1 / /x rw - type source\n",
        "- - - - - - \n",
    };

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        auto_free char *text = mem_text(lines[i]);
        char *at = text;
        struct mountinfo m;

        CHECK(!mountinfo_next(&at, &m));
    }
}

static void an_end_without_newline_is_a_line(void)
{
    char text[] = "broken\n1 2 0:1 / /x\\04 rw - proc proc rw";
    char *at = text;
    struct mountinfo m;

    CHECK(mountinfo_next(&at, &m));
    CHECK(str_is(m.type, "proc") && str_is(m.point, "/x\\04")); /* not an escape */
    CHECK(!mountinfo_next(&at, &m));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"takes the fields",                 takes_the_fields                },
        {"skips what makes no sense",        skips_what_makes_no_sense       },
        {"an end without newline is a line", an_end_without_newline_is_a_line},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
