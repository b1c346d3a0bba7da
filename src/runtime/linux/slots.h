/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of host user ids, one per sandbox, each with a user namespace to map disks through; the
 * namespaces are made ahead by the pool's thread and kept for the slot's next user. */
#ifndef RUNTIME_LINUX_SLOTS_H
#define RUNTIME_LINUX_SLOTS_H

#include <pthread.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct slot {
    struct list_node node; /* in `ready` or `cold` while free */
    uint32_t uid;          /* host id of the sandbox's root */
    int userns_fd;         /* -1 until made, or when disks are not mapped */
};

struct slots {
    pthread_mutex_t lock;
    struct slot *rows;
    size_t count, ready_count, ready_max;
    struct list ready, cold; /* with and without a namespace */
    bool has_maps;
};

struct slots_config {
    size_t count;
    size_t ready_max; /* namespaces kept of slots that nobody uses: a descriptor each */
    uint32_t uid_base;
    bool is_shared; /* all have the first range */
    bool has_maps;  /* make namespaces */
};

must_check int slots_init(struct slots *s, const struct slots_config *config, struct err *err);
void slots_done(struct slots *s);
must_check int slots_take(struct slots *s, struct slot **out, struct err *err);
/* Adoption: the slot with this index, if it is free. NULL otherwise. */
struct slot *slots_claim(struct slots *s, size_t index);
size_t slot_index(const struct slots *s, const struct slot *slot);
void slots_give(struct slots *s, struct slot *slot);
/* Makes one more ready, up to `wanted`. False: nothing to do or it failed. */
bool slots_fill_one(struct slots *s, size_t wanted);

#endif
