/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile program tries from inside a sandbox, as tables: linked to guest.c, which runs a
 * part of it for "h<part>" or
 * "h<part>/<row>" and sends what it says. Each row is tried by a process of its own, and
 * ends in one line:
 *   held PART NAME: ENAME         it was refused, as it must be
 *   BROKE PART NAME: why          it worked, or failed for a reason that shows nothing
 * Static, libc only. Run by runtime_hostile.c. */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ROW_S = 10, /* what takes longer is killed, and has broken something */
    NOBODY = 65534,
    STATUS_HELD = 0,
    STATUS_BROKE = 1,
};

static int out_fd;
static const char *part_name, *row_name;

static void say(const char *format, ...)
{
    char text[512];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > (int)sizeof(text) - 1)
        len = sizeof(text) - 1;
    if (write(out_fd, text, (size_t)len) < 0)
        _exit(STATUS_BROKE);
}

void broke(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    say("BROKE %s %s: %s\n", part_name, row_name, text);
    _exit(STATUS_BROKE);
}

void held(const char *why)
{
    say("held %s %s: %s\n", part_name, row_name, why);
    _exit(STATUS_HELD);
}

void answer(const char *text)
{
    say("%s", text);
    close(out_fd);
}

void expect_refused(long result, const int *allowed)
{
    int error = errno;

    if (result >= 0)
        broke("it worked");
    for (; *allowed != 0; allowed++) {
        if (*allowed == error)
            held(strerror(error));
    }
    broke("%s", strerror(error));
}

/* What these take they hold, in this process. */
static const char holds[] = "take";

static void try_row(const struct hostile_row *row)
{
    int status = 0;
    pid_t pid;

    row_name = row->name;
    if (strcmp(part_name, holds) == 0)
        row->attack(row);
    pid = fork();
    if (pid == 0) {
        alarm(ROW_S);
        setsid();
        if (row->is_nobody && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
            broke("cannot become nobody");
        row->attack(row);
        broke("it says nothing");
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status) && row->may_be_killed &&
        (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGKILL))
        say("held %s %s: killed\n", part_name, row_name);
    else if (WIFSIGNALED(status))
        say("BROKE %s %s: signal %d\n", part_name, row_name, WTERMSIG(status));
}

static const struct {
    const char *name;
    const struct hostile_list *list;
} parts[] = {
    {"calls",      &hostile_calls     },
    {"namespaces", &hostile_namespaces},
    {"first",      &hostile_first     },
    {"kernel",     &hostile_kernel    },
    {"devices",    &hostile_devices   },
    {"mounts",     &hostile_mounts    },
    {"sockets",    &hostile_sockets   },
    {"memory",     &hostile_memory    },
    {"take",       &hostile_take      },
};

void hostile_run(int fd, const char *part)
{
    out_fd = fd;
    signal(SIGCHLD, SIG_DFL);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t len = strlen(parts[i].name);

        if (strncmp(parts[i].name, part, len) != 0 || (part[len] != '/' && part[len] != '\0'))
            continue;
        part_name = parts[i].name;
        for (size_t k = 0; k < parts[i].list->count; k++) {
            if (part[len] == '\0' || strcmp(parts[i].list->rows[k].name, part + len + 1) == 0)
                try_row(&parts[i].list->rows[k]);
        }
        say("end\n");
    }
}
