/* SPDX-License-Identifier: Apache-2.0 */
/* See worker_internal.h: GET /v2/sandboxes page by page; GET /sandboxes where there is none. */
#include <stdio.h>

#include "worker/worker_internal.h"

enum {
    PAGE_LIMIT = 100,
    PAGES_MAX = 200, /* an API that never ends its list is not believed */
    MEMORY_MAX = 32 << 20,
};

struct listing {
    struct worker *worker;
    struct upstream_call *call;
    char query[512];
    char token[3 * UPSTREAM_TOKEN_MAX]; /* percent-encoded */
    unsigned pages;
    bool is_v1;
    const struct listing_events *events;
    void *ctx;
};

struct items {
    struct codec_list all;
};

/* clang-format off */
static const struct codec_field listed_fields[] = {
    {1, "sandboxID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct listed, sandbox_id)},
    {2, "templateID", CODEC_STRING, 0, offsetof(struct listed, template_id)},
    {3, "alias", CODEC_STRING, 0, offsetof(struct listed, alias)},
    {4, "startedAt", CODEC_STRING, 0, offsetof(struct listed, started_at)},
    {5, "state", CODEC_STRING, 0, offsetof(struct listed, state)},
    {6, "metadata", CODEC_MAP, 0, offsetof(struct listed, metadata)},
};
static const struct codec_message listed_table =
    {NULL, sizeof(struct listed), listed_fields, COUNT_OF(listed_fields)};
static const struct codec_field items_fields[] = {
    {1, "all", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct items, all), 0, &listed_table},
};
static const struct codec_message items_table =
    {NULL, sizeof(struct items), items_fields, COUNT_OF(items_fields)};
/* clang-format on */

static void ask_page(struct listing *l);

static void listing_free(struct listing *l)
{
    upstream_cancel(l->call);
    free(l);
}

void listing_cancel(struct listing *l)
{
    if (l == NULL)
        return;
    if (l->events->on_cancel != NULL)
        l->events->on_cancel(l->ctx);
    listing_free(l);
}

static void end(struct listing *l, bool is_whole)
{
    const struct listing_events *events = l->events;
    void *ctx = l->ctx;

    listing_free(l);
    events->on_end(ctx, is_whole);
}

/* A page is a bare array; the table wants an object. */
static bool read_page(struct listing *l, struct str body)
{
    struct items items = {0};
    struct arena arena;
    struct buf text;
    bool is_good;

    buf_init(&text, body.len + 16);
    buf_add_text(&text, "{\"all\":");
    buf_add_str(&text, body);
    buf_add_byte(&text, '}');
    arena_init(&arena, MEMORY_MAX);
    is_good = buf_ok(&text) && str_trim(body).len > 0 && str_trim(body).at[0] == '[' &&
              json_decode(&items_table, buf_str(&text), &arena, &items, NULL) == 0;
    for (size_t i = 0; is_good && i < items.all.count; i++)
        is_good = box_id_is_good(((const struct listed *)items.all.items)[i].sandbox_id);
    for (size_t i = 0; is_good && i < items.all.count; i++)
        l->events->on_item(l->ctx, (const struct listed *)items.all.items + i);
    arena_done(&arena);
    buf_done(&text);
    return is_good;
}

static void keep_token(struct listing *l, const char *token)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = l->token;

    for (; *token != '\0'; token++) {
        unsigned char c = (unsigned char)*token;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-_.~", c) != NULL) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    *to = '\0';
}

static void on_page(void *ctx, const struct upstream_answer *a)
{
    struct listing *l = ctx;

    l->call = NULL;
    if (!l->is_v1 && l->pages == 0 && (a->status == 404 || a->status == 405)) {
        l->is_v1 = true;
        ask_page(l);
        return;
    }
    if (a->status != 200 || a->is_cut || !read_page(l, a->body)) {
        end(l, false);
        return;
    }
    l->pages++;
    keep_token(l, a->next_token);
    if (l->token[0] == '\0')
        end(l, true);
    else if (l->pages >= PAGES_MAX)
        end(l, false);
    else
        ask_page(l);
}

static void ask_page(struct listing *l)
{
    char target[UPSTREAM_TARGET_MAX] = "";
    struct upstream_ask ask = api_ask(l->worker, "GET", target);

    if (l->is_v1)
        ignore(snprintf(target, sizeof(target), "/sandboxes%s", l->query));
    else
        ignore(snprintf(target, sizeof(target), "/v2/sandboxes%s%slimit=%d%s%s", l->query,
                        l->query[0] == '\0' ? "?" : "&", PAGE_LIMIT,
                        l->token[0] == '\0' ? "" : "&nextToken=", l->token));
    l->call = upstream_start(l->worker->dialer, l->worker->loop, &ask, on_page, l);
}

struct listing *listing_start(struct worker *w, const char *query,
                              const struct listing_events *events, void *ctx)
{
    struct listing *l = mem_zero(sizeof(*l));

    l->worker = w;
    l->events = events;
    l->ctx = ctx;
    ignore(snprintf(l->query, sizeof(l->query), "%s", query));
    ask_page(l);
    return l;
}
