/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by watch_tree.c (the kernel's events), watch_mark.c (which directory is watched under
 * which name) and watch_walk.c (reading directories that just appeared). */
#ifndef ENVD_WATCH_INTERNAL_H
#define ENVD_WATCH_INTERNAL_H

#include <dirent.h>
#include <limits.h>

#include "base/buf.h"
#include "envd/watch_tree.h"

enum {
    WATCH_BUCKETS = 1024,
    WATCH_PATH_SIZE = PATH_MAX + NAME_MAX + 2,
    WATCH_READS = 8, /* of the kernel's queue in one turn, WATCH_READ bytes each */
    WATCH_READ = 8 << 10,
};

/* A directory as the kernel knows it: one watch, however many roots see it. */
struct watch_place {
    struct watch_place *next; /* in its bucket */
    struct watch_hub *hub;
    struct list marks;
    int wd;
    bool is_lost; /* the kernel has removed the watch */
    bool is_busy; /* an event is being served: stays when its last mark goes */
};

struct name_set;

/* A directory as one root sees it: the node of a tree. */
struct watch_mark {
    struct list_node of_place, sibling;
    struct list_node waiting; /* in root->waiting: not read yet */
    struct list_node moving;  /* in hub->moving: first half of a rename seen */
    struct watch_place *place;
    struct watch_root *root;
    struct watch_mark *parent; /* NULL: the root's own */
    struct list children;
    struct name_set *told; /* what the kernel told since the watch was made; NULL when read */
    uint64_t moved_at_ms;
    uint32_t cookie;
    uint32_t served; /* number of the last event */
    bool is_read;
    char *name;
};

struct watch_root {
    struct list_node node;
    struct watch_hub *hub;
    const struct watch_sink *sink;
    void *ctx;
    char *path;
    bool is_recursive, may_be_network;
    bool is_ready, is_over;
    struct watch_mark *top;
    struct list waiting;
    struct watch_mark *walking; /* whose directory `dir` is */
    DIR *dir;
    struct buf batch; /* names read and not told yet: type, text, NUL */
    struct timer walk;
};

/* watch_tree.c */
void watch_root_fail(struct watch_root *r, enum connect_code code, const char *format, ...)
    printf_like(3, 4);
/* Read the kernel's queue, in WATCH_READS pieces at most. True: it is empty now. */
bool watch_hub_read(struct watch_hub *h);
/* Tell `name` (in the directory of `m`) if the root is ready. */
void watch_tell(struct watch_mark *m, enum watch_kind kind, struct str name);

/* watch_mark.c */
/* Watch the directory `name` in `parent` (NULL: the root itself). *out is NULL when there is
 * nothing to watch: it is gone, or its mount tells nothing. */
must_check int mark_add(struct watch_root *r, struct watch_mark *parent, struct str name,
                        struct watch_mark **out, struct err *err);
/* With everything below. */
void mark_drop(struct watch_mark *m);
/* The child of that name that is not being moved away. */
struct watch_mark *mark_child(const struct watch_mark *m, struct str name);
/* Hang it below another directory. False: no memory. */
bool mark_rename(struct watch_mark *m, struct watch_mark *parent, struct str name);
/* Path of `name` in the directory of `m`, NUL behind; both may be empty. .at NULL: too long. */
struct str mark_path(const struct watch_mark *m, struct str name, bool is_absolute,
                     char room[WATCH_PATH_SIZE]);
struct watch_place *place_find(const struct watch_hub *h, int wd);
void place_settle(struct watch_place *p); /* free it if nobody needs it */
/* Remember that the kernel told about this name. False: no memory, or WATCH_NAMES_MAX. */
bool mark_note(struct watch_mark *m, struct str name);
bool mark_was_told(const struct watch_mark *m, struct str name);
void mark_forget_told(struct watch_mark *m);

/* watch_walk.c */
/* Read the directory of `m`, soon. Starts anew if it was being read. */
void walk_want(struct watch_mark *m);
void walk_start(struct watch_root *r);
/* `m` is no longer to be read. */
void walk_leave(struct watch_mark *m);

#endif
