/* SPDX-License-Identifier: Apache-2.0 */
/* Running sandboxes, whatever runs them. Users of the runtime (node/) see this; those who implement
 * a way of running (linux/, fake) see driver.h.
 *
 * A sandbox runs, or is paused: then it has files (and maybe a checkpoint of its processes) below
 * data_dir and nothing else, so it is there after the end of any process and of the host. A
 * snapshot is the same without a sandbox: others start from it. What is given up between two steps
 * is either as before or as after, and what is answered with success is on the disk.
 *
 * All calls are made on the loop's thread and return at once; results arrive on the loop. A sandbox
 * is named by its id. Stopping is final and complete: after on_stopped no process, mount, cgroup,
 * network namespace, descriptor or file of it is reachable any more (what needs time to free is
 * freed by a reaper, bounded). The runtime knows nothing of tenants, templates' names or time. */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

struct runtime;

struct sandbox_limits {
    uint64_t memory_bytes; /* 0 = no limit, for each of them */
    uint32_t cpu_percent;  /* 100 = one core */
    uint32_t pids_max;
    uint64_t disk_bytes; /* of files the sandbox adds to its template */
};

struct sandbox_spec {
    const char *id;     /* [a-z0-9]+, at most 63 */
    const char *rootfs; /* absolute path of the template's tree, never written to */
    /* Absolute paths of trees stacked over it, lowest first, never written to; NULL at the end.
     * NULL: none. */
    const char *const *layers;
    /* Start with the files of this snapshot, and go on with its processes when it has them; they
     * are told `init` like a new envd. NULL: boot envd. */
    const char *snapshot;
    bool is_cold; /* boot envd over the files even when there are processes to go on with */
    const char *hostname;
    struct sandbox_limits limits;
    struct str init; /* JSON body of envd's POST /init, queued on its control socket at birth */
};

enum {
    RUNTIME_LAYERS_MAX = 64, /* of a spec */
};

enum runtime_state {
    RUNTIME_RUNNING,
    RUNTIME_PAUSING, /* its pause is under way, and may still fail */
    RUNTIME_PAUSED,
};

/* What this host can do about states that last. */
struct runtime_capabilities {
    bool can_snapshot_files; /* pause and snapshot without memory */
    bool can_checkpoint;     /* with it */
    const char *reason;      /* why not, for people; "" when both are there */
    const char *criu;        /* the program that does it, or NULL */
};

/* Works that consist of named steps, besides starting: for tests. */
enum runtime_work {
    RUNTIME_PAUSE,
    RUNTIME_RESUME,
    RUNTIME_SNAPSHOT,
};

enum exit_reason {
    EXIT_STOPPED, /* runtime_stop() */
    EXIT_EXITED,  /* its first process ended by itself */
    EXIT_OOM,     /* memory limit */
    EXIT_DISK,    /* disk limit */
};

struct sandbox_stats {
    uint64_t cpu_us; /* used since the start */
    uint64_t memory_bytes, memory_cache_bytes;
    uint64_t disk_bytes;
    uint32_t pids;
};

/* The host's ends of a sandbox's way out; linux/outward.h says what each is for. */
enum runtime_socket {
    RUNTIME_STREAM,
    RUNTIME_DATAGRAM,
    RUNTIME_SHOWN,
    RUNTIME_RAW,
    RUNTIME_RAW6,
    RUNTIME_SOCKETS,
};

struct runtime_outlet {
    int fds[RUNTIME_SOCKETS]; /* -1: of a family that the host does not have */
};

/* How a needed kernel feature is provided on this host: rows of `sandlot doctor`. */
struct runtime_feature {
    const char *name; /* "overlay layers by descriptor" */
    const char *path; /* what is in use: "fd", "path (forced)", "absent" */
    const char *note; /* what that means, and what to do about it; "" when all is well */
    bool is_ok;
};

/* Sandboxes launched ahead of need. They have no id and are in no count or list but this one. */
struct runtime_ahead {
    size_t ready;     /* waiting to be claimed by a start */
    size_t serving;   /* of these, in which the image's service runs already */
    uint64_t claimed; /* starts that were served so */
    uint64_t spoiled; /* failed to launch, were lost, or failed a claim */
};

/* err is NULL on success. took_us: from the call to envd's first answer. */
typedef void runtime_started_fn(void *ctx, const char *id, uint64_t took_us, const struct err *err);
typedef void runtime_stopped_fn(void *ctx, const char *id, const struct err *err);
typedef void runtime_exit_fn(void *ctx, const char *id, enum exit_reason reason);
typedef void runtime_each_fn(void *ctx, const char *id, enum runtime_state state);
typedef void runtime_name_fn(void *ctx, const char *name);

struct runtime_config {
    const char *driver;    /* "linux" or "fake" */
    const char *data_dir;  /* sandboxes' files live below; must be on a real disk */
    const char *run_dir;   /* state files; gone after a reboot */
    const char *envd_path; /* the static guest daemon on the host */
    const char *cgroup;    /* auto|v1|v2|none */
    const char *userns;    /* auto|off */
    const char *idmap;     /* auto|off */
    const char *overlay;   /* auto|path : layers by descriptor, or by path */
    const char *seccomp;   /* auto|off */
    const char *egress;    /* auto|off: a way out for sandboxes */
    uint64_t pool_size;    /* prepared network namespaces and cgroups */
    uint64_t
        warm_size; /* sandboxes launched ahead for a template that was started lately; 0: none */
    uint64_t warm_max;           /* for all templates together */
    uint64_t warm_idle_s;        /* a template not started for so long has none any more */
    uint64_t warm_service_bytes; /* of memory for those in which their image's service runs; 0: in
                                    none of them */
    uint64_t uid_base;           /* first host uid given to sandboxes; 65536 each */
    uint64_t sandboxes_max;
    uint64_t disk_reserve_bytes; /* starts are refused when the disk has less free */
    uint64_t hot_resume_s;       /* frozen processes of a paused one are kept so long … */
    uint64_t hot_memory_bytes;   /* … while all of them together take no more than this */
    uint64_t lazy_memory_bytes;  /* a checkpoint of so much memory is resumed before that is read,
                                    where the kernel can, unless processes may
                                    share it; 0: never, 1: always */
    /* Who is told that a sandbox was resumed syncs something on the device of data_dir before he
     * tells anyone, so that a resume need not. Until then a loss of power, but no end of the
     * kernel, may leave the sandbox paused over files that were written to since. */
    bool is_synced_after;
    const char *criu;                /* auto|off|absolute path */
    const char *on_uncheckpointable; /* fail|freeze: pauses of what no checkpoint can keep */
};

/* on_exit: a sandbox ended that nobody stopped; its remains are being freed already. */
must_check int runtime_new(struct loop *l, const struct runtime_config *config,
                           runtime_exit_fn *on_exit, void *ctx, struct runtime **out,
                           struct err *err);
/* Leaves sandboxes running for the next process to adopt; joins the threads. */
void runtime_free(struct runtime *r);

/* The spec is copied. Fails through `fn` only: ERR_EXISTS, ERR_NO_SPACE, ERR_LIMIT, ERR_SYSTEM …
 * and then nothing is left behind. A step's name is in the error's text. */
void runtime_start(struct runtime *r, const struct sandbox_spec *spec, runtime_started_fn *fn,
                   void *ctx);
/* Running or paused. Unknown id: fn gets ERR_NOT_FOUND. While starting: waits for the start, then
 * stops. */
void runtime_stop(struct runtime *r, const char *id, runtime_stopped_fn *fn, void *ctx);
/* One of the next three at a time for a sandbox: another waits and is asked again then, or is
 * ERR_CONFLICT (a pause or snapshot of one that is being woken). A stop waits for it.
 *
 * Pause: all of it is on the disk, then fn is called. Without keeps_memory its processes are ended.
 * A failure leaves it running: ERR_UNSUPPORTED names what cannot be kept, ERR_NO_SPACE says what it
 * would take. One that is paused already stays so, which is success. took_us: the whole of it. */
void runtime_pause(struct runtime *r, const char *id, bool keeps_memory, runtime_started_fn *fn,
                   void *ctx);
/* Of spec only id, hostname, limits, is_cold and init count: files are its own. A failure leaves it
 * paused. One that runs goes on, which is success. took_us: until envd's answer. */
void runtime_resume(struct runtime *r, const struct sandbox_spec *spec, runtime_started_fn *fn,
                    void *ctx);
/* Of one that runs, which stands still for took_us, or is paused. `name` is made as ids are:
 * ERR_EXISTS. Without keeps_memory its processes are not kept, and do not stop. */
void runtime_snapshot(struct runtime *r, const char *id, const char *name, bool keeps_memory,
                      runtime_started_fn *fn, void *ctx);
/* Those who run from it go on: what they share stays until the last of them is gone. */
/* Refuses pauses and snapshots with memory from now on, with this reason; NULL: no longer. What is
 * paused may resume. */
void runtime_forbid_memory(struct runtime *r, const struct err *why);
void runtime_snapshot_remove(struct runtime *r, const char *name, runtime_stopped_fn *fn,
                             void *ctx);
void runtime_each_snapshot(struct runtime *r, runtime_name_fn *fn, void *ctx);
void runtime_capabilities(const struct runtime *r, struct runtime_capabilities *out);
/* The next three: ERR_CONFLICT while it is paused.
 *
 * A non-blocking TCP socket made inside the sandbox's network namespace, connected (or connecting)
 * to 127.0.0.1:port, else to [::1]:port when the first refuses. ERR_NOT_FOUND: no such sandbox;
 * ERR_UNAVAILABLE: nobody listens. */
must_check int runtime_connect(struct runtime *r, const char *id, uint16_t port, int *out_fd,
                               struct err *err);
must_check int runtime_stats(struct runtime *r, const char *id, struct sandbox_stats *out,
                             struct err *err);
/* The descriptors are the caller's. There is one set of them: until all copies of an earlier one
 * are closed it fails. ERR_UNSUPPORTED: nothing leaves sandboxes here. */
must_check int runtime_outlet(struct runtime *r, const char *id, struct runtime_outlet *out,
                              struct err *err);
void runtime_outlet_close(struct runtime_outlet *o);
void runtime_each(struct runtime *r, runtime_each_fn *fn, void *ctx);
size_t runtime_count(const struct runtime *r); /* those paused are not in it */
/* Is it paused with nothing but its processes to keep its memory (on_uncheckpointable)? They end
 * with the host. */
bool runtime_is_frozen(const struct runtime *r, const char *id);
void runtime_ahead(const struct runtime *r, struct runtime_ahead *out);

/* Probed once at runtime_new(). Returns the number of rows; *out is the runtime's. */
size_t runtime_features(struct runtime *r, const struct runtime_feature **out);
/* Tests: make the named step fail from now on ("" = none); those launched ahead before do not
 * count. The names are in order; NULL ends them. A start fails with a step of its launch; when a
 * step of a claim fails, the start is launched instead. */
const char *const *runtime_step_names(const struct runtime *r);
const char *const *runtime_claim_step_names(const struct runtime *r);
const char *const *runtime_work_step_names(const struct runtime *r, enum runtime_work work);
void runtime_fail_step(struct runtime *r, const char *step);

#endif
