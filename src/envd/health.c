/* SPDX-License-Identifier: Apache-2.0 */
/* GET /health, GET /envs, and what envd leaves to the runtime. */
#include "envd/answer.h"
#include "envd/guest.h"
#include "envd/handlers.h"

void health_get(struct guest *g, struct exchange *x)
{
    (void)g;
    answer_empty(x, 204);
}

/* POST /freeze and its kin (wire.md 3.9), which a node sends to an envd in a virtual machine. Here
 * the runtime freezes a sandbox from outside, by its cgroup, with its file system in view; and an
 * envd of some hundred KB has nothing to collapse. To answer 204 would be a lie. */
void freeze_post(struct guest *g, struct exchange *x)
{
    (void)g;
    answer_error(x, 501, "not implemented: the runtime freezes and thaws sandboxes from outside");
}

/* The sandbox's variables as a JSON object; the code interpreter inside the sandbox reads it. */
void envs_get(struct guest *g, struct exchange *x)
{
    struct codec_list envs;
    const struct codec_pair *pairs;
    struct buf body;
    struct err err;

    if (guest_envs(g, exchange_arena(x), &envs, &err) != 0) {
        answer_failure(x, &err);
        return;
    }
    pairs = envs.items;
    buf_init(&body, GUEST_CONFIG_MAX * 2);
    buf_add_byte(&body, '{');
    for (size_t i = 0; i < envs.count; i++) {
        buf_add_text(&body, i == 0 ? "" : ",");
        json_quote(&body, pairs[i].key);
        buf_add_byte(&body, ':');
        json_quote(&body, pairs[i].value);
    }
    buf_add_byte(&body, '}');
    answer_buf(x, 200, "application/json", &body);
}
