/* SPDX-License-Identifier: Apache-2.0 */
/* The struct of one sandbox: made by driver.c and adopt.c, freed by lifecycle.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "runtime/linux/driver_internal.h"
#include "runtime/linux/kept.h"

struct guest *guest_new(struct linux_driver *d, const char *id)
{
    struct guest *s = mem_zero(sizeof(*s));

    s->driver = d;
    ignore(snprintf(s->id, sizeof(s->id), "%s", id)); /* checked by runtime.c: it fits */
    s->cell = (struct cell){netns_none, ""};
    s->envd = mem_text(d->envd_path);
    s->root_fd = s->dev_fd = s->boot_fd = -1;
    s->control_fd = s->child_control_fd = -1;
    s->pidfd = s->service_pidfd = -1;
    list_push(&d->all, &s->all);
    return s;
}

struct guest *guest_asked(struct linux_driver *d, const struct sandbox_spec *spec)
{
    struct guest *s = guest_new(d, spec->id);

    s->asked_us = clock_mono_us();
    if (spec->rootfs != NULL)
        s->rootfs = mem_text(spec->rootfs);
    s->hostname = mem_text(spec->hostname);
    s->init = mem_zero(spec->init.len + 1);
    s->init_len = spec->init.len;
    if (spec->init.len > 0)
        memcpy(s->init, spec->init.at, spec->init.len);
    s->limits = spec->limits;
    s->is_cold = spec->is_cold;
    return s;
}

void guest_take_kept(struct guest *s, struct kept *k)
{
    free(s->rootfs);
    free(s->envd);
    s->rootfs = take_ptr(&k->rootfs);
    s->envd = take_ptr(&k->envd);
    if (s->is_restored) /* the same boot goes on; a snapshot has none, and its copies get their own
                         */
        memcpy(s->boot_id, k->boot_id, sizeof(s->boot_id));
    s->layers = k->layers;
    k->layers.count = 0;
    s->disk.below = s->is_in_place ? k->below_bytes : k->disk_bytes;
    atomic_store(&s->disk.bytes, k->disk_bytes); /* until somebody looks */
    places_hold_stack(&s->driver->places, &s->layers);
}

void guest_free(struct guest *s)
{
    struct list_node *n;

    timer_stop(&s->deadline);
    watch_stop(&s->control_watch);
    watch_stop(&s->pid_watch);
    warm_service_leave(s);
    while ((n = list_pop(&s->stops)) != NULL)
        free(container_of(n, struct stop_waiter, node));
    parked_free(s);
    netns_done(&s->cell.net);
    own_close_fd(&s->root_fd);
    own_close_fd(&s->dev_fd);
    own_close_fd(&s->boot_fd);
    own_close_fd(&s->control_fd);
    own_close_fd(&s->child_control_fd);
    own_close_fd(&s->pidfd);
    free(s->rootfs);
    free(s->hostname);
    free(s->init);
    free(s->envd);
    stack_done(&s->layers);
    list_remove(&s->all);
    free(s);
}

static void swap_text(char **a, char **b)
{
    char *kept = *a;

    *a = *b;
    *b = kept;
}

void guest_swap_request(struct guest *a, struct guest *b)
{
    size_t len = a->init_len;

    swap_text(&a->hostname, &b->hostname);
    swap_text(&a->init, &b->init);
    a->init_len = b->init_len;
    b->init_len = len;
    a->limits = b->limits;
}

void guest_hand_over(struct guest *from, struct guest *to)
{
    struct list_node *n;

    memcpy(to->id, from->id, sizeof(to->id));
    swap_text(&from->rootfs, &to->rootfs);
    if (to->layers.count == 0) { /* else they are the same */
        stack_copy(&to->layers, &from->layers);
        places_hold_stack(&to->driver->places, &to->layers);
    }
    swap_text(&from->hostname, &to->hostname);
    swap_text(&from->init, &to->init);
    to->init_len = from->init_len;
    to->disk.below = from->disk.below;
    atomic_store(&to->disk.bytes, atomic_load(&from->disk.bytes));
    to->is_cold = from->is_cold;
    to->limits = from->limits;
    to->asked_us = from->asked_us;
    to->on_started = from->on_started;
    to->started_ctx = from->started_ctx;
    while ((n = list_pop(&from->stops)) != NULL)
        list_push(&to->stops, n);
}

/* Its first process is the init of its pid namespace: the kernel ends all others with it, and lets
 * no new one begin. */
void guest_kill(struct guest *s)
{
    ignore(pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0)); /* gone already is fine */
}

void guest_watch_disk(struct guest *s)
{
    disk_remove(&s->driver->disk, &s->disk); /* it may be watched already */
    s->disk.dir = s->dir;
    s->disk.cgroup = s->cell.cgroup;
    s->disk.limit = s->limits.disk_bytes;
    s->disk.pid = s->pid;
    s->disk.pidfd = s->pidfd;
    disk_add(&s->driver->disk, &s->disk);
}

void guest_collect(struct guest *s)
{
    siginfo_t gone = {0};

    s->pid = 0;
    if (!s->is_child) {
        /* ours regardless when it was us who had the runtime open before */
        ignore(waitid(P_PIDFD, (id_t)s->pidfd, &gone, WEXITED | WNOHANG | __WALL));
        return;
    }
    while (waitid(P_PIDFD, (id_t)s->pidfd, &gone, WEXITED | __WALL) != 0) {
        if (errno != EINTR)
            return;
    }
    s->was_killed = gone.si_code == CLD_KILLED && gone.si_status == SIGKILL;
}
