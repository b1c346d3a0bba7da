/* SPDX-License-Identifier: Apache-2.0 */
/* key create, key list, key revoke: calls to the running server's admin endpoints over its unix
 * socket, with the token that only root can read. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "cli/remote.h"
#include "codec/codec.h"
#include "http/client.h"

const char cli_admin_token_file[] = "admin.token";
const char cli_api_socket[] = "api.sock";

enum {
    OPTION_TEAM,
    ANSWER_MAX = 4 << 20,
    TOKEN_MAX = 256,
    CALL_TIMEOUT_MS = 10000,
    URL_MAX = 600,
};

struct key_mask {
    struct str prefix, head, tail;
};

struct key {
    struct str id, name, key, created_at;
    struct key_mask *mask;
};

static const struct codec_field mask_fields[] = {
    {1, "prefix",            CODEC_STRING, 0, offsetof(struct key_mask, prefix)},
    {2, "maskedValuePrefix", CODEC_STRING, 0, offsetof(struct key_mask, head)  },
    {3, "maskedValueSuffix", CODEC_STRING, 0, offsetof(struct key_mask, tail)  },
};
static const struct codec_message mask_message = {"mask", sizeof(struct key_mask), mask_fields,
                                                  COUNT_OF(mask_fields)};
static const struct codec_field key_fields[] = {
    {1, "id",        CODEC_STRING,  0, offsetof(struct key, id),         0, NULL         },
    {2, "name",      CODEC_STRING,  0, offsetof(struct key, name),       0, NULL         },
    {3, "key",       CODEC_STRING,  0, offsetof(struct key, key),        0, NULL         },
    {4, "createdAt", CODEC_STRING,  0, offsetof(struct key, created_at), 0, NULL         },
    {5, "mask",      CODEC_MESSAGE, 0, offsetof(struct key, mask),       0, &mask_message},
};
static const struct codec_message key_message = {"key", sizeof(struct key), key_fields,
                                                 COUNT_OF(key_fields)};

struct key_list {
    struct codec_list keys;
};

static const struct codec_field list_fields[] = {
    {1, "keys", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct key_list, keys), 0, &key_message},
};
static const struct codec_message list_message = {"keys", sizeof(struct key_list), list_fields,
                                                  COUNT_OF(list_fields)};

struct refusal {
    struct str message;
};

static const struct codec_field refusal_fields[] = {
    {1, "message", CODEC_STRING, 0, offsetof(struct refusal, message)},
};
static const struct codec_message refusal_message = {"error", sizeof(struct refusal),
                                                     refusal_fields, COUNT_OF(refusal_fields)};

static int read_token(const struct cli_places *places, char token[TOKEN_MAX], struct err *err)
{
    char path[PATH_MAX];
    auto_fd int fd = -1;
    ssize_t got;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", places->data_dir, cli_admin_token_file) >=
        sizeof path)
        return err_set(err, ERR_INVALID, "data_dir is too long");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, errno, "read '%s' (run as root, after 'sandlot serve' started once)",
                       path);
    got = read(fd, token, TOKEN_MAX - 1);
    if (got <= 0)
        return err_set(err, ERR_INVALID, "'%s' is empty", path);
    token[got] = '\0';
    token[strcspn(token, "\r\n")] = '\0';
    return 0;
}

static struct str team_of(const struct invocation *v)
{
    return str_of(v->values[OPTION_TEAM] == NULL ? "default" : v->values[OPTION_TEAM]);
}

struct call {
    const char *method;
    char url[URL_MAX];
    struct str body;
    unsigned status; /* of success */
};

/* Ids and team names are put into a path: nothing that would change it. */
static bool is_plain(struct str word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return word.len > 0;
}

static int explain(const struct call *c, const struct http_answer *answer, struct err *err)
{
    struct arena mem;
    struct refusal refusal = {0};
    int result;

    arena_init(&mem, ANSWER_MAX);
    if (json_decode(&refusal_message, buf_str(&answer->body), &mem, &refusal, NULL) == 0)
        result = err_set(err, ERR_INVALID, "the server refused: %.*s (%u)",
                         STR_ARG(refusal.message), answer->status);
    else
        result = err_set(err, ERR_INVALID, "%s %s: unexpected status %u", c->method, c->url,
                         answer->status);
    arena_done(&mem);
    return result;
}

static int call_server(const struct invocation *v, const struct call *c, struct buf *out,
                       struct err *err)
{
    const struct cli_places *places = v->ctx;
    char token[TOKEN_MAX], socket[PATH_MAX];
    struct http_answer answer = {0};
    struct http_field fields[] = {
        {STR("Host"),          STR("localhost")       },
        {STR("Content-Type"),  STR("application/json")},
        {STR("X-Admin-Token"), {token, 0}             },
        {STR("X-Team-ID"),     team_of(v)             },
    };
    struct call_request request = {.method = str_of(c->method),
                                   .target = str_of(c->url),
                                   .fields = fields,
                                   .field_count = COUNT_OF(fields),
                                   .length = (int64_t)c->body.len};
    int result;

    if (read_token(places, token, err) != 0)
        return -1;
    fields[2].value = str_of(token);
    if ((size_t)snprintf(socket, sizeof socket, "%s/%s", places->run_dir, cli_api_socket) >=
        sizeof socket)
        return err_set(err, ERR_INVALID, "run_dir is too long");
    if (http_fetch(socket, &request, c->body, CALL_TIMEOUT_MS, &answer, err) != 0)
        return err_wrap(err, "no server answers at '%s'; start it first with 'sandlot serve'",
                        socket);
    result = answer.status == c->status ? 0 : explain(c, &answer, err);
    if (result == 0)
        buf_add_str(out, buf_str(&answer.body));
    buf_done(&answer.body);
    return result;
}

int cli_key_create(const struct invocation *v)
{
    struct call c = {.method = "POST", .status = 201};
    struct str team = team_of(v);
    struct buf body, answer;
    struct arena mem;
    struct key key = {0};
    struct err err;
    int result;

    if (!is_plain(team))
        return command_fail(v, "'%.*s' is not a team", STR_ARG(team));
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%.*s/api-keys", STR_ARG(team)));
    buf_init(&body, ANSWER_MAX);
    buf_init(&answer, ANSWER_MAX);
    arena_init(&mem, ANSWER_MAX);
    buf_add_text(&body, "{\"name\":");
    json_quote(&body, str_of(v->words[0]));
    buf_add_byte(&body, '}');
    c.body = buf_str(&body);
    result = call_server(v, &c, &answer, &err);
    if (result == 0)
        result = json_decode(&key_message, buf_str(&answer), &mem, &key, &err);
    if (result != 0)
        result = command_fail(v, "%s", err.text);
    else if (v->values[OPTION_TEAM + 1] != NULL)
        printf("%.*s\n", STR_ARG(buf_str(&answer)));
    else
        printf("%.*s\n", STR_ARG(key.key));
    buf_done(&body);
    buf_done(&answer);
    arena_done(&mem);
    return result;
}

static void print_keys(const struct key_list *list)
{
    const struct key *keys = list->keys.items;

    printf("%-36s  %-24s  %-20s  %s\n", "ID", "CREATED", "KEY", "NAME");
    for (size_t i = 0; i < list->keys.count; i++) {
        const struct key *k = &keys[i];
        struct key_mask none = {0};
        const struct key_mask *m = k->mask == NULL ? &none : k->mask;
        char shown[32];

        ignore(snprintf(shown, sizeof shown, "%.*s%.*s...%.*s", STR_ARG(m->prefix),
                        STR_ARG(m->head), STR_ARG(m->tail)));
        printf("%-36.*s  %-24.*s  %-20s  %.*s\n", STR_ARG(k->id), STR_ARG(k->created_at), shown,
               STR_ARG(k->name));
    }
}

int cli_key_list(const struct invocation *v)
{
    struct call c = {.method = "GET", .status = 200};
    struct str team = team_of(v);
    struct buf answer, wrapped;
    struct arena mem;
    struct key_list list = {0};
    struct err err;
    int result;

    if (!is_plain(team))
        return command_fail(v, "'%.*s' is not a team", STR_ARG(team));
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%.*s/api-keys", STR_ARG(team)));
    buf_init(&answer, ANSWER_MAX);
    buf_init(&wrapped, ANSWER_MAX + 16);
    arena_init(&mem, 4 * ANSWER_MAX);
    result = call_server(v, &c, &answer, &err);
    if (result == 0) {
        buf_add_text(&wrapped, "{\"keys\":"); /* tables describe objects, the answer is a list */
        buf_add_str(&wrapped, buf_str(&answer));
        buf_add_byte(&wrapped, '}');
        result = json_decode(&list_message, buf_str(&wrapped), &mem, &list, &err);
    }
    if (result != 0)
        result = command_fail(v, "%s", err.text);
    else if (v->values[OPTION_TEAM + 1] != NULL)
        printf("%.*s\n", STR_ARG(buf_str(&answer)));
    else
        print_keys(&list);
    buf_done(&answer);
    buf_done(&wrapped);
    arena_done(&mem);
    return result;
}

int cli_key_revoke(const struct invocation *v)
{
    struct call c = {.method = "DELETE", .status = 204};
    struct str team = team_of(v), id = str_of(v->words[0]);
    struct buf answer;
    struct err err;
    int result = EXIT_SUCCESS;

    if (!is_plain(team) || !is_plain(id))
        return command_fail(v, "'%.*s' is not a key id; see 'key list'", STR_ARG(id));
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%.*s/api-keys/%.*s", STR_ARG(team),
                    STR_ARG(id)));
    buf_init(&answer, ANSWER_MAX);
    if (call_server(v, &c, &answer, &err) != 0)
        result = command_fail(v, "%s", err.text);
    else
        printf("revoked %.*s\n", STR_ARG(id));
    buf_done(&answer);
    return result;
}
