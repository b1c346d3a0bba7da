/* SPDX-License-Identifier: Apache-2.0 */
/* The hash map: open addressing, linear probing, SipHash-1-3 under a seed drawn once per process.
 * Used for ids, keys and routes. */
#include "base/map.h"

#include <assert.h>
#include <pthread.h>

#include "base/id.h"

enum {
    MAP_FIRST = 16 /* a power of two, as all sizes are */
};

struct map_slot {
    uint64_t hash;
    struct str key;
    void *value; /* NULL: never used; &tomb: removed, probing goes on */
};

static struct {
    uint64_t k0, k1;
} seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static char tomb;

static void draw_seed(void)
{
    id_random(&seed, sizeof(seed));
}

static uint64_t rotate(uint64_t v, unsigned by)
{
    return v << by | v >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t hash_of(struct str key)
{
    uint64_t v[4], word;
    size_t at = 0;

    ignore(pthread_once(&seed_once, draw_seed)); /* cannot fail with a valid control */
    v[0] = seed.k0 ^ 0x736f6d6570736575U;
    v[1] = seed.k1 ^ 0x646f72616e646f6dU;
    v[2] = seed.k0 ^ 0x6c7967656e657261U;
    v[3] = seed.k1 ^ 0x7465646279746573U;
    for (; key.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, key.at + at, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (key.len > at)
        memcpy(&word, key.at + at, key.len - at);
    word |= (uint64_t)key.len << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static bool is_live(const struct map_slot *slot)
{
    return slot->value != NULL && slot->value != &tomb;
}

static struct map_slot *find(const struct map *m, struct str key, uint64_t hash)
{
    if (m->count == 0)
        return NULL;
    for (size_t at = hash & (m->room - 1);; at = (at + 1) & (m->room - 1)) {
        struct map_slot *slot = &m->slots[at];

        if (slot->value == NULL)
            return NULL;
        if (is_live(slot) && slot->hash == hash && str_eq(slot->key, key))
            return slot;
    }
}

/* The key is known to be absent: the first free slot will do. Returns whether it was a tomb. */
static bool insert(struct map_slot *slots, size_t room, const struct map_slot *entry)
{
    size_t at = entry->hash & (room - 1);
    bool was_tomb;

    while (is_live(&slots[at]))
        at = (at + 1) & (room - 1);
    was_tomb = slots[at].value != NULL;
    slots[at] = *entry;
    return was_tomb;
}

/* At most three quarters full, tombs included, after a rehash at most half. */
static void make_room(struct map *m)
{
    size_t room = m->room == 0 ? MAP_FIRST : m->room;
    struct map_slot *slots;

    if (m->room > 0 && (m->count + m->tombs + 1) * 4 <= m->room * 3)
        return;
    while ((m->count + 1) * 2 > room)
        room *= 2;
    slots = mem_array(room, sizeof(struct map_slot));
    for (size_t i = 0; i < m->room; i++) {
        if (is_live(&m->slots[i]))
            ignore(insert(slots, room, &m->slots[i])); /* no tombs in a new table */
    }
    free(m->slots);
    m->slots = slots;
    m->room = room;
    m->tombs = 0;
}

void map_done(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}

void *map_get(const struct map *m, struct str key)
{
    const struct map_slot *slot = find(m, key, hash_of(key));

    return slot == NULL ? NULL : slot->value;
}

void *map_put(struct map *m, struct str key, void *value)
{
    struct map_slot entry = {hash_of(key), key, value};
    struct map_slot *slot = find(m, key, entry.hash);
    void *before;

    assert(value != NULL);
    if (slot != NULL) {
        before = slot->value;
        *slot = entry;
        return before;
    }
    make_room(m);
    if (insert(m->slots, m->room, &entry))
        m->tombs--;
    m->count++;
    return NULL;
}

void *map_remove(struct map *m, struct str key)
{
    struct map_slot *slot = find(m, key, hash_of(key));
    void *value;

    if (slot == NULL)
        return NULL;
    value = slot->value;
    *slot = (struct map_slot){.value = &tomb};
    m->count--;
    m->tombs++;
    return value;
}

void *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->room) {
        const struct map_slot *slot = &m->slots[(*cursor)++];

        if (is_live(slot))
            return slot->value;
    }
    return NULL;
}
