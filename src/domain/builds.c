/* SPDX-License-Identifier: Apache-2.0 */
/* All templates and builds of teams: read at start, swept, freed; and the way to who builds. Called
 * by domain.c and recover.c. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "domain/build_internal.h"
#include "domain/build_layer.h"
#include "domain/image_fetch.h"

static const char interrupted[] =
    "The server was restarted while the template was being built. Please build it again.";

static void on_sweep(void *ctx)
{
    struct domain *d = ctx;

    build_evict(d);
    build_layers_sweep(d);
    timer_start(d->loop, &d->builds->sweep, d->config.build_sweep_s * 1000, on_sweep, d);
}

void build_set_runner(struct domain *d, const struct build_runner *runner, void *ctx)
{
    d->builds->runner = runner;
    d->builds->runner_ctx = ctx;
}

struct builds *builds_new(struct domain *d)
{
    struct builds *b = mem_zero(sizeof(*b));

    b->domain = d;
    return b;
}

void builds_free(struct builds *b)
{
    size_t cursor = 0;
    struct team_template *t;

    if (b == NULL)
        return;
    b->runner = NULL;
    changes_done(b);
    while ((t = map_next(&b->templates, &cursor)) != NULL) {
        team_template_drop(b->domain, t->r.id);
        cursor = 0;
    }
    timer_stop(&b->sweep);
    build_layers_done(b->domain);
    map_done(&b->templates);
    map_done(&b->names);
    map_done(&b->by_id);
    map_done(&b->guests); /* the runner stopped them all */
    arena_done(&b->view.mem);
    free(b);
}

static int by_end(const void *a, const void *b)
{
    const struct build *x = *(struct build *const *)a, *y = *(struct build *const *)b;

    return (x->r.finished_at_ms > y->r.finished_at_ms) -
           (x->r.finished_at_ms < y->r.finished_at_ms);
}

static int by_creation(const void *a, const void *b)
{
    const struct build *x = *(struct build *const *)a, *y = *(struct build *const *)b;

    return (x->r.created_at_ms > y->r.created_at_ms) - (x->r.created_at_ms < y->r.created_at_ms);
}

/* Records came in the order of their ids. */
static void sort(struct builds *all)
{
    struct build **list = mem_zero((all->by_id.count + 1) * sizeof(*list)), *b;
    size_t cursor = 0, count = 0;

    while ((b = map_next(&all->by_id, &cursor)) != NULL)
        list[count++] = b;
    qsort(list, count, sizeof(struct build *), by_end);
    for (size_t i = 0; i < count; i++) {
        if (!list_linked(&list[i]->ended))
            continue;
        list_remove(&list[i]->ended);
        list_push(&all->ended, &list[i]->ended);
    }
    qsort(list, count, sizeof(struct build *), by_creation);
    for (size_t i = 0; i < count; i++) {
        list_remove(&list[i]->node);
        list_push(&list[i]->template->builds, &list[i]->node);
    }
    free(list);
}

/* Their steps were lost with the process that made them (CT-31). */
static void fail_interrupted(struct domain *d)
{
    struct list_node *at;
    size_t cursor = 0;
    struct team_template *t;

    while ((t = map_next(&d->builds->templates, &cursor)) != NULL)
        for (at = list_first(&t->builds); at != NULL; at = list_next(&t->builds, at)) {
            struct build *b = container_of(at, struct build, node);

            if (b->r.state == BUILD_BUILDING)
                build_fail(d, b->r.id, (struct str){0}, interrupted);
        }
}

/* Made once, and durable before the first link that it signs can be used. */
static int load_upload_key(struct domain *d, struct err *err)
{
    static const struct str name = STR("upload-key");
    struct builds *all = d->builds;
    struct err missing = {0};
    struct buf bytes;
    int result = 0;

    buf_init(&bytes, UPLOAD_KEY_SIZE);
    if (store_get(d->store, STORE_SETTING, name, &bytes, &missing) == 0 &&
        bytes.len == UPLOAD_KEY_SIZE) {
        memcpy(all->upload_key, bytes.at, UPLOAD_KEY_SIZE);
    } else if (missing.kind != ERR_NONE && missing.kind != ERR_NOT_FOUND) {
        result = err_set(err, missing.kind, "%s", missing.text);
    } else {
        id_random(all->upload_key, UPLOAD_KEY_SIZE);
        result = store_put(d->store, STORE_SETTING, name,
                           (struct str){(const char *)all->upload_key, UPLOAD_KEY_SIZE}, err);
        store_commit(d->store, NULL, NULL);
    }
    buf_done(&bytes);
    return result;
}

struct str build_upload_key(const struct domain *d)
{
    return (struct str){(const char *)d->builds->upload_key, UPLOAD_KEY_SIZE};
}

int builds_load(struct domain *d, struct err *err)
{
    if (load_upload_key(d, err) != 0)
        return -1;
    if (record_each(d, STORE_TEAM_TEMPLATE, "template", team_template_put, err) != 0 ||
        record_each(d, STORE_BUILD, "build", build_put, err) != 0 || build_layers_load(d, err) != 0)
        return -1;
    sort(d->builds);
    fail_interrupted(d);
    if (d->config.build_sweep_s > 0)
        timer_start(d->loop, &d->builds->sweep, d->config.build_sweep_s * 1000, on_sweep, d);
    return 0;
}

bool build_holds_image(const struct build_record *r)
{
    return str_is(r->rootfs, image_rootfs) || (r->rootfs.len == 0 && r->source.len > 0);
}
