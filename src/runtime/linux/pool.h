/* SPDX-License-Identifier: Apache-2.0 */
/* Prepared cells: a network namespace and empty control groups, made ahead by a thread of low
 * priority, because making them costs as much as all the rest of a launch. */
#ifndef RUNTIME_LINUX_POOL_H
#define RUNTIME_LINUX_POOL_H

#include <pthread.h>

#include "base/err.h"
#include "runtime/linux/cgroup.h"
#include "runtime/linux/netns.h"
#include "runtime/linux/slots.h"

enum {
    POOL_MAX = 1024,
    POOL_PREFIX_SIZE = 16,
};

struct cell {
    struct netns net;
    char cgroup[CGROUP_NAME_SIZE];
};

struct slot_pool {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    pthread_t thread;
    bool has_thread, is_closing;
    struct cell *cells;
    size_t count, target;
    char prefix[POOL_PREFIX_SIZE]; /* of the groups' names */
    char run[POOL_PREFIX_SIZE];    /* random: names of an earlier process are not met again */
    uint64_t serial;
    struct netns_wish wish; /* its descriptor is borrowed */
    const struct cgroups *cgroups;
    struct slots *slots;
};

struct slot_pool_config {
    size_t target;
    const char *prefix;
    struct netns_wish wish;
    const struct cgroups *cgroups;
    struct slots *slots;
};

must_check int slot_pool_init(struct slot_pool *p, const struct slot_pool_config *config,
                              struct err *err);
void slot_pool_done(struct slot_pool *p); /* frees the cells that nobody took */
/* A prepared cell, or one made on the spot. Any thread. */
must_check int slot_pool_take(struct slot_pool *p, struct cell *out, struct err *err);
/* Control groups alone, for processes that bring their network namespace. */
must_check int slot_pool_take_groups(struct slot_pool *p, struct cell *out, struct err *err);
void cell_free(const struct cgroups *g, struct cell *c);

#endif
