/* SPDX-License-Identifier: Apache-2.0 */
/* The table of processes: entering, reaping, ending, forgetting. */
#include "envd/process.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "envd/agentcube.h"
#include "envd/kernel.h"

enum {
    EXIT_OF_KILLED_CHILD = 128 + SIGKILL /* how a shell says that its command was killed */
};

void processes_init(struct process_table *t, struct loop *l)
{
    *t = (struct process_table){.loop = l, .replay_max = REPLAY_DEFAULT};
}

static struct process *of_node(struct list_node *n)
{
    return n == NULL ? NULL : container_of(n, struct process, node);
}

static bool is_selected(const struct process *p, const struct selector *s)
{
    if (s->which == SELECTOR_PID)
        return p->pid == (pid_t)s->pid;
    if (s->which == SELECTOR_SERIAL)
        return p->serial == s->pid;
    return s->which == SELECTOR_TAG && p->tag != NULL && str_is(s->tag, p->tag);
}

/* One whose first process has exited waits for its output's end; its number may be another's. */
static struct process *find_alive(const struct process_table *t, pid_t pid)
{
    for (struct list_node *n = list_first(&t->running); n != NULL; n = list_next(&t->running, n)) {
        if (of_node(n)->pid == pid && !of_node(n)->is_dead)
            return of_node(n);
    }
    return NULL;
}

struct process *process_find(const struct process_table *t, const struct selector *s,
                             bool may_be_ended)
{
    struct process *latest = NULL;

    if (s->which == SELECTOR_PID && (latest = find_alive(t, (pid_t)s->pid)) != NULL)
        return latest;
    for (struct list_node *n = list_first(&t->running); n != NULL; n = list_next(&t->running, n)) {
        if (is_selected(of_node(n), s))
            return of_node(n);
    }
    for (struct list_node *n = list_first(&t->ended); n != NULL; n = list_next(&t->ended, n)) {
        if (may_be_ended && is_selected(of_node(n), s))
            latest = of_node(n);
    }
    return latest;
}

struct process *process_lookup(const struct process_table *t, const struct selector *s,
                               bool may_be_ended, enum connect_code *out_code, struct err *err)
{
    struct process *p;

    *out_code = CONNECT_INVALID_ARGUMENT;
    if (s == NULL || s->which == SELECTOR_NONE) {
        ignore(err_set(err, ERR_INVALID, "process selector is missing"));
        return NULL;
    }
    p = process_find(t, s, may_be_ended);
    if (p != NULL)
        return p;
    *out_code = CONNECT_NOT_FOUND;
    if (s->which == SELECTOR_PID)
        ignore(err_set(err, ERR_NOT_FOUND, "process with pid %u not found", s->pid));
    else if (s->which == SELECTOR_SERIAL)
        ignore(err_set(err, ERR_NOT_FOUND, "process not found"));
    else
        ignore(err_set(err, ERR_NOT_FOUND, "process with tag %.*s not found",
                       STR_ARG(str_upto(s->tag, 200))));
    return NULL;
}

struct process *process_new(struct process_table *t)
{
    struct process *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->table = t;
    replay_init(&p->replay, t->replay_max, &t->replay_total);
    for (size_t i = 0; i < COUNT_OF(p->outputs); i++) {
        p->outputs[i].process = p;
        p->outputs[i].fd = -1;
    }
    p->input.fd = -1;
    return p;
}

static void forget(void *ctx)
{
    struct process *p = ctx;

    process_drop_subscribers(p); /* those who have not heard all of their replay */
    p->table->ended_count--;
    list_remove(&p->node);
    process_free(p);
}

/* The kernel gave the number to a new process: the old one's status must not answer for it. */
static void forget_pid(struct process_table *t, pid_t pid)
{
    struct list_node *next;

    for (struct list_node *n = list_first(&t->ended); n != NULL; n = next) {
        next = list_next(&t->ended, n);
        if (of_node(n)->pid == pid)
            forget(of_node(n));
    }
}

static void deadline_reached(void *ctx)
{
    process_signal(ctx, SIGKILL);
}

/* Output of those that ended gives way to what comes. */
static void spare_memory(struct process_table *t)
{
    struct list_node *n = list_first(&t->ended);

    for (; n != NULL && t->replay_total > REPLAY_TOTAL / 2; n = list_next(&t->ended, n))
        replay_done(&of_node(n)->replay);
}

void process_enter(struct process *p, pid_t pid, uint64_t deadline_ms)
{
    struct process_table *t = p->table;

    forget_pid(t, pid);
    spare_memory(t);
    p->pid = pid;
    p->serial = ++t->last_serial;
    p->started_ms = clock_wall_ms();
    list_push(&t->running, &p->node);
    t->running_count++;
    if (deadline_ms > 0)
        timer_start(t->loop, &p->timer, deadline_ms, deadline_reached, p);
}

void process_free(struct process *p)
{
    timer_stop(&p->timer);
    timer_stop(&p->stall);
    for (size_t i = 0; i < COUNT_OF(p->outputs); i++)
        output_close(&p->outputs[i]);
    input_leave(p);
    replay_done(&p->replay);
    arena_done(&p->arena);
    free(p->tag);
    free(p);
}

void processes_done(struct process_table *t)
{
    struct list_node *n;

    while ((n = list_pop(&t->running)) != NULL) {
        struct process *p = of_node(n);

        ignore(kill(-p->pid, SIGKILL)); /* ESRCH: it is on its way out */
        process_drop_subscribers(p);
        process_free(p);
    }
    while ((n = list_pop(&t->ended)) != NULL) {
        process_drop_subscribers(of_node(n));
        process_free(of_node(n));
    }
    t->running_count = t->ended_count = 0;
}

/* Was it the kernel, for lack of memory? See process.h. */
static void explain(struct process *p)
{
    bool is_kill = p->exit_code == CLD_KILLED && p->exit_status == SIGKILL && !p->is_stopping;
    bool is_told = p->exit_code == CLD_EXITED && p->exit_status == EXIT_OF_KILLED_CHILD;
    uint64_t *explained = &p->table->oom_explained;
    uint64_t kills = 0;

    if ((!is_kill && !is_told) || !kernel_oom_kills(&kills))
        return;
    *explained = *explained > p->oom_before ? *explained : p->oom_before;
    if (kills <= *explained)
        return;
    (*explained)++;
    p->is_oom = true;
}

static void note_exit(struct process_table *t, const siginfo_t *info)
{
    struct process *p = find_alive(t, info->si_pid);

    if (p == NULL)
        return; /* an orphan that came to PID 1 */
    p->is_dead = true;
    p->exit_code = info->si_code;
    p->exit_status = info->si_status;
    explain(p);
    process_check_end(p);
}

void processes_reap(struct process_table *t)
{
    siginfo_t info;

    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
            return;
        note_exit(t, &info);
    }
}

void process_signal(struct process *p, int signal)
{
    p->is_stopping = true;
    if (p->is_dead)
        process_check_end(p);
    else
        ignore(kill(p->pid, signal)); /* not reaped yet, so the number is still its own */
}

/* Names as the reference server prints them. */
static const char *signal_text(int signal)
{
    static const char *const names[] = {
        [SIGHUP] = "hangup",
        [SIGINT] = "interrupt",
        [SIGQUIT] = "quit",
        [SIGILL] = "illegal instruction",
        [SIGTRAP] = "trace/breakpoint trap",
        [SIGABRT] = "aborted",
        [SIGBUS] = "bus error",
        [SIGFPE] = "floating point exception",
        [SIGKILL] = "killed",
        [SIGUSR1] = "user defined signal 1",
        [SIGSEGV] = "segmentation fault",
        [SIGUSR2] = "user defined signal 2",
        [SIGPIPE] = "broken pipe",
        [SIGALRM] = "alarm clock",
        [SIGTERM] = "terminated",
    };

    return signal > 0 && (size_t)signal < COUNT_OF(names) ? names[signal] : NULL;
}

static void write_status(struct process *p)
{
    const char *name = signal_text(p->exit_status);
    const char *core = p->exit_code == CLD_DUMPED ? " (core dumped)" : "";
    size_t size = sizeof(p->status_text);
    const char *why = "";

    if (p->exit_code == CLD_EXITED)
        snprintf(p->status_text, size, "exit status %d", p->exit_status);
    else if (name != NULL)
        snprintf(p->status_text, size, "signal: %s%s", name, core);
    else
        snprintf(p->status_text, size, "signal: signal %d%s", p->exit_status, core);
    if (p->is_oom)
        why = p->exit_code == CLD_EXITED ? " (the kernel killed a process for lack of memory)"
                                         : " (by the kernel, for lack of memory)";
    snprintf(p->error_text, sizeof(p->error_text), "%s%s", p->status_text, why);
}

void process_end_event(const struct process *p, struct end_event *out)
{
    bool exited = p->exit_code == CLD_EXITED;

    *out = (struct end_event){
        .exit_code = exited ? p->exit_status : -1,
        .exited = exited,
        .status = str_of(p->status_text),
        .has_error = !exited || p->exit_status != 0,
        .error = str_of(p->error_text),
    };
}

static void end(struct process *p)
{
    struct process_table *t = p->table;
    struct end_event end;
    struct process_event event = {.which = EVENT_END, .end = &end};

    p->is_ended = true;
    timer_stop(&p->timer);
    timer_stop(&p->stall);
    for (size_t i = 0; i < COUNT_OF(p->outputs); i++)
        output_close(&p->outputs[i]);
    input_leave(p);
    write_status(p);
    process_end_event(p, &end);
    process_publish_end(p, &event);
    p->ended_ms = clock_wall_ms();
    if (!p->is_door) {
        p->config = NULL;
        arena_done(&p->arena);
    }
    list_remove(&p->node);
    t->running_count--;
    list_push(&t->ended, &p->node);
    t->ended_count++;
    timer_start(t->loop, &p->timer, p->is_door ? AGENTCUBE_RETAIN_MS : PROCESS_RETAIN_MS, forget,
                p);
    if (t->ended_count > PROCESSES_ENDED_MAX)
        forget(of_node(list_first(&t->ended)));
}

void process_check_end(struct process *p)
{
    if (!p->is_dead || p->is_ended)
        return;
    for (size_t i = 0; p->is_stopping && i < COUNT_OF(p->outputs); i++)
        output_drain(&p->outputs[i]);
    if (p->is_stopping || (p->outputs[0].fd < 0 && p->outputs[1].fd < 0))
        end(p);
}
