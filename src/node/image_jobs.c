/* SPDX-License-Identifier: Apache-2.0 */
/* See image_jobs.h. */
#include "node/image_jobs.h"

#include <signal.h>
#include <sys/socket.h>

#include "io/child.h"
#include "ipc/image_messages.h"

struct image_job_slot {
    struct list_node node; /* in `running` or `waiting` */
    struct image_jobs *owner;
    int fd; /* -1 once it was given to the process */
    struct child child;
};

struct image_jobs {
    struct loop *loop;
    const char *program;
    struct list running, waiting;
    size_t running_count, waiting_count;
};

static void start_next(struct image_jobs *j);

struct image_jobs *image_jobs_new(struct loop *l, const char *program)
{
    struct image_jobs *j = mem_zero(sizeof *j);

    j->loop = l;
    j->program = program;
    return j;
}

void image_jobs_free(struct image_jobs *j)
{
    struct list_node *at;

    if (j == NULL)
        return;
    while ((at = list_pop(&j->waiting)) != NULL) {
        struct image_job_slot *s = container_of(at, struct image_job_slot, node);

        own_close_fd(&s->fd);
        free(s);
    }
    while ((at = list_pop(&j->running)) != NULL) {
        struct image_job_slot *s = container_of(at, struct image_job_slot, node);

        child_signal(&s->child, SIGTERM);
        child_forget(&s->child);
        free(s);
    }
    free(j);
}

/* One short line into an empty socket: it fits, or nobody is there. */
static void refuse(int fd, const struct err *why)
{
    struct image_error error = {why->kind, str_of(why->text)};
    struct buf line;

    buf_init(&line, IMAGE_EVENT_MAX);
    json_encode(&image_event_message, &(struct image_event){.error = &error}, &line);
    buf_add_byte(&line, '\n');
    if (buf_ok(&line))
        ignore(send(fd, line.at, line.len, MSG_NOSIGNAL | MSG_DONTWAIT));
    buf_done(&line);
    own_close_fd(&fd);
}

static void on_exit_of_job(void *ctx)
{
    struct image_job_slot *s = ctx;
    struct image_jobs *j = s->owner;

    list_remove(&s->node);
    j->running_count--;
    free(s);
    start_next(j);
}

static int start(struct image_job_slot *s, struct err *err)
{
    struct image_jobs *j = s->owner;
    char name[] = "sandlot-image", command[] = "job-image";
    char *argv[] = {name, command, NULL};
    struct child_fd fds[] = {
        {s->fd, 0},
        {s->fd, 1}
    };
    struct child_spec spec = {
        .path = j->program,
        .argv = argv,
        .fds = fds,
        .fd_count = COUNT_OF(fds),
        .dies_with_parent = true,
    };

    if (j->program == NULL)
        return err_set(err, ERR_UNSUPPORTED, "the program sandlot-image is not installed");
    return child_start(&s->child, j->loop, &spec, on_exit_of_job, s, err);
}

static void start_next(struct image_jobs *j)
{
    struct list_node *at;

    while (j->running_count < IMAGE_JOBS_MAX && (at = list_pop(&j->waiting)) != NULL) {
        struct image_job_slot *s = container_of(at, struct image_job_slot, node);
        struct err err;

        j->waiting_count--;
        if (start(s, &err) != 0) {
            refuse(s->fd, &err);
            free(s);
            continue;
        }
        own_close_fd(&s->fd);
        list_push(&j->running, &s->node);
        j->running_count++;
    }
}

void image_jobs_add(struct image_jobs *j, int fd)
{
    struct image_job_slot *s;
    struct err err;

    if (fd < 0)
        return;
    if (j->waiting_count >= IMAGE_JOBS_WAIT) {
        err_set(&err, ERR_LIMIT, "too many jobs on images wait");
        refuse(fd, &err);
        return;
    }
    s = mem_zero(sizeof *s);
    s->owner = j;
    s->fd = fd;
    list_push(&j->waiting, &s->node);
    j->waiting_count++;
    start_next(j);
}
