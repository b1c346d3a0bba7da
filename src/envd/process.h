/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that clients started, and those who listen to them.
 *
 * Life: process_start_rpc() makes one (running); the reaper notes its exit; it ends when stdout and
 * stderr have reached their end as well, or at once when a signal was sent through SendSignal;
 * its exit status and latest output are kept for a late Connect (PROCESS_RETAIN_MS), then it is
 * forgotten.
 *
 * Output goes to every subscriber as it comes, and into a ring (replay.h). A Connect hears what
 * comes from then on (wire.md 3.5), unless its header X-Replay-Offset names a byte to begin with;
 * the answer's X-Replay-Offset then is the byte it really begins with, and X-Replay-Gap, if there,
 * how many were overwritten in between. Both count stdout, stderr and terminal together.
 *
 * The slowest subscriber sets the pace: while one has more than STREAM_HIGH bytes unsent, or has
 * not heard all of its replay, the pipe is not read, so the program waits and memory stays flat. A
 * subscriber that lets others wait for SUBSCRIBER_LAG_MS, or that is alone and makes no progress
 * for SUBSCRIBER_STALL_MS, is cut off.
 *
 * Out of memory: who sent a SIGKILL the kernel does not say, but the memory cgroup counts its own.
 * A process that died of a SIGKILL which envd did not send, while that count rose, is said to have
 * been killed for lack of memory; each count explains one process only. Where the sandbox sees no
 * memory cgroup, nothing is said. A killed process that envd did not start, and another that was
 * killed by hand at the same time, cannot be told apart.
 *
 * Every sandbox is one cgroup and cannot write to it, so there are no cgroups per kind of process
 * (semantics.md 4.2), and the tag `_system` is a tag like any other. Processes differ from envd by
 * their score, nice value and I/O priority: see spawn.h. */
#ifndef ENVD_PROCESS_H
#define ENVD_PROCESS_H

#include <sys/types.h>

#include "envd/messages.h"
#include "envd/replay.h"
#include "envd/rpc.h"
#include "io/loop.h"

enum {
    PROCESSES_MAX = 1024,       /* running at a time */
    PROCESSES_ENDED_MAX = 1024, /* exit statuses kept */
    PROCESS_RETAIN_MS = 30000,
    PROCESS_TAG_MAX = 1024, /* bytes */
    PROCESS_ARGS_MAX = 65536,
    SUBSCRIBERS_MAX = 64, /* of one process */
    SUBSCRIBER_STALL_MS = 60000,
    SUBSCRIBER_LAG_MS = 1000,
    OUTPUT_CHUNK = 32 << 10, /* most bytes in one message, pipe */
    PTY_CHUNK = 16 << 10,    /* the same, terminal */
    INPUT_MAX = 4 << 20,     /* bytes of SendInput waiting for a process to read its stdin */
    INPUT_WAITS_MAX = 64,    /* calls that wait with theirs: SendInput, StreamInput */
    STATUS_TEXT_MAX = 64,
    ERROR_TEXT_MAX = 128,
};

struct process;

struct process_output {
    struct process *process;
    int fd; /* -1: reached its end */
    enum data_kind kind;
    struct watch watch;
};

struct process_input {
    int fd;          /* -1: closed or never open */
    bool is_closing; /* close when `waiting` is written */
    struct watch watch;
    struct list waits;          /* struct input_wait, in order of arrival */
    size_t wait_count, waiting; /* how many, and their bytes */
    struct list feeds;          /* open StreamInput calls (process_feed.c) */
};

/* `err` NULL: the last byte was written. The wait is over, its memory the owner's again. */
typedef void input_fn(void *ctx, const struct err *err);

/* Bytes that the pipe did not take yet; embedded in their owner, who keeps them. */
struct input_wait {
    struct list_node node;
    struct process *process;
    struct str data;
    input_fn *fn;
    void *ctx;
};

struct process_table {
    struct loop *loop;
    struct list running, ended; /* struct process, oldest first */
    size_t running_count, ended_count;
    size_t replay_max, replay_total; /* bytes of one ring at most, and of all there are */
    uint32_t last_serial;
    uint64_t oom_explained; /* kills by the memory cgroup that were told in end events */
};

struct process {
    struct list_node node;
    struct process_table *table;
    pid_t pid;
    uint32_t serial;              /* of all that this envd started; never used again */
    bool is_door;                 /* started through agentcube.h, and kept a little longer for it */
    int64_t started_ms, ended_ms; /* wall time */
    struct arena arena;           /* owns `config` while it runs */
    const struct process_config *config;
    char *tag; /* or NULL */
    bool is_pty;
    bool is_dead;     /* exited; output may still come from its children */
    bool is_stopping; /* was signalled: do not wait for its children's output */
    bool is_ended;
    bool is_paused;             /* output is not read: a subscriber is behind */
    int exit_code, exit_status; /* of siginfo_t: CLD_…, and code or signal */
    char status_text[STATUS_TEXT_MAX], error_text[ERROR_TEXT_MAX];
    uint64_t oom_before; /* kills by the memory cgroup before it began */
    bool is_oom;         /* they rose, and nobody else explains its death */
    struct process_output outputs[2];
    struct process_input input;
    struct replay replay;
    struct list subscribers; /* struct subscriber */
    size_t subscriber_count;
    struct timer timer; /* running: deadline; ended: forget */
    struct timer stall;
};

void processes_init(struct process_table *t, struct loop *l);
/* Kills all that run, forgets everything. Nobody is told. */
void processes_done(struct process_table *t);
/* By pid, tag or serial; the running one first (of several with one tag the oldest), then (if
 * may_be_ended) the latest that ended. NULL: none. */
struct process *process_find(const struct process_table *t, const struct selector *s,
                             bool may_be_ended);
/* The same with the code and text that clients get when there is none. `s` may be NULL. */
struct process *process_lookup(const struct process_table *t, const struct selector *s,
                               bool may_be_ended, enum connect_code *out_code, struct err *err);
/* The same; NULL: the call has been answered. */
struct process *process_of_call(struct rpc_call *call, const struct selector *s, bool may_be_ended);
/* Allocate; everything closed, not in the table. NULL: no memory. */
struct process *process_new(struct process_table *t);
/* It runs as `pid` now: enters the table. deadline_ms > 0: killed after that. */
void process_enter(struct process *p, pid_t pid, uint64_t deadline_ms);
void process_free(struct process *p); /* one that never entered, or that ended */
/* SIGCHLD: collect every exit, also of orphans that PID 1 inherited. */
void processes_reap(struct process_table *t);
/* To the process alone, not its group (wire.md 3.5): what it left in the background goes on. Its
 * end no longer waits for output. */
void process_signal(struct process *p, int signal);
/* Has it ended by now? If so tell everybody and keep the status. */
void process_check_end(struct process *p);
void process_end_event(const struct process *p, struct end_event *out);

/* process_output.c */
must_check int output_open(struct process *p, size_t index, int fd, enum data_kind kind,
                           struct err *err); /* takes fd */
void output_close(struct process_output *o);
void output_drain(struct process_output *o); /* read what is there, bounded */
void process_pause(struct process *p);
void process_resume(struct process *p);

/* process_input.c */
/* Takes fd. */
void input_open(struct process *p, int fd);
/* The bytes that a message brings. *out_why not NULL: none that this process takes, and the code
 * that says so. */
struct str input_bytes(const struct process *p, const struct process_input_data *input,
                       enum connect_code *out_code, const char **out_why);
/* How many of the bytes the pipe took: fewer, or none while others wait, is no error. */
must_check ssize_t input_write(struct process *p, struct str data, struct err *err);
/* Queue the rest (data, fn, ctx are set); fn is called later, never from here. */
must_check int input_wait(struct process *p, struct input_wait *w, struct err *err);
void input_end(struct process *p);   /* close when what waits is written */
void input_close(struct process *p); /* now; what waits is told an error */

/* process_feed.c */
/* Close the input, let go of open StreamInput calls: the process ends. */
void input_leave(struct process *p);

/* process_stream.c */
struct subscriber;
/* NULL: no memory or SUBSCRIBERS_MAX reached. */
struct subscriber *subscriber_new(struct process *p);
/* Open the stream: from now on it owns the call's exchange. The start event is sent. */
void subscriber_start(struct subscriber *s, const struct rpc_call *call);
/* The same, and the output from `offset` on as far as it is kept; then what comes, or the end. */
void subscriber_replay(struct subscriber *s, const struct rpc_call *call, uint64_t offset);
void subscriber_free(struct subscriber *s); /* leaves the process; harmless on NULL */
void process_publish(struct process *p, const struct process_event *event);
/* Cut all streams. */
void process_drop_subscribers(struct process *p);
/* Last event, end of all streams. */
void process_publish_end(struct process *p, const struct process_event *event);

#endif
