/* SPDX-License-Identifier: Apache-2.0 */
/* What a build is asked to do: checked, kept, handed to the runner. Called by api/builds.c. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "domain/build_internal.h"
#include "domain/quota.h"

enum {
    PLAN_MAX = 2 << 20,
};

bool build_hash_is_good(struct str hash)
{
    for (size_t i = 0; i < hash.len; i++)
        if (hex_digit(hash.at[i]) < 0 || (hash.at[i] >= 'A' && hash.at[i] <= 'F'))
            return false;
    return hash.len == 64;
}

static int check_step(const struct build_step *s, size_t number, struct err *err)
{
    /* How many arguments each type has (wire.md 5.2); ADD and ARG as Dockerfiles have them. */
    static const struct {
        const char *type;
        size_t min, max;
        bool has_files;
    } types[] = {
        {"RUN",     1, 2,    false},
        {"COPY",    2, 4,    true },
        {"ADD",     2, 4,    true },
        {"ENV",     2, 4096, false},
        {"ARG",     1, 4096, false},
        {"WORKDIR", 1, 1,    false},
        {"USER",    1, 2,    false},
        {"EXPOSE",  1, 100,  false},
    };
    size_t n = s->args.count;

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (!str_is(s->type, types[i].type))
            continue;
        if (n < types[i].min || n > types[i].max || (str_is(s->type, "ENV") && n % 2 != 0))
            return err_set(err, ERR_INVALID, "step %zu: %s has a wrong number of arguments", number,
                           types[i].type);
        if (types[i].has_files && !build_hash_is_good(s->files_hash))
            return err_set(err, ERR_INVALID, "step %zu: filesHash must be 64 hex digits", number);
        return 0;
    }
    return err_set(err, ERR_INVALID, "step %zu: there is no step '%.*s'", number,
                   STR_ARG(str_upto(s->type, 32)));
}

static int check_auth(const struct registry_auth *a, struct err *err)
{
    if (str_is(a->type, "registry") && a->username.len > 0)
        return 0;
    if (str_is(a->type, "aws") && a->aws_key_id.len > 0 && a->aws_secret.len > 0 &&
        a->aws_region.len > 0)
        return 0;
    if (str_is(a->type, "gcp") && a->gcp_account.len > 0)
        return 0;
    return err_set(err, ERR_INVALID,
                   "fromImageRegistry must be of type registry, aws or gcp, with its members");
}

static int check_plan(const struct build *b, const struct build_plan *p, struct err *err)
{
    const struct build_step *steps = p->steps.items;

    if (b->r.state != BUILD_WAITING)
        return err_set(err, ERR_INVALID, "build is not in waiting state");
    if (p->from_image.len > 0 && p->from_template.len > 0)
        return err_set(err, ERR_INVALID, "exactly one of fromImage and fromTemplate must be given");
    if (p->from_image.len == 0 && p->from_template.len == 0 && b->r.pushed.len == 0)
        return err_set(err, ERR_CONFLICT,
                       "no source: give fromImage or fromTemplate, or push an "
                       "image for this build first");
    if (p->steps.count > BUILD_STEPS_MAX)
        return err_set(err, ERR_INVALID, "a build has at most %d steps", BUILD_STEPS_MAX);
    if (p->has_probe_port && (p->probe_port < 1 || p->probe_port > UINT16_MAX))
        return err_set(err, ERR_INVALID, "probePort must be between 1 and 65535");
    if (p->auth != NULL && check_auth(p->auth, err) != 0)
        return -1;
    for (size_t i = 0; i < p->steps.count; i++)
        if (check_step(&steps[i], i + 1, err) != 0)
            return -1;
    return 0;
}

/* Copies the plan: it stays when the request is gone. */
static int keep_plan(struct build *b, const struct build_plan *p, struct err *err)
{
    struct buf bytes;
    int result;

    buf_init(&bytes, PLAN_MAX);
    arena_init(&b->plan_mem, 2 * PLAN_MAX);
    b->plan = arena_alloc(&b->plan_mem, sizeof(*b->plan));
    proto_encode(&build_plan_message, p, &bytes);
    if (b->plan == NULL || !buf_ok(&bytes))
        result = err_set(err, ERR_INVALID, "the steps are too large");
    else
        result = proto_decode(&build_plan_message, buf_str(&bytes), &b->plan_mem, b->plan, err);
    if (bytes.at != NULL)
        explicit_bzero(bytes.at, bytes.len);
    buf_done(&bytes);
    if (result != 0) {
        b->plan = NULL;
        arena_done(&b->plan_mem);
    }
    return result;
}

struct start {
    struct domain *domain;
    template_done_fn *fn;
    void *ctx;
    char id[UUID_LEN + 1];
};

static void on_start_stored(void *ctx, const struct team_template *t, const struct build *unused,
                            const struct err *err)
{
    struct start *s = ctx;
    struct domain *d = s->domain;
    struct build *b = build_find(d, str_of(s->id));

    ignore(unused == b);
    if (b != NULL && err != NULL) {
        build_stop(d, b);
    } else if (b != NULL && b->r.state == BUILD_BUILDING) {
        b->is_running = true;
        build_give_time(b, BUILD_TIME_MS);
        d->builds->runner->start(d->builds->runner_ctx, b);
    }
    s->fn(s->ctx, t, b, err);
    free(s);
}

int build_start(struct domain *d, struct build *b, const struct build_plan *plan,
                template_done_fn *fn, void *ctx, struct err *err)
{
    struct build_record r = b->r;
    struct change *c;
    struct start *s;

    if (d->builds->runner == NULL)
        return err_set(err, ERR_UNSUPPORTED, "there is no builder in this installation");
    if (check_plan(b, plan, err) != 0 || quota_take_build(d, b->template->team, err) != 0)
        return -1;
    if (keep_plan(b, plan, err) != 0) {
        quota_give_back_build(b->template->team);
        return -1;
    }
    r.state = BUILD_BUILDING;
    r.source = plan->from_template.len > 0 ? plan->from_template
               : plan->from_image.len > 0  ? plan->from_image
                                           : r.pushed; /* CT-18 */
    r.start_cmd = plan->start_cmd;
    r.ready_cmd = plan->ready_cmd;
    r.updated_at_ms = clock_wall_ms();
    s = mem_zero(sizeof(*s));
    *s = (struct start){.domain = d, .fn = fn, .ctx = ctx};
    ignore(str_to_c(b->r.id, s->id, sizeof(s->id)));
    c = change_new(d, on_start_stored, s);
    change_about(c, b->template->r.id, b->r.id);
    change_event(c, EVENT_BUILD_STARTED, NULL);
    if (change_build(c, &r, err) != 0) {
        change_abandon(c);
        build_stop(d, b);
        free(s);
        return -1;
    }
    change_commit(c);
    return 0;
}
