/* SPDX-License-Identifier: Apache-2.0 */
/* Environment of a process; process_rpc.c and guest.c build one per request. */
#include "envd/env.h"

int env_init(struct env *e, struct arena *a, size_t room, struct err *err)
{
    if (room > ENV_VARS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d environment variables", ENV_VARS_MAX);
    *e = (struct env){.arena = a, .room = room};
    e->pairs = arena_array(a, room, sizeof(e->pairs[0]));
    return e->pairs == NULL ? err_set(err, ERR_LIMIT, "out of memory") : 0;
}

static bool has_nul(struct str s)
{
    return s.len > 0 && memchr(s.at, 0, s.len) != NULL;
}

bool env_is_valid(struct str key, struct str value)
{
    return key.len > 0 && str_find(key, '=') < 0 && !has_nul(key) && !has_nul(value);
}

int env_set(struct env *e, struct str key, struct str value, struct err *err)
{
    if (!env_is_valid(key, value))
        return err_set(err, ERR_INVALID, "invalid environment variable '%.*s'",
                       STR_ARG(str_upto(key, 100)));
    for (size_t i = 0; i < e->count; i++) {
        if (!str_eq(e->pairs[i].key, key))
            continue;
        e->pairs[i].value = value;
        return 0;
    }
    if (e->count == e->room)
        return err_set(err, ERR_LIMIT, "more than %zu environment variables", e->room);
    e->pairs[e->count++] = (struct codec_pair){key, value};
    return 0;
}

int env_set_all(struct env *e, const struct codec_list *list, struct err *err)
{
    const struct codec_pair *pairs = list->items;

    for (size_t i = 0; i < list->count; i++) {
        if (env_set(e, pairs[i].key, pairs[i].value, err) != 0)
            return -1;
    }
    return 0;
}

struct str env_get(const struct env *e, const char *key)
{
    for (size_t i = 0; i < e->count; i++) {
        if (str_is(e->pairs[i].key, key))
            return e->pairs[i].value;
    }
    return (struct str){NULL, 0};
}

char **env_strings(const struct env *e)
{
    char **strings = arena_array(e->arena, e->count + 1, sizeof(strings[0]));

    for (size_t i = 0; strings != NULL && i < e->count; i++) {
        const struct codec_pair *p = &e->pairs[i];

        strings[i] = arena_printf(e->arena, "%.*s=%.*s", STR_ARG(p->key), STR_ARG(p->value));
        if (strings[i] == NULL)
            return NULL;
    }
    return strings;
}
