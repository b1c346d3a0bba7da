/* SPDX-License-Identifier: Apache-2.0 */
/* See slots.h. Taken and given by launch.c, filled by pool.c. */
#include "runtime/linux/slots.h"

#include "runtime/linux/idmap.h"

int slots_init(struct slots *s, const struct slots_config *config, struct err *err)
{
    uint64_t end = config->uid_base + (uint64_t)config->count * IDS_PER_SANDBOX;

    /* the last two ids are the kernel's "unmapped" and "none" */
    if (!config->is_shared && end >= UINT32_MAX - 1)
        return err_set(err, ERR_INVALID, "uid_base %u and %zu sandboxes pass the last user id",
                       config->uid_base, config->count);
    *s = (struct slots){
        .count = config->count, .ready_max = config->ready_max, .has_maps = config->has_maps};
    pthread_mutex_init(&s->lock, NULL);
    s->rows = mem_array(s->count, sizeof(*s->rows));
    for (size_t i = 0; i < s->count; i++) {
        struct slot *slot = &s->rows[i];

        slot->uid = config->uid_base + (config->is_shared ? 0 : (uint32_t)i * IDS_PER_SANDBOX);
        slot->userns_fd = -1;
        list_push(&s->cold, &slot->node);
    }
    return 0;
}

void slots_done(struct slots *s)
{
    for (size_t i = 0; i < s->count; i++)
        own_close_fd(&s->rows[i].userns_fd);
    free(s->rows);
    pthread_mutex_destroy(&s->lock);
}

/* Under the lock. Ready ones first when any will do. */
static struct slot *pop(struct slots *s, bool wants_cold)
{
    struct list_node *n = wants_cold ? NULL : list_pop(&s->ready);

    if (n != NULL)
        s->ready_count--;
    else
        n = list_pop(&s->cold);
    return n == NULL ? NULL : container_of(n, struct slot, node);
}

int slots_take(struct slots *s, struct slot **out, struct err *err)
{
    struct slot *slot;

    pthread_mutex_lock(&s->lock);
    slot = pop(s, false);
    pthread_mutex_unlock(&s->lock);
    if (slot == NULL)
        return err_set(err, ERR_LIMIT, "all %zu ranges of user ids are in use", s->count);
    if (s->has_maps && slot->userns_fd < 0 && userns_open(slot->uid, &slot->userns_fd, err) != 0) {
        slot->userns_fd = -1;
        slots_give(s, slot);
        return -1;
    }
    *out = slot;
    return 0;
}

struct slot *slots_claim(struct slots *s, size_t index)
{
    struct slot *slot = index < s->count ? &s->rows[index] : NULL;
    bool is_free;

    pthread_mutex_lock(&s->lock);
    is_free = slot != NULL && list_linked(&slot->node);
    if (is_free) {
        s->ready_count -= slot->userns_fd >= 0; /* adoption precedes the first give */
        list_remove(&slot->node);
    }
    pthread_mutex_unlock(&s->lock);
    return is_free ? slot : NULL;
}

size_t slot_index(const struct slots *s, const struct slot *slot)
{
    return (size_t)(slot - s->rows);
}

void slots_give(struct slots *s, struct slot *slot)
{
    auto_fd int spare = -1;
    bool is_ready;

    pthread_mutex_lock(&s->lock);
    if (s->has_maps && s->ready_count >= s->ready_max) {
        /* NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores): auto_fd, which it does not know */
        spare = slot->userns_fd;
        slot->userns_fd = -1;
    }
    is_ready = !s->has_maps || slot->userns_fd >= 0;
    list_push(is_ready ? &s->ready : &s->cold, &slot->node);
    s->ready_count += is_ready;
    pthread_mutex_unlock(&s->lock);
}

bool slots_fill_one(struct slots *s, size_t wanted)
{
    struct slot *slot = NULL;
    struct err ignored;

    if (!s->has_maps)
        return false;
    pthread_mutex_lock(&s->lock);
    if (s->ready_count < wanted)
        slot = pop(s, true);
    pthread_mutex_unlock(&s->lock);
    if (slot == NULL)
        return false;

    bool is_made = userns_open(slot->uid, &slot->userns_fd, &ignored) == 0;

    if (!is_made)
        slot->userns_fd = -1;
    slots_give(s, slot); /* the next launch will tell why it cannot be made */
    return is_made;
}
