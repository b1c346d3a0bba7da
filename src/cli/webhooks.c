/* SPDX-License-Identifier: Apache-2.0 */
/* webhook create, list, delete, redeliver. */
#include <stdio.h>

#include "cli/remote.h"
#include "codec/codec.h"

enum {
    OPTION_TEAM,
    OPTION_JSON,
    OPTION_EVENTS,
    OPTION_EVENT = 1, /* of redeliver */
    BODY_MAX = 64 << 10,
};

struct webhook {
    struct str id, url, secret;
    int64_t pending, dead;
    bool enabled;
};

struct webhook_list {
    struct codec_list webhooks;
};

struct redelivered {
    int64_t count;
};

/* clang-format off */
static const struct codec_field webhook_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct webhook, id)},
    {2, "url", CODEC_STRING, 0, offsetof(struct webhook, url)},
    {3, "secret", CODEC_STRING, 0, offsetof(struct webhook, secret)},
    {4, "pending", CODEC_NUMBER, 0, offsetof(struct webhook, pending)},
    {5, "dead", CODEC_NUMBER, 0, offsetof(struct webhook, dead)},
    {6, "enabled", CODEC_BOOL, 0, offsetof(struct webhook, enabled)},
};
static const struct codec_message webhook_message =
    {"webhook", sizeof(struct webhook), webhook_fields,
     COUNT_OF(webhook_fields)};

static const struct codec_field list_fields[] = {
    {1, "webhooks", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct webhook_list, webhooks), 0, &webhook_message},
};
static const struct codec_message list_message =
    {"webhooks", sizeof(struct webhook_list), list_fields,
     COUNT_OF(list_fields)};

static const struct codec_field count_fields[] = {
    {1, "count", CODEC_NUMBER, 0, offsetof(struct redelivered, count)},
};
static const struct codec_message count_message =
    {"redelivered", sizeof(struct redelivered), count_fields,
     COUNT_OF(count_fields)};
/* clang-format on */

/* One call of a command, and what is decoded of it. */
struct work {
    struct remote_call call;
    struct buf body, answer;
    struct arena mem;
    struct err err;
};

static int work_begin(struct work *w, const struct invocation *v, const char *method,
                      unsigned status)
{
    const char *team = v->values[OPTION_TEAM] == NULL ? "default" : v->values[OPTION_TEAM];

    *w = (struct work){
        .call = {.method = method, .status = status, .team = str_of(team)}
    };
    buf_init(&w->body, BODY_MAX);
    buf_init(&w->answer, REMOTE_ANSWER_MAX);
    arena_init(&w->mem, REMOTE_ANSWER_MAX);
    return remote_is_plain(str_of(team)) ? 0
                                         : err_set(&w->err, ERR_INVALID, "'%s' is no team", team);
}

static int work_end(struct work *w, const struct invocation *v, int result)
{
    if (result != 0)
        result = command_fail(v, "%s", w->err.text);
    if (w->answer.at != NULL)
        explicit_bzero(w->answer.at, w->answer.len); /* a secret may be in it */
    buf_done(&w->body);
    buf_done(&w->answer);
    arena_done(&w->mem);
    return result;
}

static int work_call(struct work *w, const struct invocation *v)
{
    w->call.body = buf_str(&w->body);
    return remote_call(v, &w->call, &w->answer, &w->err);
}

static int set_path(struct work *w, const char *id, const char *more)
{
    if (!remote_is_plain(str_of(id)))
        return err_set(&w->err, ERR_INVALID, "'%s' is no id of a webhook; see 'webhook list'", id);
    ignore(snprintf(w->call.url, sizeof(w->call.url), "/events/webhooks/%s%s", id, more));
    return 0;
}

static void put_create(struct buf *body, const struct invocation *v)
{
    struct str rest = str_of(v->values[OPTION_EVENTS]);
    const char *between = "";

    buf_add_text(body, "{\"url\":");
    json_quote(body, str_of(v->words[0]));
    buf_add_text(body, ",\"events\":[");
    while (rest.len > 0) {
        buf_add_text(body, between);
        json_quote(body, str_trim(str_cut(rest, ',', &rest)));
        between = ",";
    }
    buf_add_text(body, "]}");
}

int cli_webhook_create(const struct invocation *v)
{
    struct webhook made = {0};
    struct work w;
    int result = work_begin(&w, v, "POST", 201);

    ignore(snprintf(w.call.url, sizeof(w.call.url), "/events/webhooks"));
    put_create(&w.body, v);
    if (result == 0)
        result = work_call(&w, v);
    if (result == 0)
        result = json_decode(&webhook_message, buf_str(&w.answer), &w.mem, &made, &w.err);
    if (result == 0 && v->values[OPTION_JSON] != NULL)
        printf("%.*s\n", STR_ARG(buf_str(&w.answer)));
    else if (result == 0)
        printf("webhook %.*s\nsecret  %.*s\n", STR_ARG(made.id), STR_ARG(made.secret));
    return work_end(&w, v, result);
}

static int print_list(struct work *w)
{
    struct webhook_list list = {0};
    const struct webhook *items;

    buf_add_text(&w->body, "{\"webhooks\":"); /* tables describe objects, the answer is a list */
    buf_add_str(&w->body, buf_str(&w->answer));
    buf_add_byte(&w->body, '}');
    if (json_decode(&list_message, buf_str(&w->body), &w->mem, &list, &w->err) != 0)
        return -1;
    printf("%-36s  %-8s  %7s  %5s  %s\n", "ID", "STATE", "PENDING", "DEAD", "URL");
    items = list.webhooks.items;
    for (size_t i = 0; i < list.webhooks.count; i++)
        printf("%-36.*s  %-8s  %7lld  %5lld  %.*s\n", STR_ARG(items[i].id),
               items[i].enabled ? "enabled" : "disabled", (long long)items[i].pending,
               (long long)items[i].dead, STR_ARG(items[i].url));
    return 0;
}

int cli_webhook_list(const struct invocation *v)
{
    struct work w;
    int result = work_begin(&w, v, "GET", 200);

    ignore(snprintf(w.call.url, sizeof(w.call.url), "/events/webhooks"));
    if (result == 0)
        result = work_call(&w, v);
    if (result == 0 && v->values[OPTION_JSON] != NULL)
        printf("%.*s\n", STR_ARG(buf_str(&w.answer)));
    else if (result == 0)
        result = print_list(&w);
    return work_end(&w, v, result);
}

int cli_webhook_delete(const struct invocation *v)
{
    struct work w;
    int result = work_begin(&w, v, "DELETE", 204);

    if (result == 0)
        result = set_path(&w, v->words[0], "");
    if (result == 0)
        result = work_call(&w, v);
    if (result == 0)
        printf("deleted %s\n", v->words[0]);
    return work_end(&w, v, result);
}

int cli_webhook_redeliver(const struct invocation *v)
{
    struct redelivered done = {0};
    struct work w;
    int result = work_begin(&w, v, "POST", 202);

    buf_add_text(&w.body, "{\"event\":");
    json_quote(&w.body, str_of(v->values[OPTION_EVENT] == NULL ? "" : v->values[OPTION_EVENT]));
    buf_add_byte(&w.body, '}');
    if (result == 0)
        result = set_path(&w, v->words[0], "/redeliver");
    if (result == 0)
        result = work_call(&w, v);
    if (result == 0)
        result = json_decode(&count_message, buf_str(&w.answer), &w.mem, &done, &w.err);
    if (result == 0)
        printf("redelivering %lld\n", (long long)done.count);
    return work_end(&w, v, result);
}
