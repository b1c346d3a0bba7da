/* SPDX-License-Identifier: Apache-2.0 */
/* Directories below data_dir that hold what sandboxes wrote: "sandboxes/DIR" and "snapshots/NAME",
 * each with a layer u. A layer is shared by all that were started over it, so a directory has as
 * many holders as there are owners (a sandbox, a snapshot) and stacks that list it, and goes with
 * the last of them. What is on the disk counts: the lists in the records (kept.h) and state files,
 * from which the counts are made again by the next process. Thread-safe. */
#ifndef RUNTIME_LINUX_PLACES_H
#define RUNTIME_LINUX_PLACES_H

#include <pthread.h>

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"

enum {
    STACK_MAX = 128, /* layers over a template */
    PLACE_SIZE = 160,
    LAYER_PATH_MAX = 1024,
};

/* Absolute paths of layers over a template, lowest first. */
struct stack {
    char *paths[STACK_MAX];
    size_t count;
};

/* The names of such directories, in `out`: of the files of a sandbox, of a snapshot's. */
const char *place_of_sandbox(const char *dir, char out[PLACE_SIZE]);
const char *place_of_snapshot(const char *dir, char out[PLACE_SIZE]);

void stack_add(struct stack *s, const char *path);
void stack_copy(struct stack *to, const struct stack *from); /* `to` is empty */
void stack_done(struct stack *s);
/* A file of a line for each; none reads as no layers. */
must_check int stack_write(int dir, const char *path, const struct stack *s, struct err *err);
must_check int stack_read(int dir, const char *path, struct stack *out, struct err *err);

struct places {
    pthread_mutex_t lock;
    struct map held;  /* by name */
    struct list left; /* held by nobody, and not removed yet */
    const char *data_dir;
    int data_fd;
};

void places_init(struct places *p, const char *data_dir, int data_fd);
void places_done(struct places *p); /* forgets; removes nothing */

void place_hold(struct places *p, const char *name);
/* The last holder's leave removes the directory, which takes its time. What cannot be removed then
 * is tried again after the next removal that works. */
void place_leave(struct places *p, const char *name);
size_t place_holders(struct places *p, const char *name);
/* All directories of ours in a stack; layers of others are not counted. */
void places_hold_stack(struct places *p, const struct stack *s);
void places_leave_stack(struct places *p, const struct stack *s);

/* The layer of a place, on the heap. */
char *place_layer(const struct places *p, const char *name);
bool place_layer_is_held(struct places *p, const char *layer);
/* Is this layer one of ours, written by sandboxes? */
bool place_is_ours(const struct places *p, const char *layer);

#endif
