/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor of the roles; see supervisor.h. */
#include "main/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/log.h"
#include "io/child.h"
#include "main/role.h"

/* In the order of stopping: who asks before who answers. Started from the end. */
enum role_index {
    EDGE,
    API,
    NODE,
    EGRESS,
    ROLES,
};

struct role {
    struct supervisor *owner;
    const char *name, *command;
    char count[4], data_count[4]; /* edge's arguments */
    struct user user;
    int fds[2 * EDGE_LOOPS_MAX];
    size_t fd_count;
    bool gets_token;
    struct child child;
    int ready_fd;
    struct watch ready_watch;
    struct timer restart;
    bool was_ready;
    uint64_t started_ms, backoff_ms;
};

struct supervisor {
    struct loop *loop;
    const struct layout *layout;
    const struct config *config;
    struct role roles[ROLES];
    struct buf env_text;
    char **env;
    loop_fn *on_ready;
    void *ctx;
    struct timer deadline;
    size_t stopping; /* index of the role that is asked to end */
    bool is_stopping, has_failed, is_ready;
};

static void start_role(void *ctx);
static void stop_next(struct supervisor *s);

/* Descendants that lost their parent come to us. Roles are left to child.h. */
static void reap_orphans(void *ctx)
{
    struct supervisor *s = ctx;

    for (;;) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0)
            return;
        for (size_t i = 0; i < ROLES; i++) {
            if (s->roles[i].child.pid == info.si_pid)
                return; /* its own exit callback comes here again */
        }
        if (waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG | __WALL) != 0)
            return;
    }
}

static void close_ready(struct role *r)
{
    watch_stop(&r->ready_watch);
    own_close_fd(&r->ready_fd);
    r->ready_fd = -1;
}

static void on_ready_fd(void *ctx, uint32_t events)
{
    struct role *r = ctx;
    struct supervisor *s = r->owner;
    char byte;
    bool is_up = (events & EPOLLIN) != 0 && read(r->ready_fd, &byte, 1) == 1;

    close_ready(r);
    if (!is_up)
        return; /* it died; its exit is told elsewhere */
    log_info("role.ready", "role=%s pid=%d took_ms=%llu", r->name, (int)r->child.pid,
             (unsigned long long)(loop_now_ms(s->loop) - r->started_ms));
    r->was_ready = true;
    for (size_t i = 0; i < ROLES; i++) {
        if (!s->roles[i].was_ready)
            return;
    }
    if (!s->is_ready && !s->is_stopping) {
        s->is_ready = true;
        s->on_ready(s->ctx);
    }
}

static void plan_restart(struct role *r)
{
    uint64_t lived_ms = loop_now_ms(r->owner->loop) - r->started_ms;
    uint64_t wait_ms;

    if (lived_ms >= RESTART_WELL_MS)
        r->backoff_ms = 0;
    wait_ms = r->backoff_ms;
    r->backoff_ms = r->backoff_ms == 0 ? RESTART_MIN_MS : r->backoff_ms * 2;
    if (r->backoff_ms > RESTART_MAX_MS)
        r->backoff_ms = RESTART_MAX_MS;
    timer_start(r->owner->loop, &r->restart, wait_ms, start_role, r);
}

static void on_exit_of_role(void *ctx)
{
    struct role *r = ctx;
    struct supervisor *s = r->owner;
    int status = r->child.status;

    if (r->ready_fd >= 0)
        close_ready(r);
    reap_orphans(s);
    if (s->is_stopping) {
        stop_next(s);
        return;
    }
    if (WIFSIGNALED(status))
        log_warn("role.died", "role=%s signal=%d", r->name, WTERMSIG(status));
    else
        log_warn("role.died", "role=%s status=%d", r->name, WEXITSTATUS(status));
    if (!r->was_ready) {
        log_error("serve.failed", "error=\"role %s cannot start; its message is above\"", r->name);
        s->has_failed = true;
        supervisor_stop(s);
        return;
    }
    plan_restart(r);
}

/* Keys for development, see domain/key_import.h. They are not handed on with the environment, which
 * edge would have as well. */
static struct str given_keys(void)
{
    return str_of(getenv("E2B_API_KEYS"));
}

/* A pipe that holds the token and the given keys; the reading end is the child's. */
static int token_pipe(const struct supervisor *s, int *out_fd, struct err *err)
{
    int ends[2];
    struct str keys = given_keys();
    bool is_sent;

    if (keys.len > ROLE_KEYS_MAX)
        return err_set(err, ERR_INVALID, "E2B_API_KEYS is longer than %d bytes: use keys.file",
                       ROLE_KEYS_MAX);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_sys(err, errno, "make a pipe");
    /* Both fit a pipe, so this does not wait for a reader. */
    is_sent = write(ends[1], s->layout->admin_token, TOKEN_HEX_LEN) == TOKEN_HEX_LEN &&
              (keys.len == 0 || write(ends[1], keys.at, keys.len) == (ssize_t)keys.len);
    close(ends[1]);
    *out_fd = ends[0];
    if (!is_sent) {
        close(ends[0]);
        return err_set(err, ERR_SYSTEM, "write to a pipe");
    }
    return 0;
}

static int spawn(struct role *r, int ready_fd, struct err *err)
{
    struct supervisor *s = r->owner;
    struct child_fd fds[2 * EDGE_LOOPS_MAX + 2] = {
        {ready_fd, ROLE_FD_READY}
    };
    char program[] = "sandlot", command[16];
    char *argv[] = {program, command, r->count[0] == '\0' ? NULL : r->count, r->data_count, NULL};
    auto_fd int token_fd = -1;
    struct child_spec spec = {
        .path = "/proc/self/exe",
        .argv = argv,
        .envp = s->env,
        .fds = fds,
        .fd_count = 1,
        .uid = r->user.uid,
        .gid = r->user.gid,
        .dies_with_parent = true,
    };

    ignore(snprintf(command, sizeof command, "%s", r->command));
    for (size_t i = 0; i < r->fd_count; i++)
        fds[spec.fd_count++] = (struct child_fd){r->fds[i], ROLE_FD_FIRST + (int)i};
    if (r->gets_token) {
        if (token_pipe(s, &token_fd, err) != 0)
            return -1;
        fds[spec.fd_count++] = (struct child_fd){token_fd, ROLE_FD_TOKEN};
    }
    return child_start(&r->child, s->loop, &spec, on_exit_of_role, r, err);
}

static int try_start(struct role *r, struct err *err)
{
    struct supervisor *s = r->owner;
    int ends[2];
    int result;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_sys(err, errno, "make a pipe");
    r->started_ms = loop_now_ms(s->loop);
    result = spawn(r, ends[1], err);
    close(ends[1]);
    r->ready_fd = ends[0];
    if (result == 0)
        result = watch_start(s->loop, &r->ready_watch, r->ready_fd, EPOLLIN, on_ready_fd, r, err);
    if (result != 0) {
        own_close_fd(&r->ready_fd);
        r->ready_fd = -1;
    }
    return result;
}

static void start_role(void *ctx)
{
    struct role *r = ctx;
    struct err err;

    if (r->child.pid != 0 || try_start(r, &err) == 0)
        return;
    log_error("role.start_failed", "role=%s error=\"%s\"", r->name, err.text);
    plan_restart(r);
}

static const char *const passed_on[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
                                        "TSAN_OPTIONS"};

/* Every configuration key, a fixed PATH, and what sanitizers want: nothing else of ours. */
static void make_environment(struct supervisor *s)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char **keys;
    size_t count = 0;

    buf_init(&s->env_text, 1 << 20);
    keys = config_environment(s->config, &s->env_text);
    while (keys[count] != NULL)
        count++;
    s->env = mem_array(count + COUNT_OF(passed_on) + 2, sizeof *s->env);
    memcpy(s->env, keys, count * sizeof *keys);
    free(keys);
    s->env[count++] = path;
    for (size_t i = 0; i < COUNT_OF(passed_on); i++) {
        const char *value = getenv(passed_on[i]);
        size_t size;

        if (value == NULL)
            continue;
        size = strlen(passed_on[i]) + strlen(value) + 2;
        s->env[count] = mem_zero(size);
        ignore(snprintf(s->env[count++], size, "%s=%s", passed_on[i], value));
    }
}

static void free_environment(struct supervisor *s)
{
    size_t count = config_table.count + 1; /* those before are not ours to free one by one */

    for (; s->env != NULL && s->env[count] != NULL; count++)
        free(s->env[count]);
    free(s->env);
    buf_done(&s->env_text);
}

static void fill_roles(struct supervisor *s)
{
    const struct layout *l = s->layout;
    struct role *edge = &s->roles[EDGE];

    s->roles[EDGE] = (struct role){.name = "edge", .command = "role-edge", .user = l->edge};
    s->roles[API] = (struct role){
        .name = "api",
        .command = "role-api",
        .user = l->api,
        .fds = {l->api_fd, l->routes_fd},
        .fd_count = 2,
        .gets_token = true
    };
    s->roles[NODE] = (struct role){
        .name = "node", .command = "role-node", .fds = {l->node_fd, l->dial_fd},
                .fd_count = 2
    };
    s->roles[EGRESS] = (struct role){
        .name = "egress",
        .command = "role-egress",
        .user = l->egress,
        .fds = {l->egress_fd},
        .fd_count = 1,
    };
    memcpy(edge->fds, l->listen_fds, l->listen_count * sizeof *edge->fds);
    memcpy(edge->fds + l->listen_count, l->data_fds, l->data_count * sizeof *edge->fds);
    edge->fd_count = l->listen_count + l->data_count;
    ignore(snprintf(edge->count, sizeof edge->count, "%zu", l->listen_count));
    ignore(snprintf(edge->data_count, sizeof edge->data_count, "%zu", l->data_count));
    for (size_t i = 0; i < ROLES; i++) {
        s->roles[i].owner = s;
        s->roles[i].ready_fd = -1;
    }
}

int supervisor_new(struct loop *l, const struct config *c, const struct layout *layout,
                   loop_fn *on_ready, void *ctx, struct supervisor **out, struct err *err)
{
    struct supervisor *s = mem_zero(sizeof *s);

    s->loop = l;
    s->config = c;
    s->layout = layout;
    s->on_ready = on_ready;
    s->ctx = ctx;
    fill_roles(s);
    make_environment(s);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        supervisor_free(s);
        return err_sys(err, errno, "become the reaper of orphans");
    }
    if (loop_on_signal(l, SIGCHLD, reap_orphans, s, err) != 0) {
        supervisor_free(s);
        return -1;
    }
    for (size_t i = ROLES; i > 0; i--) {
        if (try_start(&s->roles[i - 1], err) != 0) {
            err_wrap(err, "start role %s", s->roles[i - 1].name);
            supervisor_free(s);
            return -1;
        }
    }
    *out = s;
    return 0;
}

static void on_deadline(void *ctx)
{
    struct supervisor *s = ctx;
    struct role *r = &s->roles[s->stopping];

    log_warn("role.killed", "role=%s", r->name);
    child_signal(&r->child, SIGKILL);
}

static void stop_next(struct supervisor *s)
{
    bool kills_sandboxes = strcmp(s->config->on_exit, "kill") == 0 && !s->has_failed;
    struct role *r;

    timer_stop(&s->deadline);
    while (s->stopping < ROLES && s->roles[s->stopping].child.pid == 0)
        s->stopping++;
    if (s->stopping == ROLES) {
        loop_stop(s->loop);
        return;
    }
    r = &s->roles[s->stopping];
    if (s->stopping == NODE && kills_sandboxes) {
        child_signal(&r->child, SIGUSR2);
        timer_start(s->loop, &s->deadline, ROLE_KILL_ALL_MS, on_deadline, s);
        return;
    }
    child_signal(&r->child, SIGTERM);
    timer_start(s->loop, &s->deadline, ROLE_STOP_MS, on_deadline, s);
}

void supervisor_stop(struct supervisor *s)
{
    if (s->is_stopping) {
        on_deadline(s);
        return;
    }
    s->is_stopping = true;
    for (size_t i = 0; i < ROLES; i++)
        timer_stop(&s->roles[i].restart);
    stop_next(s);
}

bool supervisor_has_failed(const struct supervisor *s)
{
    return s->has_failed;
}

void supervisor_free(struct supervisor *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < ROLES; i++) {
        struct role *r = &s->roles[i];

        timer_stop(&r->restart);
        if (r->ready_fd >= 0)
            close_ready(r);
        if (r->child.pid != 0) {
            child_signal(&r->child, SIGTERM);
            child_forget(&r->child);
        }
    }
    timer_stop(&s->deadline);
    free_environment(s);
    free(s);
}
