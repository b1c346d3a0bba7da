/* SPDX-License-Identifier: Apache-2.0 */
/* See warm.h. */
#include "runtime/linux/warm.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/linux/driver_internal.h"
#include "runtime/linux/files.h"

enum {
    TEMPLATES_MAX = 16,
    QUIET_MS = 5,          /* after a start: what the client does next comes first */
    TICK_MS = 5000,        /* between looks for what is no longer wanted */
    AGE_MAX_MS = 600000,   /* envd closes a connection that is idle for 640 s */
    STEAL_AFTER_MS = 5000, /* a template not started for so long gives way to another */
    RETRY_FIRST_MS = 100,  /* after a failure; doubled for each in a row */
    RETRY_DOUBLINGS = 10,  /* to 102 s */
    PIDS_MAX = 16,         /* until it is claimed; envd is one */
    MEMINFO_SIZE = 4 << 10,
    MEMORY_LEAST_KIB = 256 << 10, /* with less available on the host none are kept */
};

static const uint64_t memory_max = 32 << 20; /* until it is claimed; envd uses half a megabyte */

static bool add_mark(const char *path, struct tree_mark *m)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return false;

    const uint64_t facts[] = {st.st_dev, st.st_ino, (uint64_t)st.st_ctim.tv_sec,
                              (uint64_t)st.st_ctim.tv_nsec};

    for (size_t i = 0; i < COUNT_OF(facts); i++) /* FNV-1a, of words */
        m->sum = (m->sum ^ facts[i]) * 0x100000001b3;
    return true;
}

static bool mark_of(const struct warm_template *t, struct tree_mark *out)
{
    struct tree_mark m = {0xcbf29ce484222325};

    if (!add_mark(t->rootfs, &m))
        return false;
    for (size_t i = 0; i < t->layers.count; i++)
        if (!add_mark(t->layers.paths[i], &m))
            return false;
    m.sum |= 1; /* never that of none */
    *out = m;
    return true;
}

static bool is_same(const struct tree_mark *a, const struct tree_mark *b)
{
    return a->sum == b->sum;
}

static bool is_of(const struct warm_template *t, const struct guest *s)
{
    if (strcmp(t->rootfs, s->rootfs) != 0 || t->layers.count != s->layers.count)
        return false;
    for (size_t i = 0; i < s->layers.count; i++)
        if (strcmp(t->layers.paths[i], s->layers.paths[i]) != 0)
            return false;
    return true;
}

/* What a guest is made of. */
struct warm_template *warm_find(const struct warm *w, const struct guest *s)
{
    const struct list *all = &w->templates;

    for (struct list_node *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct warm_template *t = container_of(n, struct warm_template, node);

        if (is_of(t, s))
            return t;
    }
    return NULL;
}

size_t warm_count(const struct linux_driver *d)
{
    const struct list *all = &d->warm.templates;
    size_t count = 0;

    for (struct list_node *n = list_first(all); n != NULL; n = list_next(all, n))
        count += container_of(n, struct warm_template, node)->count;
    return count;
}

void warm_remove(struct warm_template *t, struct guest *s)
{
    list_remove(&s->queue);
    t->count--;
}

/* The oldest one off the books. */
static struct guest *pop(struct warm_template *t)
{
    struct list_node *n = list_first(&t->waiting);
    struct guest *s = n == NULL ? NULL : container_of(n, struct guest, queue);

    if (s != NULL)
        warm_remove(t, s);
    return s;
}

static void empty(struct warm_template *t)
{
    struct guest *s;

    while ((s = pop(t)) != NULL)
        lifecycle_discard(s);
}

static void template_free(struct warm_template *t)
{
    list_remove(&t->node);
    free(t->rootfs);
    stack_done(&t->layers);
    free(t);
}

static void on_timer(void *ctx);

static void arm(struct linux_driver *d, uint64_t delay_ms)
{
    timer_start(d->loop, &d->warm.timer, delay_ms, on_timer, d);
}

/* ---- what is not wanted any more ---- */

static bool is_too_old(const struct guest *s, uint64_t now_ms)
{
    return now_ms - s->warm_since_ms >= AGE_MAX_MS;
}

/* The tree was replaced, or removed: what was made of it must not hold it any longer. */
static void check_trees(struct warm_template *t, uint64_t now_ms)
{
    struct tree_mark mark = {0};
    struct list_node *n;

    ignore(mark_of(t, &mark)); /* a tree that is gone is like none of them */
    while ((n = list_first(&t->waiting)) != NULL) {
        struct guest *s = container_of(n, struct guest, queue);

        if (is_same(&s->tree, &mark) && !is_too_old(s, now_ms))
            return; /* those behind it are younger and were made of the tree that came later */
        lifecycle_discard(pop(t));
    }
}

static void tidy_up(struct linux_driver *d)
{
    struct warm *w = &d->warm;
    uint64_t now_ms = loop_now_ms(d->loop);
    struct list_node *next;

    for (struct list_node *n = list_first(&w->templates); n != NULL; n = next) {
        struct warm_template *t = container_of(n, struct warm_template, node);
        struct tree_mark mark;

        next = list_next(&w->templates, n);
        check_trees(t, now_ms);
        if (now_ms - t->asked_ms < w->idle_ms && mark_of(t, &mark))
            continue;
        empty(t);
        template_free(t);
    }
}

/* ---- making more ---- */

/* Nothing known is nothing to act on: the most. */
static uint64_t available_kib(const struct linux_driver *d)
{
    static const char key[] = "MemAvailable:";
    char space[MEMINFO_SIZE];
    struct str text, value;
    struct err ignored;
    uint64_t kib;

    if (file_read(d->proc_fd, "meminfo", space, sizeof(space), &text, &ignored) != 0)
        return UINT64_MAX;
    while (text.len > 0) {
        struct str line = str_cut(text, '\n', &text);

        if (!str_is(str_cut(line, ' ', &value), key))
            continue;
        value = str_trim(value);
        return str_to_u64(str_cut(value, ' ', &value), &kib) ? kib : UINT64_MAX;
    }
    return UINT64_MAX;
}

/* One of the template that was started least lately gives way, never to one started before it: they
 * would take from each other for ever. */
static bool steal(struct linux_driver *d, const struct warm_template *for_whom)
{
    const struct list *all = &d->warm.templates;
    uint64_t now_ms = loop_now_ms(d->loop);

    for (struct list_node *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct warm_template *t = container_of(n, struct warm_template, node);

        if (t == for_whom || now_ms - t->asked_ms < STEAL_AFTER_MS)
            return false; /* those behind it were started later */
        if (t->count == 0)
            continue;
        lifecycle_discard(pop(t));
        return true;
    }
    return false;
}

/* The latest one that has too few. NULL: all is well, or there is no room. */
static struct warm_template *pick(struct linux_driver *d)
{
    const struct list *all = &d->warm.templates;
    struct warm_template *latest = NULL;

    for (struct list_node *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct warm_template *t = container_of(n, struct warm_template, node);

        if (t->count < d->warm.size)
            latest = t;
    }
    if (latest == NULL || (warm_count(d) >= d->warm.max && !steal(d, latest)))
        return NULL;
    return latest;
}

/* Limits it is claimed with replace these: both are always set. */
static void make(struct linux_driver *d, const struct warm_template *t)
{
    struct guest *s = guest_new(d, "");

    s->is_ahead = true;
    ignore(snprintf(s->dir, sizeof(s->dir), "warm.%llx", (unsigned long long)d->serial++));
    s->rootfs = mem_text(t->rootfs);
    s->hostname = mem_text("localhost");
    s->limits = (struct sandbox_limits){.memory_bytes = memory_max, .pids_max = PIDS_MAX};
    if (!mark_of(t, &s->tree)) {
        guest_free(s); /* the next look removes the template */
        return;
    }
    stack_copy(&s->layers, &t->layers);
    places_hold_stack(&d->places, &s->layers);
    launch_init(s);
    if (creators_put(&d->creators, s, creator_launch)) {
        d->warm.making = s;
        return;
    }
    places_leave_stack(&d->places, &s->layers); /* thousands of starts wait: no time for this */
    guest_free(s);
}

/* How long until one may be made. */
static uint64_t must_wait_ms(const struct linux_driver *d)
{
    const struct warm *w = &d->warm;
    uint64_t now_ms = loop_now_ms(d->loop);
    uint64_t until_ms = w->quiet_ms > w->retry_ms ? w->quiet_ms : w->retry_ms;

    return until_ms > now_ms ? until_ms - now_ms : 0;
}

static void on_timer(void *ctx)
{
    struct linux_driver *d = ctx;
    struct warm *w = &d->warm;
    uint64_t wait_ms = must_wait_ms(d);
    struct warm_template *t;
    uint64_t kib;

    tidy_up(d);
    if (list_first(&w->templates) == NULL)
        return; /* the next start arms it */
    arm(d, wait_ms > 0 && wait_ms < TICK_MS ? wait_ms : TICK_MS);
    if (wait_ms > 0 || d->starting > 0 || w->making != NULL)
        return; /* whoever ends that comes back here */
    kib = available_kib(d);
    if (kib < MEMORY_LEAST_KIB) {
        for (struct list_node *n = list_first(&w->templates); n != NULL;
             n = list_next(&w->templates, n))
            empty(container_of(n, struct warm_template, node));
        return;
    }
    t = pick(d);
    if (t != NULL)
        make(d, t);
    else
        w->making = warm_service_begin(d, kib);
}

/* ---- what happens to them ---- */

void warm_answered(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct warm *w = &d->warm;
    struct warm_template *t = warm_find(w, s);
    struct tree_mark mark;
    int next = -1;

    assert(w->making == s);
    if (s->err.kind == ERR_NONE &&
        str_has_prefix((struct str){s->answer, s->answer_len}, "HTTP/1.1 2"))
        next = warm_service_next(s);
    if (next > 0)
        return;
    w->making = NULL;
    if (next < 0) {
        if (t != NULL && s->service != SERVICE_OFF)
            t->service_losses++;
        warm_was_bad(d);
        lifecycle_discard(s);
        return;
    }
    arm(d, 0);
    if (t == NULL || t->count >= w->size || !mark_of(t, &mark) || !is_same(&mark, &s->tree)) {
        lifecycle_discard(s);
        return;
    }
    process_expose(s);
    s->state = SANDBOX_WARM;
    s->answer_len = 0;
    s->warm_since_ms = loop_now_ms(d->loop);
    list_push(&t->waiting, &s->queue);
    t->count++;
}

void warm_lost(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct warm_template *t = warm_find(&d->warm, s);

    assert(t != NULL && t->count > 0); /* it waits, so it is in its template's list */
    warm_remove(t, s);
    warm_was_bad(d);
    lifecycle_discard(s);
}

void warm_failed(struct guest *s)
{
    struct linux_driver *d = s->driver;

    assert(d->warm.making == s);
    d->warm.making = NULL;
    warm_was_bad(d);
    guest_free(s);
}

void warm_was_good(struct linux_driver *d)
{
    d->warm.failures = 0;
    d->warm.claimed++;
}

void warm_was_bad(struct linux_driver *d)
{
    struct warm *w = &d->warm;
    unsigned doublings = w->failures < RETRY_DOUBLINGS ? w->failures : RETRY_DOUBLINGS;

    w->spoiled++;
    w->failures++;
    w->retry_ms = loop_now_ms(d->loop) + ((uint64_t)RETRY_FIRST_MS << doublings);
    arm(d, 0);
}

void warm_rest(struct linux_driver *d)
{
    if (list_first(&d->warm.templates) == NULL)
        return;
    d->warm.quiet_ms = loop_now_ms(d->loop) + QUIET_MS;
    arm(d, QUIET_MS);
}

/* Those whose services run under other limits wait for no start that comes. */
static void set_limits(struct warm_template *t, const struct sandbox_limits *limits)
{
    struct list_node *next;

    if (limits->memory_bytes == 0 || limits->pids_max == 0 || warm_limits_are(&t->limits, limits))
        return;
    t->limits = *limits;
    for (struct list_node *n = list_first(&t->waiting); n != NULL; n = next) {
        struct guest *s = container_of(n, struct guest, queue);

        next = list_next(&t->waiting, n);
        if (s->service == SERVICE_OFF)
            continue;
        warm_remove(t, s);
        lifecycle_discard(s);
    }
}

/* The template is now the one started last. */
static struct warm_template *note(struct linux_driver *d, const struct guest *asked)
{
    struct warm *w = &d->warm;
    struct warm_template *t = warm_find(w, asked);
    size_t count = 0;

    if (t == NULL) {
        for (struct list_node *n = list_first(&w->templates); n != NULL;
             n = list_next(&w->templates, n))
            count++;
        if (count >= TEMPLATES_MAX) {
            struct warm_template *oldest =
                container_of(list_first(&w->templates), struct warm_template, node);

            empty(oldest);
            template_free(oldest);
        }
        t = mem_zero(sizeof(*t));
        t->rootfs = mem_text(asked->rootfs);
        stack_copy(&t->layers, &asked->layers);
    }
    list_remove(&t->node);
    list_push(&w->templates, &t->node);
    t->asked_ms = loop_now_ms(d->loop);
    set_limits(t, &asked->limits);
    return t;
}

/* The oldest whose service runs, else the oldest where it was not started. */
static struct guest *take(struct warm_template *t)
{
    struct guest *best = NULL;

    for (struct list_node *n = list_first(&t->waiting); n != NULL; n = list_next(&t->waiting, n)) {
        struct guest *s = container_of(n, struct guest, queue);

        if (s->service == SERVICE_OFF) {
            best = best == NULL ? s : best;
        } else if (warm_service_lives(s)) {
            t->service_losses = 0;
            best = s;
            break;
        }
    }
    if (best != NULL)
        warm_remove(t, best);
    return best;
}

struct guest *warm_take(struct linux_driver *d, const struct guest *asked)
{
    struct warm_template *t;

    if (d->warm.size == 0 || d->warm.max == 0)
        return NULL;
    t = note(d, asked);
    /* without a limit there is none to replace the limits it was launched with */
    if (asked->limits.memory_bytes == 0 || asked->limits.pids_max == 0)
        return NULL;
    check_trees(t, loop_now_ms(d->loop));
    return take(t);
}

static bool has_layer(const struct stack *s, const char *layer)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->paths[i], layer) == 0)
            return true;
    return false;
}

void warm_forget(struct linux_driver *d, const char *layer)
{
    struct warm *w = &d->warm;
    struct list_node *next;

    for (struct list_node *n = list_first(&w->templates); n != NULL; n = next) {
        struct warm_template *t = container_of(n, struct warm_template, node);

        next = list_next(&w->templates, n);
        if (!has_layer(&t->layers, layer))
            continue;
        empty(t);
        template_free(t);
    }
}

void warm_flush(struct linux_driver *d)
{
    struct warm *w = &d->warm;

    for (struct list_node *n = list_first(&w->templates); n != NULL;
         n = list_next(&w->templates, n))
        empty(container_of(n, struct warm_template, node));
    if (w->making != NULL)
        w->making->tree = (struct tree_mark){0}; /* no tree's: discarded when it answers */
    w->failures = 0;
    w->retry_ms = 0;
    if (list_first(&w->templates) != NULL)
        arm(d, 0);
}

void warm_init(struct linux_driver *d, const struct runtime_config *config)
{
    d->warm.size = (size_t)config->warm_size;
    d->warm.max = (size_t)config->warm_max;
    d->warm.idle_ms = config->warm_idle_s * 1000;
    d->warm.service_bytes_max = config->warm_service_bytes;
}

void warm_done(struct linux_driver *d)
{
    struct list_node *n;

    timer_stop(&d->warm.timer);
    while ((n = list_first(&d->warm.templates)) != NULL) {
        struct warm_template *t = container_of(n, struct warm_template, node);

        while (pop(t) != NULL) {
        }
        template_free(t);
    }
}
