/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the linux driver and of one sandbox; shared by the files of this folder.
 *
 * A sandbox belongs to one thread at a time: the loop, then a creator, the loop again, at last the
 * reaper, which posts it back to the loop to be freed. Who has it is told by its state. */
#ifndef RUNTIME_LINUX_DRIVER_INTERNAL_H
#define RUNTIME_LINUX_DRIVER_INTERNAL_H

#include <linux/filter.h>
#include <stdatomic.h>

#include "base/map.h"
#include "runtime/answers.h"
#include "runtime/linux/boot_id.h"
#include "runtime/linux/cgroup.h"
#include "runtime/linux/disk.h"
#include "runtime/linux/flats.h"
#include "runtime/linux/host.h"
#include "runtime/linux/kept.h"
#include "runtime/linux/mailbox.h"
#include "runtime/linux/places.h"
#include "runtime/linux/pool.h"
#include "runtime/linux/recent.h"
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
    REAP_REST_MS = 10,        /* the writes that are waited for right after a resume take a few */
    ANSWER_SIZE = 256,        /* of envd's first answer, as much as we look at */
    READY_TIMEOUT_MS = 10000, /* envd must have answered */
    CLAIM_TIMEOUT_MS = 1000,  /* the same, when it only has to be told who it is */
    STOP_PATIENCE_MS = 100,   /* after SIGKILL to its init; then to all */
    STOP_RETRY_MS = 1000,
    ENTER_TIMEOUT_MS = 10000, /* the child must have executed envd */
};

/* In a sandbox's directory: where a record of no use waits, to be removed with the images. Not by
 * its own name, for these become a directory beside the sandboxes'. */
#define SET_ASIDE "images/record"

enum sandbox_state {
    SANDBOX_QUEUED,    /* waits for a creator, or has one */
    SANDBOX_ANSWERING, /* envd runs; its first answer is awaited */
    SANDBOX_WARM,      /* launched ahead; nobody has asked for it yet */
    SANDBOX_UNDOING,   /* the launch failed; the reaper has it, the caller still waits */
    SANDBOX_RUNNING,
    SANDBOX_SAVING,   /* runs, or stands still: a saver pauses it or takes a snapshot */
    SANDBOX_HOT,      /* paused; its processes stand still and are kept for a quick resume */
    SANDBOX_COOLING,  /* paused; the reaper ends and frees them */
    SANDBOX_PAUSED,   /* nothing but files */
    SANDBOX_KEEPING,  /* the same; a saver takes a snapshot of it */
    SANDBOX_WAKING,   /* paused; another struct is being launched that will take its place */
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
struct guest;

/* On a creator or saver; `broken` tells that the thread could not prepare itself. Says by job_done
 * who is told on the loop. */
typedef void guest_job_fn(struct guest *s, const struct err *broken);

/* A pause, snapshot or hot resume that a caller waits for. */
struct saving {
    bool is_asked;
    enum runtime_work work;
    bool keeps_memory;
    bool has_paused; /* of a snapshot: it is taken of one that is paused */
    bool has_failed;
    bool is_frozen;             /* a pause: its memory is nowhere but in its processes */
    char name[SANDBOX_ID_SIZE]; /* of the snapshot, */
    char dir[SANDBOX_DIR_SIZE]; /* and of its files, below snapshots; never used again */
    uint64_t asked_us;
    uint64_t still_us, still_since_us; /* how long it stood still */
    runtime_started_fn *fn;
    void *ctx;
};

struct guest {
    struct linux_driver *driver;
    struct list_node all;   /* in driver->all, always */
    struct list_node queue; /* of the creators, of those that wait (warm.c), or of the reaper */
    uint64_t due_ms;        /* while it rests there, on clock_mono_ms() */
    struct mail mail;
    char id[SANDBOX_ID_SIZE];
    char dir[SANDBOX_DIR_SIZE]; /* of its files, below driver->files_dir; never used again */
    char *rootfs, *hostname;
    struct stack layers; /* over rootfs, below its own */
    char *envd;          /* the binary it runs */
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
    guest_job_fn *job;
    loop_fn *job_done;
    int root_fd, dev_fd, boot_fd; /* detached mounts, until the child has them */
    char boot_id[BOOT_ID_SIZE];   /* "": none was made yet */
    int control_fd, child_control_fd;
    int pid, pidfd;
    uint64_t start_time;          /* of the process, in ticks since boot: tells a reused pid */
    bool is_child;                /* ours to wait for, not adopted */
    bool was_killed;              /* its process ended by SIGKILL */
    bool has_state;               /* its state file is ours to remove */
    bool is_ahead;                /* launched for nobody: no id, no caller */
    bool is_claimed;              /* was, and got both from a start */
    bool is_restored;             /* by CRIU, from the images in images_from */
    bool keeps_files;             /* undoing its launch leaves its directory and layers alone */
    bool is_in_place;             /* goes on in the layer of the one it wakes, not over it */
    bool is_beyond_return;        /* it does, and what was kept of that one holds no more */
    bool is_frozen;               /* hot, and nothing else has its memory */
    bool is_taken;                /* a paused one's: another went on in its layer */
    bool has_ended;               /* while a saver had it */
    char images_from[PLACE_SIZE]; /* a place: see places.h */
    bool is_cold;                 /* asked to boot even if there are processes */
    struct guest *wakes;          /* the paused one whose place it takes */
    struct guest *waker;          /* a paused one's: what a resume asks, until it is begun */
    uint64_t hot_bytes;           /* of memory that is kept */
    struct saving saving;
    struct tree_mark tree; /* of its template, when it was launched ahead */
    bool has_service;      /* launched ahead, and there is one in its files */
    enum service_stage service;
    struct watch service_watch; /* its process, while nobody has asked for the sandbox */
    int service_pidfd;
    uint64_t warm_since_ms; /* on the loop's clock */

    struct watch control_watch, pid_watch;
    struct timer deadline;
    char answer[ANSWER_SIZE];
    size_t answer_len;
    runtime_started_fn *on_started;
    void *started_ctx;
    struct list stops, parked;
    struct disk_watch disk;
};

struct creators {
    bool saves; /* they are savers: saver.h */
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct list queue;
    size_t queued;
    bool is_closing;
    struct creator *rows;
    size_t count;
};

/* See saver.h. */
struct knowledge {
    char *text;
    size_t len;
};

struct reaper {
    pthread_mutex_t lock;
    pthread_cond_t wanted;  /* by the reaper: work */
    pthread_cond_t drained; /* by the creators: less of it */
    pthread_t thread;
    bool has_thread, is_closing;
    struct list queue;
    struct list resting; /* the one that is due first is the first */
    size_t backlog;      /* of the queue */
};

/* How far opening came: what closing has to take back, in order. */
enum opened {
    OPENED_NOTHING,
    OPENED_SLOTS,
    OPENED_DISK,
    OPENED_REAPER,
    OPENED_FLATS,
    OPENED_POOL,
    OPENED_CREATORS,
};

struct linux_driver {
    enum opened opened;
    bool has_mailbox, has_cgroups, has_places;
    struct loop *loop;
    runtime_exit_fn *on_exit;
    void *exit_ctx;
    struct host host;
    char *data_dir, *files_dir, *shifted_dir, *run_dir, *stage, *envd_path;
    int data_fd, files_fd, snapshots_fd, state_fd, lock_fd, proc_fd, host_uts_fd;
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
    struct creators creators, savers;
    bool has_savers;
    struct knowledge knowledge;
    struct reaper reaper;
    struct disk disk;
    struct recent recent;
    pthread_mutex_t shift_lock;
    struct map sandboxes; /* by id: what callers can name */
    struct places places;
    struct map snapshots; /* by name */
    struct flats flats;
    char *criu;          /* path of the program; NULL: none */
    struct err criu_err; /* why none */
    bool may_freeze;     /* what cannot be kept stays in memory instead */
    uint64_t hot_ms, hot_bytes_max, hot_bytes;
    uint64_t lazy_bytes_min;              /* of a checkpoint whose memory may come later; 0: none */
    _Atomic(uint64_t) lazy_not_before_us; /* none may until then, by clock_mono_us() */
    enum kept_sync revokes;
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
struct guest *guest_asked(struct linux_driver *d, const struct sandbox_spec *spec);
void guest_kill(struct guest *s);
struct kept;
/* Takes what is in the record and holds its layers. */
void guest_take_kept(struct guest *s, struct kept *k);
/* What a resume asks goes from the one to the other: hostname, init, limits. */
void guest_swap_request(struct guest *a, struct guest *b);
void guest_watch_disk(struct guest *s);
/* After its pidfd became readable: collects it. */
void guest_collect(struct guest *s);
/* What was asked of the one is now asked of the other: id, files, limits, callers. */
void guest_hand_over(struct guest *from, struct guest *to);

/* launch.c: the table of steps. The first ones run on a creator, the rest on the loop. */
void launch_init(struct guest *s);
extern const char *const launch_step_names[];
size_t launch_creator_steps(const struct guest *s); /* of its table */
must_check int launch_space_check(struct linux_driver *d, struct err *err);
/* For an adopted sandbox: all steps count as done. */
void launch_adopt(struct guest *s);

/* creator.c */
must_check int creators_init(struct linux_driver *d, struct creators *q, struct err *err);
void creators_done(struct creators *q); /* after it no work of theirs is in progress */
/* False: too many wait. */
bool creators_put(struct creators *q, struct guest *s, guest_job_fn *job);
void creator_launch(struct guest *s, const struct err *broken); /* the job of a start */

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
/* POST /prepare: it is nobody's, until it is told whose. */
must_check int process_send_prepare(struct guest *s, struct err *err);
/* To an envd that was there before: a new control socket to it, with the request sent. */
must_check int process_call(struct guest *s, struct err *err);
/* What the child of a launch does for itself before it executes envd. */
must_check int process_rename(struct guest *s, struct err *err);      /* to s->hostname */
must_check int process_limit_files(struct guest *s, struct err *err); /* to limits.disk_bytes */
must_check int process_start_time(int proc_dir, int pid, uint64_t *out, struct err *err);
/* To the kernel's choice when memory runs out. Only once it has answered: the kernel keeps one
 * score for all who share a memory, and until its exec is done it shares ours. */
void process_expose(const struct guest *s);
void process_end(struct guest *s); /* kills and collects if there is one */

/* restore.c: the launch of what CRIU restores; the first ones run on a saver. */
extern const struct step restore_steps[];
extern const char *const restore_step_names[];
extern const size_t restore_step_count;
/* On the loop: `n` gets what the paused `s` was saved with, and where its files go on. */
must_check int restore_prepare(struct guest *n, struct guest *s, struct err *err);
/* For a minute no restore is answered before its memory is there. */
void restore_wait_for_memory(struct linux_driver *d);

/* launch.c: steps that are the same there. */
int launch_layers(void *sandbox, struct err *err);
void launch_leave_layers(void *sandbox);
int launch_slot(void *sandbox, struct err *err);
void launch_give_slot(void *sandbox);
int launch_directories(void *sandbox, struct err *err);
void launch_leave_directories(void *sandbox);
void launch_free_cell(void *sandbox);
int launch_overlay(void *sandbox, struct err *err);
void launch_close_overlay(void *sandbox);
void launch_end_process(void *sandbox);
int launch_ready(void *sandbox, struct err *err);
int launch_state(void *sandbox, struct err *err);
void launch_forget_state(void *sandbox);

/* pause.c, snapshot.c: jobs of savers. */
extern const char *const pause_step_names[], *const snapshot_step_names[];
void pause_job(struct guest *s, const struct err *broken);
void snapshot_job(struct guest *s, const struct err *broken);
/* Thaws one that is hot and asks its envd to /init. */
void warm_up_job(struct guest *s, const struct err *broken);

/* asleep.c: what callers ask of lasting states, on the loop. */
void asleep_pause(void *self, const char *id, bool keeps_memory, runtime_started_fn *fn, void *ctx);
void asleep_wake(struct linux_driver *d, struct guest *n);
void asleep_resume(void *self, const struct sandbox_spec *spec, runtime_started_fn *fn, void *ctx);
void asleep_snapshot(void *self, const char *id, const char *name, bool keeps_memory,
                     runtime_started_fn *fn, void *ctx);
void asleep_saved(void *sandbox);     /* pause_job or snapshot_job is done */
void asleep_warmed_up(void *sandbox); /* warm_up_job is */
void asleep_ended(struct guest *s);   /* its processes ended while they were kept hot */
void asleep_cooled(struct guest *s);  /* the reaper has freed its processes */
void asleep_woken(struct guest *s);   /* s runs and takes the place of the one it wakes */
/* s could not be launched: answers and frees it. */
void asleep_not_woken(struct guest *paused, struct guest *s);
/* It runs, s->err says what failed since, and there is no way back: it is paused once more. */
void asleep_return(struct guest *s);
void asleep_answered(struct guest *s); /* envd has, after a hot resume, or s->err says why not */
/* No hot one is of use any more. */
void asleep_cool_all(struct linux_driver *d);
/* s is a directory and no more, for the reaper to remove. */
void asleep_only_files(struct guest *s);
/* s is paused, and to be nobody's: its files go. */
void asleep_remove(struct guest *s);
/* Its first and last words to those who wait for its end. */
void asleep_stop(struct guest *s);
bool asleep_is_paused(const struct guest *s);

/* parked.c: what is asked while s is being saved or woken already. False: it is not. */
bool parked_pause(struct guest *s, bool keeps_memory, runtime_started_fn *fn, void *ctx);
bool parked_snapshot(struct guest *s, const char *name, bool keeps_memory, runtime_started_fn *fn,
                     void *ctx);
bool parked_resume(struct guest *s, struct guest *waker); /* which is parked's then */
/* What waits leaves s, which may be freed, and is asked again: the callbacks may do anything. */
void parked_take(struct guest *s, struct list *out);
void parked_again(struct linux_driver *d, struct list *all);
void parked_free(struct guest *s);

/* shelf.c: snapshots. */
must_check int shelf_open(struct linux_driver *d, struct err *err);
void shelf_close(struct linux_driver *d);
bool shelf_has(const struct linux_driver *d, const char *name);
void shelf_add(struct linux_driver *d, const char *name, const char *dir,
               const struct stack *layers);
void shelf_remove(void *self, const char *name, runtime_stopped_fn *fn, void *ctx);
void shelf_each(void *self, runtime_name_fn *fn, void *ctx);
/* Of each snapshot in turn, by a cursor that begins at 0; NULL after the last. */
const struct stack *shelf_next_stack(const struct linux_driver *d, size_t *cursor);
/* Fills in what a start from it needs. */
must_check int shelf_take(struct guest *s, const char *name, bool is_cold, struct err *err);

/* reaper.c */
must_check int reaper_init(struct linux_driver *d, struct err *err);
void reaper_done(struct linux_driver *d); /* finishes its work first */
void reaper_put(struct linux_driver *d, struct guest *s);
/* Not at once: to free much of a disk slows what is written to it meanwhile, and somebody waits for
 * that now. */
void reaper_put_resting(struct linux_driver *d, struct guest *s);
void reaper_wait_room(struct linux_driver *d);

/* lifecycle.c: what happens on the loop */
void lifecycle_launch(struct guest *s); /* its caller is told the rest */
bool lifecycle_begin(struct guest *s);  /* the same for a struct in no map; false: too many wait */
void lifecycle_expect(struct guest *s, uint64_t timeout_ms); /* an answer of envd */
void lifecycle_discard(struct guest *s);                     /* one that nobody knows of */
void lifecycle_spawned(void *sandbox);
void lifecycle_failed(void *sandbox); /* nothing is left of it but the struct */
void lifecycle_reaped(void *sandbox);
void lifecycle_answer_stops(struct guest *s);
void lifecycle_answer_start(struct guest *s, const struct err *err);
void lifecycle_end(struct guest *s);                              /* its first process is gone */
must_check int lifecycle_watch(struct guest *s, struct err *err); /* its process, for its end */
void lifecycle_stop(struct guest *s);

/* state.c */
must_check int state_write(struct guest *s, struct err *err);
void state_remove(struct guest *s);

/* adopt.c: what an earlier process left, running or not. */
must_check int adopt_all(struct linux_driver *d, struct err *err);

#endif
