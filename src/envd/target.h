/* SPDX-License-Identifier: Apache-2.0 */
/* A file that an upload or a composition writes: made with its parents, its owner and its metadata,
 * filled, and complete only when target_end() has said so.
 *
 * What a failed write leaves (client gone, bad data, full disk):
 * - no file where there was none;
 * - with TARGET_STAGED or TARGET_REPLACE, the old file as it was;
 * - else the old file cut off at what had arrived, since it is written in place: links, open
 *   descriptors and watchers stay valid. When the length is known and the disk is too small, it is
 *   refused before it is touched. */
#ifndef ENVD_TARGET_H
#define ENVD_TARGET_H

#include "base/arena.h"
#include "codec/codec.h"
#include "envd/copy.h"
#include "envd/users.h"

enum target_flag {
    TARGET_STAGED = 1,  /* what may turn out to be no good is kept aside, then copied in place */
    TARGET_REPLACE = 2, /* written aside, then renamed: others see the old or the new one */
};

struct target_spec {
    struct str path;                   /* absolute, NUL behind; lives longer than the target */
    const struct user *user;           /* owner of what is made */
    const struct codec_list *metadata; /* becomes the file's whole set; NULL: left as it is */
    uint64_t expected;                 /* bytes to come, 0: not known */
    unsigned flags;
};

struct target {
    int fd; /* where bytes go; -1: nothing is being written */
    struct str path;
    uint64_t written;
    bool is_new;     /* remove it when it stays incomplete */
    int real_fd;     /* staged: the file itself */
    char *temporary; /* TARGET_REPLACE: the name it has until it is complete; in the arena */
    struct target_spec spec;
    struct copy copy; /* staged: into place */
    bool is_copying;
};

/* A target that holds nothing yet: target_discard() may always be called. */
void target_init(struct target *t);
/* ERR_INVALID for what no file can be written to, ERR_NO_SPACE when the disk is full. */
must_check int target_begin(struct target *t, const struct target_spec *spec, struct arena *a,
                            struct err *err);
must_check int target_write(struct target *t, struct str data, struct err *err);
/* One step of the end; call it until *out_done. A large staged file takes many. */
must_check int target_end(struct target *t, bool *out_done, struct err *err);
/* Give up what was begun and is not complete. */
void target_discard(struct target *t);

/* An error of a system call that wrote `bytes` bytes to `path`, or made it. */
int target_error(int sys, const char *doing, const char *path, uint64_t bytes, struct err *err);

#endif
