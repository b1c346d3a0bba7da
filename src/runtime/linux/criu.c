/* SPDX-License-Identifier: Apache-2.0 */
/* See criu.h. Called on savers by pause.c, snapshot.c and restore.c. */
#include "runtime/linux/criu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "runtime/linux/enter.h"
#include "runtime/linux/files.h"
#include "runtime/linux/mounts.h"
#include "runtime/linux/pager.h"
#include "runtime/linux/tool.h"

enum {
    ARGUMENTS_MAX = 128,
    TEXT_MAX = 32 << 10,
    LOG_MAX = 4 << 20,
    PATH_SIZE = 1400,
    NUMBER_SIZE = 32,
    VERSION_TIMEOUT_MS = 5000,
    DUMP_TIMEOUT_MS = 600000,
    RESTORE_TIMEOUT_MS = 600000,
};

/* A command line that grows in one piece of memory; `at` are offsets until it is finished. */
struct command {
    struct buf text;
    size_t at[ARGUMENTS_MAX];
    const char *argv[ARGUMENTS_MAX + 1];
    size_t count;
};

static void add(struct command *c, const char *format, ...) printf_like(2, 3);

static void add(struct command *c, const char *format, ...)
{
    va_list args;

    if (c->count >= ARGUMENTS_MAX)
        c->text.failed = true;
    else
        c->at[c->count++] = c->text.len;
    va_start(args, format);
    buf_vprintf(&c->text, format, args);
    va_end(args);
    buf_add_byte(&c->text, '\0');
}

static void add_all(struct command *c, const char *const *words)
{
    for (; *words != NULL; words++)
        add(c, "%s", *words);
}

static int finish(struct command *c, struct err *err)
{
    if (!buf_ok(&c->text))
        return err_set(err, ERR_LIMIT, "command line of criu is too long");
    for (size_t i = 0; i < c->count; i++)
        c->argv[i] = c->text.at + c->at[i];
    c->argv[c->count] = NULL;
    return 0;
}

/* -v1: errors only. Groups are ours to care for; terminals may be led from outside; all sockets are
 * inside, so no traffic need be held back. */
static const char *const both_flags[] = {"-v1",
                                         "--manage-cgroups=ignore",
                                         "--shell-job",
                                         "--network-lock=skip",
                                         "--tcp-established",
                                         "--file-locks",
                                         "--link-remap",
                                         NULL};
/* On a machine with much to do all else than the sandbox may have to wait long, too. */
static const char *const dump_flags[] = {"--leave-running", "--timeout=30", "-o", "dump.log", NULL};
/* -S: they become our children, not init's. */
static const char *const restore_flags[] = {"-d", "-S",          "--empty-ns", "net",
                                            "-o", "restore.log", NULL};

/* What was mounted from the host, and where the same is in the stage. */
static const struct {
    const char *path, *source;
} mounted[] = {
    {"dev",                            "dev"         },
    {"sys",                            "sys"         },
    {"dev/envd",                       "guest/envd"  },
    {"sys/fs/cgroup",                  "cgroup"      },
    {"proc/sys/kernel/random/boot_id", "boot/boot_id"},
};

static void add_mounts_dump(struct command *c)
{
    for (size_t i = 0; i < COUNT_OF(mounted); i++)
        add(c, "--external=mnt[/%s]:%s", mounted[i].path, mounted[i].path);
    for (const struct enter_mask *m = enter_masks; m->path != NULL; m++)
        add(c, "--external=mnt[/%s]:%s", m->path, m->path);
}

static void add_mounts_restore(struct command *c, const char *stage)
{
    for (size_t i = 0; i < COUNT_OF(mounted); i++)
        add(c, "--external=mnt[%s]:%s/%s", mounted[i].path, stage, mounted[i].source);
    for (const struct enter_mask *m = enter_masks; m->path != NULL; m++)
        add(c, "--external=mnt[%s]:%s/%s", m->path, stage, m->is_dir ? mounts_empty : "dev/null");
}

/* ---- which one ---- */

/* tools/criu builds one where Debian's is too old for the kernel. */
static const char *const places[] = {"/opt/sandlot/sbin/criu", "/usr/local/sbin/criu",
                                     "/usr/sbin/criu"};

static bool is_usable(const char *path, struct err *why)
{
    const char *const argv[] = {path, "--version", NULL};
    const struct tool t = {.argv = argv, .held_fd = -1};
    struct tool_run run;

    return access(path, X_OK) == 0 && tool_start(&t, &run, why) == 0 &&
           tool_wait(&run, VERSION_TIMEOUT_MS, why) == 0;
}

void criu_find(const char *setting, char **out_path, struct err *why)
{
    struct err last = {0};

    *out_path = NULL;
    if (strcmp(setting, "off") == 0) {
        ignore(err_set(why, ERR_UNSUPPORTED, "no checkpoints: criu is off"));
        return;
    }
    for (size_t i = 0; i < (setting[0] == '/' ? 1 : COUNT_OF(places)); i++) {
        const char *path = setting[0] == '/' ? setting : places[i];

        if (is_usable(path, &last)) {
            *out_path = mem_text(path);
            return;
        }
    }
    ignore(err_set(why, ERR_UNSUPPORTED, "no checkpoints: no usable criu%s%s",
                   last.kind != ERR_NONE ? ": " : "; install it, or run tools/criu",
                   last.kind != ERR_NONE ? last.text : ""));
}

/* ---- why it failed ---- */

/* The first error that is one: without CAP_SYS_RESOURCE there is one about our own limits. */
static struct str first_error(struct str log)
{
    while (log.len > 0) {
        struct str line = str_cut(log, '\n', &log);
        char text[PATH_SIZE];

        if (line.len >= sizeof(text) || !str_to_c(line, text, sizeof(text)) ||
            strstr(text, "Error (") == NULL || strstr(text, "RLIMIT_NOFILE for self") != NULL)
            continue;

        const char *message = strstr(text, "): ");
        const char *second = message == NULL ? NULL : strstr(message + 1, "): ");

        message = second != NULL ? second : message;
        return message == NULL ? line : str_from(line, (size_t)(message + 3 - text));
    }
    return (struct str){NULL, 0};
}

static int explain(const char *images, const char *log_name, struct err *err)
{
    auto_free char *log = NULL;
    char path[PATH_SIZE];
    size_t len;
    struct err unread, said = *err;
    struct str why;

    ignore(snprintf(path, sizeof(path), "%s/%s", images, log_name));
    if (file_load(path, LOG_MAX, &log, &len, &unread) != 0)
        return -1;
    why = first_error((struct str){log, len});
    if (why.len == 0)
        return -1;
    /* a full disk is somebody else's to mend */
    if (strstr(log, "No space left") != NULL)
        return err_set(err, ERR_NO_SPACE, "%.*s", STR_ARG(why));
    return err_set(err, said.kind == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_UNSUPPORTED, "criu: %.*s",
                   STR_ARG(why));
}

/* ---- dump ---- */

static int dump_command(struct command *c, const struct criu_dump *d, struct err *err)
{
    add(c, "%s", d->path);
    add(c, "dump");
    add(c, "-t");
    add(c, "%d", d->pid);
    add(c, "-D");
    add(c, "%s", d->images);
    add_all(c, both_flags);
    add_all(c, dump_flags);
    if (cgroup_can_freeze(d->cgroups))
        add(c, "--freeze-cgroup=/proc/self/fd/%d", TOOL_HELD_FD);
    add_mounts_dump(c);
    return finish(c, err);
}

/* In the sandbox's network namespace: see images.h. */
static int start_inside(const struct tool *t, const struct criu_dump *d, struct tool_run *run,
                        struct err *err)
{
    int result;

    if (setns(d->netns_fd, CLONE_NEWNET) != 0)
        return err_sys(err, errno, "enter the network namespace");
    result = tool_start(t, run, err);
    if (setns(d->host_netns_fd, CLONE_NEWNET) != 0)
        abort(); /* see netns.c */
    return result;
}

int criu_dump(const struct criu_dump *d, struct err *err)
{
    struct command c = {0};
    struct tool_run run;
    auto_fd int group = -1;
    int result;

    if (cgroup_freezer_open(d->cgroups, d->group, &group, err) != 0)
        return -1;
    if (flock(group, LOCK_EX | LOCK_NB) != 0)
        return err_sys(err, errno, "another dump of it is under way");
    buf_init(&c.text, TEXT_MAX);
    result = dump_command(&c, d, err);
    if (result == 0) {
        const struct tool t = {.argv = c.argv, .held_fd = group};

        result = start_inside(&t, d, &run, err);
        if (result == 0 && tool_wait(&run, DUMP_TIMEOUT_MS, err) != 0)
            result = explain(d->images, "dump.log", err);
    }
    buf_done(&c.text);
    return result;
}

/* ---- restore ---- */

static int restore_command(struct command *c, const struct criu_restore *r, struct err *err)
{
    add(c, "%s", r->path);
    add(c, "restore");
    add(c, "-D");
    add(c, "%s", r->images);
    add(c, "--root");
    add(c, "%s/root", r->stage);
    add(c, "--action-script=%s/guest/hook", r->stage);
    add_all(c, both_flags);
    add_all(c, restore_flags);
    if (r->is_lazy)
        add(c, "--lazy-pages");
    add_mounts_restore(c, r->stage);
    return finish(c, err);
}

/* One restore under way: the pipes of CRIU's script, and what became of it. */
struct restoring {
    const struct criu_restore *r;
    struct tool_run run;
    int asked, told;
    int pid; /* of the first process, once there is one */
    bool is_given;
    struct criu_restored *out;
    struct err *err;
};

/* The namespaces are there, and empty. */
static int on_namespaces(struct restoring *g, int pid)
{
    char path[PATH_SIZE];

    ignore(snprintf(path, sizeof(path), "/proc/%d/ns/net", pid));
    g->out->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (g->out->netns_fd < 0)
        return err_sys(g->err, errno, "open the network namespace");
    return netns_configure(g->r->wish, g->out->netns_fd, g->err);
}

/* CRIU does not heed what its script says now. */
static int on_ready(struct restoring *g, int pid)
{
    g->out->pid = pid;
    g->out->pidfd = pidfd_open(pid, 0);
    if (g->out->pidfd < 0) {
        ignore(err_sys(g->err, errno, "open the restored process"));
    } else {
        g->is_given = true;
        if (g->r->about_to_run(g->r->ctx, g->out, g->err) == 0)
            return 0;
    }
    cgroup_kill(g->r->cgroups, g->r->group);
    return -1;
}

/* The script's question; false: it has ended, and says why. */
static bool next_question(const struct restoring *g, uint64_t *out_pid)
{
    struct pollfd ready[2] = {
        {.fd = g->asked,     .events = POLLIN},
        {.fd = g->run.pidfd, .events = POLLIN}
    };
    char text[NUMBER_SIZE];
    ssize_t n;

    while (poll(ready, 2, RESTORE_TIMEOUT_MS) < 0 && errno == EINTR) {
    }
    if ((ready[0].revents & POLLIN) == 0)
        return false;
    n = read(g->asked, text, sizeof(text));
    return str_to_u64((struct str){text, n > 0 ? (size_t)n - 1 : 0}, out_pid) &&
           *out_pid <= INT32_MAX;
}

static int serve_hook(struct restoring *g)
{
    static int (*const answers[])(struct restoring * g, int pid) = {on_namespaces, on_ready};
    uint64_t pid;

    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        if (!next_question(g, &pid))
            return 0;
        g->pid = (int)pid;
        if (answers[i](g, g->pid) != 0) {
            ignore(write(g->told, "no\n", 3)); /* fails with what waits for it */
            return -1;
        }
        if (write(g->told, "go\n", 3) != 3)
            return err_sys(g->err, errno, "answer criu's script");
    }
    return 0;
}

/* Both do much before they need each other. The restore waits for the other one before it makes
 * any process. */
static int start_both(struct restoring *g, const struct tool *t)
{
    const struct pager pager = {g->r->path, g->r->images, g->r->cgroups, g->r->group};
    struct tool_run paging;
    struct err unused;

    if (!g->r->is_lazy)
        return tool_start(t, &g->run, g->err);
    if (pager_start(&pager, &paging, g->err) != 0)
        return -1;
    if (tool_start(t, &g->run, g->err) != 0) {
        cgroup_kill(g->r->cgroups, g->r->group);
        ignore(pager_settle(&paging, &unused));
        return -1;
    }
    if (pager_settle(&paging, g->err) == 0)
        return 0;
    ignore(explain(g->r->images, "pager.log", g->err));
    cgroup_kill(g->r->cgroups, g->r->group);
    ignore(tool_wait(&g->run, RESTORE_TIMEOUT_MS, &unused));
    return -1;
}

static int run_restore(struct restoring *g, const struct tool *t)
{
    struct err why = {0};

    if (start_both(g, t) != 0)
        return -1;
    if (serve_hook(g) != 0) {
        ignore(tool_wait(&g->run, RESTORE_TIMEOUT_MS, &why)); /* that is not the reason */
        return -1;
    }
    if (tool_wait(&g->run, RESTORE_TIMEOUT_MS, g->err) != 0)
        return explain(g->r->images, "restore.log", g->err);
    return g->out->pidfd >= 0 ? 0 : err_set(g->err, ERR_SYSTEM, "criu did not ask its script");
}

/* What is there of it and was given to nobody: it is our child, not CRIU's. */
static void end_restore(struct restoring *g)
{
    siginfo_t unused;

    if (g->is_given)
        return;
    cgroup_kill(g->r->cgroups, g->r->group);
    while (g->pid != 0 && waitid(P_PID, (id_t)g->pid, &unused, WEXITED | __WALL) != 0 &&
           errno == EINTR) {
    }
    own_close_fd(&g->out->netns_fd);
    own_close_fd(&g->out->pidfd);
}

static void drain(int fd)
{
    char unused[NUMBER_SIZE];

    while (read(fd, unused, sizeof(unused)) > 0) {
        /* of a restore that was cut off */
    }
}

int criu_restore(const struct criu_restore *r, struct criu_restored *out, struct err *err)
{
    static const struct {
        const char *type, *data;
    } views[] = {
        {NULL,      NULL    },
        {"cgroup",  "memory"},
        {"cgroup2", NULL    }
    };
    int version = cgroup_version(r->cgroups, CGROUP_MEMORY);
    struct command c = {0};
    /* read and write: an open end that waits for nobody */
    auto_fd int asked = open("guest/asked", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    auto_fd int told = open("guest/told", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int result;

    *out = (struct criu_restored){.pidfd = -1, .netns_fd = -1};
    if (asked < 0 || told < 0)
        return err_sys(err, errno, "open the pipes of criu's script");
    drain(asked);
    drain(told);
    buf_init(&c.text, TEXT_MAX);
    result = restore_command(&c, r, err);
    if (result == 0) {
        const struct tool t = {.argv = c.argv,
                               .held_fd = -1,
                               .cgroups = r->cgroups,
                               .group = r->group,
                               .cgroup_type = views[version].type,
                               .cgroup_data = views[version].data,
                               .dies_with_parent = true};

        struct restoring g = {.r = r, .asked = asked, .told = told, .out = out, .err = err};

        result = run_restore(&g, &t);
        if (result != 0)
            end_restore(&g);
    }
    buf_done(&c.text);
    return result;
}
