/* SPDX-License-Identifier: Apache-2.0 */
/* What steps of builds left: snapshots of files, found again by the digest of everything that made
 * them, within a team. They are node's, which shares what they have in common; here is what leads
 * to them. Whatever node has under such a name and nothing leads to is removed. Users: src/build.
 */
#ifndef DOMAIN_BUILD_LAYER_H
#define DOMAIN_BUILD_LAYER_H

#include "base/digest.h"
#include "base/err.h"
#include "base/map.h"

struct domain;

enum {
    BUILD_NAME_LEN = 25, /* "b" and 24 of [a-z0-9] */
    BUILD_LAYERS_MAX = 2000,
    BUILD_LAYER_KEEP_S = 7 * 24 * 3600, /* one that no build used for so long goes */
};

/* .len 0: none. It counts as used. The text is good until control returns to the loop. */
struct str build_layer_find(struct domain *d, struct str team_id, const uint8_t key[SHA256_SIZE]);
/* From now on it is found; replaces what was. Written soon, not answered: it can be made again. */
void build_layer_keep(struct domain *d, struct str team_id, const uint8_t key[SHA256_SIZE],
                      struct str name);

/* A new name, which is not removed until it is released: by then something leads to it. */
void build_name_reserve(struct domain *d, char out[BUILD_NAME_LEN + 1]);
void build_name_release(struct domain *d, const char *name);
/* Is it one of those names? Other snapshots are sandboxes'. */
bool build_is_name(struct str name);

/* For builds.c and recover.c. */
must_check int build_layers_load(struct domain *d, struct err *err);
void build_layers_done(struct domain *d);
void build_layers_sweep(struct domain *d);
/* `snapshots`: all of node's, by name. */
void build_layers_compare(struct domain *d, const struct map *snapshots);

#endif
