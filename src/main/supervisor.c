/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor of the roles; see supervisor.h. */
#include "main/supervisor.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/log.h"
#include "main/role.h"
#include "main/run.h"

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
    struct role_spec spec;
    struct run *now;     /* who serves, or is about to; NULL between a death and the restart */
    struct run *next;    /* takes its place as soon as it serves; NULL: none */
    struct list leavers; /* struct run, replaced: they end with their connections */
    size_t leaver_count;
    replaced_fn *on_replaced;
    void *replaced_ctx;
    struct timer restart;
    bool was_ready;
    uint64_t backoff_ms;
};

struct supervisor {
    struct run_home home;
    const struct config *config;
    struct role roles[ROLES];
    struct buf env_text;
    char program[PATH_MAX]; /* as it was called when we started */
    loop_fn *on_ready;
    void *ctx;
    struct timer deadline;
    size_t stopping; /* index of the role that is asked to end */
    bool is_stopping, has_failed, is_ready;
};

static void start_role(void *ctx);
static void stop_next(struct supervisor *s);

static bool has_pid(const struct role *r, pid_t pid)
{
    if ((r->now != NULL && r->now->child.pid == pid) ||
        (r->next != NULL && r->next->child.pid == pid))
        return true;
    for (struct list_node *n = list_first(&r->leavers); n != NULL; n = list_next(&r->leavers, n)) {
        if (container_of(n, struct run, node)->child.pid == pid)
            return true;
    }
    return false;
}

/* Descendants that lost their parent come to us. Roles are left to child.h. */
static void reap_orphans(void *ctx)
{
    struct supervisor *s = ctx;

    for (;;) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0)
            return;
        for (size_t i = 0; i < ROLES; i++) {
            if (has_pid(&s->roles[i], info.si_pid))
                return; /* its own exit callback comes here again */
        }
        if (waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG | __WALL) != 0)
            return;
    }
}

static void tell_ready(struct supervisor *s)
{
    for (size_t i = 0; i < ROLES; i++) {
        if (!s->roles[i].was_ready)
            return;
    }
    if (!s->is_ready && !s->is_stopping) {
        s->is_ready = true;
        s->on_ready(s->ctx);
    }
}

static void plan_restart(struct role *r, uint64_t lived_ms)
{
    uint64_t wait_ms;

    if (lived_ms >= RESTART_WELL_MS)
        r->backoff_ms = 0;
    wait_ms = r->backoff_ms;
    r->backoff_ms = r->backoff_ms == 0 ? RESTART_MIN_MS : r->backoff_ms * 2;
    if (r->backoff_ms > RESTART_MAX_MS)
        r->backoff_ms = RESTART_MAX_MS;
    timer_start(r->owner->home.loop, &r->restart, wait_ms, start_role, r);
}

/* Replacing a role's process by another that serves the same sockets. */

static void on_overdue(void *ctx)
{
    struct run *r = ctx;

    log_warn("role.killed", "role=%s pid=%d", r->spec->name, (int)r->child.pid);
    run_signal(r, SIGKILL);
}

static void tell_replaced(struct role *r, const struct err *err)
{
    replaced_fn *fn = r->on_replaced;

    r->on_replaced = NULL;
    if (fn != NULL)
        fn(r->replaced_ctx, err);
}

/* It ends by itself when its connections have, or by its own deadline. */
static void retire(struct role *r, struct run *old)
{
    uint64_t wait_ms = r->owner->config->edge_drain_s * 1000 + ROLE_STOP_MS;

    log_info("role.retired", "role=%s pid=%d", r->spec.name, (int)old->child.pid);
    list_push(&r->leavers, &old->node);
    r->leaver_count++;
    run_signal(old, SIGUSR1);
    timer_start(r->owner->home.loop, &old->deadline, wait_ms, on_overdue, old);
}

static void promote(struct role *r)
{
    struct run *old = r->now;

    timer_stop(&r->next->deadline);
    timer_stop(&r->restart);
    r->now = take_ptr(&r->next);
    if (old != NULL)
        retire(r, old);
    tell_replaced(r, NULL);
}

static void on_ready_run(void *ctx, struct run *run)
{
    struct role *r = ctx;

    if (run == r->next)
        promote(r);
    r->was_ready = true;
    tell_ready(r->owner);
}

static void log_death(const struct run *run)
{
    int status = run->child.status;

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_error("role.died",
                  "role=%s signal=%d note=\"it made a system call that none of its kind makes, as "
                  "one that was taken over would; the kernel's log has its number (dmesg, audit "
                  "type=1326, comm=role-%s)\"",
                  run->spec->name, SIGSYS, run->spec->name);
    else if (WIFSIGNALED(status))
        log_warn("role.died", "role=%s signal=%d", run->spec->name, WTERMSIG(status));
    else
        log_warn("role.died", "role=%s status=%d", run->spec->name, WEXITSTATUS(status));
}

/* Of whom the role consists now, or was to. */
static void bury(struct role *r, struct run *run)
{
    struct supervisor *s = r->owner;
    uint64_t lived_ms = loop_now_ms(s->home.loop) - run->started_ms;
    bool was_next = run == r->next;
    struct err err;

    log_death(run);
    run_free(run);
    if (was_next) {
        r->next = NULL;
        ignore(err_set(&err, ERR_UNAVAILABLE, "the new %s ended at once; the log says why",
                       r->spec.name)); /* always -1 */
        tell_replaced(r, &err);
    } else {
        r->now = NULL;
    }
    if (r->now != NULL || r->next != NULL)
        return;
    if (r->was_ready) {
        plan_restart(r, lived_ms);
        return;
    }
    log_error("serve.failed", "error=\"role %s cannot start; its message is above\"", r->spec.name);
    s->has_failed = true;
    supervisor_stop(s);
}

static void on_exit_of_run(void *ctx, struct run *run)
{
    struct role *r = ctx;
    struct supervisor *s = r->owner;
    bool is_leaver = run != r->now && run != r->next;

    reap_orphans(s);
    if (is_leaver) {
        r->leaver_count--;
        run_free(run);
    } else if (s->is_stopping) {
        r->now = run == r->now ? NULL : r->now;
        r->next = run == r->next ? NULL : r->next;
        run_free(run);
    } else {
        bury(r, run);
        return;
    }
    if (s->is_stopping)
        stop_next(s);
}

static const struct run_events run_events = {on_ready_run, on_exit_of_run};

static void start_role(void *ctx)
{
    struct role *r = ctx;
    struct err err;

    if (r->now != NULL || r->next != NULL ||
        run_start(&r->owner->home, &r->spec, &run_events, r, &r->now, &err) == 0)
        return;
    log_error("role.start_failed", "role=%s error=\"%s\"", r->spec.name, err.text);
    plan_restart(r, 0);
}

int supervisor_replace_edge(struct supervisor *s, replaced_fn *fn, void *ctx, struct err *err)
{
    struct role *r = &s->roles[EDGE];
    struct run_home home = s->home;

    if (s->is_stopping || !s->is_ready)
        return err_set(err, ERR_UNAVAILABLE, "the server is starting or ending");
    if (r->next != NULL)
        return err_set(err, ERR_CONFLICT, "edge is being replaced already");
    if (r->leaver_count >= LEAVERS_MAX)
        return err_set(err, ERR_LIMIT, "%d old edges still serve their connections (edge.drain_s)",
                       LEAVERS_MAX);
    home.program = s->program; /* what is installed now, which may be another version */
    if (run_start(&home, &r->spec, &run_events, r, &r->next, err) != 0)
        return -1;
    r->on_replaced = fn;
    r->replaced_ctx = ctx;
    timer_start(home.loop, &r->next->deadline, REPLACE_READY_MS, on_overdue, r->next);
    return 0;
}

void supervisor_forget(struct supervisor *s, const void *ctx)
{
    struct role *r = &s->roles[EDGE];

    if (r->replaced_ctx == ctx)
        r->on_replaced = NULL;
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
    s->home.env = mem_array(count + COUNT_OF(passed_on) + 2, sizeof *keys);
    memcpy(s->home.env, keys, count * sizeof *keys);
    free(keys);
    s->home.env[count++] = path;
    for (size_t i = 0; i < COUNT_OF(passed_on); i++) {
        const char *value = getenv(passed_on[i]);
        size_t size;

        if (value == NULL)
            continue;
        size = strlen(passed_on[i]) + strlen(value) + 2;
        s->home.env[count] = mem_zero(size);
        ignore(snprintf(s->home.env[count++], size, "%s=%s", passed_on[i], value));
    }
}

static void free_environment(struct supervisor *s)
{
    size_t count = config_table.count + 1; /* those before are not ours to free one by one */

    for (; s->home.env != NULL && s->home.env[count] != NULL; count++)
        free(s->home.env[count]);
    free(s->home.env);
    buf_done(&s->env_text);
}

static void fill_roles(struct supervisor *s)
{
    const struct layout *l = s->home.layout;
    const struct role_spec specs[ROLES] = {
        [EDGE] = {.name = "edge",         .command = "role-edge", .user = l->edge},
        [API] = { .name = "api",
                  .command = "role-api",
                  .user = l->api,
                  .fds = {l->api_fd, l->routes_fd},
                  .fd_count = 2,
                  .gets_token = true},
        [NODE] = {                                                .name = "node",
                  .command = "role-node",
                  .fds = {l->node_fd, l->dial_fd},
                  .fd_count = 2},
        [EGRESS] = {                                                   .name = "egress",
                  .command = "role-egress",
                  .user = l->egress,
                  .fds = {l->egress_fd},
                  .fd_count = 1},
    };
    struct role_spec *edge = &s->roles[EDGE].spec;

    for (size_t i = 0; i < ROLES; i++) {
        s->roles[i].owner = s;
        s->roles[i].spec = specs[i];
    }
    memcpy(edge->fds, l->listen_fds, l->listen_count * sizeof *edge->fds);
    memcpy(edge->fds + l->listen_count, l->data_fds, l->data_count * sizeof *edge->fds);
    edge->fd_count = l->listen_count + l->data_count;
    ignore(snprintf(edge->count, sizeof edge->count, "%zu", l->listen_count));
    ignore(snprintf(edge->data_count, sizeof edge->data_count, "%zu", l->data_count));
}

/* Its present name, not the file that runs: that may be gone when a new version is there. */
static int find_program(struct supervisor *s, struct err *err)
{
    ssize_t len = readlink("/proc/self/exe", s->program, sizeof s->program - 1);

    if (len < 0)
        return err_sys(err, errno, "find our program");
    s->program[len] = '\0';
    return 0;
}

int supervisor_new(const struct run_home *home, const struct config *c, loop_fn *on_ready,
                   void *ctx, struct supervisor **out, struct err *err)
{
    struct supervisor *s = mem_zero(sizeof *s);

    s->home = *home;
    s->config = c;
    s->on_ready = on_ready;
    s->ctx = ctx;
    fill_roles(s);
    make_environment(s);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        supervisor_free(s);
        return err_sys(err, errno, "become the reaper of orphans");
    }
    if (find_program(s, err) != 0 ||
        loop_on_signal(home->loop, SIGCHLD, reap_orphans, s, err) != 0) {
        supervisor_free(s);
        return -1;
    }
    for (size_t i = ROLES; i > 0; i--) {
        struct role *r = &s->roles[i - 1];

        if (run_start(&s->home, &r->spec, &run_events, r, &r->now, err) != 0) {
            err_wrap(err, "start role %s", r->spec.name);
            supervisor_free(s);
            return -1;
        }
    }
    *out = s;
    return 0;
}

static void signal_role(struct role *r, int signal)
{
    run_signal(r->now, signal);
    run_signal(r->next, signal);
    for (struct list_node *n = list_first(&r->leavers); n != NULL; n = list_next(&r->leavers, n))
        run_signal(container_of(n, struct run, node), signal);
}

static void on_deadline(void *ctx)
{
    struct supervisor *s = ctx;
    struct role *r = &s->roles[s->stopping];

    log_warn("role.killed", "role=%s", r->spec.name);
    signal_role(r, SIGKILL);
}

static bool is_gone(const struct role *r)
{
    return r->now == NULL && r->next == NULL && r->leaver_count == 0;
}

static void stop_next(struct supervisor *s)
{
    bool kills_sandboxes = strcmp(s->config->on_exit, "kill") == 0 && !s->has_failed;
    bool is_first = !timer_running(&s->deadline);
    struct role *r;

    if (s->stopping < ROLES && !is_first && !is_gone(&s->roles[s->stopping]))
        return; /* one of its processes has ended, others have not */
    timer_stop(&s->deadline);
    while (s->stopping < ROLES && is_gone(&s->roles[s->stopping]))
        s->stopping++;
    if (s->stopping == ROLES) {
        loop_stop(s->home.loop);
        return;
    }
    r = &s->roles[s->stopping];
    if (s->stopping == NODE && kills_sandboxes) {
        signal_role(r, SIGUSR2);
        timer_start(s->home.loop, &s->deadline, ROLE_KILL_ALL_MS, on_deadline, s);
        return;
    }
    signal_role(r, SIGTERM);
    timer_start(s->home.loop, &s->deadline, ROLE_STOP_MS, on_deadline, s);
}

void supervisor_stop(struct supervisor *s)
{
    struct err err;

    if (s->is_stopping) {
        if (s->stopping < ROLES)
            on_deadline(s);
        return;
    }
    s->is_stopping = true;
    for (size_t i = 0; i < ROLES; i++)
        timer_stop(&s->roles[i].restart);
    ignore(err_set(&err, ERR_UNAVAILABLE, "the server ends")); /* always -1 */
    tell_replaced(&s->roles[EDGE], &err);
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
        struct list_node *n;

        timer_stop(&r->restart);
        run_free(r->now);
        run_free(r->next);
        while ((n = list_first(&r->leavers)) != NULL)
            run_free(container_of(n, struct run, node));
    }
    timer_stop(&s->deadline);
    free_environment(s);
    free(s);
}
