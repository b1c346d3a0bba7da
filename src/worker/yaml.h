/* SPDX-License-Identifier: Apache-2.0 */
/* The little YAML that a worker's configuration needs: "key: value" lines at one depth, or one
 * depth below a lone "config:"; values plain, in quotes, or a list of them ("[a, b]" or "- a"
 * lines). Whatever else YAML has is an error with its line: a file that is misread could open what
 * it was to close. */
#ifndef WORKER_YAML_H
#define WORKER_YAML_H

#include "base/arena.h"
#include "base/err.h"

enum {
    YAML_MAX = 64 << 10,
    YAML_ITEMS_MAX = 256, /* of a list */
};

struct yaml_value {
    bool is_list;
    const struct str *items; /* one when it is no list; in the arena */
    size_t count;
};

/* Called for each key, once. */
typedef int yaml_fn(void *ctx, struct str key, const struct yaml_value *value, struct err *err);

must_check int yaml_read(struct str text, struct arena *a, yaml_fn *fn, void *ctx, struct err *err);

#endif
