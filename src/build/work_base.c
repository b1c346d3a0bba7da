/* SPDX-License-Identifier: Apache-2.0 */
/* What a build begins with: another template, or an image. Part of work.h. */
#include <stdio.h>

#include "build/work_internal.h"
#include "domain/template.h"

/* Names of images that are templates of the operator here: what clients ask for who chose nothing.
 */
static const struct {
    const char *image, *template;
} known_images[] = {
    {"e2bdev/base",             "base"               },
    {"e2bdev/base:latest",      "base"               },
    {"docker.io/e2bdev/base",   "base"               },
    {"e2bdev/code-interpreter", "code-interpreter-v1"},
};

static bool is_home(const struct template_record *r)
{
    return str_has_prefix(r->workdir, "/home/") && str_eq(str_from(r->workdir, 6), r->user);
}

/* Those that are none are nobody's need. */
void work_take_ports(struct work *w, const struct codec_list *ports)
{
    for (size_t i = 0; i < ports->count; i++)
        ignore(step_expose(w->state, ((const struct str *)ports->items)[i], &w->mem, NULL));
}

static void take(struct work *w, const struct template *t)
{
    const struct codec_pair *env = t->r.env.items;
    struct str parts[] = {t->r.id, t->r.build_id};
    struct str *layers = arena_array(&w->mem, t->r.layers.count + 1, sizeof(*layers));

    w->rootfs = arena_str(&w->mem, t->r.rootfs);
    w->snapshot = arena_str(&w->mem, t->r.snapshot);
    for (size_t i = 0; i < t->r.layers.count && layers != NULL; i++)
        layers[i] = arena_str(&w->mem, ((const struct str *)t->r.layers.items)[i]);
    w->layers = (struct codec_list){layers, t->r.layers.count};
    for (size_t i = 0; i < t->r.env.count; i++)
        ignore(step_set_env(
            w->state,
            (struct codec_pair){arena_str(&w->mem, env[i].key), arena_str(&w->mem, env[i].value)},
            NULL)); /* a template has no more than a state can hold */
    work_take_ports(w, &t->r.ports);
    w->state->user = arena_str(&w->mem, t->r.user);
    if (!is_home(&t->r)) /* unset: the home of whoever is the user then */
        w->state->workdir = arena_str(&w->mem, t->r.workdir);
    w->start_cmd = arena_str(&w->mem, t->r.start_cmd);
    w->ready_cmd = arena_str(&w->mem, t->r.ready_cmd);
    work_key_add(w, STR("template"), parts, COUNT_OF(parts));
}

static const struct template *local_image(struct work *w, const struct team *team)
{
    const struct template *t = NULL;

    for (size_t i = 0; i < COUNT_OF(known_images); i++)
        if (str_is(w->plan->from_image, known_images[i].image) &&
            template_resolve(w->host.domain, team, str_of(known_images[i].template), &t, NULL) == 0)
            return t;
    return NULL;
}

/* What the build itself says about these goes before what it began with. */
void work_take_commands(struct work *w)
{
    if (w->plan->start_cmd.len == 0 && w->plan->ready_cmd.len == 0)
        return;
    w->start_cmd = w->plan->start_cmd.len > 0 ? w->plan->start_cmd : w->start_cmd;
    w->ready_cmd = w->plan->ready_cmd;
}

enum work_stage work_base(struct work *w)
{
    const struct build *b = build_find(w->host.domain, str_of(w->build_id));
    const struct template *t = NULL;
    struct err err = {0};

    work_say(w, BUILD_INFO, "Building template %s", w->template_id);
    if (w->plan->from_template.len > 0) {
        if (template_resolve(w->host.domain, b->template->team, w->plan->from_template, &t, &err) !=
            0) {
            work_fail(w, "%s", err.text);
            return WORK_ENDED;
        }
        work_say(w, BUILD_INFO, "[base] FROM TEMPLATE %.*s", STR_ARG(w->plan->from_template));
    } else if (w->plan->from_image.len == 0) {
        work_say(w, BUILD_INFO, "[base] FROM the pushed image %.*s", STR_ARG(b->r.pushed));
        return work_image(w);
    } else {
        work_say(w, BUILD_INFO, "[base] FROM %.*s", STR_ARG(w->plan->from_image));
        t = local_image(w, b->template->team);
        if (t == NULL)
            return work_image(w);
    }
    take(w, t);
    work_take_commands(w);
    return WORK_CACHED;
}
