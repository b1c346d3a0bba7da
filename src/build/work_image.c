/* SPDX-License-Identifier: Apache-2.0 */
/* A build that begins with an image: node's helper makes its layers, from what was imported here or
 * from a registry. Part of work.h. */
#include "build/work_internal.h"

static void on_line(void *ctx, struct str line)
{
    work_say(ctx, BUILD_INFO, "[base] %.*s", STR_ARG(line));
}

/* Variables and ports: user, directory and command of an image are not those of a sandbox
 * (wire.md 5.5). */
static void take_env(struct work *w, const struct codec_list *env)
{
    const struct str *rows = env->items;

    for (size_t i = 0; i < env->count; i++) {
        struct str value;
        struct str name = str_cut(rows[i], '=', &value);

        if (name.len > 0)
            ignore(step_set_env(
                w->state, (struct codec_pair){arena_str(&w->mem, name), arena_str(&w->mem, value)},
                NULL)); /* an image has no more than a state can hold */
    }
}

static void take(struct work *w, const struct image_result *r)
{
    const struct str *names = r->layers.items;
    struct str *layers = arena_array(&w->mem, r->layers.count + 1, sizeof(*layers));

    for (size_t i = 0; i < r->layers.count && layers != NULL; i++)
        layers[i] = arena_str(&w->mem, names[i]);
    w->rootfs = str_of(image_rootfs);
    w->layers = (struct codec_list){layers, layers == NULL ? 0 : r->layers.count};
    w->is_provision = true;
    w->state->user = STR("user");
    if (r->run != NULL) {
        take_env(w, &r->run->env);
        work_take_ports(w, &r->run->ports);
    }
    work_key_add(w, STR("image"), layers, w->layers.count); /* what it is, not how it is called */
}

static void fail(struct work *w, const struct err *err)
{
    struct str name = str_upto(w->plan->from_image, 200);

    if (name.len > 0)
        work_fail(w, "image '%.*s': %s", STR_ARG(name), err->text);
    else
        work_fail(w, "the pushed image: %s", err->text);
}

static void on_end(void *ctx, const struct image_result *result, const struct err *err)
{
    struct work *w = ctx;

    w->fetch = NULL;
    if (err != NULL) {
        fail(w, err);
        return;
    }
    take(w, result);
    work_say(w, BUILD_INFO, "Base Docker image size: %.1f MB", (double)result->size_bytes / 1e6);
    work_take_commands(w);
    w->stage = WORK_CACHED;
    work_advance(w);
}

enum work_stage work_image(struct work *w)
{
    static const struct image_fetch_events events = {on_line, on_end};
    const struct registry_auth *auth = w->plan->auth;
    struct image_login login = {0};
    char holder[IMAGE_HOLDER_MAX + 1];
    struct image_request request = {
        .op = STR("fetch"),
        .reference = w->plan->from_image,
    };
    struct err err = {0};

    image_holder(str_of(w->build_id), holder);
    request.holder = str_of(holder);
    if (w->plan->from_image.len == 0) {
        request.op = STR("pushed");
        request.repository = request.tag = str_of(w->build_id);
    }
    if (auth != NULL) {
        login = (struct image_login){
            .type = auth->type,
            .username = auth->username,
            .password = auth->password,
            .aws_access_key_id = auth->aws_key_id,
            .aws_secret_access_key = auth->aws_secret,
            .aws_region = auth->aws_region,
            .service_account_json = auth->gcp_account,
        };
        request.login = &login;
    }
    if (image_fetch_start(w->host.domain, &request, &events, w, &w->fetch, &err) == 0)
        return WORK_WAIT;
    fail(w, &err);
    return WORK_ENDED;
}
