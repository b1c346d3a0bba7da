/* SPDX-License-Identifier: Apache-2.0 */
/* Directories watched with inotify: the changes below a root, by name, in order.
 *
 * One inotify instance serves every root, because instances are scarce (all sandboxes of a host
 * share fs.inotify.max_user_instances, 128 by default) while one of them holds any number of
 * watches. It is opened with the first root and closed with the last.
 *
 * Recursive roots watch each directory below them. Links are not entered, nor are mounts that tell
 * nothing (proc, sysfs; those over a network unless the root may). When a directory appears, its
 * watch is made and then what it holds already is told as created: what was put into it before the
 * watch is not missed. What the kernel has told about a name meanwhile is not told again; a name
 * that appears just while the directory is read may be told twice, never lost. A directory that is
 * renamed within the tree keeps its watches under its new name; one that leaves the tree loses them
 * after WATCH_MOVE_MS. The kernel says nothing of a mount put over a watched directory, so what is
 * in it is not told; what was below a mount that is removed is not watched again. Directories that
 * even root may not enter are left out.
 *
 * Memory: WATCH_DIRS_MAX directories at about 200 bytes and their names, WATCH_NAMES_MAX names
 * remembered while directories are read. The kernel queues fs.inotify.max_queued_events (16384 by
 * default); beyond that it drops, and every root fails with data_loss. */
#ifndef ENVD_WATCH_TREE_H
#define ENVD_WATCH_TREE_H

#include "base/list.h"
#include "base/str.h"
#include "envd/watch_kind.h"
#include "http/connect.h"
#include "io/loop.h"

enum {
    WATCH_DIRS_MAX = 32768,  /* directories, of all roots */
    WATCH_NAMES_MAX = 32768, /* names told by the kernel for directories that are being read */
    WATCH_MOVE_MS = 20,      /* the halves of a rename come in a row; a busy CPU may split them */
};

struct watch_place;
struct watch_root;

struct watch_hub {
    struct loop *loop;
    int fd; /* -1 without roots */
    struct watch watch;
    struct watch_place **places; /* by watch descriptor, hashed */
    struct list roots, moving;
    struct timer move_timer;
    size_t dir_count, name_count;
    uint32_t event; /* number of the one being served */
};

/* Called from the loop; none of them may close a root. */
struct watch_sink {
    /* Something happened to `name`, relative to the root; "." is the root itself. */
    void (*tell)(void *ctx, enum watch_kind kind, struct str name);
    /* Everything is watched: from here on changes are told. Once. */
    void (*ready)(void *ctx);
    /* The end: nothing is told any more. The root was removed, moved or unmounted (not_found, after
     * a last event about "."); events were lost (data_loss); a limit (resource_exhausted). The
     * kernel says that a removed root is gone when nobody has it open any more. */
    void (*fail)(void *ctx, enum connect_code code, const char *text);
    /* Should reading of fresh directories wait? watch_root_resume() ends the wait. */
    bool (*is_behind)(void *ctx);
};

struct watch_target {
    const char *path; /* absolute; may be a link to a directory */
    bool is_recursive;
    bool may_be_network; /* enter mounts over a network */
};

void watch_hub_init(struct watch_hub *h, struct loop *l);
void watch_hub_done(struct watch_hub *h); /* all roots are closed */

/* ERR_LIMIT: a limit of ours or of the host. ERR_NOT_FOUND, ERR_INVALID: not there, no directory.
 */
must_check int watch_root_open(struct watch_hub *h, const struct watch_target *target,
                               const struct watch_sink *sink, void *ctx, struct watch_root **out,
                               struct err *err);
void watch_root_resume(struct watch_root *r);
void watch_root_close(struct watch_root *r); /* harmless on NULL */

#endif
