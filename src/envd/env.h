/* SPDX-License-Identifier: Apache-2.0 */
/* A set of environment variables in the making: later values win, order of first appearance kept.
 */
#ifndef ENVD_ENV_H
#define ENVD_ENV_H

#include "codec/codec.h"

enum {
    ENV_VARS_MAX = 4096 /* variables of one process */
};

struct env {
    struct arena *arena;
    struct codec_pair *pairs;
    size_t count, room;
};

/* Room for `room` different names. */
must_check int env_init(struct env *e, struct arena *a, size_t room, struct err *err);
/* Borrows key and value. A name that is empty or holds '=' or NUL, or a value with a NUL, cannot be
 * an environment variable: ERR_INVALID. */
must_check int env_set(struct env *e, struct str key, struct str value, struct err *err);
/* May this be an environment variable at all? */
bool env_is_valid(struct str key, struct str value);
must_check int env_set_all(struct env *e, const struct codec_list *pairs, struct err *err);
struct str env_get(const struct env *e, const char *key); /* .at NULL when not set */
/* "KEY=value" strings, NULL behind the last; NULL when memory is out. */
char **env_strings(const struct env *e);

#endif
