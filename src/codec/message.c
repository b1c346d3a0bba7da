/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a message, whatever the encoding: lookup, presence, growth of lists, the trail that
 * names a member in an error. Called by the four encoders and decoders. */
#include <stdio.h>

#include "codec/codec_internal.h"

enum {
    LIST_FIRST = 4,      /* room of a list that gets its first element */
    MAP_SMALL = 16,      /* maps up to here are compared pair by pair */
    TRAIL_TEXT_MAX = 128 /* of the path in an error */
};

int trail_enter(struct codec_trail *t, struct err *err)
{
    if (t->depth >= CODEC_DEPTH_MAX) {
        err_set(err, ERR_LIMIT, "nested deeper than %d levels", CODEC_DEPTH_MAX);
        return -1;
    }
    t->depth++;
    trail_name(t, NULL, TRAIL_NO_INDEX);
    return 0;
}

void trail_leave(struct codec_trail *t)
{
    t->depth--;
}

int trail_fail(const struct codec_trail *t, struct err *err, enum err_kind kind, const char *text)
{
    char path[TRAIL_TEXT_MAX];
    size_t used = 0;

    path[0] = '\0';
    for (unsigned i = 1; i <= t->depth && used < sizeof(path); i++) {
        const struct codec_step *s = &t->steps[i];

        if (s->name != NULL)
            used += (size_t)snprintf(path + used, sizeof(path) - used, "%s%s", used == 0 ? "" : ".",
                                     s->name);
        if (s->index != TRAIL_NO_INDEX && used < sizeof(path))
            used += (size_t)snprintf(path + used, sizeof(path) - used, "[%zd]", s->index);
    }
    err_set(err, kind, "%s%s%s", path, used == 0 ? "" : ": ", text);
    return -1;
}

size_t field_item_size(const struct codec_field *f)
{
    static const size_t sizes[] = {
        [CODEC_STRING] = sizeof(struct str),
        [CODEC_BYTES] = sizeof(struct str),
        [CODEC_BOOL] = sizeof(bool),
        [CODEC_INT32] = sizeof(int32_t),
        [CODEC_SINT32] = sizeof(int32_t),
        [CODEC_UINT32] = sizeof(uint32_t),
        [CODEC_INT64] = sizeof(int64_t),
        [CODEC_UINT64] = sizeof(uint64_t),
        [CODEC_NUMBER] = sizeof(int64_t),
        [CODEC_DOUBLE] = sizeof(double),
        [CODEC_ENUM] = sizeof(int32_t),
        [CODEC_TIMESTAMP] = sizeof(struct codec_time),
        [CODEC_MAP] = sizeof(struct codec_pair),
        [CODEC_RAW] = sizeof(struct str),
    };

    if (f->type == CODEC_MESSAGE)
        return ((const struct codec_message *)f->sub)->size;
    return sizes[f->type];
}

/* The room of a list follows from its count: LIST_FIRST, then doubled at each power of two. */
void *field_add(const struct codec_field *f, struct codec_list *list, struct arena *a)
{
    size_t size = field_item_size(f);
    size_t count = list->count;

    if (count >= CODEC_ITEMS_MAX)
        return NULL;
    if (count == 0 || (count >= LIST_FIRST && (count & (count - 1)) == 0)) {
        void *items = arena_array(a, count == 0 ? LIST_FIRST : count * 2, size);

        if (items == NULL)
            return NULL;
        if (count != 0)
            memcpy(items, list->items, count * size);
        list->items = items;
    }
    list->count++;
    return (char *)list->items + count * size;
}

static bool is_default(const struct codec_field *f, const void *at)
{
    switch (f->type) {
    case CODEC_STRING:
    case CODEC_BYTES:
    case CODEC_RAW: return ((const struct str *)at)->len == 0;
    case CODEC_BOOL: return !*(const bool *)at;
    case CODEC_INT32:
    case CODEC_SINT32:
    case CODEC_UINT32:
    case CODEC_ENUM: return *(const uint32_t *)at == 0;
    case CODEC_INT64:
    case CODEC_UINT64:
    case CODEC_NUMBER:
    case CODEC_DOUBLE: return *(const uint64_t *)at == 0; /* -0.0 is not the default */
    case CODEC_MESSAGE: return *(void *const *)at == NULL;
    case CODEC_TIMESTAMP: {
        const struct codec_time *t = at;

        return t->seconds == 0 && t->nanos == 0;
    }
    case CODEC_MAP: break; /* a list */
    }
    return true;
}

uint32_t field_oneof(const struct codec_field *f, const void *message)
{
    return *(const uint32_t *)(const void *)((const char *)message + f->presence);
}

bool field_is_set(const struct codec_field *f, const void *message)
{
    const void *at = field_of(f, message);

    if ((f->flags & CODEC_ONEOF) != 0)
        return field_oneof(f, message) == f->number;
    if ((f->flags & CODEC_OPTIONAL) != 0 && *((const bool *)message + f->presence))
        return true;
    if (field_is_list(f))
        return ((const struct codec_list *)at)->count != 0;
    if ((f->flags & CODEC_OPTIONAL) != 0)
        return f->type == CODEC_MESSAGE && !is_default(f, at);
    return !is_default(f, at);
}

void field_mark(const struct codec_field *f, void *message)
{
    void *at = (char *)message + f->presence;

    if ((f->flags & CODEC_ONEOF) != 0)
        *(uint32_t *)at = f->number;
    else if ((f->flags & CODEC_OPTIONAL) != 0)
        *(bool *)at = true;
}

const struct codec_field *field_by_number(const struct codec_message *m, uint32_t number,
                                          size_t hint)
{
    if (hint < m->field_count && m->fields[hint].number == number)
        return &m->fields[hint];
    for (size_t i = 0; i < m->field_count; i++) {
        if (m->fields[i].number == number)
            return &m->fields[i];
    }
    return NULL;
}

/* Not strncmp(): a name from outside may hold a NUL. */
static bool is_exactly(const char *text, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (text[i] == '\0' || text[i] != name.at[i])
            return false;
    }
    return text[name.len] == '\0';
}

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Does `snake` spell `camel`? A capital is '_' and the small letter; inside a run of capitals the
 * '_' may be missing: templateID is template_id. */
static bool is_snake_of(const char *camel, struct str snake)
{
    const char *at = snake.at, *end = snake.at + snake.len;

    for (size_t i = 0; camel[i] != '\0'; i++) {
        char c = camel[i];

        if (is_capital(c)) {
            if (at != end && *at == '_')
                at++;
            else if (i == 0 || !is_capital(camel[i - 1]))
                return false;
            c = (char)(c - 'A' + 'a');
        }
        if (at == end || *at != c)
            return false;
        at++;
    }
    return at == end;
}

static bool is_named(const struct codec_field *f, struct str name)
{
    return is_exactly(f->name, name) || (f->json_name != NULL && is_exactly(f->json_name, name));
}

const struct codec_field *field_by_name(const struct codec_message *m, struct str name, size_t hint)
{
    if (name.len == 0)
        return NULL;
    if (hint < m->field_count && is_named(&m->fields[hint], name))
        return &m->fields[hint];
    for (size_t i = 0; i < m->field_count; i++) {
        if (is_named(&m->fields[i], name))
            return &m->fields[i];
    }
    if (memchr(name.at, '_', name.len) == NULL)
        return NULL;
    for (size_t i = 0; i < m->field_count; i++) {
        if (is_snake_of(m->fields[i].name, name))
            return &m->fields[i];
    }
    return NULL;
}

/* Some total order of keys, then the order they came in. */
static int compare_pairs(const void *left, const void *right)
{
    const struct codec_pair *a = *(const struct codec_pair *const *)left;
    const struct codec_pair *b = *(const struct codec_pair *const *)right;
    int order;

    if (a->key.len != b->key.len)
        return a->key.len < b->key.len ? -1 : 1;
    order = memcmp(a->key.at, b->key.at, a->key.len);
    if (order != 0)
        return order;
    return a < b ? -1 : a > b;
}

/* Marks the pairs that a later one replaces by taking their key away. */
static size_t drop_small(struct codec_pair *pairs, size_t count)
{
    size_t dropped = 0;

    for (size_t i = 0; i < count; i++) {
        size_t j = i + 1;

        while (j < count && !str_eq(pairs[i].key, pairs[j].key))
            j++;
        if (j < count) {
            pairs[i].key.at = NULL;
            dropped++;
        }
    }
    return dropped;
}

static ssize_t drop_large(struct codec_pair *pairs, size_t count, struct arena *a)
{
    struct codec_pair **order = arena_array(a, count, sizeof(*order));
    ssize_t dropped = 0;

    if (order == NULL)
        return -1;
    for (size_t i = 0; i < count; i++)
        order[i] = &pairs[i];
    qsort(order, count, sizeof(*order), compare_pairs);
    for (size_t i = 0; i + 1 < count; i++) {
        if (str_eq(order[i]->key, order[i + 1]->key)) {
            order[i]->key.at = NULL;
            dropped++;
        }
    }
    return dropped;
}

ssize_t map_settle(struct codec_list *map, struct arena *a)
{
    struct codec_pair *pairs = map->items;
    ssize_t dropped;
    size_t kept = 0;

    if (map->count < 2)
        return 0;
    dropped = map->count <= MAP_SMALL ? (ssize_t)drop_small(pairs, map->count)
                                      : drop_large(pairs, map->count, a);
    if (dropped <= 0)
        return dropped;
    for (size_t i = 0; i < map->count; i++) {
        if (pairs[i].key.at != NULL)
            pairs[kept++] = pairs[i];
    }
    map->count = kept;
    return dropped;
}
