/* SPDX-License-Identifier: Apache-2.0 */
/* Counters by key; see counts.h. */
#include "edge/counts.h"

#include <assert.h>

struct count_slot {
    uint32_t number, count;
    size_t key_len;
    char key[];
};

static void lock(struct counts *c)
{
    int failure = pthread_mutex_lock(&c->mutex);

    assert(failure == 0); /* fails for misuse only */
}

static void unlock(struct counts *c)
{
    int failure = pthread_mutex_unlock(&c->mutex);

    assert(failure == 0);
}

void counts_init(struct counts *c, uint32_t max)
{
    *c = (struct counts){.mutex = PTHREAD_MUTEX_INITIALIZER, .max = max};
}

void counts_done(struct counts *c)
{
    for (size_t i = 0; i < c->slot_count; i++)
        free(c->slots[i]);
    free(c->slots);
    free(c->spare);
    map_done(&c->by_key);
    *c = (struct counts){0};
}

static void grow(struct counts *c)
{
    size_t room = c->room == 0 ? 64 : c->room * 2;
    struct count_slot **slots = mem_array(room, sizeof(struct count_slot *));
    uint32_t *spare = mem_array(room, sizeof *spare);

    assert(room < COUNT_SLOTS_MAX);
    if (c->room > 0) {
        memcpy(slots, c->slots, c->slot_count * sizeof(struct count_slot *));
        memcpy(spare, c->spare, c->spare_count * sizeof *spare);
    }
    free(c->slots);
    free(c->spare);
    c->slots = slots;
    c->spare = spare;
    c->room = room;
}

static struct count_slot *slot_new(struct counts *c, struct str key)
{
    struct count_slot *slot = mem_zero(sizeof *slot + key.len);

    if (c->slot_count == c->room && c->spare_count == 0)
        grow(c);
    slot->number = c->spare_count > 0 ? c->spare[--c->spare_count] : (uint32_t)c->slot_count++;
    c->slots[slot->number] = slot;
    slot->key_len = key.len;
    if (key.len > 0)
        memcpy(slot->key, key.at, key.len);
    map_put(&c->by_key, (struct str){slot->key, slot->key_len}, slot);
    return slot;
}

uint32_t counts_take(struct counts *c, struct str key)
{
    struct count_slot *slot;
    uint32_t result = COUNT_FULL;

    if (c->max == 0)
        return COUNT_NONE;
    lock(c);
    slot = map_get(&c->by_key, key);
    if (slot == NULL)
        slot = slot_new(c, key);
    if (slot->count < c->max) {
        slot->count++;
        result = slot->number + COUNT_FIRST;
    }
    unlock(c);
    return result;
}

void counts_give(struct counts *c, uint32_t number)
{
    struct count_slot *slot;

    if (number < COUNT_FIRST)
        return;
    lock(c);
    slot = c->slots[number - COUNT_FIRST];
    if (--slot->count == 0) {
        map_remove(&c->by_key, (struct str){slot->key, slot->key_len});
        c->slots[slot->number] = NULL;
        c->spare[c->spare_count++] = slot->number;
        free(slot);
    }
    unlock(c);
}
