/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile guests: runtime_hostile linux [key=value …]. Attacks from inside (hostile*.c) end where
 * they began, and what one sandbox takes is not missed by another. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "hostile.h"
#include "runtime_fixture.h"
#include "runtime_remains.h"
#include "test.h"

enum {
    PATH_SIZE = 512,
    SLACK = 4 << 20, /* what a kernel counts in batches */
};

static void opens(void)
{
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    rig_dirs_make();
    rig_open();
    CHECK(rig_start("first") == ERR_NONE);
    learn_prefix("first");
    CHECK(rig_stop("first") == ERR_NONE);
    remember_remains();
}

static void note_lines(const char *text, const char *with)
{
    for (struct str rest = str_of(text); rest.len > 0;) {
        struct str line = str_cut(rest, '\n', &rest);

        if (line.len > 0 && strncmp(line.at, with, strlen(with)) == 0)
            test_note("%.*s", (int)line.len, line.at);
    }
}

static void note_first(const char *what, const char *text)
{
    struct str rest, line = str_cut(str_of(text), '\n', &rest);

    test_note("%s: %.*s", what, (int)line.len, line.at == NULL ? "" : line.at);
}

/* ---- attacks ---- */

static bool holds(const char *part)
{
    const char *text = rig_hostile("target", part);

    note_lines(text, "BROKE");
    if (getenv("SANDLOT_TEST_SAY") != NULL)
        note_lines(text, "held");
    return strstr(text, "BROKE") == NULL && strstr(text, "held") != NULL &&
           strstr(text, "\nend\n") != NULL;
}

static void attack(const char *part)
{
    bool did_hold, is_there;

    CHECK(rig_start("target") == ERR_NONE);
    did_hold = holds(part);
    is_there = rig_lists("target");
    CHECK(rig_stop("target") == ERR_NONE);
    CHECK(is_there);
    CHECK(did_hold);
}

static void attacks(const char *part)
{
    attack(part);
    check_clean(part);
}

static void calls_hold(void)
{
    if (strcmp(rig.config.seccomp, "off") == 0)
        test_skip("without the filter");
    attacks("calls");
}

static void namespaces_hold(void)
{
    attacks("namespaces");
}

static void the_first_process_holds(void)
{
    attacks("first");
}

static void the_kernels_files_hold(void)
{
    attacks("kernel");
}

static void devices_hold(void)
{
    attacks("devices");
}

static void mounts_hold(void)
{
    attacks("mounts");
}

static void sockets_hold(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path + 1, HOSTILE_NAME, strlen(HOSTILE_NAME));
    CHECK(bind(fd, (struct sockaddr *)&at,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(HOSTILE_NAME))) ==
          0);
    CHECK(listen(fd, 1) == 0);
    attack("sockets");
    own_close_fd(&fd);
    check_clean("sockets");
}

/* By each way until it is refused or killed: never more than the sandbox may have. The kernel may
 * take the whole sandbox for it. */
static void memory_holds(void)
{
    static const char *const ways[] = {
        "own pages",      "shared pages", "memory file",   "/dev/shm",       "segments",
        "message queues", "pipes",        "unread stream", "unread packets", "unread TCP",
        "unread UDP",     "huge pages",   "huge file",     "huge segment"};
    const struct sandbox_limits little = {HOSTILE_MEMORY_MAX, 100, 100, 0};

    bool has_held = true;

    if (!rig_has("memory limit"))
        test_skip("no memory controller in this mode");
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        char part[PATH_SIZE];
        const char *text;
        struct sandbox_stats stats = {0};
        struct err err = {0};

        snprintf(part, sizeof(part), "memory/%s", ways[i]);
        CHECK(rig_start_with("target", &little, "{}") == ERR_NONE);
        text = rig_hostile("target", part);
        note_first(ways[i], text);
        has_held &= strstr(text, "BROKE") == NULL;
        if (runtime_stats(rig.runtime, "target", &stats, &err) == 0)
            CHECK(stats.memory_bytes <= HOSTILE_MEMORY_MAX + SLACK);
        CHECK(rig_stop("target") == ERR_NONE || rig.err.kind == ERR_NOT_FOUND);
    }
    CHECK(has_held);
    check_clean("eating memory");
}

/* ---- what is counted for the whole machine ---- */

static unsigned long took(const char *id, const char *part)
{
    const char *text = rig_hostile(id, part);
    unsigned long count = 0;

    note_first(id, text);
    return sscanf(text, "took %lu", &count) == 1 ? count : 0;
}

/* One takes what it can get and holds it; another, and this process, get theirs nevertheless. */
static void neighbours_get_theirs(void)
{
    static const char *const things[] = {"queues", "signals", "memory in place", "inotify",
                                         "terminals"};
    bool got_theirs = true;

    for (size_t i = 0; i < COUNT_OF(things); i++) {
        char part[PATH_SIZE];

        snprintf(part, sizeof(part), "take/%s", things[i]);
        CHECK(rig_start("greedy") == ERR_NONE);
        CHECK(rig_start("modest") == ERR_NONE);

        unsigned long first = took("greedy", part), second = took("modest", part);

        got_theirs &= first > 0 && second >= first / 2;
        CHECK(rig_stop("greedy") == ERR_NONE);
        CHECK(rig_stop("modest") == ERR_NONE);
    }
    CHECK(got_theirs);
    check_clean("taking all");
}

static void closes(void)
{
    rig_close();
    CHECK(remains_groups() == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"opens",                   opens                  },
        {"system calls hold",       calls_hold             },
        {"namespaces hold",         namespaces_hold        },
        {"the first process holds", the_first_process_holds},
        {"the kernel's files hold", the_kernels_files_hold },
        {"devices hold",            devices_hold           },
        {"mounts hold",             mounts_hold            },
        {"sockets hold",            sockets_hold           },
        {"memory holds",            memory_holds           },
        {"neighbours get theirs",   neighbours_get_theirs  },
        {"closes",                  closes                 },
    };
    int result;

    rig_guest = "runtime_hostile_guest";
    if (!rig_configure(argc, argv)) {
        fprintf(stderr, "usage: runtime_hostile linux [key=value …]\n");
        return 2;
    }
    if (rig_reason_to_skip() != NULL) {
        printf("1..0 # SKIP %s\n", rig_reason_to_skip());
        return 0;
    }
    result = test_main(tests, COUNT_OF(tests), 1, argv);
    rig_dirs_remove();
    return result;
}
