/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map from a byte string to a pointer. Keys are borrowed: they live in the value, or at least
 * as long as the entry. Hashing is keyed with a random seed per process (hash flooding).
 * Aborts when there is no memory; bound what you put in. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_slot;

struct map {
    struct map_slot *slots; /* zeroed struct = empty map */
    size_t count, room, tombs;
};

void map_done(struct map *m);                       /* frees the table, not the values */
void *map_get(const struct map *m, struct str key); /* or NULL */
/* Returns the value that was there before (its key is no longer referenced), or NULL. */
void *map_put(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key); /* the value, or NULL */
/* Iterate: start with *cursor = 0; NULL at the end. Removing the entry just returned is allowed,
 * any other change is not. */
void *map_next(const struct map *m, size_t *cursor);

#endif
