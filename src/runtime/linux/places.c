/* SPDX-License-Identifier: Apache-2.0 */
/* See places.h. */
#include "runtime/linux/places.h"

#include <assert.h>
#include <stdio.h>

#include "base/buf.h"
#include "runtime/linux/files.h"

enum { STACK_TEXT_MAX = 160 << 10 };

struct place {
    struct list_node node; /* in places->left */
    char name[PLACE_SIZE];
    size_t holders;
};

static const char layer_suffix[] = "/u";
static const char *const parents[] = {"sandboxes/", "snapshots/"};

const char *place_of_sandbox(const char *dir, char out[PLACE_SIZE])
{
    ignore(snprintf(out, PLACE_SIZE, "sandboxes/%s", dir));
    return out;
}

const char *place_of_snapshot(const char *dir, char out[PLACE_SIZE])
{
    ignore(snprintf(out, PLACE_SIZE, "snapshots/%s", dir));
    return out;
}

void stack_add(struct stack *s, const char *path)
{
    assert(s->count < STACK_MAX); /* bounded by whoever reads or starts */
    s->paths[s->count++] = mem_text(path);
}

void stack_copy(struct stack *to, const struct stack *from)
{
    to->count = 0;
    for (size_t i = 0; i < from->count; i++)
        stack_add(to, from->paths[i]);
}

void stack_done(struct stack *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->paths[i]);
    s->count = 0;
}

void places_init(struct places *p, const char *data_dir, int data_fd)
{
    pthread_mutex_init(&p->lock, NULL);
    p->data_dir = data_dir;
    p->data_fd = data_fd;
}

void places_done(struct places *p)
{
    struct list_node *n;
    struct place *one;
    size_t cursor = 0;

    while ((n = list_pop(&p->left)) != NULL)
        free(container_of(n, struct place, node)); /* the next start sweeps */
    while ((one = map_next(&p->held, &cursor)) != NULL) {
        ignore(map_remove(&p->held, str_of(one->name)) != NULL); /* it was just there */
        free(one);
    }
    map_done(&p->held);
    pthread_mutex_destroy(&p->lock);
}

void place_hold(struct places *p, const char *name)
{
    struct place *one;

    pthread_mutex_lock(&p->lock);
    one = map_get(&p->held, str_of(name));
    if (one == NULL) {
        one = mem_zero(sizeof(*one));
        ignore(snprintf(one->name, sizeof(one->name), "%s", name)); /* ids and directories fit */
        ignore(map_put(&p->held, str_of(one->name), one) != NULL);  /* it was not there */
    }
    one->holders++;
    pthread_mutex_unlock(&p->lock);
}

size_t place_holders(struct places *p, const char *name)
{
    const struct place *one;
    size_t holders;

    pthread_mutex_lock(&p->lock);
    one = map_get(&p->held, str_of(name));
    holders = one == NULL ? 0 : one->holders;
    pthread_mutex_unlock(&p->lock);
    return holders;
}

static void leave_for_later(struct places *p, struct place *one)
{
    pthread_mutex_lock(&p->lock);
    list_push(&p->left, &one->node);
    pthread_mutex_unlock(&p->lock);
}

static struct place *next_left(struct places *p)
{
    struct list_node *n;

    pthread_mutex_lock(&p->lock);
    n = list_pop(&p->left);
    pthread_mutex_unlock(&p->lock);
    return n == NULL ? NULL : container_of(n, struct place, node);
}

/* And what could not be removed before: there were no descriptors, or no memory. */
static void remove_all(struct places *p, struct place *one)
{
    struct err unused;

    for (; one != NULL; one = next_left(p)) {
        if (tree_remove(p->data_fd, one->name, &unused) != 0) {
            leave_for_later(p, one);
            return;
        }
        free(one);
    }
}

void place_leave(struct places *p, const char *name)
{
    struct place *one, *last = NULL;

    pthread_mutex_lock(&p->lock);
    one = map_get(&p->held, str_of(name));
    assert(one != NULL && one->holders > 0);
    if (--one->holders == 0)
        last = map_remove(&p->held, str_of(name));
    pthread_mutex_unlock(&p->lock);
    if (last != NULL)
        remove_all(p, last);
}

/* The place whose layer this is. */
static bool place_of(const struct places *p, const char *layer, char out[PLACE_SIZE])
{
    size_t dir_len = strlen(p->data_dir), len = strlen(layer);
    size_t suffix = sizeof(layer_suffix) - 1;

    if (len < dir_len + 1 + suffix || memcmp(layer, p->data_dir, dir_len) != 0 ||
        layer[dir_len] != '/' || strcmp(layer + len - suffix, layer_suffix) != 0)
        return false;
    layer += dir_len + 1;
    len -= dir_len + 1 + suffix;
    for (size_t i = 0; i < COUNT_OF(parents); i++) {
        struct str name = {layer, len};

        if (str_has_prefix(name, parents[i]) &&
            str_find(str_from(name, strlen(parents[i])), '/') < 0)
            return str_to_c(name, out, PLACE_SIZE);
    }
    return false;
}

bool place_is_ours(const struct places *p, const char *layer)
{
    char name[PLACE_SIZE];

    return place_of(p, layer, name);
}

bool place_layer_is_held(struct places *p, const char *layer)
{
    char name[PLACE_SIZE];

    return place_of(p, layer, name) && place_holders(p, name) > 0;
}

static void each_of(struct places *p, const struct stack *s,
                    void (*fn)(struct places *p, const char *name))
{
    char name[PLACE_SIZE];

    for (size_t i = 0; i < s->count; i++) {
        if (place_of(p, s->paths[i], name))
            fn(p, name);
    }
}

void places_hold_stack(struct places *p, const struct stack *s)
{
    each_of(p, s, place_hold);
}

void places_leave_stack(struct places *p, const struct stack *s)
{
    each_of(p, s, place_leave);
}

char *place_layer(const struct places *p, const char *name)
{
    char path[LAYER_PATH_MAX + PLACE_SIZE];

    ignore(snprintf(path, sizeof(path), "%s/%s%s", p->data_dir, name, layer_suffix));
    return mem_text(path);
}

int stack_write(int dir, const char *path, const struct stack *s, struct err *err)
{
    struct buf text;
    int result;

    buf_init(&text, STACK_TEXT_MAX);
    for (size_t i = 0; i < s->count; i++)
        buf_printf(&text, "%s\n", s->paths[i]);
    result = buf_ok(&text) ? file_create(dir, path, buf_str(&text), err)
                           : err_set(err, ERR_LIMIT, "too many layers");
    buf_done(&text);
    return result;
}

int stack_read(int dir, const char *path, struct stack *out, struct err *err)
{
    auto_free char *space = mem_zero(STACK_TEXT_MAX);
    char layer[LAYER_PATH_MAX + 1];
    struct str text;

    if (file_read(dir, path, space, STACK_TEXT_MAX, &text, err) != 0)
        return err->kind == ERR_NOT_FOUND ? 0 : -1;
    while (text.len > 0) {
        struct str line = str_cut(text, '\n', &text);

        if (out->count >= STACK_MAX || !str_to_c(line, layer, sizeof(layer)) || layer[0] != '/')
            return err_set(err, ERR_INVALID, "list of layers does not make sense");
        stack_add(out, layer);
    }
    return 0;
}
