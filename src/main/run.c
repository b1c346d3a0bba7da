/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of roles; see run.h. */
#include "main/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "main/role.h"

static void close_ready(struct run *r)
{
    if (r->ready_fd < 0)
        return;
    watch_stop(&r->ready_watch);
    own_close_fd(&r->ready_fd);
    r->ready_fd = -1;
}

static void on_ready_fd(void *ctx, uint32_t events)
{
    struct run *r = ctx;
    char byte;
    bool is_up = (events & EPOLLIN) != 0 && read(r->ready_fd, &byte, 1) == 1;

    close_ready(r);
    if (!is_up)
        return; /* it died; its exit is told elsewhere */
    log_info("role.ready", "role=%s pid=%d took_ms=%llu", r->spec->name, (int)r->child.pid,
             (unsigned long long)(loop_now_ms(r->loop) - r->started_ms));
    r->events->on_ready(r->ctx, r);
}

static void on_exit_of_child(void *ctx)
{
    struct run *r = ctx;

    close_ready(r);
    r->events->on_exit(r->ctx, r);
}

/* Keys for development, see domain/key_import.h. They are not handed on with the environment, which
 * edge would have as well. */
static struct str given_keys(void)
{
    return str_of(getenv("E2B_API_KEYS"));
}

/* A pipe that holds the token and the given keys; the reading end is the child's. */
static int token_pipe(const struct layout *l, int *out_fd, struct err *err)
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
    is_sent = write(ends[1], l->admin_token, TOKEN_HEX_LEN) == TOKEN_HEX_LEN &&
              (keys.len == 0 || write(ends[1], keys.at, keys.len) == (ssize_t)keys.len);
    close(ends[1]);
    *out_fd = ends[0];
    if (!is_sent) {
        close(ends[0]);
        return err_set(err, ERR_SYSTEM, "write to a pipe");
    }
    return 0;
}

static int spawn(struct run *r, const struct run_home *home, int ready_fd, struct err *err)
{
    const struct role_spec *role = r->spec;
    struct child_fd fds[RUN_FDS_MAX + 2] = {
        {ready_fd, ROLE_FD_READY}
    };
    char program[] = "sandlot", command[16], count[4], data_count[4];
    char *argv[] = {program, command, role->count[0] == '\0' ? NULL : count, data_count, NULL};
    auto_fd int token_fd = -1;
    struct child_spec spec = {
        .path = home->program,
        .argv = argv,
        .envp = home->env,
        .fds = fds,
        .fd_count = 1,
        .uid = role->user.uid,
        .gid = role->user.gid,
        .dies_with_parent = true,
    };

    ignore(snprintf(command, sizeof command, "%s", role->command));
    memcpy(count, role->count, sizeof count);
    memcpy(data_count, role->data_count, sizeof data_count);
    for (size_t i = 0; i < role->fd_count; i++)
        fds[spec.fd_count++] = (struct child_fd){role->fds[i], ROLE_FD_FIRST + (int)i};
    if (role->gets_token) {
        if (token_pipe(home->layout, &token_fd, err) != 0)
            return -1;
        fds[spec.fd_count++] = (struct child_fd){token_fd, ROLE_FD_TOKEN};
    }
    return child_start(&r->child, home->loop, &spec, on_exit_of_child, r, err);
}

int run_start(const struct run_home *home, const struct role_spec *spec,
              const struct run_events *events, void *ctx, struct run **out, struct err *err)
{
    struct run *r;
    int ends[2];
    int result;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_sys(err, errno, "make a pipe");
    r = mem_zero(sizeof *r);
    r->loop = home->loop;
    r->spec = spec;
    r->events = events;
    r->ctx = ctx;
    r->started_ms = loop_now_ms(home->loop);
    result = spawn(r, home, ends[1], err);
    close(ends[1]);
    r->ready_fd = ends[0];
    if (result == 0)
        result = watch_start(r->loop, &r->ready_watch, r->ready_fd, EPOLLIN, on_ready_fd, r, err);
    if (result != 0) {
        run_free(r);
        return -1;
    }
    *out = r;
    return 0;
}

void run_signal(struct run *r, int signal)
{
    if (r != NULL)
        child_signal(&r->child, signal);
}

void run_free(struct run *r)
{
    if (r == NULL)
        return;
    list_remove(&r->node);
    timer_stop(&r->deadline);
    close_ready(r);
    if (r->child.pid != 0) {
        child_signal(&r->child, SIGTERM);
        child_forget(&r->child);
    }
    free(r);
}
