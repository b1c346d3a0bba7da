/* SPDX-License-Identifier: Apache-2.0 */
/* What only real sandboxes can show: runtime_linux linux [key=value …]. Limits, isolation, ends,
 * adoption after kill -9, and that nothing is left behind. Needs root. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime_fixture.h"
#include "runtime_remains.h"
#include "test.h"

enum {
    WAIT_MS = 30000,
    SETTLE_MS = 10000,
    SHORT_MS = 200,
    CYCLES = 1000,
    CYCLES_FORCED = 100, /* with a fallback forced: the same code but for one step */
    IN_FLIGHT = 4,
    ADOPTED = 3,
    PATH_SIZE = 512,
    MOUNTINFO_SIZE = 256 << 10,
};

static const struct sandbox_limits usual = {256 << 20, 100, 100, 64 << 20};

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

/* ---- a sandbox ---- */

static bool says(const char *id, const char *command, const char *expected)
{
    const char *text = rig_sh(id, command);

    if (strcmp(text, expected) == 0)
        return true;
    test_note("%s: '%s', not '%s'", command, text, expected);
    return false;
}

static bool says_not(const char *id, const char *command, const char *part)
{
    const char *text = rig_sh(id, command);

    if (strstr(text, part) == NULL)
        return true;
    test_note("%s: '%s'", command, text);
    return false;
}

static void is_a_machine_of_its_own(void)
{
    CHECK(rig_start("box") == ERR_NONE);
    CHECK(says("box", "id -u; id -g; id -G", "0\n0\n0\n"));
    CHECK(says("box", "cat /proc/sys/kernel/hostname", "inside\n"));
    CHECK(says("box", "pwd; umask", "/\n0022\n"));
    CHECK(says("box", "readlink /proc/1/fd/0", "/dev/null\n"));
    CHECK(says("box", "ls /proc | grep -c '^[0-9]*$' | head -c1 | tr 2-9 k", "k"));
    CHECK(says("box", "echo hi > /etc/new && cat /etc/new", "hi\n"));
    CHECK(says("box", "stat -c '%u %a' /etc/new /etc/passwd", "0 644\n0 644\n"));
    CHECK(says("box", "echo x > /dev/null; head -c2 /dev/zero | wc -c", "2\n"));
    CHECK(says("box", "touch /dev/shm/a && ls /dev/shm", "a\n"));
    CHECK(says("box", "ls /dev/pts /dev/ptmx | tr '\\n' ' '", "/dev/ptmx  /dev/pts: ptmx "));
    CHECK(says("box", "ulimit -c; ulimit -v; ulimit -s", "0\nunlimited\n8192\n"));
    CHECK(rig_stop("box") == ERR_NONE);
    check_clean("a sandbox");
}

/* The template is shared by all and must look the same afterwards. */
static void writes_stay_inside(void)
{
    char path[PATH_SIZE];
    struct stat st;

    CHECK(rig_start("a") == ERR_NONE);
    CHECK(rig_start("b") == ERR_NONE);
    CHECK(
        says("a", "echo a > /written-by-a; rm -rf /etc/hostname; chmod 700 /home; echo $?", "0\n"));
    CHECK(says("b", "ls /written-by-a 2>/dev/null; echo $?", "2\n"));
    snprintf(path, sizeof(path), "%s/written-by-a", rig.rootfs);
    CHECK(stat(path, &st) != 0);
    CHECK(rig_stop("a") == ERR_NONE);
    CHECK(rig_start("a") == ERR_NONE);
    CHECK(says("a", "ls /written-by-a 2>/dev/null; echo $?", "2\n")); /* a new one is new */
    CHECK(rig_stop("a") == ERR_NONE);
    CHECK(rig_stop("b") == ERR_NONE);
}

static void the_host_is_out_of_sight(void)
{
    CHECK(rig_start("jail") == ERR_NONE);
    CHECK(says_not("jail", "cat /proc/*/cmdline", "runtime_linux"));
    CHECK(says_not("jail", "cat /proc/self/mountinfo", rig.dir));
    CHECK(says_not("jail", "cat /proc/self/cgroup", "sandlot"));
    CHECK(says("jail", "readlink /proc/1/exe", "/dev/envd\n"));
    CHECK(says("jail", "ls /sys/class/net", "lo\n"));
    CHECK(says("jail", "grep -c ' devpts .*,max=256' /proc/mounts", "1\n"));
    CHECK(says("jail",
               "ls /sys/firmware; (echo 1 >/sys/fs/cgroup/cgroup.procs) 2>/dev/null || "
               "mkdir /sys/fs/cgroup/x 2>/dev/null || ls -d /sys/fs/cgroup/*/ 2>/dev/null",
               "")); /* its own group at most, and only to read */
    if (rig_has("memory limit"))
        CHECK(says("jail", "cat /sys/fs/cgroup/memory.[lm][ia][mx]* | head -1", "268435456\n"));
    CHECK(says("jail", "cat /proc/kcore 2>/dev/null | wc -c; cat /proc/keys 2>/dev/null | wc -c",
               "0\n0\n"));
    if (rig_has("time namespaces"))
        CHECK(says("jail", "awk '{print ($1 < 900)}' /proc/uptime", "1\n")); /* not the host's */
    CHECK(rig_stop("jail") == ERR_NONE);
}

static void root_is_not_root(void)
{
    static const char *const refused[] = {
        "mount -t tmpfs none /mnt",
        "mount --bind /etc /mnt",
        "umount /proc",
        "mount -o remount,rw /proc/sys",
        "mknod /root/disk b 254 0 && head -c1 /root/disk",
        "unshare -U true",
        "unshare -m true",
        "echo 1 > /proc/sys/kernel/panic",
        "echo b > /proc/sysrq-trigger && test -s /proc/sysrq-trigger",
        "echo 0 > /proc/sys/user/max_user_namespaces",
        "echo x > /sys/kernel/uevent_helper",
        "chroot /proc/1/root/../../.. true && ls /proc/1/root/../../../var/lib/sandlot",
        "hostname other",
        "date -s 2001-01-01",
        "dmesg",
        "echo > /proc/1/exe",
        "nsenter -t 1 -m true",
        "kill -0 2147483646",
        "echo -1000 > /proc/self/oom_score_adj",
        "ulimit -f unlimited",
    };
    char command[PATH_SIZE];

    CHECK(rig_start("cell") == ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        snprintf(command, sizeof(command), "(%s) >/dev/null 2>&1 && echo done || echo refused",
                 refused[i]);
        CHECK(says("cell", command, "refused\n"));
    }
    CHECK(
        says("cell", "grep CapBnd /proc/1/status | cut -f2",
             strcmp(rig.config.userns, "off") == 0 ? "00000000800425fb\n" : "00000000a80425fb\n"));
    if (strcmp(rig.config.seccomp, "off") != 0)
        CHECK(says("cell", "grep Seccomp: /proc/1/status | cut -f2", "2\n"));
    if (strcmp(rig.config.userns, "off") != 0)
        CHECK(says("cell", "awk '{print ($2 > 0)}' /proc/self/uid_map", "1\n"));
    CHECK(says("cell", "grep NoNewPrivs /proc/1/status | cut -f2", "0\n")); /* for sudo */
    CHECK(rig_stop("cell") == ERR_NONE);
}

/* The kernel kills sandboxes first: their score is theirs, ours stays what it was. */
static void goes_before_the_server_does(void)
{
    char mine[16] = "";
    auto_fd int fd = -1;

    CHECK(rig_start("cheap") == ERR_NONE);
    CHECK(says("cheap", "cat /proc/1/oom_score_adj /proc/self/oom_score_adj", "50\n50\n"));
    fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, mine, sizeof(mine) - 1) > 0);
    CHECK(strcmp(mine, "0\n") == 0);
    CHECK(rig_stop("cheap") == ERR_NONE);
}

/* ---- ends ---- */

static void tells_when_it_ends(void)
{
    size_t before = rig.exits;

    CHECK(rig_start("mortal") == ERR_NONE);
    rig_poke("mortal", 'x');
    CHECK(rig_pump(&rig.exits, before + 1, WAIT_MS));
    CHECK(rig.exit_reason == EXIT_EXITED && strcmp(rig.exit_id, "mortal") == 0);
    CHECK(rig_stop("mortal") == ERR_NOT_FOUND);
    check_clean("an end");
}

static void tells_when_memory_ran_out(void)
{
    const struct sandbox_limits little = {32 << 20, 100, 100, 0};
    size_t before = rig.exits;

    if (!rig_has("memory limit"))
        test_skip("no memory controller in this mode");
    CHECK(rig_start_with("hungry", &little, "{}") == ERR_NONE);
    rig_poke("hungry", 'm');
    CHECK(rig_pump(&rig.exits, before + 1, WAIT_MS));
    CHECK(rig.exit_reason == EXIT_OOM);
    check_clean("running out of memory");
}

static void stops_a_fork_bomb(void)
{
    const struct sandbox_limits few = {64 << 20, 100, 30, 0};
    struct sandbox_stats stats;
    struct err err = {0};

    if (!rig_has("process limit"))
        test_skip("no pids controller in this mode");
    CHECK(rig_start_with("bomb", &few, "{}") == ERR_NONE);
    rig_sh("bomb", "b() { b | b & }; b; sleep 0.3");
    CHECK(runtime_stats(rig.runtime, "bomb", &stats, &err) == 0);
    CHECK(stats.pids <= 30);
    CHECK(rig_stop("bomb") == ERR_NONE);
    check_clean("a fork bomb");
}

static void stops_a_large_file(void)
{
    const struct sandbox_limits little = {256 << 20, 100, 100, 8 << 20};
    static const char big[] = "head -c 20000000 /dev/zero 2>&- >/big; stat -c %s /big";

    CHECK(rig_start_with("filler", &little, "{}") == ERR_NONE);
    /* the look at the disk, which kills who writes most, may come between: not twice */
    CHECK(says("filler", big, "8388608\n") || says("filler", big, "8388608\n"));
    CHECK(says("filler", "rm /big; echo ok > /small; cat /small", "ok\n"));
    CHECK(rig_stop("filler") == ERR_NONE);
}

/* The process that writes most is killed; the sandbox lives on. */
static void kills_who_fills_the_disk(void)
{
    const struct sandbox_limits little = {512 << 20, 0, 100, 8 << 20};

    if (strcmp(rig.config.cgroup, "none") == 0)
        test_skip("without cgroups nobody knows who is inside");
    CHECK(rig_start_with("hoarder", &little, "{}") == ERR_NONE);
    rig_sh("hoarder", "i=0; while :; do i=$((i+1)); echo $i > /last; head -c 1000000 /dev/zero "
                      "> /f$i; sleep 0.05; done");
    CHECK(rig_lists("hoarder"));
    CHECK(says("hoarder", "rm /f*; echo ok", "ok\n"));
    CHECK(rig_stop("hoarder") == ERR_NONE);
}

/* When it goes on, here by the first process itself, the sandbox goes. */
static void ends_what_fills_the_disk(void)
{
    const struct sandbox_limits little = {512 << 20, 0, 100, 8 << 20};
    size_t before = rig.exits;

    CHECK(rig_start_with("flood", &little, "{}") == ERR_NONE);
    rig_poke("flood", 'w');
    CHECK(rig_pump(&rig.exits, before + 1, WAIT_MS));
    CHECK(rig.exit_reason == EXIT_DISK);
    check_clean("a full disk");
}

static bool has_ghost(void)
{
    struct sandbox_stats stats = {0};
    struct err err = {0};

    return runtime_stats(rig.runtime, "ghost", &stats, &err) == 0 && stats.disk_bytes > 20000000;
}

/* Twice in view, once counted. */
static void counts_files_without_a_name(void)
{
    struct sandbox_stats stats = {0};
    struct err err = {0};

    if (strcmp(rig.config.cgroup, "none") == 0)
        test_skip("without cgroups nobody knows who is inside");
    CHECK(rig_start_with("ghost", &usual, "{}") == ERR_NONE);
    rig_sh("ghost", "(exec 3>/g; rm /g; head -c 21000000 /dev/zero >&3; sleep 20 & while :; do :; "
                    "done) >/dev/null 2>&1 </dev/null &");
    rig_until(has_ghost, SETTLE_MS);
    CHECK(has_ghost());
    CHECK(runtime_stats(rig.runtime, "ghost", &stats, &err) == 0 && stats.disk_bytes < 30000000);
    CHECK(rig_stop("ghost") == ERR_NONE);
    check_clean("a file without a name");
}

static void measures(void)
{
    struct sandbox_stats stats = {0};
    struct err err = {0};

    CHECK(rig_start_with("busy", &usual, "{}") == ERR_NONE);
    rig_sh("busy", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
    CHECK(runtime_stats(rig.runtime, "busy", &stats, &err) == 0);
    if (strcmp(rig.config.cgroup, "none") != 0)
        CHECK(stats.cpu_us > 10000);
    if (rig_has("memory limit"))
        CHECK(stats.memory_bytes > 0 && stats.pids >= 1);
    CHECK(rig_stop("busy") == ERR_NONE);
}

/* ---- the first answer ---- */

static void a_refusal_is_told(void)
{
    CHECK(rig_start_with("no", &usual, "{\"guest\":\"refuse\"}") == ERR_INVALID);
    CHECK(strstr(rig.err.text, "400") != NULL);
    CHECK(rig_start_with("no", &usual, "{\"guest\":\"die\"}") == ERR_SYSTEM);
    CHECK(strstr(rig.err.text, "ready") != NULL);
    check_clean("refusals");
}

static void silence_has_an_end(void)
{
    CHECK(rig_start_with("mute", &usual, "{\"guest\":\"silent\"}") == ERR_TIMEOUT);
    check_clean("silence");
}

static void a_long_first_request_fits(void)
{
    enum { LONG = 150 << 10 };
    char *text = malloc(LONG + 1);
    enum err_kind kind;

    memset(text, ' ', LONG);
    text[0] = '{';
    text[LONG - 1] = '}';
    text[LONG] = '\0';
    kind = rig_start_with("wordy", &usual, text);
    free(text);
    CHECK(kind == ERR_NONE);
    CHECK(rig_stop("wordy") == ERR_NONE);
}

static void a_missing_template_is_told(void)
{
    const char *rootfs = rig.rootfs;
    enum err_kind kind;

    rig.rootfs = "/nowhere/at/all";
    kind = rig_start("lost");
    rig.rootfs = rootfs;
    CHECK(kind == ERR_NOT_FOUND);
    check_clean("a missing template");
}

static void connects_by_ipv6(void)
{
    struct err err = {0};
    auto_fd int fd = -1;

    CHECK(rig_start("six") == ERR_NONE);
    CHECK(runtime_connect(rig.runtime, "six", RIG_PORT + 1, &fd, &err) == 0);
    CHECK(strcmp(rig_read_all(fd), "six") == 0);
    CHECK(rig_stop("six") == ERR_NONE);
}

static void refuses_on_a_full_disk(void)
{
    rig_close();
    rig.config.disk_reserve_bytes = UINT64_MAX / 2;
    rig_open();
    CHECK(rig_start("full") == ERR_NO_SPACE);
    rig_close();
    rig.config.disk_reserve_bytes = 1 << 20;
    rig_open();
    check_clean("reopening");
}

/* ---- leaks ---- */

static void every_failing_step_leaves_nothing(void)
{
    const char *const *names = runtime_step_names(rig.runtime);

    for (size_t i = 0; names[i] != NULL; i++) {
        runtime_fail_step(rig.runtime, names[i]);
        CHECK(rig_start("unlucky") != ERR_NONE);
        runtime_fail_step(rig.runtime, ""); /* or what is launched ahead would miss */
        check_clean(names[i]);
    }
}

static size_t cycles = CYCLES;

static void many_leave_nothing(void)
{
    size_t before = rig.answers, done = 0, begun = 0;
    char id[32];

    while (done < cycles) {
        size_t batch = begun;

        for (; begun < batch + IN_FLIGHT; begun++) {
            snprintf(id, sizeof(id), "t%zu", begun);
            rig_begin_start(id);
            rig_begin_stop(id);
        }
        CHECK(rig_pump(&rig.answers, before + 2 * begun, WAIT_MS));
        CHECK(rig.err.kind == ERR_NONE);
        done = begun;
    }
    check_clean("many cycles");
}

static void odd_trees_are_removed(void)
{
    CHECK(rig_start("odd") == ERR_NONE);
    CHECK(says("odd",
               "mkdir -p /x/a && echo 1 > /x/a/f && chmod 000 /x/a /x && cd /tmp && i=0; "
               "while [ $i -lt 300 ]; do mkdir d; cd d || break; i=$((i+1)); done; "
               "ln -s /etc/passwd link; mkfifo pipe; echo $i",
               "300\n"));
    CHECK(rig_stop("odd") == ERR_NONE);
    check_clean("odd trees");
}

/* ---- another process ---- */

static void run_and_wait_for_death(int ready_fd)
{
    char id[32];

    rig_open();
    for (size_t i = 0; i < ADOPTED; i++) {
        snprintf(id, sizeof(id), "left%zu", i);
        CHECK(rig_start(id) == ERR_NONE);
    }
    rig_begin_start("half"); /* in the middle of it */
    CHECK(write(ready_fd, "r", 1) == 1);
    for (;;)
        rig_pump(&(size_t){0}, 1, WAIT_MS);
}

static void reap_all(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

static bool no_children_left(void)
{
    reap_all();
    return remains_children() == rig_ahead();
}

/* A process starts sandboxes and is killed; this one takes them over. */
static void adopts_what_runs(void)
{
    int fds[2];
    char byte;
    pid_t pid;

    rig_close();
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    pid = fork();
    if (pid == 0) {
        run_and_wait_for_death(fds[1]);
        _exit(1);
    }
    close(fds[1]);
    CHECK(read(fds[0], &byte, 1) == 1);
    close(fds[0]);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    rig_open();
    CHECK(rig_lists("left0") && rig_lists("left1") && rig_lists("left2"));
    CHECK(rig_listed() == ADOPTED || (rig_listed() == ADOPTED + 1 && rig_lists("half")));
    CHECK(says("left0", "echo alive", "alive\n"));
    CHECK(rig_start("left1") == ERR_EXISTS);
    CHECK(rig_start("fresh") == ERR_NONE); /* beside them, in a range of its own */
    CHECK(says("fresh", "echo alive", "alive\n"));
    CHECK(rig_stop("fresh") == ERR_NONE);

    size_t before = rig.exits;

    rig_poke("left2", 'x');
    CHECK(rig_pump(&rig.exits, before + 1, WAIT_MS));
    CHECK(strcmp(rig.exit_id, "left2") == 0);
    CHECK(rig_stop("left0") == ERR_NONE);
    CHECK(rig_stop("left1") == ERR_NONE);
    if (rig_lists("half"))
        CHECK(rig_stop("half") == ERR_NONE);
    rig_until(no_children_left, SETTLE_MS);
    check_clean("adoption");
}

/* What died while nobody watched is freed, and is not listed. */
static void frees_what_died_meanwhile(void)
{
    CHECK(rig_start("dying") == ERR_NONE);
    rig_sh("dying", "(sleep 0.2; kill -9 -1) >/dev/null 2>&1 </dev/null & ");
    rig_poke("dying", 'x');
    rig_close();
    reap_all();
    rig_open();
    CHECK(!rig_lists("dying") || rig_stop("dying") == ERR_NONE);
    reap_all();
    check_clean("a death meanwhile");
}

static void leaves_them_running(void)
{
    CHECK(rig_start("stays") == ERR_NONE);
    rig_close();
    rig_open();
    CHECK(rig_lists("stays"));
    CHECK(says("stays", "echo still here", "still here\n"));
    CHECK(rig_stop("stays") == ERR_NONE);
    reap_all();
    check_clean("reopening");
}

/* Another range of ids: that of one that runs would be given to others. */
static void ends_those_of_another_range(void)
{
    CHECK(rig_start("old") == ERR_NONE);
    rig_close();
    rig.config.uid_base += 65536;
    rig_open();
    CHECK(rig_lists("old") == (strcmp(rig.config.userns, "off") == 0));
    if (rig_lists("old"))
        CHECK(rig_stop("old") == ERR_NONE);
    rig_close();
    rig.config.uid_base -= 65536;
    rig_open();
    reap_all();
    check_clean("another range");
}

static void one_process_at_a_time(void)
{
    struct runtime *second = NULL;
    struct err err = {0};

    CHECK(runtime_new(rig.loop, &rig.config, NULL, NULL, &second, &err) != 0);
    CHECK(err.kind == ERR_CONFLICT);
    check_clean("a refused second");
}

static void closes(void)
{
    rig_close();
    CHECK(remains_groups() == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"opens",                             opens                            },
        {"is a machine of its own",           is_a_machine_of_its_own          },
        {"writes stay inside",                writes_stay_inside               },
        {"the host is out of sight",          the_host_is_out_of_sight         },
        {"root is not root",                  root_is_not_root                 },
        {"goes before the server does",       goes_before_the_server_does      },
        {"tells when it ends",                tells_when_it_ends               },
        {"tells when memory ran out",         tells_when_memory_ran_out        },
        {"stops a fork bomb",                 stops_a_fork_bomb                },
        {"stops a large file",                stops_a_large_file               },
        {"kills who fills the disk",          kills_who_fills_the_disk         },
        {"ends what fills the disk",          ends_what_fills_the_disk         },
        {"counts files without a name",       counts_files_without_a_name      },
        {"measures",                          measures                         },
        {"a refusal is told",                 a_refusal_is_told                },
        {"silence has an end",                silence_has_an_end               },
        {"a long first request fits",         a_long_first_request_fits        },
        {"a missing template is told",        a_missing_template_is_told       },
        {"connects by IPv6",                  connects_by_ipv6                 },
        {"refuses on a full disk",            refuses_on_a_full_disk           },
        {"every failing step leaves nothing", every_failing_step_leaves_nothing},
        {"many leave nothing",                many_leave_nothing               },
        {"odd trees are removed",             odd_trees_are_removed            },
        {"adopts what runs after kill -9",    adopts_what_runs                 },
        {"frees what died meanwhile",         frees_what_died_meanwhile        },
        {"leaves them running",               leaves_them_running              },
        {"ends those of another range",       ends_those_of_another_range      },
        {"one process at a time",             one_process_at_a_time            },
        {"closes",                            closes                           },
    };
    int result;

    if (!rig_configure(argc, argv)) {
        fprintf(stderr, "usage: runtime_linux linux [key=value …]\n");
        return 2;
    }
    if (rig_reason_to_skip() != NULL) {
        printf("1..0 # SKIP %s\n", rig_reason_to_skip());
        return 0;
    }
    cycles = argc > 2 ? CYCLES_FORCED : CYCLES;
    result = test_main(tests, COUNT_OF(tests), 1, argv);
    rig_dirs_remove();
    return result;
}
