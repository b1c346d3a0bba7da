/* SPDX-License-Identifier: Apache-2.0 */
/* The record of what is kept in a directory of data_dir: a paused sandbox (sandboxes/DIR/kept) or a
 * snapshot (snapshots/NAME/kept). A directory without one that holds is nobody's, or only a layer.
 * Its first word can be revoked in place, with one small write that needs no journal: a sandbox
 * that goes on in the same files must not come back as it was. */
#ifndef RUNTIME_LINUX_KEPT_H
#define RUNTIME_LINUX_KEPT_H

#include "runtime/linux/boot_id.h"
#include "runtime/linux/places.h"
#include "runtime/runtime.h"

enum { KEPT_ID_SIZE = 64 };

struct kept {
    char id[KEPT_ID_SIZE]; /* of the sandbox; of a snapshot its name */
    bool has_memory;       /* a checkpoint in `images` */
    bool is_frozen;        /* its memory is in its processes, as long as these are there */
    bool has_userns;       /* what the checkpoint was made with */
    struct sandbox_limits limits;
    char boot_id[BOOT_ID_SIZE]; /* "": it gets another */
    uint64_t disk_bytes;        /* of all layers that sandboxes wrote, */
    uint64_t below_bytes;       /* and of those below its own */
    char *rootfs;               /* on the heap */
    char *envd;                 /* the binary that its processes have mapped */
    struct stack layers;        /* its own is the last */
};

void kept_done(struct kept *k);

/* `dir`/kept; when it returns it is on the disk, and so is the directory's entry. */
must_check int kept_write(int dir, const struct kept *k, struct err *err);
/* ERR_NOT_FOUND: none, or revoked. */
must_check int kept_read(int dir, struct kept *out, struct err *err);
enum kept_sync {
    KEPT_SYNCED, /* on the disk when it returns */
    /* In the device when it returns, so that it outlives the kernel; the next sync of anything on
     * the same device, by anybody, makes it last. A flush of the device is most of what a sync
     * costs. KEPT_SYNCED where the file system does not write in place. */
    KEPT_SENT,
};

must_check int kept_revoke(int dir, enum kept_sync how, struct err *err);
/* Takes a revocation back. Not made sure of. */
void kept_renew(int dir);
void kept_remove(int dir); /* not made sure of */
/* The same where somebody waits: to rename is quicker than to free. It lies at `to`, which is below
 * something in `dir` that is to be removed soon; where that is not there it is removed. */
void kept_set_aside(int dir, const char *to);

/* For tests: from and to text. */
must_check int kept_parse(struct str text, struct kept *out, struct err *err);

#endif
