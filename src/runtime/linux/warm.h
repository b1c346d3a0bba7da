/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes launched ahead of need: envd runs in them and waits for its /init, nobody has been told
 * of them, and they have no id and no state file. A start of the same files takes one (claim.c): of
 * a template's tree, and of the layers over it, those of images, builds and snapshots without
 * memory.
 *
 * Templates started lately are kept supplied, each with a few, all together with a few more. New
 * ones are made one at a time, and only while no start is under way and for a moment after the
 * last: the work that this saves must not be put before a start instead. When one fails or is lost
 * the next one waits, longer each time. All on the loop's thread. */
#ifndef RUNTIME_LINUX_WARM_H
#define RUNTIME_LINUX_WARM_H

#include "io/loop.h"
#include "runtime/runtime.h"

struct linux_driver;
struct guest;

/* Which trees are at the paths of a template: others there have another mark. */
struct tree_mark {
    uint64_t sum; /* 0: none are */
};

struct warm {
    struct list templates; /* started lately; the last one is the latest */
    size_t size, max;      /* for one template, for all */
    uint64_t idle_ms;
    struct guest *making; /* at most one: with a creator, or not yet answered */
    uint64_t quiet_ms;    /* nothing is made before */
    uint64_t retry_ms;    /* the same, after a failure */
    unsigned failures;    /* in a row */
    uint64_t claimed, spoiled;
    struct timer timer;
};

void warm_init(struct linux_driver *d, const struct runtime_config *config);
/* Forgets them; they are ended with all the other guests that do not run. */
void warm_done(struct linux_driver *d);

/* A start asks for a sandbox like this one: one that waits, taken off the books, or NULL. */
struct guest *warm_take(struct linux_driver *d, const struct guest *asked);
/* A snapshot goes: those of it, and of what was made over it, let go of its files. */
void warm_forget(struct linux_driver *d, const char *layer);
/* A start is over, well or not. */
void warm_rest(struct linux_driver *d);
/* A claim was answered. */
void warm_was_good(struct linux_driver *d);
/* One failed: in its launch, while it waited, or when it was claimed. */
void warm_was_bad(struct linux_driver *d);

/* lifecycle.c: envd has answered or failed to; it ended while it waited; its launch failed and
 * nothing is left of it. */
void warm_answered(struct guest *s);
void warm_lost(struct guest *s);
void warm_failed(struct guest *s);

/* Ends all of them; the next ones are made as if nothing had failed before. */
void warm_flush(struct linux_driver *d);
size_t warm_count(const struct linux_driver *d); /* that wait for a claim */

#endif
