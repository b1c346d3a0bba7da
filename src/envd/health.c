/* SPDX-License-Identifier: Apache-2.0 */
/* GET /health and GET /envs. */
#include "envd/answer.h"
#include "envd/guest.h"
#include "envd/handlers.h"

void health_get(struct guest *g, struct exchange *x)
{
    (void)g;
    answer_empty(x, 204);
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
