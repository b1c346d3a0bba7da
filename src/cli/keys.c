/* SPDX-License-Identifier: Apache-2.0 */
/* key create, key list, key revoke, key rotate; see words.h. The secret of a new key is on
 * standard output and nowhere else, so that it can be kept by a redirection. */
#include <stdio.h>

#include "cli/words.h"
#include "codec/codec.h"

enum {
    HASH_LEN = 64,
    HASH_MIN = 8,
    HASH_SHOWN = 12, /* AC-49 */
    ID_LEN = 36,
};

struct key {
    struct str id, name, key, created_at, description, expires_at, last_used;
    struct str hash, status, source, team;
    struct codec_list scopes; /* of struct str */
};

static const struct codec_field key_fields[] = {
    {1,  "id",          CODEC_STRING, 0,              offsetof(struct key, id)         },
    {2,  "name",        CODEC_STRING, 0,              offsetof(struct key, name)       },
    {3,  "key",         CODEC_STRING, 0,              offsetof(struct key, key)        },
    {4,  "createdAt",   CODEC_STRING, 0,              offsetof(struct key, created_at) },
    {5,  "description", CODEC_STRING, 0,              offsetof(struct key, description)},
    {6,  "expiresAt",   CODEC_STRING, 0,              offsetof(struct key, expires_at) },
    {7,  "lastUsed",    CODEC_STRING, 0,              offsetof(struct key, last_used)  },
    {8,  "hash",        CODEC_STRING, 0,              offsetof(struct key, hash)       },
    {9,  "status",      CODEC_STRING, 0,              offsetof(struct key, status)     },
    {10, "source",      CODEC_STRING, 0,              offsetof(struct key, source)     },
    {11, "teamName",    CODEC_STRING, 0,              offsetof(struct key, team)       },
    {12, "scopes",      CODEC_STRING, CODEC_REPEATED, offsetof(struct key, scopes)     },
};
static const struct codec_message key_message = {"key", sizeof(struct key), key_fields,
                                                 COUNT_OF(key_fields)};

/* What is printed has the names of AC-47. */
static const struct codec_field shown_fields[] = {
    {1,  "api_key",     CODEC_STRING, 0,                             offsetof(struct key, key)        },
    {2,  "hash",        CODEC_STRING, CODEC_ALWAYS,                  offsetof(struct key, hash)       },
    {3,  "namespace",   CODEC_STRING, CODEC_ALWAYS,                  offsetof(struct key, team)       },
    {4,  "status",      CODEC_STRING, CODEC_ALWAYS,                  offsetof(struct key, status)     },
    {5,  "created",     CODEC_STRING, CODEC_ALWAYS,                  offsetof(struct key, created_at) },
    {6,  "description", CODEC_STRING, CODEC_ALWAYS,                  offsetof(struct key, description)},
    {7,  "id",          CODEC_STRING, CODEC_ALWAYS,                  offsetof(struct key, id)         },
    {8,  "name",        CODEC_STRING, CODEC_ALWAYS,                  offsetof(struct key, name)       },
    {9,  "scopes",      CODEC_STRING, CODEC_ALWAYS | CODEC_REPEATED, offsetof(struct key, scopes)     },
    {10, "source",      CODEC_STRING, 0,                             offsetof(struct key, source)     },
    {11, "expires",     CODEC_STRING, 0,                             offsetof(struct key, expires_at) },
    {12, "last_used",   CODEC_STRING, 0,                             offsetof(struct key, last_used)  },
};
static const struct codec_message shown_message = {"key", sizeof(struct key), shown_fields,
                                                   COUNT_OF(shown_fields)};

struct key_list {
    struct codec_list keys;
};

static const struct codec_field list_fields[] = {
    {1, "keys", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct key_list, keys), 0, &key_message},
};
static const struct codec_message list_message = {"keys", sizeof(struct key_list), list_fields,
                                                  COUNT_OF(list_fields)};

static void print_json(const struct key *keys, size_t count, bool is_list)
{
    struct buf out;

    buf_init(&out, REMOTE_ANSWER_MAX);
    for (size_t i = 0; i < count; i++) {
        buf_add_text(&out, i > 0 ? ",\n " : "");
        json_encode(&shown_message, &keys[i], &out);
    }
    printf(is_list ? "[%.*s]\n" : "%.*s\n", STR_ARG(buf_str(&out)));
    buf_done(&out);
}

static void add_scopes(struct str list, struct buf *body)
{
    const char *comma = "";

    buf_add_text(body, ",\"scopes\":[");
    while (list.len > 0) {
        buf_add_text(body, comma);
        json_quote(body, str_cut(list, ',', &list));
        comma = ",";
    }
    buf_add_byte(body, ']');
}

static int create_body(const struct invocation *v, struct buf *body, struct err *err)
{
    const char *description = command_value(v, "--description");
    const char *scopes = command_value(v, "--scopes"), *expires = command_value(v, "--expires");
    uint64_t seconds;

    buf_add_text(body, "{\"name\":");
    json_quote(body, str_of(v->words[0]));
    if (description != NULL) {
        buf_add_text(body, ",\"description\":");
        json_quote(body, str_of(description));
    }
    if (scopes != NULL)
        add_scopes(str_of(scopes), body);
    if (expires != NULL) {
        if (cli_duration(str_of(expires), &seconds, err) != 0)
            return -1;
        buf_printf(body, ",\"expiresIn\":%llu", (unsigned long long)seconds);
    }
    buf_add_byte(body, '}');
    return 0;
}

/* Prints a key that was made just now. */
static int show_made(const struct invocation *v, struct str answer, bool is_json, struct err *err)
{
    struct key key = {0};
    struct arena mem;
    int result;

    arena_init(&mem, REMOTE_ANSWER_MAX);
    result = json_decode(&key_message, answer, &mem, &key, err);
    if (result == 0 && is_json) {
        print_json(&key, 1, false);
    } else if (result == 0) {
        if (command_value(v, "--verbose") != NULL)
            fprintf(stderr, "id %.*s\nhash %.*s\nteam %.*s\ncreated %.*s\n", STR_ARG(key.id),
                    STR_ARG(key.hash), STR_ARG(key.team), STR_ARG(key.created_at));
        fprintf(stderr, "Keep this key: it is not shown again.\n");
        printf("%.*s\n", STR_ARG(key.key));
    }
    arena_done(&mem);
    return result;
}

static int call_and_show(const struct invocation *v, const struct remote_call *c, bool is_json)
{
    struct buf answer;
    struct err err = {0};
    int result;

    buf_init(&answer, REMOTE_ANSWER_MAX);
    result = remote_call(v, c, &answer, &err);
    if (result == 0)
        result = show_made(v, buf_str(&answer), is_json, &err);
    if (answer.at != NULL)
        explicit_bzero(answer.at, answer.len);
    buf_done(&answer);
    return result == 0 ? EXIT_SUCCESS : cli_fail(v, &err);
}

int cli_key_create(const struct invocation *v)
{
    struct remote_call c = {.method = "POST", .status = 201};
    struct str team;
    struct buf body;
    struct err err = {0};
    bool is_json;
    int result;

    if (cli_team(v, "default", &team) != 0 || cli_output(v, &is_json) != 0)
        return EXIT_USAGE;
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%.*s/api-keys", STR_ARG(team)));
    buf_init(&body, REMOTE_ANSWER_MAX);
    if (create_body(v, &body, &err) != 0) {
        result = command_misuse(v, "%s", err.text);
    } else {
        c.body = buf_str(&body);
        result = call_and_show(v, &c, is_json);
    }
    buf_done(&body);
    return result;
}

/* Keys by a query; texts are in the arena. */
static int fetch(const struct invocation *v, const char *query, struct arena *mem,
                 struct key_list *out, struct err *err)
{
    struct remote_call c = {.method = "GET", .status = 200};
    struct buf answer, wrapped;
    int result;

    ignore(snprintf(c.url, sizeof c.url, "/admin/api-keys?%s", query));
    buf_init(&answer, REMOTE_ANSWER_MAX);
    buf_init(&wrapped, REMOTE_ANSWER_MAX + 16);
    result = remote_call(v, &c, &answer, err);
    if (result == 0) {
        buf_add_text(&wrapped, "{\"keys\":"); /* tables describe objects, the answer is a list */
        buf_add_str(&wrapped, buf_str(&answer));
        buf_add_byte(&wrapped, '}');
        result = json_decode(&list_message, buf_str(&wrapped), mem, out, err);
    }
    buf_done(&answer);
    buf_done(&wrapped);
    return result;
}

static void print_table(const struct key_list *list)
{
    const struct key *keys = list->keys.items;

    printf("%-12s  %-16s  %-8s  %-24s  %-36s  %s\n", "HASH", "NAMESPACE", "STATUS", "CREATED", "ID",
           "DESCRIPTION");
    for (size_t i = 0; i < list->keys.count; i++) {
        const struct key *k = &keys[i];

        printf("%-12.*s  %-16.*s  %-8.*s  %-24.*s  %-36.*s  %.*s%s%.*s\n",
               STR_ARG(str_upto(k->hash, HASH_SHOWN)), STR_ARG(k->team), STR_ARG(k->status),
               STR_ARG(k->created_at), STR_ARG(k->id), STR_ARG(k->name),
               k->description.len > 0 ? ": " : "", STR_ARG(k->description));
    }
}

int cli_key_list(const struct invocation *v)
{
    const char *status = command_value(v, "--status");
    struct key_list list = {0};
    char query[REMOTE_URL_MAX];
    struct arena mem;
    struct str team;
    struct err err = {0};
    bool is_json;
    int result;

    if (cli_team(v, NULL, &team) != 0 || cli_output(v, &is_json) != 0)
        return EXIT_USAGE;
    if (status == NULL)
        status = "valid";
    if (strcmp(status, "valid") != 0 && strcmp(status, "revoked") != 0 &&
        strcmp(status, "expired") != 0 && strcmp(status, "orphaned") != 0 &&
        strcmp(status, "all") != 0)
        return command_misuse(v, "'%s' is not a status: valid, revoked, expired, orphaned, all",
                              status);
    ignore(snprintf(query, sizeof query, "status=%s&team=%.*s", status, STR_ARG(team)));
    arena_init(&mem, 4 * (size_t)REMOTE_ANSWER_MAX);
    result = fetch(v, query, &mem, &list, &err);
    if (result != 0)
        result = cli_fail(v, &err);
    else if (is_json)
        print_json(list.keys.items, list.keys.count, true);
    else
        print_table(&list);
    arena_done(&mem);
    return result;
}

static bool is_hash_prefix(struct str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (strchr("0123456789abcdef", word.at[i]) == NULL)
            return false;
    return word.len >= HASH_MIN && word.len <= HASH_LEN;
}

/* The one key that the first argument means, of any status. */
static int find(const struct invocation *v, struct arena *mem, struct key *out, struct err *err)
{
    struct str word = str_of(v->words[0]), team;
    struct key_list list = {0};
    char query[REMOTE_URL_MAX];
    bool is_id = word.len == ID_LEN;

    if (cli_team(v, NULL, &team) != 0)
        return -1;
    ignore(snprintf(query, sizeof query, "status=all&%s=%.*s&team=%.*s", is_id ? "id" : "hash",
                    STR_ARG(word), STR_ARG(team)));
    if (fetch(v, query, mem, &list, err) != 0)
        return -1;
    if (list.keys.count == 0)
        return err_set(err, ERR_NOT_FOUND, "no key is '%.*s'; see 'key list'", STR_ARG(word));
    if (list.keys.count > 1)
        return err_set(err, ERR_INVALID, "'%.*s' is ambiguous: %zu keys begin with it",
                       STR_ARG(word), list.keys.count);
    *out = ((const struct key *)list.keys.items)[0];
    return 0;
}

/* 0 or EXIT_USAGE, told already. */
static int check_use(const struct invocation *v, bool *out_is_json)
{
    struct str word = str_of(v->words[0]), team;

    if (cli_output(v, out_is_json) != 0 || cli_team(v, NULL, &team) != 0)
        return EXIT_USAGE;
    if (is_hash_prefix(word) || (word.len == ID_LEN && remote_is_plain(word)))
        return 0;
    return command_misuse(v, "'%s' is neither the id of a key nor %d to 64 lower-case hex digits",
                          v->words[0], HASH_MIN);
}

static bool is_confirmed(const struct key *k)
{
    char line[16];

    fprintf(stderr, "Revoke key '%.*s' (%.*s) of team '%.*s'? [y/N] ", STR_ARG(k->name),
            STR_ARG(str_upto(k->hash, HASH_SHOWN)), STR_ARG(k->team));
    return fgets(line, sizeof line, stdin) != NULL &&
           (strcmp(line, "y\n") == 0 || strcmp(line, "yes\n") == 0);
}

static int end_key(const struct invocation *v, const struct key *k, struct err *err)
{
    struct remote_call c = {.method = "DELETE", .status = 204};
    struct buf answer;
    int result;

    if (command_value(v, "--force") == NULL && !is_confirmed(k))
        return err_set(err, ERR_DENIED,
                       "not confirmed: nothing was revoked (--force does not ask)");
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%.*s/api-keys/%.*s", STR_ARG(k->team),
                    STR_ARG(k->id)));
    buf_init(&answer, REMOTE_ANSWER_MAX);
    result = remote_call(v, &c, &answer, err);
    buf_done(&answer);
    return result;
}

int cli_key_revoke(const struct invocation *v)
{
    struct key key = {0};
    struct arena mem;
    struct err err = {0};
    bool is_json, is_changed = false;
    int result = check_use(v, &is_json);

    if (result != 0)
        return result;
    arena_init(&mem, 4 * (size_t)REMOTE_ANSWER_MAX);
    result = find(v, &mem, &key, &err);
    if (result == 0 && !str_is(key.status, "revoked")) {
        result = end_key(v, &key, &err);
        is_changed = result == 0;
    }
    if (result != 0)
        result = cli_fail(v, &err);
    else if (is_json)
        printf("{\"hash\":\"%.*s\",\"id\":\"%.*s\",\"namespace\":\"%.*s\",\"status\":\"revoked\","
               "\"changed\":%s}\n",
               STR_ARG(key.hash), STR_ARG(key.id), STR_ARG(key.team),
               is_changed ? "true" : "false");
    else
        printf("%s %.*s\n", is_changed ? "revoked" : "was revoked already:", STR_ARG(key.id));
    arena_done(&mem);
    return result;
}

int cli_key_rotate(const struct invocation *v)
{
    struct remote_call c = {.method = "POST", .status = 201};
    const char *grace = command_value(v, "--grace");
    uint64_t seconds = 0;
    char body[64];
    struct key key = {0};
    struct arena mem;
    struct err err = {0};
    bool is_json;
    int result = check_use(v, &is_json);

    if (result != 0)
        return result;
    if (grace != NULL && cli_duration(str_of(grace), &seconds, &err) != 0)
        return command_misuse(v, "%s", err.text);
    arena_init(&mem, 4 * (size_t)REMOTE_ANSWER_MAX);
    if (find(v, &mem, &key, &err) != 0) {
        result = cli_fail(v, &err);
    } else {
        ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%.*s/api-keys/%.*s/rotate",
                        STR_ARG(key.team), STR_ARG(key.id)));
        ignore(snprintf(body, sizeof body, "{\"graceSeconds\":%llu}", (unsigned long long)seconds));
        c.body = str_of(body);
        result = call_and_show(v, &c, is_json);
    }
    arena_done(&mem);
    return result;
}
