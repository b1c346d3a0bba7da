/* SPDX-License-Identifier: Apache-2.0 */
/* The service of an image, started in sandboxes that wait for a claim: what takes it long to begin
 * is over when somebody asks. envd has one request for all of this: it starts the service at its
 * first /init, and one that says nothing makes it nobody's; then it is told to wait again. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/linux/driver_internal.h"
#include "runtime/linux/files.h"

enum {
    MEMORY_LEAST_KIB = 1 << 20, /* with less available on the host none of their services run */
    GROWN_MS = 3000,            /* after that a service takes what it takes, and lasts */
    LOSSES_MAX = 3,             /* in a row, of services that do not last */
    CHILDREN_SIZE = 256,
    NAME_SIZE = 64,
};

void warm_service_look(struct guest *s)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    auto_fd int fd = (int)syscall(SYS_openat2, s->root_fd, "etc/sandlot/start", &how, sizeof(how));
    struct stat st;

    s->has_service =
        fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

bool warm_limits_are(const struct sandbox_limits *a, const struct sandbox_limits *b)
{
    return a->memory_bytes == b->memory_bytes && a->cpu_percent == b->cpu_percent &&
           a->pids_max == b->pids_max && a->disk_bytes == b->disk_bytes;
}

static struct guest *guest_of(struct list_node *n)
{
    return container_of(n, struct guest, queue);
}

static struct warm_template *template_of(struct list_node *n)
{
    return container_of(n, struct warm_template, node);
}

size_t warm_serving(const struct linux_driver *d)
{
    const struct list *all = &d->warm.templates;
    size_t count = 0;

    for (struct list_node *n = list_first(all); n != NULL; n = list_next(all, n)) {
        const struct list *waiting = &template_of(n)->waiting;

        for (struct list_node *g = list_first(waiting); g != NULL; g = list_next(waiting, g))
            count += guest_of(g)->service == SERVICE_RUNS;
    }
    return count;
}

/* ---- what they take ---- */

/* What a template's files take in the page cache is not theirs. */
static uint64_t memory_of(const struct guest *s)
{
    struct sandbox_stats now;

    cgroup_stats(&s->driver->cgroups, s->cell.cgroup, &now);
    return now.memory_bytes > now.memory_cache_bytes ? now.memory_bytes - now.memory_cache_bytes
                                                     : 0;
}

static bool has_grown(const struct guest *s)
{
    return loop_now_ms(s->driver->loop) - s->warm_since_ms >= GROWN_MS;
}

struct use {
    uint64_t bytes;
    size_t serving;
    struct guest *youngest;
};

static void measure(struct warm_template *t, struct use *u)
{
    u->serving = 0;
    for (struct list_node *n = list_first(&t->waiting); n != NULL; n = list_next(&t->waiting, n)) {
        struct guest *s = guest_of(n);
        uint64_t bytes;

        if (s->service != SERVICE_RUNS)
            continue;
        bytes = memory_of(s);
        if (has_grown(s) && bytes > t->service_bytes)
            t->service_bytes = bytes;
        u->bytes += bytes > t->service_bytes ? bytes : t->service_bytes;
        u->serving++;
        u->youngest = s;
    }
}

/* ---- starting one ---- */

/* What the first one takes is waited for. */
static struct guest *candidate(const struct warm_template *t, size_t serving)
{
    if (t->limits.memory_bytes == 0 || t->service_losses >= LOSSES_MAX ||
        (serving > 0 && t->service_bytes == 0))
        return NULL;
    for (struct list_node *n = list_first(&t->waiting); n != NULL; n = list_next(&t->waiting, n)) {
        if (guest_of(n)->has_service && guest_of(n)->service == SERVICE_OFF)
            return guest_of(n);
    }
    return NULL;
}

static void end(struct guest *s)
{
    warm_remove(warm_find(&s->driver->warm, s), s);
    lifecycle_discard(s);
}

static void start(struct guest *s, struct warm_template *t)
{
    struct linux_driver *d = s->driver;
    struct err why = {0};

    warm_remove(t, s);
    s->limits = t->limits;
    s->service = SERVICE_STARTING;
    s->answer_len = 0;
    cgroup_set_aside(&d->cgroups, s->cell.cgroup, true);
    lifecycle_expect(s, READY_TIMEOUT_MS);
    /* what fails here shows as an answer that does not come */
    if (cgroup_limit(&d->cgroups, s->cell.cgroup, &s->limits, &why) != 0 ||
        process_limit_files(s, &why) != 0 || process_send_init(s, &why) != 0)
        guest_kill(s);
    guest_watch_disk(s);
}

struct guest *warm_service_begin(struct linux_driver *d, uint64_t available_kib)
{
    const struct list *all = &d->warm.templates;
    uint64_t most = available_kib < MEMORY_LEAST_KIB ? 0 : d->warm.service_bytes_max;
    struct warm_template *latest = NULL;
    struct guest *next = NULL;
    struct use u = {0};

    for (struct list_node *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct guest *s;

        measure(template_of(n), &u);
        s = candidate(template_of(n), u.serving);
        if (s == NULL)
            continue;
        next = s;
        latest = template_of(n);
    }
    if (u.youngest != NULL && u.bytes > most) {
        end(u.youngest); /* the next look sees whether that was enough */
        return NULL;
    }
    if (next == NULL || u.bytes + latest->service_bytes >= most)
        return NULL;
    start(next, latest);
    return next;
}

/* ---- its end ---- */

/* It goes with its service: who claims it must find that running. */
static void on_end(void *ctx, uint32_t events)
{
    struct guest *s = ctx;
    struct warm_template *t = warm_find(&s->driver->warm, s);

    ignore(events == 0); /* there is but one */
    t->service_losses = has_grown(s) ? 0 : t->service_losses + 1;
    warm_lost(s);
}

/* The oldest child of envd; 0: there is none, the service did what it does and ended. */
static int first_child(const struct guest *s)
{
    char name[NAME_SIZE], space[CHILDREN_SIZE];
    struct err unused;
    struct str text;
    uint64_t pid;

    ignore(snprintf(name, sizeof(name), "%d/task/%d/children", s->pid, s->pid));
    if (file_read(s->driver->proc_fd, name, space, sizeof(space), &text, &unused) != 0 ||
        !str_to_u64(str_cut(text, ' ', &text), &pid))
        return 0;
    return (int)pid;
}

/* Where the kernel does not list children, nobody looks after it. */
static int watch_it(struct guest *s)
{
    int pid = first_child(s);

    if (pid == 0)
        return 0;
    s->service_pidfd = pidfd_open(pid, 0);
    if (s->service_pidfd < 0 || first_child(s) != pid)
        return -1; /* it has just ended */
    return watch_start(s->driver->loop, &s->service_watch, s->service_pidfd, EPOLLIN, on_end, s,
                       &s->err);
}

bool warm_service_lives(const struct guest *s)
{
    struct pollfd gone = {.fd = s->service_pidfd, .events = POLLIN};

    return s->service == SERVICE_RUNS && poll(&gone, 1, 0) <= 0; /* -1 is never ready */
}

int warm_service_next(struct guest *s)
{
    switch (s->service) {
    case SERVICE_STARTING:
        s->service = SERVICE_SETTLING;
        s->answer_len = 0;
        if (process_send_prepare(s, &s->err) != 0)
            return -1;
        lifecycle_expect(s, READY_TIMEOUT_MS);
        return 1;
    case SERVICE_SETTLING: s->service = SERVICE_RUNS; return watch_it(s);
    case SERVICE_OFF:
    case SERVICE_RUNS: break;
    }
    return 0;
}

void warm_service_leave(struct guest *s)
{
    watch_stop(&s->service_watch);
    own_close_fd(&s->service_pidfd);
    s->service_pidfd = -1;
    disk_remove(&s->driver->disk, &s->disk);
}
