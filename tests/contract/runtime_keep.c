/* SPDX-License-Identifier: Apache-2.0 */
/* What lasts: runtime_keep linux [key=value …]. Programs go on exactly where they were after a
 * pause, whether their processes were kept, restored, or restored by another runtime process
 * (CL-17 to CL-29); forks share nothing; failures and removals leave nothing behind. Needs root. */
#include "runtime_keep.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "runtime_fixture.h"
#include "runtime_remains.h"
#include "test.h"

enum {
    ROUNDS = 10,
    FORKS = 2,
    PATH_SIZE = 512,
    MACHINE_ID_LEN = 33, /* with its newline */
};

bool says(const char *id, const char *command, const char *expected)
{
    const char *text = rig_sh(id, command);

    if (strcmp(text, expected) == 0)
        return true;
    test_note("%s: '%s', not '%s'", command, text, expected);
    return false;
}

static unsigned long number(const char *id, const char *command)
{
    return strtoul(rig_sh(id, command), NULL, 10);
}

/* ---- programs ---- */

/* Each counts in memory and tells by a file or a port; what is told must be without a gap: a
 * counter, both ends of a connection, a server, a job of a terminal, a database (SQLite refuses to
 * write once the inode number of its file is another, and its WAL is a mapped file with locks).
 */
struct program {
    const char *needs, *start, *count;
    const char *check; /* prints "good" when all it did is there, in order */
    bool needs_inode;  /* cannot go on in a copy of its files */
};

static const char counter[] = "cat >/c.py <<'E'\n"
                              "import time\n"
                              "i = 0\n"
                              "while True:\n"
                              "  i += 1\n"
                              "  open('/c.log', 'a').write('%d\\n' % i)\n"
                              "  time.sleep(.01)\n"
                              "E\n"
                              "python3 /c.py >/dev/null 2>&1 </dev/null &";
static const char counter_check[] =
    "awk '$1 != NR { bad = 1 } END { print bad ? \"bad\" : \"good\" }' /c.log";

static const char connection[] = "cat >/l.py <<'E'\n"
                                 "import socket, threading, time\n"
                                 "s = socket.create_server(('127.0.0.1', 7007))\n"
                                 "def serve():\n"
                                 "  c = s.accept()[0]\n"
                                 "  while True:\n"
                                 "    c.sendall(c.recv(100))\n"
                                 "threading.Thread(target=serve, daemon=True).start()\n"
                                 "c = socket.create_connection(('127.0.0.1', 7007))\n"
                                 "i = 0\n"
                                 "while True:\n"
                                 "  i += 1\n"
                                 "  c.sendall(b'%9d' % i)\n"
                                 "  assert c.recv(9) == b'%9d' % i\n"
                                 "  open('/l.log', 'a').write('%d\\n' % i)\n"
                                 "  time.sleep(.01)\n"
                                 "E\n"
                                 "python3 /l.py >/dev/null 2>/l.err </dev/null &";

static const char server[] =
    "cat >/h.js <<'E'\n"
    "let n = 0\n"
    "require('http').createServer((q, a) => a.end(String(++n))).listen(8080)\n"
    "E\n"
    "node /h.js >/dev/null 2>&1 </dev/null &";
static const char server_count[] =
    "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3";

static const char database[] = "cat >/s.py <<'E'\n"
                               "import sqlite3, time\n"
                               "d = sqlite3.connect('/s.db')\n"
                               "d.execute('pragma journal_mode=wal')\n"
                               "d.execute('create table t(i integer primary key)')\n"
                               "while True:\n"
                               "  with d: d.execute('insert into t default values')\n"
                               "  time.sleep(.01)\n"
                               "E\n"
                               "python3 /s.py >/dev/null 2>/s.err </dev/null &";
static const char database_count[] =
    "python3 -c \"import sqlite3; print(sqlite3.connect('/s.db').execute('select max(i) from "
    "t').fetchone()[0])\"";
static const char database_check[] =
    "cat /s.err; python3 -c \"import sqlite3; d = sqlite3.connect('/s.db'); m, n = "
    "d.execute('select max(i), count(*) from t').fetchone(); print('good' if m == n and "
    "d.execute('pragma integrity_check').fetchone()[0] == 'ok' else 'bad')\"";

/* script(1) gives up when its poll(2) is interrupted. */
static const char terminal[] =
    "echo 'i=0; while :; do i=$((i+1)); echo $i >>/t.log; sleep .02; done' >/t.sh\n"
    "script -qfc 'sh /t.sh & wait' /dev/null >/dev/null 2>&1 </dev/null &";
static const char terminal_check[] =
    "awk '$1 != NR { bad = 1 } END { print bad ? \"bad\" : \"good\" }' /t.log";

static const struct program programs[] = {
    {"python3", counter,    "tail -n 1 /c.log", counter_check,           false},
    {"python3", connection, "tail -n 1 /l.log", "cat /l.err; echo good", false},
    {"python3", database,   database_count,     database_check,          true },
    {"script",  terminal,   "tail -n 1 /t.log", terminal_check,          false},
    {"node",    server,     server_count,       "echo good",             false},
};

static bool has(const char *id, const char *tool)
{
    char command[PATH_SIZE];

    /* where no filter forbids it node has an io_uring, which no checkpoint can keep */
    if (strcmp(tool, "node") == 0 && !rig_has("system call filter"))
        return false;
    snprintf(command, sizeof(command), "command -v %s >/dev/null && echo yes", tool);
    return strcmp(rig_sh(id, command), "yes\n") == 0;
}

/* By bash: one of them needs its /dev/tcp. */
static const char *in_bash(const char *text)
{
    static char command[RIG_TEXT_SIZE];

    snprintf(command, sizeof(command), "bash <<'EOF'\n%s\nEOF\n", text);
    return command;
}

static const struct program *current;
static const char *current_id;
static unsigned long current_least;

static bool has_passed(void)
{
    return number(current_id, in_bash(current->count)) > current_least;
}

/* Every one goes on from where it was, and goes on. */
static void expect_progress_of(const char *id, unsigned long counts[COUNT_OF(programs)],
                               bool is_copy)
{
    for (size_t i = 0; i < COUNT_OF(programs); i++) {
        if (!has(id, programs[i].needs) || (is_copy && programs[i].needs_inode))
            continue;
        current = &programs[i];
        current_id = id;
        current_least = counts[i];
        if (!rig_until(has_passed, SETTLE_MS)) {
            test_note("%s stopped at %lu: %s", programs[i].start, counts[i],
                      rig_sh(id, "cat /*.err; ps ax 2>/dev/null | tail -n 20"));
            CHECK(false);
        }
        counts[i] = number(id, in_bash(programs[i].count));
        CHECK(says(id, in_bash(programs[i].check), "good\n"));
    }
}

static void expect_progress(const char *id, unsigned long counts[COUNT_OF(programs)])
{
    expect_progress_of(id, counts, false);
}

static void start_programs(const char *id, unsigned long counts[COUNT_OF(programs)])
{
    const struct sandbox_limits roomy = {512 << 20, 200, 200, 256 << 20};

    CHECK(rig_start_with(id, &roomy, "{}") == ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(programs); i++) {
        counts[i] = 0;
        if (has(id, programs[i].needs))
            rig_sh(id, programs[i].start);
    }
    expect_progress(id, counts);
}

static void open_with(uint64_t hot_s)
{
    rig.config.hot_resume_s = hot_s;
    rig_open();
}

void reopen_with(uint64_t hot_s)
{
    rig_close();
    open_with(hot_s);
}

static void opens(void)
{
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    rig_dirs_make();
    open_with(30);
    CHECK(rig_start("first") == ERR_NONE);
    learn_prefix("first");
    CHECK(rig_stop("first") == ERR_NONE);
    remember_remains();
}

void need_memory(void)
{
    if (!rig_can_pause(true))
        test_skip("no checkpoints here");
}

/* ---- one sandbox ---- */

/* They are removed once nobody waits for the disk: with the record, wherever these lie. */
static bool has_no_images(void)
{
    return !rig_has_file("sandboxes/*/images") && !rig_has_file("sandboxes/images.*") &&
           !rig_has_file("sandboxes/*/kept");
}

static void programs_go_on(void)
{
    static const struct {
        const char *how;
        uint64_t hot_s;
        bool is_other_process;
    } ways[] = {
        {"hot",           30, false},
        {"cold",          0,  false},
        {"cold again",    0,  false},
        {"other process", 0,  true },
    };
    unsigned long counts[COUNT_OF(programs)];

    need_memory();
    start_programs("worker", counts);
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        uint64_t pause_us;

        reopen_with(ways[i].hot_s); /* adopts it running */
        CHECK(rig_pause("worker", true) == ERR_NONE);
        pause_us = rig.took_us;
        CHECK(!has_no_images());
        if (ways[i].is_other_process)
            reopen_with(ways[i].hot_s);
        CHECK(rig_resume("worker") == ERR_NONE);
        test_note("%s: paused in %llu us, resumed in %llu us", ways[i].how,
                  (unsigned long long)pause_us, (unsigned long long)rig.took_us);
        expect_progress("worker", counts);
        CHECK(rig_until(has_no_images, SETTLE_MS));
    }
    CHECK(rig_stop("worker") == ERR_NONE);
    check_clean("programs that go on");
}

/* What was written before is there on every resume, also in files that were removed or replaced. */
static void ten_resumes_lose_nothing(bool keeps_memory)
{
    char command[PATH_SIZE], expected[PATH_SIZE];

    reopen_with(0);
    CHECK(rig_start("diary") == ERR_NONE);
    rig_sh("diary", "mkdir /d; echo old >/d/gone; echo mine >>/etc/passwd; rm -r /home");
    for (size_t i = 1; i <= ROUNDS; i++) {
        snprintf(command, sizeof(command), "echo %zu >>/d/log; echo %zu >/d/now; rm -f /d/gone", i,
                 i);
        rig_sh("diary", command);
        CHECK(rig_pause("diary", keeps_memory) == ERR_NONE);
        CHECK(rig_resume("diary") == ERR_NONE);
        snprintf(expected, sizeof(expected), "%zu\n%zu\n", i, i);
        CHECK(says("diary", "wc -l </d/log; cat /d/now", expected));
        CHECK(says("diary", "ls -d /d/gone /home 2>/dev/null; tail -n 1 /etc/passwd", "mine\n"));
    }
    CHECK(rig_stop("diary") == ERR_NONE);
    check_clean("ten resumes");
}

static void ten_resumes_with_memory(void)
{
    need_memory();
    ten_resumes_lose_nothing(true);
}

static void ten_resumes_of_files(void)
{
    ten_resumes_lose_nothing(false);
}

static void limits_hold_after_a_resume(void)
{
    static const char bounds_of[] = "grep CapBnd /proc/1/status | cut -f2";
    char bounds[64];
    struct sandbox_stats stats;
    struct err err = {0};

    need_memory();
    reopen_with(0);
    CHECK(rig_start("tight") == ERR_NONE);
    snprintf(bounds, sizeof(bounds), "%s", rig_sh("tight", bounds_of));
    CHECK(strlen(bounds) == strlen("00000000a80425fb\n"));
    CHECK(rig_pause("tight", true) == ERR_NONE && rig_resume("tight") == ERR_NONE);
    CHECK(runtime_stats(rig.runtime, "tight", &stats, &err) == 0);
    if (rig_has("process limit"))
        CHECK(stats.pids > 0 && stats.pids < 100);
    CHECK(says("tight", "cat /proc/sys/kernel/hostname; id -u; pwd", "inside\n0\n/\n"));
    CHECK(says("tight", "grep -c sandlot /proc/self/cgroup", "0\n"));
    CHECK(says("tight", "readlink /proc/1/exe; ls /sys/class/net", "/dev/envd\nlo\n"));
    CHECK(says("tight", "unshare -U true 2>/dev/null || echo refused", "refused\n"));
    CHECK(says("tight", bounds_of, bounds));
    CHECK(says("tight", "grep Seccomp: /proc/1/status | cut -f2",
               rig_has("system call filter") ? "2\n" : "0\n"));
    CHECK(rig_stop("tight") == ERR_NONE);
    check_clean("limits after a resume");
}

/* What cannot be saved says so, and runs on. */
static void a_traced_process_fails_the_pause(void)
{
    need_memory();
    reopen_with(0);
    CHECK(rig_start("traced") == ERR_NONE);
    if (!has("traced", "python3"))
        test_skip("needs python3");
    rig_sh(
        "traced",
        "cat >/p.py <<'E'\nimport ctypes, os, time\np = os.fork()\nif p == 0:\n  time.sleep(1000)\n"
        "ctypes.CDLL(None).ptrace(0x4206, p, 0, 0)\nopen('/ready', 'w')\ntime.sleep(1000)\nE\n"
        "python3 /p.py >/dev/null 2>&1 </dev/null & while [ ! -e /ready ]; do sleep .02; done");
    CHECK(rig_pause("traced", true) == ERR_UNSUPPORTED);
    test_note("%s", rig.err.text);
    CHECK(strstr(rig.err.text, "(python3) is traced") != NULL);
    CHECK(says("traced", "echo on", "on\n"));
    CHECK(rig_pause("traced", false) == ERR_NONE);
    CHECK(rig_stop("traced") == ERR_NONE);
    check_clean("a pause that cannot be");
}

/* ---- several ---- */

static void forks_share_nothing(void)
{
    unsigned long counts[COUNT_OF(programs)], own[COUNT_OF(programs)];
    char id[PATH_SIZE], command[PATH_SIZE], last_machine[PATH_SIZE];
    bool has_snapshot;

    need_memory();
    reopen_with(0);
    start_programs("origin", counts);
    snprintf(last_machine, sizeof(last_machine), "%s", rig_sh("origin", "cat /etc/machine-id"));
    has_snapshot = rig_snapshot("origin", "s1", true) == ERR_NONE;
    if (!has_snapshot)
        test_note("%s", rig.err.text);
    CHECK(has_snapshot);
    test_note("stood still for %llu us", (unsigned long long)rig.took_us);
    expect_progress("origin", counts);
    for (int i = 0; i < FORKS; i++) {
        snprintf(id, sizeof(id), "fork%d", i);
        CHECK(rig_start_from(id, "s1") == ERR_NONE);
        test_note("%s in %llu us", id, (unsigned long long)rig.took_us);
        memset(own, 0, sizeof(own));
        expect_progress_of(id, own, true);
        CHECK(strcmp(rig_sh(id, "cat /etc/machine-id"), last_machine) != 0);
        snprintf(last_machine, sizeof(last_machine), "%s", rig_sh(id, "cat /etc/machine-id"));
        CHECK(strlen(last_machine) == MACHINE_ID_LEN);
        snprintf(command, sizeof(command), "echo %d >>/mine; cat /mine", i);
        CHECK(strtol(rig_sh(id, command), NULL, 10) == i);
    }
    CHECK(rig_snapshot_remove("s1") == ERR_NONE);
    expect_progress_of("fork0", own, true);
    CHECK(says("origin", "ls /mine 2>/dev/null; echo $?", "2\n"));
    check_clean("forks");
}

static void a_snapshot_boots_cold(void)
{
    reopen_with(0);
    CHECK(rig_start("origin") == ERR_NONE);
    rig_sh("origin", "echo kept >/file; ln /file /again; mkfifo /pipe; ln -s file /link; rm -r "
                     "/home; chmod 4711 /file");
    CHECK(rig_snapshot("origin", "files", false) == ERR_NONE);
    CHECK(rig_stop("origin") == ERR_NONE);
    CHECK(rig_start_from("copy", "files") == ERR_NONE);
    CHECK(says("copy",
               "cat /file /link; stat -c '%a %h' /again; test -p /pipe && ls -d /home 2>/dev/null",
               "kept\nkept\n4711 2\n"));
    CHECK(rig_stop("copy") == ERR_NONE);
    CHECK(rig_snapshot_remove("files") == ERR_NONE);
    check_clean("a snapshot of files");
}

/* Also what a failed case left running. */
static void closes(void)
{
    check_clean("all of it");
    if (rig.config.lazy_memory_bytes != 0 && lazy_is_possible())
        CHECK(remains_had_pager());
    rig_close();
}

/* By hand, only those that SANDLOT_TEST_ONLY is part of, between the first and the last. */
static size_t choose(const struct test *all, size_t count, struct test *out)
{
    const char *only = getenv("SANDLOT_TEST_ONLY");
    size_t chosen = 0;

    for (size_t i = 0; i < count; i++) {
        if (only == NULL || i == 0 || i == count - 1 || strstr(all[i].name, only) != NULL)
            out[chosen++] = all[i];
    }
    return chosen;
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"opens",                              opens                             },
        {"CL-17: programs go on",              programs_go_on                    },
        {"CL-18: ten resumes with memory",     ten_resumes_with_memory           },
        {"CL-18: ten resumes of files",        ten_resumes_of_files              },
        {"limits hold after a resume",         limits_hold_after_a_resume        },
        {"each boot has its id",               each_boot_has_its_id              },
        {"a pause lifts the processor limit",  a_pause_lifts_the_processor_limit },
        {"one that starts programs is paused", one_that_starts_programs_is_paused},
        {"a traced process fails the pause",   a_traced_process_fails_the_pause  },
        {"what cannot be kept is frozen",      what_cannot_be_kept_is_frozen     },
        {"what is frozen goes to swap",        what_is_frozen_goes_to_swap       },
        {"CL-25: forks share nothing",         forks_share_nothing               },
        {"a snapshot boots cold",              a_snapshot_boots_cold             },
        {"stacks do not grow",                 stacks_do_not_grow                },
        {"CL-25: resumes at once are one",     resumes_at_once                   },
        {"memory comes later",                 memory_comes_later                },
        {"memory comes without a node",        memory_comes_without_a_node       },
        {"without its pager it ends",          without_its_pager_it_ends         },
        {"closes",                             closes                            },
    };

    struct test chosen[COUNT_OF(tests)];
    int result;

    if (!rig_configure(argc, argv)) {
        fprintf(stderr, "usage: runtime_keep linux [key=value …]\n");
        return 2;
    }
    if (rig_reason_to_skip() != NULL) {
        printf("1..0 # SKIP %s\n", rig_reason_to_skip());
        return 0;
    }
    result = test_main(chosen, choose(tests, COUNT_OF(tests), chosen), 1, argv);
    rig_dirs_remove();
    return result;
}
