/* SPDX-License-Identifier: Apache-2.0 */
/* io/child: what a child inherits and what not, its user, its end, and what cannot be executed. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/str.h"
#include "io/child.h"
#include "io_help.h"
#include "test.h"

enum {
    MANY = 100,
    OUTPUT_MAX = 4096,
    NOBODY = 65534,
};

struct run {
    struct loop *loop;
    struct child child;
    int exits;
    int *left; /* shared: children still running */
};

static void on_exit_call(void *ctx)
{
    struct run *r = ctx;

    r->exits++;
    CHECK(r->child.pid == 0);
    child_signal(&r->child, SIGKILL); /* harmless now */
    if (r->left == NULL || --*r->left == 0)
        loop_stop(r->loop);
}

/* Run `sh -c script` to its end with `spec`'s other settings; its standard output is returned. */
static char output[OUTPUT_MAX];

static const char *run_script(const char *script, struct child_spec spec)
{
    char sh[] = "sh", c[] = "-c", text[1024];
    char *argv[] = {sh, c, text, NULL};
    struct child_fd fds[8];
    struct run r = {.loop = help_loop()};
    int out[2];
    ssize_t n;
    struct err err = {0};

    CHECK(str_to_c(str_of(script), text, sizeof(text)));
    CHECK(pipe2(out, O_CLOEXEC) == 0 && spec.fd_count < 7);
    for (size_t i = 0; i < spec.fd_count; i++)
        fds[i] = spec.fds[i];
    fds[spec.fd_count] = (struct child_fd){out[1], 1};
    spec.fds = fds;
    spec.fd_count++;
    spec.path = "/bin/sh";
    spec.argv = argv;
    if (child_start(&r.child, r.loop, &spec, on_exit_call, &r, &err) != 0) {
        test_note("%s", err.text);
        CHECK(!"child started");
    }
    CHECK(r.child.pid > 0);
    own_close_fd(&out[1]);
    help_run(r.loop);
    CHECK(r.exits == 1 && WIFEXITED(r.child.status) && WEXITSTATUS(r.child.status) == 0);
    n = read(out[0], output, sizeof(output) - 1);
    output[n < 0 ? 0 : n] = '\0';
    own_close_fd(&out[0]);
    loop_free(r.loop);
    return output;
}

static void runs_and_tells_its_status(void)
{
    char sh[] = "sh", c[] = "-c", text[] = "exit 7";
    char *argv[] = {sh, c, text, NULL};
    struct child_spec spec = {.path = "/bin/sh", .argv = argv};
    struct run r = {.loop = help_loop()};
    struct err err;

    CHECK(child_start(&r.child, r.loop, &spec, on_exit_call, &r, &err) == 0);
    help_run(r.loop);
    CHECK(WIFEXITED(r.child.status) && WEXITSTATUS(r.child.status) == 7);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    loop_free(r.loop);
}

static void can_be_signalled(void)
{
    char name[] = "sleep", time[] = "60";
    char *argv[] = {name, time, NULL};
    struct child_spec spec = {.path = "/bin/sleep", .argv = argv};
    struct run r = {.loop = help_loop()};
    struct err err;

    CHECK(child_start(&r.child, r.loop, &spec, on_exit_call, &r, &err) == 0);
    child_signal(&r.child, SIGTERM);
    help_run(r.loop);
    CHECK(WIFSIGNALED(r.child.status) && WTERMSIG(r.child.status) == SIGTERM);
    loop_free(r.loop);
}

static void forgotten_child_lives_on(void)
{
    char name[] = "sleep", time[] = "60";
    char *argv[] = {name, time, NULL};
    struct child_spec spec = {.path = "/bin/sleep", .argv = argv};
    struct run r = {.loop = help_loop()};
    struct err err;
    pid_t pid;

    CHECK(child_start(&r.child, r.loop, &spec, on_exit_call, &r, &err) == 0);
    pid = r.child.pid;
    child_forget(&r.child);
    child_forget(&r.child);
    child_signal(&r.child, SIGKILL); /* not ours any more */
    help_spin(r.loop, 20);
    CHECK(r.exits == 0 && kill(pid, 0) == 0);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    loop_free(r.loop);
}

static void what_cannot_be_executed_is_an_error(void)
{
    static const struct {
        const char *path;
        int sys;
    } cases[] = {
        {"/nonexistent/program", ENOENT},
        {"/etc/passwd",          EACCES},
        {"/proc",                EACCES},
    };
    char name[] = "x";
    char *argv[] = {name, NULL};
    struct loop *l = help_loop();

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct child_spec spec = {.path = cases[i].path, .argv = argv};
        struct child c;
        struct err err = {0};

        CHECK(child_start(&c, l, &spec, NULL, NULL, &err) == -1);
        CHECK(err.sys == cases[i].sys && strstr(err.text, cases[i].path) != NULL);
        CHECK(c.pid == 0 && c.watch.loop == NULL);
    }
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    loop_free(l);
}

static void bad_plans_are_errors(void)
{
    char name[] = "true";
    char *argv[] = {name, NULL};
    const struct child_fd twice[] =
        {
            {1, 5},
            {2, 5}
    },
                          closed[] = {{999, 5}}, below[] = {{-1, 5}};
    const struct child_fd *plans[] = {twice, closed, below};
    const size_t counts[] = {2, 1, 1};
    struct loop *l = help_loop();

    for (size_t i = 0; i < COUNT_OF(plans); i++) {
        struct child_spec spec = {
            .path = "/bin/true", .argv = argv, .fds = plans[i], .fd_count = counts[i]};
        struct child c;
        struct err err;

        CHECK(child_start(&c, l, &spec, NULL, NULL, &err) == -1);
    }
    loop_free(l);
}

/* Two descriptors change places, and one that we forgot to mark CLOEXEC stays out. */
static void descriptors_arrive_where_asked(void)
{
    const struct child_fd swap[] = {
        {8, 9},
        {9, 8}
    };
    int a[2], b[2];
    char got[8] = "";
    const char *listed;

    CHECK(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0);
    CHECK(!help_is_open(8) && !help_is_open(9) && !help_is_open(20));
    CHECK(dup2(a[1], 8) == 8 && dup2(b[1], 9) == 9 && dup2(a[1], 20) == 20);
    /* The shell lists its own, 3 being the directory it reads. */
    listed = run_script("echo eight >&8; echo nine >&9; printf '%s ' /proc/self/fd/*",
                        (struct child_spec){.fds = swap, .fd_count = 2});
    CHECK(strcmp(listed, "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3 "
                         "/proc/self/fd/8 /proc/self/fd/9 ") == 0);
    CHECK(read(a[0], got, 5) == 5 && memcmp(got, "nine\n", 5) == 0);
    CHECK(read(b[0], got, 6) == 6 && memcmp(got, "eight\n", 6) == 0);
    for (int fd = 8; fd <= 20; fd += fd == 8 ? 1 : 11)
        close(fd);
    for (int i = 0; i < 2; i++) {
        own_close_fd(&a[i]);
        own_close_fd(&b[i]);
    }
}

/* The copies that are made on the way must not land on a number that is promised. */
static void free_numbers_can_be_asked_for(void)
{
    struct child_fd fds[4];
    int a[2], next;
    char got[64] = "", script[256];

    CHECK(pipe2(a, O_CLOEXEC) == 0);
    next = dup(0);
    CHECK(next >= 0);
    own_close_fd(&next);
    next += 4; /* above the loop and the pipe of run_script() */
    for (int i = 0; i < 4; i++)
        fds[i] = (struct child_fd){a[1], next + i};
    snprintf(script, sizeof(script),
             "for i in 0 1 2 3; do echo $i > /proc/self/fd/$((%d + i)); done; echo done", next);
    CHECK(strcmp(run_script(script, (struct child_spec){.fds = fds, .fd_count = COUNT_OF(fds)}),
                 "done\n") == 0);
    CHECK(read(a[0], got, sizeof(got)) == 8 && memcmp(got, "0\n1\n2\n3\n", 8) == 0);
    own_close_fd(&a[0]);
    own_close_fd(&a[1]);
}

static void signals_are_at_their_defaults(void)
{
    const char *text;
    sigset_t set, old;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &old);
    text = run_script("grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status", (struct child_spec){0});
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK(strstr(text, "SigBlk:\t0000000000000000") != NULL);
    CHECK(strstr(text, "SigIgn:\t0000000000000000") != NULL);
    sigprocmask(SIG_BLOCK, NULL, &set);
    CHECK(!sigismember(&set, SIGUSR1) && !sigismember(&set, SIGINT)); /* and ours are as before */
}

static void environment_is_ours_or_given(void)
{
    char only[] = "ONLY=this";
    char *envp[] = {only, NULL};

    CHECK(setenv("TEST_CHILD", "inherited", 1) == 0);
    CHECK(strcmp(run_script("printf %s \"$TEST_CHILD\"", (struct child_spec){0}), "inherited") ==
          0);
    CHECK(strcmp(run_script("printf %s \"$ONLY$TEST_CHILD\"", (struct child_spec){.envp = envp}),
                 "this") == 0);
    CHECK(unsetenv("TEST_CHILD") == 0);
}

static void user_is_changed_completely(void)
{
    const gid_t extra[] = {1, 2};
    gid_t old[64];
    int old_count = getgroups((int)COUNT_OF(old), old);
    const char *text;

    if (geteuid() != 0)
        test_skip("needs root");
    CHECK(old_count >= 0 && setgroups(COUNT_OF(extra), extra) == 0);
    text = run_script("grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status",
                      (struct child_spec){.uid = NOBODY, .gid = NOBODY});
    CHECK(setgroups((size_t)old_count, old) == 0);
    CHECK(strstr(text, "Uid:\t65534\t65534\t65534\t65534") != NULL);
    CHECK(strstr(text, "Gid:\t65534\t65534\t65534\t65534") != NULL);
    CHECK(strstr(text, "Groups:\t \n") != NULL);
    CHECK(strstr(text, "CapEff:\t0000000000000000") != NULL);
    CHECK(geteuid() == 0 && getegid() == 0); /* and we are who we were */
}

static void many_run_at_once(void)
{
    char name[] = "true";
    char *argv[] = {name, NULL};
    struct child_spec spec = {.path = "/bin/true", .argv = argv};
    struct loop *l = help_loop();
    struct run runs[MANY] = {0};
    int left = MANY;
    struct err err;

    for (int i = 0; i < MANY; i++) {
        runs[i].loop = l;
        runs[i].left = &left;
        CHECK(child_start(&runs[i].child, l, &spec, on_exit_call, &runs[i], &err) == 0);
    }
    help_run(l);
    for (int i = 0; i < MANY; i++)
        CHECK(runs[i].exits == 1 && runs[i].child.status == 0);
    loop_free(l);
}

/* We in another role: start a child that must not survive us, then wait to be killed. Both hold
 * descriptor 1, a pipe, open. */
static int be_mortal_parent(void)
{
    char name[] = "sleep", time[] = "60";
    char *argv[] = {name, time, NULL};
    struct child_spec spec = {
        .path = "/bin/sleep", .argv = argv, .uid = NOBODY, .gid = NOBODY, .dies_with_parent = true};
    struct loop *l;
    struct child c;
    struct err err;

    if (geteuid() != 0)
        spec.uid = spec.gid = 0;
    if (loop_new(&l, &err) != 0 || child_start(&c, l, &spec, NULL, NULL, &err) != 0)
        return 1;
    if (write(1, "up", 2) != 2)
        return 1;
    for (;;)
        pause();
}

static void child_dies_with_its_parent(void)
{
    char name[] = "test_child", role[] = "mortal-parent";
    char *argv[] = {name, role, NULL};
    struct child_fd fds[1];
    struct child_spec spec = {
        .path = "/proc/self/exe", .argv = argv, .fds = fds, .fd_count = COUNT_OF(fds)};
    struct run r = {.loop = help_loop()};
    char text[3] = "";
    int out[2];
    struct err err;

    CHECK(pipe2(out, O_CLOEXEC) == 0);
    fds[0] = (struct child_fd){out[1], 1};
    CHECK(child_start(&r.child, r.loop, &spec, on_exit_call, &r, &err) == 0);
    own_close_fd(&out[1]);
    CHECK(read(out[0], text, 2) == 2 && strcmp(text, "up") == 0);
    child_signal(&r.child, SIGKILL);
    help_run(r.loop);
    CHECK(read(out[0], text, 1) == 0); /* nobody holds the pipe any more; hangs when it fails */
    own_close_fd(&out[0]);
    loop_free(r.loop);
}

static void *start_from_thread(void *ctx)
{
    CHECK(strcmp(run_script("echo thread", (struct child_spec){0}), "thread\n") == 0);
    return ctx;
}

static void works_beside_threads(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, start_from_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"runs and tells its status",           runs_and_tells_its_status          },
        {"can be signalled",                    can_be_signalled                   },
        {"a forgotten child lives on",          forgotten_child_lives_on           },
        {"what cannot be executed is an error", what_cannot_be_executed_is_an_error},
        {"bad plans are errors",                bad_plans_are_errors               },
        {"descriptors arrive where asked",      descriptors_arrive_where_asked     },
        {"free numbers can be asked for",       free_numbers_can_be_asked_for      },
        {"signals are at their defaults",       signals_are_at_their_defaults      },
        {"the environment is ours or given",    environment_is_ours_or_given       },
        {"the user is changed completely",      user_is_changed_completely         },
        {"many run at once",                    many_run_at_once                   },
        {"a child dies with its parent",        child_dies_with_its_parent         },
        {"works beside threads",                works_beside_threads               },
        {"no descriptor is left open",          help_no_leak                       },
    };

    if (argc == 2 && strcmp(argv[1], "mortal-parent") == 0)
        return be_mortal_parent();
    return help_main(tests, COUNT_OF(tests), argc, argv);
}
