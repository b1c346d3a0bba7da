/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes launched ahead of need: runtime_warm linux [key=value …]. What is claimed is like what
 * was launched for its start, nothing that fails on the way is seen by the caller, and those that
 * nobody claims leave nothing behind. Needs root. */
#include <dirent.h>
#include <errno.h>
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
    SIZE = 3, /* for one template; two of them want more than the most of all */
    FEW = 8,
    WAIT_MS = 30000,
    SETTLE_MS = 10000,
    WATCH_MS = 2000,
    STEAL_MS = 12000, /* two of its looks after it may take from others */
    RETRIES_MAX = 6,  /* in WATCH_MS: they wait 100, 200, 400, 800 ms */
    PATH_SIZE = 512,
};

static const struct sandbox_limits usual = {256 << 20, 100, 100, 64 << 20};
static const char *whole_rootfs;

static struct runtime_ahead ahead(void)
{
    struct runtime_ahead now;

    runtime_ahead(rig.runtime, &now);
    return now;
}

static bool is_full(void)
{
    return rig_ahead() == SIZE;
}

static bool is_empty(void)
{
    return rig_ahead() == 0;
}

static bool none_runs(void)
{
    return runtime_count(rig.runtime) == 0;
}

/* With SIZE waiting, a start is a claim. */
static void supply(void)
{
    if (!is_full()) {
        CHECK(rig_start("supply") == ERR_NONE);
        CHECK(rig_stop("supply") == ERR_NONE);
    }
    CHECK(rig_until(is_full, SETTLE_MS));
}

static void opens(void)
{
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    rig_dirs_make();
    rig_open();
    CHECK(rig_ahead() == 0); /* none before the first start */
    CHECK(rig_start("first") == ERR_NONE);
    learn_prefix("first");
    CHECK(rig_stop("first") == ERR_NONE);
    CHECK(rig_until(is_full, SETTLE_MS));
    remember_remains();
}

static bool says(const char *id, const char *command, const char *expected)
{
    const char *text = rig_sh(id, command);

    if (strcmp(text, expected) == 0)
        return true;
    test_note("%s: '%s', not '%s'", command, text, expected);
    return false;
}

/* ---- a claim ---- */

static void a_start_takes_one(void)
{
    uint64_t claimed;

    supply();
    claimed = ahead().claimed;
    CHECK(rig_start("box") == ERR_NONE);
    CHECK(ahead().claimed == claimed + 1);
    test_note("claimed in %llu us", (unsigned long long)rig.took_us);
    CHECK(rig_lists("box") && runtime_count(rig.runtime) == 1);
    CHECK(says("box", "id -u; pwd; umask; ulimit -v", "0\n/\n0022\nunlimited\n"));
    CHECK(says("box", "cat /proc/sys/kernel/hostname", "inside\n"));
    CHECK(says("box", "grep -c sandlot /proc/self/cgroup", "0\n"));
    CHECK(says("box", "grep -c warm /proc/self/mountinfo", "0\n"));
    CHECK(says("box", "ulimit -f | tr -d '\\n'; echo", "131072\n")); /* 64 MiB in 512 */
    CHECK(says("box", "cat /proc/1/oom_score_adj", "50\n"));
    CHECK(says("box", "ls -A /proc/1/fd | wc -l | awk '{print ($1 < 12)}'", "1\n"));
    CHECK(rig_stop("box") == ERR_NONE);
    check_clean("a claim");
}

static void our_own_name_stays(void)
{
    char before[80], after[80];

    CHECK(gethostname(before, sizeof(before)) == 0);
    supply();
    CHECK(rig_start("named") == ERR_NONE);
    CHECK(gethostname(after, sizeof(after)) == 0);
    CHECK(strcmp(before, after) == 0);
    CHECK(rig_stop("named") == ERR_NONE);
}

static void nobody_sees_them(void)
{
    struct sandbox_stats stats;
    struct err err = {0};

    supply();
    CHECK(rig_until(none_runs, SETTLE_MS));
    CHECK(runtime_count(rig.runtime) == 0 && rig_listed() == 0);
    CHECK(runtime_stats(rig.runtime, "warm", &stats, &err) != 0 && err.kind == ERR_NOT_FOUND);
    CHECK(rig_stop("warm") == ERR_NOT_FOUND);
}

/* What one of them left is not met by the next, in files, memory or names. */
static void each_is_new(void)
{
    for (size_t i = 0; i < FEW; i++) {
        supply();
        CHECK(rig_start("again") == ERR_NONE);
        CHECK(says("again", "ls /mine /tmp/mine /dev/shm 2>/dev/null", "/dev/shm:\n"));
        CHECK(says("again", "hostname", "inside\n"));
        rig_sh("again", "touch /mine /tmp/mine /dev/shm/mine");
        CHECK(rig_stop("again") == ERR_NONE);
    }
    check_clean("several claims");
}

static void its_limits_hold(void)
{
    const struct sandbox_limits little = {32 << 20, 100, 30, 8 << 20};
    struct sandbox_stats stats;
    struct err err = {0};
    size_t before = rig.exits;

    supply();
    CHECK(rig_start_with("tight", &little, "{}") == ERR_NONE);
    CHECK(says("tight", "exec 2>/dev/null; head -c 20000000 /dev/zero > /big; stat -c %s /big",
               "8388608\n"));
    if (rig_has("process limit")) {
        rig_sh("tight", "b() { b | b & }; b; sleep 0.3");
        CHECK(runtime_stats(rig.runtime, "tight", &stats, &err) == 0);
        CHECK(stats.pids > 16 && stats.pids <= 30); /* 16: while it waited */
    }
    CHECK(rig_stop("tight") == ERR_NONE);
    if (!rig_has("memory limit"))
        return;
    supply();
    CHECK(rig_start_with("hungry", &little, "{}") == ERR_NONE);
    rig_poke("hungry", 'm');
    CHECK(rig_pump(&rig.exits, before + 1, WAIT_MS));
    CHECK(rig.exit_reason == EXIT_OOM);
    check_clean("limits of a claim");
}

/* Above the limits it waited with: 64 MiB would not fit. */
static void limits_are_raised(void)
{
    if (!rig_has("memory limit"))
        test_skip("no memory controller in this mode");
    supply();
    CHECK(rig_start_with("roomy", &usual, "{}") == ERR_NONE);
    CHECK(says("roomy", "head -c 67108864 /dev/zero > /dev/shm/a; stat -c %s /dev/shm/a",
               "67108864\n"));
    CHECK(rig_stop("roomy") == ERR_NONE);
    check_clean("raised limits");
}

static void without_limits_it_is_launched(void)
{
    const struct sandbox_limits none = {0};
    uint64_t claimed;

    supply();
    claimed = ahead().claimed;
    CHECK(rig_start_with("free", &none, "{}") == ERR_NONE);
    CHECK(ahead().claimed == claimed);
    CHECK(says("free", "ulimit -f", "unlimited\n"));
    CHECK(rig_stop("free") == ERR_NONE);
    check_clean("no limits");
}

static void ends_are_told(void)
{
    size_t before = rig.exits;

    supply();
    CHECK(rig_start("mortal") == ERR_NONE);
    rig_poke("mortal", 'x');
    CHECK(rig_pump(&rig.exits, before + 1, WAIT_MS));
    CHECK(rig.exit_reason == EXIT_EXITED && strcmp(rig.exit_id, "mortal") == 0);
    check_clean("an end");
}

/* ---- what goes wrong ---- */

static void a_claim_that_fails_is_launched(void)
{
    const char *const *names = runtime_claim_step_names(rig.runtime);

    CHECK(names[0] != NULL);
    for (size_t i = 0; names[i] != NULL; i++) {
        struct runtime_ahead before;

        supply();
        before = ahead();
        runtime_fail_step(rig.runtime, names[i]);
        CHECK(rig_start("lucky") == ERR_NONE);
        CHECK(ahead().claimed == before.claimed && ahead().spoiled > before.spoiled);
        runtime_fail_step(rig.runtime, "");
        CHECK(says("lucky", "hostname; ulimit -f", "inside\n131072\n"));
        CHECK(rig_stop("lucky") == ERR_NONE);
        check_clean(names[i]);
    }
}

/* When the last steps fail, they fail for the launch that comes instead, too. */
static void a_launch_that_fails_is_told(void)
{
    static const char *const last[] = {"ready", "state"};

    for (size_t i = 0; i < COUNT_OF(last); i++) {
        runtime_fail_step(rig.runtime, last[i]);
        CHECK(rig_until(is_full, SETTLE_MS)); /* that far those launched ahead do not come */
        CHECK(rig_start("unlucky") == ERR_SYSTEM);
        CHECK(strstr(rig.err.text, last[i]) != NULL);
        CHECK(runtime_count(rig.runtime) == 0);
        runtime_fail_step(rig.runtime, "");
        check_clean(last[i]);
    }
}

static void a_guest_that_fails_is_launched_again(void)
{
    static const char *const bodies[] = {"{\"guest\":\"die late\"}", "{\"guest\":\"silent late\"}"};
    uint64_t claimed;

    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        supply();
        claimed = ahead().claimed;
        CHECK(rig_start_with("again", &usual, bodies[i]) == ERR_NONE);
        CHECK(ahead().claimed == claimed);
        CHECK(says("again", "hostname", "inside\n"));
        CHECK(rig_stop("again") == ERR_NONE);
        check_clean(bodies[i]);
    }
}

static void a_refusal_is_told(void)
{
    supply();
    CHECK(rig_start_with("no", &usual, "{\"guest\":\"refuse\"}") == ERR_INVALID);
    CHECK(strstr(rig.err.text, "400") != NULL);
    supply();
    CHECK(rig_start_with("no", &usual, "{\"guest\":\"die\"}") == ERR_SYSTEM);
    check_clean("refusals");
}

static void stops_what_is_being_claimed(void)
{
    size_t before;

    supply();
    before = rig.answers;
    rig_begin_start("hasty");
    rig_begin_stop("hasty");
    rig_begin_stop("hasty");
    CHECK(rig_pump(&rig.answers, before + 3, WAIT_MS));
    CHECK(rig_stop("hasty") == ERR_NOT_FOUND);
    check_clean("a hasty stop");
}

static void the_lost_are_replaced(void)
{
    uint64_t spoiled;

    supply();
    spoiled = ahead().spoiled;
    CHECK(remains_kill_children() == SIZE);
    CHECK(rig_until(is_empty, SETTLE_MS));
    CHECK(ahead().spoiled >= spoiled + SIZE);
    CHECK(rig_until(is_full, SETTLE_MS));
    CHECK(rig_start("after") == ERR_NONE);
    CHECK(rig_stop("after") == ERR_NONE);
    check_clean("a loss");
}

/* No more than now and then. */
static void failures_do_not_spin(void)
{
    const char *const *names = runtime_step_names(rig.runtime);
    uint64_t spoiled;
    size_t never = 0;

    supply();
    runtime_fail_step(rig.runtime, names[0]);
    spoiled = ahead().spoiled;
    ignore(rig_pump(&never, 1, WATCH_MS));
    test_note("%llu tries in 2 s", (unsigned long long)(ahead().spoiled - spoiled));
    CHECK(ahead().spoiled > spoiled && ahead().spoiled <= spoiled + RETRIES_MAX);
    runtime_fail_step(rig.runtime, "");
    check_clean("failures");
}

/* ---- templates ---- */

/* As much of a tree as a guest needs that runs nothing. */
static void make_tree(const char *name, char path[PATH_SIZE])
{
    static const char *const dirs[] = {"", "/dev", "/proc", "/sys", "/etc"};
    char dir[PATH_SIZE + 16];

    snprintf(path, PATH_SIZE, "%s/%s", rig.dir, name);
    for (size_t i = 0; i < COUNT_OF(dirs); i++) {
        snprintf(dir, sizeof(dir), "%s%s", path, dirs[i]);
        CHECK(mkdir(dir, 0755) == 0 || errno == EEXIST);
    }
}

static void start_and_stop(const char *rootfs)
{
    rig.rootfs = rootfs;
    CHECK(rig_start("tree") == ERR_NONE);
    CHECK(rig_stop("tree") == ERR_NONE);
}

static void a_replaced_tree_is_not_claimed(void)
{
    char path[PATH_SIZE], other[PATH_SIZE], old[PATH_SIZE];
    uint64_t claimed;

    rig_close();
    rig_open();
    make_tree("tree", path);
    make_tree("other", other);
    snprintf(old, sizeof(old), "%s/old", rig.dir);
    start_and_stop(path);
    CHECK(rig_until(is_full, SETTLE_MS));
    claimed = ahead().claimed;
    CHECK(rename(path, old) == 0 && rename(other, path) == 0);
    start_and_stop(path);
    CHECK(ahead().claimed == claimed);
    CHECK(rig_until(is_full, SETTLE_MS));
    start_and_stop(path);
    CHECK(ahead().claimed == claimed + 1);
    CHECK(rename(path, other) == 0);
    CHECK(rig_until(is_empty, SETTLE_MS)); /* removed: without a start, too */
    CHECK(rig_start("tree") == ERR_NOT_FOUND);
    rig.rootfs = whole_rootfs;
    check_clean("replaced trees");
}

/* What was made of a snapshot is claimed for it, with its files, each with an id of its own; when
 * the snapshot goes they do not hold it. */
static void a_snapshot_is_claimed(void)
{
    uint64_t claimed;
    char first[RIG_TEXT_SIZE];

    if (!rig_can_pause(false))
        return;
    CHECK(rig_start("source") == ERR_NONE);
    rig_sh("source", "echo kept > /mine");
    CHECK(rig_snapshot("source", "shot", false) == ERR_NONE && rig_stop("source") == ERR_NONE);
    rig_close();
    rig_open();
    CHECK(rig_start_from("one", "shot") == ERR_NONE);
    CHECK(says("one", "cat /mine; echo more >> /mine", "kept\n"));
    snprintf(first, sizeof(first), "%s", rig_sh("one", "cat /etc/machine-id"));
    CHECK(rig_until(is_full, SETTLE_MS));
    claimed = ahead().claimed;
    CHECK(rig_start_from("two", "shot") == ERR_NONE);
    CHECK(ahead().claimed == claimed + 1);
    CHECK(says("two", "cat /mine", "kept\n"));
    CHECK(strcmp(rig_sh("two", "cat /etc/machine-id"), first) != 0);
    CHECK(rig_start("plain") == ERR_NONE && ahead().claimed == claimed + 1); /* another template */
    CHECK(says("plain", "ls /mine 2>/dev/null", ""));
    runtime_fail_step(rig.runtime, runtime_claim_step_names(rig.runtime)[0]);
    CHECK(rig_start_from("again", "shot") == ERR_NONE);
    runtime_fail_step(rig.runtime, "");
    CHECK(says("again", "cat /mine", "kept\n"));
    CHECK(rig_stop("one") == ERR_NONE && rig_stop("two") == ERR_NONE);
    CHECK(rig_stop("again") == ERR_NONE && rig_stop("plain") == ERR_NONE);
    rig_close();
    rig_open();
    CHECK(rig_start_from("last", "shot") == ERR_NONE && rig_stop("last") == ERR_NONE);
    CHECK(rig_until(is_full, SETTLE_MS));
    CHECK(rig_snapshot_remove("shot") == ERR_NONE);
    CHECK(rig_until(is_empty, SETTLE_MS));
    CHECK(rig_start_from("gone", "shot") == ERR_NOT_FOUND);
    check_clean("snapshots");
}

/* Each launch has a name of its own, so the sum is another after any. */
static uint64_t names_of_files(void)
{
    char path[PATH_SIZE];
    uint64_t sum = 0;
    struct dirent *e;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/sandboxes", rig.dir);
    dir = opendir(path);
    CHECK(dir != NULL);
    while ((e = readdir(dir)) != NULL) {
        const char *dot = strrchr(e->d_name, '.');

        sum += dot == NULL ? 0 : strtoul(dot + 1, NULL, 16);
    }
    closedir(dir);
    return sum;
}

static void all_together_are_bounded(void)
{
    char path[PATH_SIZE], third[PATH_SIZE];
    size_t never = 0;
    uint64_t before;

    make_tree("second", path);
    make_tree("third", third);
    supply();
    start_and_stop(path);
    start_and_stop(third);
    rig.rootfs = whole_rootfs;
    ignore(rig_pump(&never, 1, STEAL_MS)); /* the latest has got its own from the others */
    CHECK(rig_ahead() == rig.config.warm_max);
    before = names_of_files();
    ignore(rig_pump(&never, 1, WATCH_MS));
    CHECK(rig_ahead() == rig.config.warm_max && names_of_files() == before); /* and all is quiet */
    rig_close();
    rig_open();
    check_clean("two templates");
}

static void those_not_wanted_go(void)
{
    rig_close();
    rig.config.warm_idle_s = 1;
    rig_open();
    CHECK(rig_start("once") == ERR_NONE);
    CHECK(rig_stop("once") == ERR_NONE);
    CHECK(rig_until(is_full, SETTLE_MS));
    CHECK(rig_until(is_empty, SETTLE_MS));
    rig_close();
    rig.config.warm_idle_s = 600;
    rig_open();
    check_clean("an idle template");
}

static void many_leave_nothing(void)
{
    size_t before = rig.answers;
    char id[32];

    for (size_t begun = 0; begun < 200;) {
        for (size_t i = 0; i < FEW; i++, begun++) {
            snprintf(id, sizeof(id), "t%zu", begun);
            rig_begin_start(id);
            rig_begin_stop(id);
        }
        CHECK(rig_pump(&rig.answers, before + 2 * begun, WAIT_MS));
        CHECK(rig.err.kind == ERR_NONE);
        ignore(rig_until(is_full, 20 * (begun % 3)));
    }
    test_note("%llu of 200 claimed", (unsigned long long)ahead().claimed);
    check_clean("many");
}

/* ---- another process ---- */

static void supply_and_wait_for_death(int ready_fd)
{
    rig_open();
    CHECK(rig_start("left") == ERR_NONE);
    CHECK(rig_until(is_full, SETTLE_MS));
    CHECK(rig_start("claimed") == ERR_NONE);
    CHECK(rig_until(is_full, SETTLE_MS));
    CHECK(write(ready_fd, "r", 1) == 1);
    for (;;)
        rig_pump(&(size_t){0}, 1, WAIT_MS);
}

static size_t others_left;

static bool only_others_are_left(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    return remains_children() == others_left;
}

/* Without a word from anybody: their node is gone, so they go. */
static bool wait_for_others(size_t count)
{
    others_left = count;
    for (size_t i = 0; i < SETTLE_MS && !only_others_are_left(); i++)
        usleep(1000);
    return only_others_are_left();
}

static void none_outlives_its_node(void)
{
    int fds[2];
    char byte;
    pid_t pid;

    rig_close();
    CHECK(pipe(fds) == 0);
    pid = fork();
    if (pid == 0) {
        supply_and_wait_for_death(fds[1]);
        _exit(1);
    }
    close(fds[1]);
    CHECK(read(fds[0], &byte, 1) == 1);
    close(fds[0]);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    CHECK(wait_for_others(2)); /* the two that somebody has asked for */
    rig_open();
    CHECK(rig_listed() == 2 && rig_lists("left") && rig_lists("claimed"));
    CHECK(says("claimed", "hostname; echo alive", "inside\nalive\n"));
    CHECK(rig_stop("left") == ERR_NONE);
    CHECK(rig_stop("claimed") == ERR_NONE);
    CHECK(wait_for_others(rig_ahead()));
    check_clean("kill -9");
}

static void closes(void)
{
    supply();
    rig_close();
    CHECK(remains_groups() == 0);
    CHECK(remains_children() == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"opens",                                opens                               },
        {"a start takes one",                    a_start_takes_one                   },
        {"our own name stays",                   our_own_name_stays                  },
        {"nobody sees them",                     nobody_sees_them                    },
        {"each is new",                          each_is_new                         },
        {"its limits hold",                      its_limits_hold                     },
        {"limits are raised",                    limits_are_raised                   },
        {"without limits it is launched",        without_limits_it_is_launched       },
        {"ends are told",                        ends_are_told                       },
        {"a claim that fails is launched",       a_claim_that_fails_is_launched      },
        {"a launch that fails is told",          a_launch_that_fails_is_told         },
        {"a guest that fails is launched again", a_guest_that_fails_is_launched_again},
        {"a refusal is told",                    a_refusal_is_told                   },
        {"stops what is being claimed",          stops_what_is_being_claimed         },
        {"the lost are replaced",                the_lost_are_replaced               },
        {"failures do not spin",                 failures_do_not_spin                },
        {"a replaced tree is not claimed",       a_replaced_tree_is_not_claimed      },
        {"a snapshot is claimed",                a_snapshot_is_claimed               },
        {"all together are bounded",             all_together_are_bounded            },
        {"those not wanted go",                  those_not_wanted_go                 },
        {"many leave nothing",                   many_leave_nothing                  },
        {"none outlives its node",               none_outlives_its_node              },
        {"closes",                               closes                              },
    };
    int result;

    if (!rig_configure(argc, argv)) {
        fprintf(stderr, "usage: runtime_warm linux [key=value …]\n");
        return 2;
    }
    if (rig_reason_to_skip() != NULL) {
        printf("1..0 # SKIP %s\n", rig_reason_to_skip());
        return 0;
    }
    rig.config.warm_size = SIZE;
    whole_rootfs = rig.rootfs;
    result = test_main(tests, COUNT_OF(tests), 1, argv);
    rig_dirs_remove();
    return result;
}
