/* SPDX-License-Identifier: Apache-2.0 */
/* create and stop. A slot is reserved before the API is asked and given back on every failure; what
 * an interrupted create may have made is looked for (orphans.c). */
#include "worker/create.h"

#include <stdio.h>

#include "base/id.h"
#include "worker/worker_internal.h"

enum { BODY_MAX = 256 << 10 };

/* In the order of the provider's table. */
enum {
    CREATE_IMAGE,
    CREATE_IDLE,
};

struct creation {
    char mark[UUID_LEN + 1];
    struct create_spec spec;
    bool is_v1;
};

static bool may_use(const struct settings *s, struct str image, bool empty_means_all)
{
    for (size_t i = 0; i < s->image_count; i++)
        if (str_is(image, s->images[i]))
            return true;
    return s->image_count == 0 && empty_means_all;
}

static void put_body(const struct job *j, const struct creation *c, struct buf *out)
{
    const struct codec_pair *envs = c->spec.envs.items;

    buf_init(out, BODY_MAX + 6 * c->spec.image.len);
    buf_add_text(out, "{\"templateID\":");
    json_quote(out, c->spec.image);
    buf_printf(out, ",\"timeout\":%lld,\"autoPause\":false", (long long)c->spec.idle_s);
    if (c->is_v1)
        buf_add_text(out, ",\"secure\":true");
    if (c->spec.has_network)
        buf_printf(out, ",\"allow_internet_access\":%s", c->spec.network ? "true" : "false");
    buf_printf(out, ",\"metadata\":{\"%s\":\"%s\",\"iii.worker\":", orphan_mark, c->mark);
    json_quote(out, str_of(j->worker->settings.worker_name));
    buf_add_byte(out, '}');
    for (size_t i = 0; i < c->spec.envs.count; i++) {
        buf_add_text(out, i == 0 ? ",\"envVars\":{" : ",");
        json_quote(out, envs[i].key);
        buf_add_byte(out, ':');
        json_quote(out, envs[i].value);
    }
    buf_add_text(out, c->spec.envs.count > 0 ? "}}" : "}");
}

static void put_created(struct job *j, const struct box *b)
{
    struct buf out;

    buf_init(&out, BODY_MAX);
    buf_printf(&out, "{\"sandbox_id\":\"%s\",\"image\":", b->id);
    json_quote(&out, str_of(b->image));
    buf_add_text(&out, ",\"started_at\":");
    json_quote(&out, str_of(b->started_at));
    buf_add_text(&out, ",\"capabilities\":[\"snapshot\",\"expose_port\",\"fs\"]}");
    job_done(j, &out);
}

static void go_on(struct job *j, const struct box *b)
{
    const struct create_spec spec = ((struct creation *)j->state)->spec;
    struct box *own;

    if (spec.then == NULL) {
        put_created(j, b);
        return;
    }
    own = job_state(j, sizeof(*own));
    *own = *b;
    j->box = own;
    j->state = spec.then_state;
    spec.then(j);
}

static void ask_create(struct job *j);

static void on_made(struct job *j, const struct upstream_answer *a)
{
    struct creation *c = j->state;
    struct worker *w = j->worker;
    struct box b = {0};
    struct created made;

    if (!api_read_box(a->body, &j->arena, &made)) {
        seats_give_back(&w->seats);
        orphans_find(w->orphans, c->mark);
        job_fault(j, FAULT_UPSTREAM, "the upstream's answer is not understood");
        return;
    }
    w->has_no_v2 = c->is_v1;
    api_fill_box(&made, &b);
    ignore(str_to_c(c->spec.name, b.name, sizeof(b.name))); /* one that is longer is none */
    if (j->is_dropped) {                                    /* nobody knows of it */
        seats_give_back(&w->seats);
        orphans_kill(w->orphans, b.id);
        job_end(j);
    } else {
        seats_take(&w->seats, &b);
        go_on(j, &b);
    }
    explicit_bzero(&b, sizeof(b));
}

static void on_answer(struct job *j, const struct upstream_answer *a)
{
    struct creation *c = j->state;
    struct worker *w = j->worker;

    if (!c->is_v1 && !w->has_no_v2 && (a->status == 404 || a->status == 405)) {
        c->is_v1 = true; /* no such path there; or no such image, and it says so again */
        ask_create(j);
        return;
    }
    if (a->status >= 200 && a->status < 300 && !a->is_cut) {
        on_made(j, a);
        return;
    }
    seats_give_back(&w->seats);
    if ((a->status == 0 && a->was_sent) || a->status >= 500 || a->is_cut)
        orphans_find(w->orphans, c->mark);
    job_upstream_fault(j, a, FAULT_IMAGE);
}

static void ask_create(struct job *j)
{
    struct creation *c = j->state;
    struct upstream_ask ask = api_ask(j->worker, "POST", c->is_v1 ? "/sandboxes" : "/v2/sandboxes");
    struct buf body;

    put_body(j, c, &body);
    api_add_json(&ask, &body);
    job_ask(j, &ask, on_answer);
}

void create_begin(struct job *j, const struct create_spec *spec, bool empty_means_all)
{
    struct worker *w = j->worker;
    struct creation *c = job_state(j, sizeof(*c));

    if (spec->image.len == 0 || spec->image.len > BOX_TEXT_MAX) {
        job_fault(j, FAULT_INPUT, "field 'image' names none");
        return;
    }
    if (!may_use(&w->settings, spec->image, empty_means_all)) {
        job_fault(j, FAULT_IMAGE, "image '%.*s' is not in image_allowlist", STR_ARG(spec->image));
        return;
    }
    if (!seats_reserve(&w->seats)) {
        job_fault(j, FAULT_CAPACITY, "%llu sandboxes exist, as many as this worker may have",
                  (unsigned long long)w->seats.max);
        return;
    }
    c->spec = *spec;
    c->is_v1 = w->has_no_v2;
    id_uuid(c->mark);
    ask_create(j);
}

void run_create(struct job *j)
{
    const struct settings *s = &j->worker->settings;
    const struct arg *idle = &j->args[CREATE_IDLE];
    const struct create_spec spec = {
        .image = j->args[CREATE_IMAGE].text,
        .idle_s = idle->is_set ? idle->number : (int64_t)s->idle_timeout_s,
    };

    create_begin(j, &spec, true);
}

static void on_stopped(struct job *j, const struct upstream_answer *a)
{
    struct str id = *(struct str *)j->state;
    bool is_gone = (a->status >= 200 && a->status < 300) || a->status == 404 || a->status == 409;
    struct buf out;

    if (!is_gone) {
        job_upstream_fault(j, a, FAULT_NO_SANDBOX);
        return;
    }
    seats_end(&j->worker->seats, id);
    buf_init(&out, BODY_MAX);
    if (strcmp(j->worker->settings.mode, "local") == 0)
        buf_printf(&out, "{\"sandbox_id\":\"%.*s\",\"stopped\":true}", STR_ARG(id));
    else
        buf_add_text(&out, "{}");
    job_done(j, &out);
}

void run_stop(struct job *j)
{
    struct str *id = job_state(j, sizeof(*id));
    char target[128] = "";
    struct upstream_ask ask = api_ask(j->worker, "DELETE", target);

    *id = j->args[0].text;
    if (!box_id_is_good(*id)) {
        job_fault(j, FAULT_INPUT, "field 'sandbox_id' is no id of a sandbox");
        return;
    }
    ignore(snprintf(target, sizeof(target), "/sandboxes/%.*s", STR_ARG(*id)));
    job_ask(j, &ask, on_stopped);
}
