/* SPDX-License-Identifier: Apache-2.0 */
/* More of runtime_keep.c: what a sandbox is after it was kept, and what may not keep it from that.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime_fixture.h"
#include "runtime_keep.h"
#include "runtime_remains.h"
#include "test.h"

enum {
    SECOND_MS = 1000,
    PATH_SIZE = 512,
    BOOT_ID_SIZE = 38, /* with its newline */
    FLAT_FROM = 20,    /* layers: runtime/linux/flats.h */
};

static void read_boot_id(const char *id, char out[BOOT_ID_SIZE])
{
    snprintf(out, BOOT_ID_SIZE, "%s", rig_sh(id, "cat /proc/sys/kernel/random/boot_id"));
    CHECK(strlen(out) == BOOT_ID_SIZE - 1 && out[BOOT_ID_SIZE - 2] == '\n');
}

/* It lasts as long as its processes, whatever is done to them, and nobody else has it. */
void each_boot_has_its_id(void)
{
    char own[BOOT_ID_SIZE], other[BOOT_ID_SIZE];
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");

    CHECK(f != NULL && fgets(other, sizeof(other), f) != NULL);
    fclose(f);
    reopen_with(0);
    CHECK(rig_start("booted") == ERR_NONE);
    read_boot_id("booted", own);
    CHECK(strcmp(own, other) != 0);
    CHECK(says("booted", "echo x 2>/dev/null >/proc/sys/kernel/random/boot_id || echo refused",
               "refused\n"));
    if (rig_can_pause(true)) {
        reopen_with(0);
        CHECK(rig_pause("booted", true) == ERR_NONE);
        reopen_with(0);
        for (size_t i = 0; i < 2; i++) {
            CHECK(rig_resume("booted") == ERR_NONE);
            read_boot_id("booted", other);
            CHECK(strcmp(own, other) == 0);
            CHECK(rig_snapshot("booted", "boot", true) == ERR_NONE);
            CHECK(rig_start_from("fork", "boot") == ERR_NONE);
            read_boot_id("fork", other);
            CHECK(strcmp(own, other) != 0);
            CHECK(says("fork", "echo x 2>/dev/null >/proc/sys/kernel/random/boot_id || echo no",
                       "no\n"));
            CHECK(rig_stop("fork") == ERR_NONE && rig_snapshot_remove("boot") == ERR_NONE);
            CHECK(rig_pause("booted", true) == ERR_NONE);
        }
        CHECK(rig_resume("booted") == ERR_NONE);
    }
    CHECK(rig_pause("booted", false) == ERR_NONE && rig_resume("booted") == ERR_NONE);
    read_boot_id("booted", other);
    CHECK(strcmp(own, other) != 0);
    CHECK(rig_stop("booted") == ERR_NONE);
    check_clean("boot ids");
}

/* Of a processor, over a second. */
static unsigned long percent_used(const char *id)
{
    struct sandbox_stats before, after;
    struct err err = {0};
    size_t never = 0;
    uint64_t begin;

    CHECK(runtime_stats(rig.runtime, id, &before, &err) == 0);
    begin = clock_mono_us();
    ignore(rig_pump(&never, 1, SECOND_MS));
    CHECK(runtime_stats(rig.runtime, id, &after, &err) == 0);
    return (unsigned long)((after.cpu_us - before.cpu_us) * 100 / (clock_mono_us() - begin));
}

static unsigned long number_of(const char *id, const char *command)
{
    return strtoul(rig_sh(id, command), NULL, 10);
}

/* Six of them, in the background. */
static void start_busy(const char *id, unsigned cpu_percent, const char *what)
{
    const struct sandbox_limits limits = {256 << 20, cpu_percent, 100, 64 << 20};
    char command[RIG_TEXT_SIZE];

    CHECK(rig_start_with(id, &limits, "{}") == ERR_NONE);
    snprintf(command, sizeof(command),
             "cat >/b.sh <<'E'\ntouch /ready\n%s\nE\n"
             "for i in 1 2 3 4 5 6; do sh /b.sh >/dev/null 2>&1 </dev/null & done\n"
             "while [ ! -e /ready ]; do sleep .1; done",
             what);
    rig_sh(id, command);
}

/* The processor time of a sandbox would be that of its pause, too. */
void a_pause_lifts_the_processor_limit(void)
{
    enum { LIMIT = 10, SLACK = 15 };

    need_memory();
    reopen_with(0);
    start_busy("busy", LIMIT, "while :; do :; done");
    CHECK(rig_snapshot("busy", "busy1", true) == ERR_NONE);
    if (rig_has("cpu limit"))
        CHECK(percent_used("busy") < LIMIT + SLACK);
    CHECK(rig_snapshot_remove("busy1") == ERR_NONE);
    CHECK(rig_pause("busy", true) == ERR_NONE);
    test_note("paused in %llu us", (unsigned long long)rig.took_us);
    CHECK(rig_resume("busy") == ERR_NONE);
    CHECK(rig_stop("busy") == ERR_NONE);
    check_clean("a busy one");
}

/* At any moment some are between vfork and exec, and those who started them wait for it. */
void one_that_starts_programs_is_paused(void)
{
    bool is_paused;

    need_memory();
    reopen_with(0);
    start_busy("starter", 100,
               "exec python3 -c 'import os\nwhile True: "
               "os.waitpid(os.posix_spawn(\"/bin/true\", [\"true\"], {}), 0)'");
    is_paused = rig_pause("starter", true) == ERR_NONE;
    test_note("%llu us %s", (unsigned long long)rig.took_us, is_paused ? "" : rig.err.text);
    CHECK(is_paused);
    CHECK(rig_resume("starter") == ERR_NONE);
    /* a child that has not executed yet has the same words */
    CHECK(number_of("starter", "ps ax 2>/dev/null | grep -c '[o]s.waitpid'") >= 6);
    CHECK(rig_stop("starter") == ERR_NONE);
    check_clean("one that starts programs");
}

static const char traced[] =
    "cat >/p.py <<'E'\nimport ctypes, os, time\np = os.fork()\nif p == 0:\n  time.sleep(1000)\n"
    "ctypes.CDLL(None).ptrace(0x4206, p, 0, 0)\ni = 0\nwhile True:\n  i += 1\n"
    "  open('/n.new', 'w').write(str(i)); os.rename('/n.new', '/n'); time.sleep(.02)\nE\n"
    "python3 /p.py >/dev/null 2>&1 </dev/null & while [ ! -e /n ]; do sleep .02; done";

static unsigned long counted(void)
{
    return number_of("frozen", "cat /n");
}

static unsigned long count_before;

static bool counts_on(void)
{
    return counted() > count_before;
}

/* Here, or by another process that takes over: the same processes go on. */
static void freeze_and_go_on(bool is_by_another)
{
    char pid[PATH_SIZE];

    snprintf(pid, sizeof(pid), "%s", rig_sh("frozen", "pgrep -f '^python3 /p'"));
    count_before = counted();
    CHECK(rig_pause("frozen", true) == ERR_NONE);
    CHECK(rig_snapshot("frozen", "of", true) == ERR_UNSUPPORTED);
    if (is_by_another)
        reopen_with(0);
    CHECK(rig_lists_paused("frozen"));
    CHECK(rig_resume("frozen") == ERR_NONE);
    CHECK(says("frozen", "pgrep -f '^python3 /p'", pid));
    CHECK(rig_until(counts_on, SETTLE_MS));
}

static unsigned long swapped(void)
{
    struct sysinfo now;

    return sysinfo(&now) == 0 ? (now.totalswap - now.freeswap) * now.mem_unit : 0;
}

enum { SWAP_PAGES = 24 << 10 };

/* A file of zeros with the kernel's header (include/linux/swap.h: version, last page, magic). */
static bool swap_begin(const char *path)
{
    static char page[4096];
    const uint32_t head[] = {1, SWAP_PAGES - 1};
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_good = fd >= 0;

    for (size_t i = 0; is_good && i < SWAP_PAGES; i++) {
        memset(page, 0, sizeof(page));
        if (i == 0) {
            memcpy(page + 1024, head, sizeof(head));
            memcpy(page + sizeof(page) - 10, "SWAPSPACE2", 10);
        }
        is_good = write(fd, page, sizeof(page)) == (ssize_t)sizeof(page);
    }
    if (fd >= 0)
        close(fd);
    return is_good && swapon(path, 0) == 0;
}

static const char hoard[] =
    "python3 -c 'import os, time\nx = os.urandom(1 << 25)\nopen(\"/x\", \"w\").close()\n"
    "time.sleep(1000)' >/dev/null 2>&1 </dev/null & while [ ! -e /x ]; do sleep .02; done";

/* With swap of its own, which the machine may refuse, what is frozen is there and not in memory. */
void what_is_frozen_goes_to_swap(void)
{
    enum err_kind paused, resumed;
    unsigned long before, after;
    char path[PATH_SIZE];

    need_memory();
    if (!rig_has("memory limit"))
        test_skip("no memory controller");
    snprintf(path, sizeof(path), "%s/swap", rig.dir);
    if (!swap_begin(path)) {
        unlink(path);
        test_skip("no swap can be added here");
    }
    rig.config.on_uncheckpointable = "freeze";
    reopen_with(0);
    resumed = rig_start("frozen");
    rig_sh("frozen", traced);
    rig_sh("frozen", hoard);
    before = swapped();
    paused = rig_pause("frozen", true);
    after = swapped();
    if (resumed == ERR_NONE)
        resumed = rig_resume("frozen");
    CHECK(swapoff(path) == 0 && unlink(path) == 0);
    CHECK(paused == ERR_NONE && resumed == ERR_NONE);
    test_note("%lu MiB swapped out", (after - before) >> 20);
    CHECK(after >= before + (16 << 20));
    count_before = counted();
    CHECK(rig_until(counts_on, SETTLE_MS));
    CHECK(rig_stop("frozen") == ERR_NONE);
    rig.config.on_uncheckpointable = "fail";
    check_clean("what is in swap");
}

/* What no checkpoint can keep stays in memory, if that is wished: for as long as it takes, and
 * whoever takes over; what ends it (a reboot) leaves the files. */
void what_cannot_be_kept_is_frozen(void)
{
    need_memory();
    rig.config.on_uncheckpointable = "freeze";
    reopen_with(0);
    CHECK(rig_start("frozen") == ERR_NONE);
    if (strcmp(rig_sh("frozen", "command -v python3 >/dev/null && echo yes"), "yes\n") != 0)
        test_skip("needs python3");
    rig_sh("frozen", traced);
    freeze_and_go_on(false);
    freeze_and_go_on(true);
    rig_sh("frozen", "echo kept >/file");
    CHECK(rig_pause("frozen", true) == ERR_NONE);
    rig_close();
    CHECK(remains_kill_children() > 0);
    rig_open();
    CHECK(rig_lists_paused("frozen") && rig_resume("frozen") == ERR_NONE);
    CHECK(says("frozen", "cat /file; pgrep -f '^python3 /p'", "kept\n"));
    CHECK(rig_stop("frozen") == ERR_NONE);
    rig.config.on_uncheckpointable = "fail";
    check_clean("what is frozen");
}

/* Layers that its mount is of, without the template's. */
static size_t depth_of(const char *id)
{
    char path[PATH_SIZE], line[RIG_TEXT_SIZE];
    size_t count = 1;
    glob_t found;
    FILE *f;

    snprintf(path, sizeof(path), "%s/sandboxes/%s.*/layers", rig.dir, id);
    if (glob(path, 0, NULL, &found) == 0) {
        f = fopen(found.gl_pathv[found.gl_pathc - 1], "r");
        while (f != NULL && fgets(line, sizeof(line), f) != NULL)
            count++;
        if (f != NULL)
            fclose(f);
    }
    globfree(&found);
    return count;
}

static bool has_flat(void)
{
    return rig_has_file("snapshots/flat-*/stands_for");
}

static bool has_no_snapshots(void)
{
    return !rig_has_file("snapshots/*");
}

/* As one that was killed in the midst of flattening leaves it. */
static void leave_half_a_flat(void)
{
    static const char *const parts[] = {"", "/u", "/u/etc", "/new"};
    char path[PATH_SIZE];

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        snprintf(path, sizeof(path), "%s/snapshots/flat-half%s", rig.dir, parts[i]);
        CHECK(mkdir(path, 0700) == 0);
    }
}

static bool is_half_gone(void)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof(path), "%s/snapshots/flat-half", rig.dir);
    return access(path, F_OK) != 0;
}

/* A snapshot of each pause keeps the next resume from going on in place: each is one layer more.
 * Now and then another process takes over. */
void stacks_do_not_grow(void)
{
    enum { PAUSES = 32, WITH_MEMORY = 13, BY_ANOTHER = 15, DEPTH_MAX = 60 };
    const char *asked = getenv("SANDLOT_TEST_PAUSES"); /* by hand, many more */
    size_t pauses = asked != NULL ? strtoul(asked, NULL, 10) : PAUSES;
    char command[PATH_SIZE], expected[PATH_SIZE], name[PATH_SIZE], before[PATH_SIZE] = "";
    size_t depth, deepest = 0;

    reopen_with(0);
    CHECK(rig_start("deep") == ERR_NONE);
    rig_sh("deep", "mkdir /d /d/a; echo 0 >/d/a/old; echo mine >>/etc/passwd; rm -r /home");
    for (size_t i = 1; i <= pauses; i++) {
        bool keeps_memory = i % WITH_MEMORY == 0 && rig_can_pause(true);

        snprintf(command, sizeof(command),
                 "echo %zu >>/d/log; echo %zu >/d/now; mv /d/%c /d/%c; ln /d/now /d/l%zu; "
                 "rm -rf /d/l%zu /d/gone; mkdir /d/gone",
                 i, i, i % 2 == 1 ? 'a' : 'b', i % 2 == 1 ? 'b' : 'a', i, i - 1);
        rig_sh("deep", command);
        CHECK(rig_pause("deep", keeps_memory) == ERR_NONE);
        snprintf(name, sizeof(name), "s%zu", i);
        CHECK(rig_snapshot("deep", name, keeps_memory) == ERR_NONE);
        if (before[0] != '\0')
            CHECK(rig_snapshot_remove(before) == ERR_NONE);
        memcpy(before, name, sizeof(before));
        if (i % BY_ANOTHER == 0) {
            leave_half_a_flat();
            reopen_with(0);
            CHECK(rig_until(is_half_gone, SETTLE_MS));
        }
        CHECK(rig_resume("deep") == ERR_NONE);
        snprintf(expected, sizeof(expected), "%zu\n%zu\n0\n2\n2\n", i, i);
        snprintf(command, sizeof(command),
                 "wc -l </d/log; cat /d/now /d/?/old; ls -d /d/l* | wc -l; stat -c %%h /d/now; "
                 "ls -d /home 2>/dev/null");
        CHECK(says("deep", command, expected));
        depth = depth_of("deep");
        if (depth > deepest)
            deepest = depth;
        if (depth > FLAT_FROM + 1) /* on a slow machine it may come late, not never */
            CHECK(rig_until(has_flat, SETTLE_MS));
    }
    test_note("%zu layers at most", deepest);
    CHECK(deepest > FLAT_FROM && deepest < DEPTH_MAX);
    snprintf(command, sizeof(command),
             "seq %zu | cmp - /d/log && cat /d/?/old && tail -n 1 /etc/passwd", pauses);
    CHECK(says("deep", command, "0\nmine\n"));
    CHECK(rig_start_from("copy", before) == ERR_NONE);
    CHECK(says("copy", command, "0\nmine\n"));
    CHECK(rig_stop("copy") == ERR_NONE && rig_stop("deep") == ERR_NONE);
    CHECK(rig_snapshot_remove(before) == ERR_NONE);
    CHECK(rig_until(has_no_snapshots, SETTLE_MS));
    check_clean("deep stacks");
}

static void ask_at_once(bool also_pauses, uint64_t hot_s)
{
    size_t answers, refusals;

    reopen_with(hot_s);
    if (!also_pauses)
        CHECK(rig_pause("wanted", true) == ERR_NONE);
    answers = rig.answers;
    refusals = rig.refusals;
    if (also_pauses)
        rig_begin_pause("wanted", true);
    for (size_t i = 0; i < 3; i++)
        rig_begin_resume("wanted");
    CHECK(rig_pump(&rig.answers, answers + 3 + (also_pauses ? 1 : 0), SETTLE_MS));
    CHECK(rig.refusals == refusals);
    CHECK(rig_lists("wanted") && !rig_lists_paused("wanted"));
}

/* An api that was started again asks once more for what is under way: hot, from the disk, and while
 * it is being paused. All are answered when it runs, none is refused. */
void resumes_at_once(void)
{
    size_t answers;

    need_memory();
    CHECK(rig_start("wanted") == ERR_NONE);
    CHECK(says("wanted", "echo kept >/tmp/kept", ""));
    ask_at_once(false, 30);
    ask_at_once(false, 0);
    ask_at_once(true, 30);
    ask_at_once(true, 0);
    CHECK(says("wanted", "cat /tmp/kept", "kept\n"));
    CHECK(rig_pause("wanted", true) == ERR_NONE);
    answers = rig.answers;
    rig_begin_resume("wanted");
    rig_begin_resume("wanted");
    rig_begin_stop("wanted"); /* ends what waits, too */
    CHECK(rig_pump(&rig.answers, answers + 3, SETTLE_MS));
    CHECK(rig_listed() == 0);
    check_clean("resumes at once");
}
