/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes launched ahead of need: envd runs in them and waits for its /init, nobody has been told
 * of them, and they have no id and no state file. A start of the same files takes one (claim.c): of
 * a template's tree, and of the layers over it, those of images, builds and snapshots without
 * memory.
 *
 * Templates started lately are kept supplied, each with a few, all together with a few more. New
 * ones are made one at a time, and only while no start is under way and for a moment after the
 * last: the work that this saves must not be put before a start instead. What their services do is
 * behind all others' work for the same reason. When one fails or is lost
 * the next one waits, longer each time. All on the loop's thread. */
#ifndef RUNTIME_LINUX_WARM_H
#define RUNTIME_LINUX_WARM_H

#include "io/loop.h"
#include "runtime/linux/places.h"
#include "runtime/runtime.h"

struct linux_driver;
struct guest;

/* Which trees are at the paths of a template: others there have another mark. */
struct tree_mark {
    uint64_t sum; /* 0: none are */
};

struct warm_template {
    struct list_node node;
    char *rootfs;
    struct stack layers;
    uint64_t asked_ms;
    struct list waiting; /* guests, oldest first */
    size_t count;
    struct sandbox_limits limits; /* of the last start; zero: it had none */
    uint64_t service_bytes;       /* of memory, that its service took at most; 0: not known yet */
    unsigned service_losses;      /* in a row */
};

/* How far the image's service is in one that was launched ahead. */
enum service_stage {
    SERVICE_OFF,
    SERVICE_STARTING, /* envd was told that all is there, and starts it */
    SERVICE_SETTLING, /* envd was told to wait again */
    SERVICE_RUNS,
};

struct warm {
    struct list templates; /* started lately; the last one is the latest */
    size_t size, max;      /* for one template, for all */
    uint64_t service_bytes_max;
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

/* warm_service.c: the image's service (envd/service.h), started in those that wait. It runs then
 * under the limits of the template's last start, and such a one is for starts with the same. */
/* On its creator: is there one in its files? */
void warm_service_look(struct guest *s);
/* Starts the next one, as far as memory lets. One that it returns was taken off its list, and the
 * answers of its envd lead to warm_service_next(). With too little memory it ends some. */
struct guest *warm_service_begin(struct linux_driver *d, uint64_t available_kib);
/* envd has answered 2xx. 1: it will answer once more; 0: all is well; -1: it cannot be used. */
int warm_service_next(struct guest *s);
bool warm_service_lives(const struct guest *s); /* its end was perhaps not told yet */
/* What is only for those that nobody has asked for yet ends; harmless where there is none. */
void warm_service_leave(struct guest *s);
bool warm_limits_are(const struct sandbox_limits *a, const struct sandbox_limits *b);
size_t warm_serving(const struct linux_driver *d);

struct warm_template *warm_find(const struct warm *w, const struct guest *s);
/* Takes one that waits off its template's list. */
void warm_remove(struct warm_template *t, struct guest *s);

/* Ends all of them; the next ones are made as if nothing had failed before. */
void warm_flush(struct linux_driver *d);
size_t warm_count(const struct linux_driver *d); /* that wait for a claim */

#endif
