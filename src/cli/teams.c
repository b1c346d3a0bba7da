/* SPDX-License-Identifier: Apache-2.0 */
/* team create, list, set, block, unblock; see words.h. The names of limits are the server's: they
 * are checked against those it answers with. */
#include <stdio.h>

#include "cli/words.h"
#include "codec/codec.h"

struct numbers {
    int64_t sandboxes, keys;
};

struct team {
    struct str id, name, tier, created_at, block_reason;
    bool is_blocked, is_banned;
    struct str limits; /* raw JSON */
    struct numbers *used;
};

static const struct codec_field numbers_fields[] = {
    {1, "sandboxes", CODEC_NUMBER, 0, offsetof(struct numbers, sandboxes)},
    {2, "keys",      CODEC_NUMBER, 0, offsetof(struct numbers, keys)     },
};
static const struct codec_message numbers_message = {"numbers", sizeof(struct numbers),
                                                     numbers_fields, COUNT_OF(numbers_fields)};

/* clang-format off */
static const struct codec_field team_fields[] = {
    {1, "teamID", CODEC_STRING, 0, offsetof(struct team, id)},
    {2, "name", CODEC_STRING, 0, offsetof(struct team, name)},
    {3, "tier", CODEC_STRING, 0, offsetof(struct team, tier)},
    {4, "createdAt", CODEC_STRING, 0, offsetof(struct team, created_at)},
    {5, "isBlocked", CODEC_BOOL, 0, offsetof(struct team, is_blocked)},
    {6, "blockReason", CODEC_STRING, 0, offsetof(struct team, block_reason)},
    {7, "isBanned", CODEC_BOOL, 0, offsetof(struct team, is_banned)},
    {8, "limits", CODEC_RAW, 0, offsetof(struct team, limits)},
    {9, "used", CODEC_MESSAGE, 0, offsetof(struct team, used), 0, &numbers_message},
};
/* clang-format on */
static const struct codec_message team_message = {"team", sizeof(struct team), team_fields,
                                                  COUNT_OF(team_fields)};

struct team_list {
    struct codec_list teams;
};

static const struct codec_field list_fields[] = {
    {1, "teams", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct team_list, teams), 0,
     &team_message},
};
static const struct codec_message list_message = {"teams", sizeof(struct team_list), list_fields,
                                                  COUNT_OF(list_fields)};

static const char *state_of(const struct team *t)
{
    if (t->is_banned)
        return "banned";
    return t->is_blocked ? "blocked" : "active";
}

static void print_teams(const struct team *teams, size_t count)
{
    printf("%-20s  %-36s  %-10s  %-8s  %9s  %5s  %s\n", "NAME", "ID", "TIER", "STATE", "SANDBOXES",
           "KEYS", "REASON");
    for (size_t i = 0; i < count; i++) {
        const struct team *t = &teams[i];
        struct numbers none = {0};
        const struct numbers *used = t->used == NULL ? &none : t->used;

        printf("%-20.*s  %-36.*s  %-10.*s  %-8s  %9lld  %5lld  %.*s\n", STR_ARG(t->name),
               STR_ARG(t->id), STR_ARG(t->tier), state_of(t), (long long)used->sandboxes,
               (long long)used->keys, STR_ARG(t->block_reason));
    }
}

/* The server's answer as it is, or one line for people. */
static int show(const struct invocation *v, struct str answer, bool is_list, bool is_json)
{
    struct team_list list = {0};
    struct buf wrapped;
    struct arena mem;
    struct err err = {0};
    int result;

    if (is_json) {
        printf("%.*s\n", STR_ARG(answer));
        return EXIT_SUCCESS;
    }
    buf_init(&wrapped, REMOTE_ANSWER_MAX + 16);
    arena_init(&mem, 4 * (size_t)REMOTE_ANSWER_MAX);
    buf_add_text(&wrapped, is_list ? "{\"teams\":" : "{\"teams\":[");
    buf_add_str(&wrapped, answer);
    buf_add_text(&wrapped, is_list ? "}" : "]}");
    result = json_decode(&list_message, buf_str(&wrapped), &mem, &list, &err);
    if (result == 0)
        print_teams(list.teams.items, list.teams.count);
    arena_done(&mem);
    buf_done(&wrapped);
    return result == 0 ? EXIT_SUCCESS : cli_fail(v, &err);
}

static int call_and_show(const struct invocation *v, const struct remote_call *c, bool is_list)
{
    struct buf answer;
    struct err err = {0};
    bool is_json;
    int result;

    if (cli_output(v, &is_json) != 0)
        return EXIT_USAGE;
    buf_init(&answer, REMOTE_ANSWER_MAX);
    if (remote_call(v, c, &answer, &err) != 0)
        result = cli_fail(v, &err);
    else
        result = show(v, buf_str(&answer), is_list, is_json);
    buf_done(&answer);
    return result;
}

int cli_team_list(const struct invocation *v)
{
    struct remote_call c = {.method = "GET", .url = "/admin/teams", .status = 200};

    return call_and_show(v, &c, true);
}

/* One WORD=VALUE into `body`, or into `limits` if it is one of those. */
static int add_word(struct str word, struct buf *body, struct buf *limits, struct err *err)
{
    struct str value, name = str_cut(word, '=', &value);
    uint64_t number;

    if (name.len == word.len || !remote_is_plain(name) || value.len == 0)
        return err_set(err, ERR_INVALID, "'%.*s' is not WORD=VALUE", STR_ARG(word));
    if (str_is(name, "tier")) {
        buf_add_text(body, ",\"tier\":");
        json_quote(body, value);
        return 0;
    }
    if (str_is(name, "banned")) {
        if (!str_is(value, "true") && !str_is(value, "false"))
            return err_set(err, ERR_INVALID, "banned is true or false");
        buf_printf(body, ",\"isBanned\":%.*s", STR_ARG(value));
        return 0;
    }
    if (!str_to_u64(value, &number) || number > INT64_MAX)
        return err_set(err, ERR_INVALID, "%.*s must be a number", STR_ARG(name));
    buf_printf(limits, "%s\"%.*s\":%llu", limits->len > 0 ? "," : "", STR_ARG(name),
               (unsigned long long)number);
    return 0;
}

static int add_words(const struct invocation *v, struct buf *body, struct err *err)
{
    struct buf limits;
    int result = 0;

    buf_init(&limits, REMOTE_ANSWER_MAX);
    for (size_t i = 1; i < v->count && result == 0; i++)
        result = add_word(str_of(v->words[i]), body, &limits, err);
    if (limits.len > 0)
        buf_printf(body, ",\"limits\":{%.*s}", STR_ARG(buf_str(&limits)));
    buf_add_byte(body, '}');
    buf_done(&limits);
    return result;
}

/* Any team knows the names of all limits; a name that it does not know would be skipped. */
static int check_names(const struct invocation *v, struct err *err)
{
    struct remote_call c = {.method = "GET", .url = "/admin/teams/default", .status = 200};
    struct team team = {0};
    struct buf answer;
    struct arena mem;
    int result;

    buf_init(&answer, REMOTE_ANSWER_MAX);
    arena_init(&mem, REMOTE_ANSWER_MAX);
    result = remote_call(v, &c, &answer, err);
    if (result == 0)
        result = json_decode(&team_message, buf_str(&answer), &mem, &team, err);
    for (size_t i = 1; i < v->count && result == 0; i++) {
        struct str value, name = str_cut(str_of(v->words[i]), '=', &value);
        char quoted[80];

        ignore(snprintf(quoted, sizeof quoted, "\"%.*s\":", STR_ARG(str_upto(name, 64))));
        if (str_is(name, "tier") || str_is(name, "banned") ||
            memmem(team.limits.at, team.limits.len, quoted, strlen(quoted)) != NULL)
            continue;
        result = err_set(err, ERR_INVALID, "there is no limit '%.*s'; with their values: %.*s",
                         STR_ARG(str_upto(name, 64)), STR_ARG(team.limits));
    }
    arena_done(&mem);
    buf_done(&answer);
    return result;
}

static int change(const struct invocation *v, struct remote_call *c, struct buf *body)
{
    struct err err = {0};

    if (add_words(v, body, &err) != 0)
        return command_misuse(v, "%s", err.text);
    if (check_names(v, &err) != 0)
        return cli_fail(v, &err);
    c->body = buf_str(body);
    return call_and_show(v, c, false);
}

static int check_team_word(const struct invocation *v)
{
    if (remote_is_plain(str_of(v->words[0])) && strlen(v->words[0]) <= 64)
        return 0;
    return command_misuse(v, "'%s' is not a team", v->words[0]);
}

int cli_team_create(const struct invocation *v)
{
    struct remote_call c = {.method = "POST", .url = "/admin/teams", .status = 201};
    struct buf body;
    int result;

    buf_init(&body, REMOTE_ANSWER_MAX);
    buf_add_text(&body, "{\"name\":");
    json_quote(&body, str_of(v->words[0]));
    result = change(v, &c, &body);
    buf_done(&body);
    return result;
}

int cli_team_set(const struct invocation *v)
{
    struct remote_call c = {.method = "PATCH", .status = 200};
    struct buf body;
    int result = check_team_word(v);

    if (result != 0)
        return result;
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%s", v->words[0]));
    buf_init(&body, REMOTE_ANSWER_MAX);
    buf_add_text(&body, "{\"name\":\"\""); /* no name: it stays; what follows begins with commas */
    result = change(v, &c, &body);
    buf_done(&body);
    return result;
}

static int block(const struct invocation *v, bool is_blocked)
{
    struct remote_call c = {.method = "PATCH", .status = 200};
    struct buf body;
    int result = check_team_word(v);

    if (result != 0)
        return result;
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%s", v->words[0]));
    buf_init(&body, REMOTE_ANSWER_MAX);
    buf_printf(&body, "{\"isBlocked\":%s,\"blockReason\":", is_blocked ? "true" : "false");
    json_quote(&body, str_of(v->count > 1 ? v->words[1] : ""));
    buf_add_byte(&body, '}');
    c.body = buf_str(&body);
    result = call_and_show(v, &c, false);
    buf_done(&body);
    return result;
}

int cli_team_block(const struct invocation *v)
{
    return block(v, true);
}

int cli_team_unblock(const struct invocation *v)
{
    return block(v, false);
}
