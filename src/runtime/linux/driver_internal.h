/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the linux driver and of one sandbox; shared by the files of this folder.
 *
 * A sandbox belongs to one thread at a time: the loop, then a creator, the loop again, at last the
 * reaper, which posts it back to the loop to be freed. Who has it is told by its state. */
#ifndef RUNTIME_LINUX_DRIVER_INTERNAL_H
#define RUNTIME_LINUX_DRIVER_INTERNAL_H

#include <linux/filter.h>

#include "base/map.h"
#include "runtime/answers.h"
#include "runtime/linux/cgroup.h"
#include "runtime/linux/disk.h"
#include "runtime/linux/host.h"
#include "runtime/linux/mailbox.h"
#include "runtime/linux/pool.h"
#include "runtime/linux/slots.h"
#include "runtime/linux/warm.h"
#include "runtime/runtime.h"
#include "runtime/steps.h"

enum {
    SANDBOX_ID_SIZE = 64,
    SANDBOX_DIR_SIZE = 96,
    SANDBOX_PATH_SIZE = 1200,
    CREATORS_MAX = 64,
    START_QUEUE_MAX = 4096,   /* starts that wait for a creator; more are refused */
    REAP_BACKLOG_MAX = 256,   /* sandboxes being freed; starts wait while there are more */
    ANSWER_SIZE = 256,        /* of envd's first answer, as much as we look at */
    READY_TIMEOUT_MS = 10000, /* envd must have answered */
    CLAIM_TIMEOUT_MS = 1000,  /* the same, when it only has to be told who it is */
    STOP_PATIENCE_MS = 100,   /* after SIGKILL to its init; then to all */
    STOP_RETRY_MS = 1000,
    ENTER_TIMEOUT_MS = 10000, /* the child must have executed envd */
};

enum sandbox_state {
    SANDBOX_QUEUED,    /* waits for a creator, or has one */
    SANDBOX_ANSWERING, /* envd runs; its first answer is awaited */
    SANDBOX_WARM,      /* launched ahead; nobody has asked for it yet */
    SANDBOX_UNDOING,   /* the launch failed; the reaper has it, the caller still waits */
    SANDBOX_RUNNING,
    SANDBOX_STOPPING, /* killed; its end is awaited */
    SANDBOX_REAPING,  /* answered and forgotten; the reaper frees the rest */
};

struct stop_waiter {
    struct list_node node;
    runtime_stopped_fn *fn;
    void *ctx;
};

struct linux_driver;
struct creator;

struct guest {
    struct linux_driver *driver;
    struct list_node all;   /* in driver->all, always */
    struct list_node queue; /* of the creators, of those that wait (warm.c), or of the reaper */
    struct mail mail;
    char id[SANDBOX_ID_SIZE];
    char dir[SANDBOX_DIR_SIZE]; /* of its files, below driver->files_dir; never used again */
    char *rootfs, *hostname;    /* until launched */
    char *init;
    size_t init_len;
    struct sandbox_limits limits;
    enum sandbox_state state;
    struct steps steps;
    struct err err;
    uint64_t asked_us;

    struct slot *slot;
    struct cell cell;
    struct creator *creator; /* during the creator's steps */
    int root_fd, dev_fd;     /* detached mounts, until the child has them */
    int control_fd, child_control_fd;
    int pid, pidfd;
    uint64_t start_time;    /* of the process, in ticks since boot: tells a reused pid */
    bool is_child;          /* ours to wait for, not adopted */
    bool was_killed;        /* its process ended by SIGKILL */
    bool has_state;         /* its state file is ours to remove */
    bool is_ahead;          /* launched for nobody: no id, no caller */
    bool is_claimed;        /* was, and got both from a start */
    struct tree_mark tree;  /* of its template, when it was launched ahead */
    uint64_t warm_since_ms; /* on the loop's clock */

    struct watch control_watch, pid_watch;
    struct timer deadline;
    char answer[ANSWER_SIZE];
    size_t answer_len;
    runtime_started_fn *on_started;
    void *started_ctx;
    struct list stops;
    struct disk_watch disk;
};

struct creators {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct list queue;
    size_t queued;
    bool is_closing;
    struct creator *rows;
    size_t count;
};

struct reaper {
    pthread_mutex_t lock;
    pthread_cond_t wanted;  /* by the reaper: work */
    pthread_cond_t drained; /* by the creators: less of it */
    pthread_t thread;
    bool has_thread, is_closing;
    struct list queue;
    size_t backlog;
};

/* How far opening came: what closing has to take back, in order. */
enum opened {
    OPENED_NOTHING,
    OPENED_SLOTS,
    OPENED_DISK,
    OPENED_REAPER,
    OPENED_POOL,
    OPENED_CREATORS,
};

struct linux_driver {
    enum opened opened;
    bool has_mailbox, has_cgroups;
    struct loop *loop;
    runtime_exit_fn *on_exit;
    void *exit_ctx;
    struct host host;
    char *data_dir, *files_dir, *shifted_dir, *run_dir, *stage;
    int files_fd, state_fd, lock_fd, proc_fd, host_uts_fd, envd_fd;
    struct netns_wish wish;
    uint64_t disk_reserve_bytes;
    size_t sandboxes_max;
    struct sock_fprog filter; /* .filter NULL: none */
    uint64_t capabilities;
    struct cgroups cgroups;
    struct slots slots;
    struct slot_pool pool;
    struct mailbox mailbox;
    struct answers answers;
    struct creators creators;
    struct reaper reaper;
    struct disk disk;
    pthread_mutex_t shift_lock;
    struct map sandboxes; /* by id: what callers can name */
    struct list all;
    size_t starting; /* asked for and not answered */
    struct warm warm;
    const char *fail_step;
    uint64_t serial; /* of directories */
    char cgroup_prefix[POOL_PREFIX_SIZE];
};

/* open.c */
must_check int driver_open(struct loop *l, const struct runtime_config *config,
                           runtime_exit_fn *on_exit, void *ctx, void **out, struct err *err);
void driver_close(void *self);

/* guest.c */
struct guest *guest_new(struct linux_driver *d, const char *id);
void guest_free(struct guest *s); /* closes what it holds; undoes nothing */
void guest_kill(struct guest *s);
void guest_watch_disk(struct guest *s);
/* After its pidfd became readable: collects it. */
void guest_collect(struct guest *s);
/* What was asked of the one is now asked of the other: id, files, limits, callers. */
void guest_hand_over(struct guest *from, struct guest *to);

/* launch.c: the table of steps. The first ones run on a creator, the rest on the loop. */
void launch_init(struct guest *s);
extern const char *const launch_step_names[];
size_t launch_creator_steps(void);
must_check int launch_space_check(struct linux_driver *d, struct err *err);
/* For an adopted sandbox: all steps count as done. */
void launch_adopt(struct guest *s);

/* creator.c */
must_check int creators_init(struct linux_driver *d, struct err *err);
void creators_done(struct linux_driver *d);                 /* after it no launch is in progress */
bool creators_put(struct linux_driver *d, struct guest *s); /* false: too many wait */

/* claim.c: a start takes what was launched ahead. */
extern const char *const claim_step_names[];
/* True: `warm` has the request of `asked`, which is gone, and envd is about to answer. False:
 * `warm` is gone and `asked` is as it was. */
bool claim_begin(struct guest *warm, struct guest *asked);
/* The answer did not come, or what follows it failed. True: another launch was begun in its place
 * and s is gone. False: it was launched for this start, or envd has refused the request. */
bool claim_give_up(struct guest *s);

/* process.c: steps on a creator. */
must_check int process_spawn(struct guest *s, struct err *err);
must_check int process_map(struct guest *s, struct err *err);
must_check int process_release(struct guest *s, struct err *err);
/* POST /init with s->init, onto the control socket. */
must_check int process_send_init(struct guest *s, struct err *err);
/* What the child of a launch does for itself before it executes envd. */
must_check int process_rename(struct guest *s, struct err *err);      /* to s->hostname */
must_check int process_limit_files(struct guest *s, struct err *err); /* to limits.disk_bytes */
must_check int process_start_time(int proc_dir, int pid, uint64_t *out, struct err *err);
/* To the kernel's choice when memory runs out. Only once it has answered: the kernel keeps one
 * score for all who share a memory, and until its exec is done it shares ours. */
void process_expose(const struct guest *s);
void process_end(struct guest *s); /* kills and collects if there is one */

/* reaper.c */
must_check int reaper_init(struct linux_driver *d, struct err *err);
void reaper_done(struct linux_driver *d); /* finishes its work first */
void reaper_put(struct linux_driver *d, struct guest *s);
void reaper_wait_room(struct linux_driver *d);

/* lifecycle.c: what happens on the loop */
void lifecycle_launch(struct guest *s);                      /* its caller is told the rest */
void lifecycle_expect(struct guest *s, uint64_t timeout_ms); /* an answer of envd */
void lifecycle_discard(struct guest *s);                     /* one that nobody knows of */
void lifecycle_spawned(void *sandbox);
void lifecycle_failed(void *sandbox); /* nothing is left of it but the struct */
void lifecycle_reaped(void *sandbox);
must_check int lifecycle_watch(struct guest *s, struct err *err); /* its process, for its end */
void lifecycle_stop(struct guest *s);

/* state.c */
must_check int state_write(struct guest *s, struct err *err);
void state_remove(struct guest *s);

/* adopt.c: what an earlier process left, running or not. */
must_check int adopt_all(struct linux_driver *d, struct err *err);

#endif
