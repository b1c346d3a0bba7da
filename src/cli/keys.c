/* SPDX-License-Identifier: Apache-2.0 */
/* key create, key list, key revoke: calls to the running server's admin endpoints. */
#include <stdio.h>

#include "cli/remote.h"
#include "codec/codec.h"

enum {
    OPTION_TEAM,
    ANSWER_MAX = 4 << 20,
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

static struct str team_of(const struct invocation *v)
{
    return str_of(v->values[OPTION_TEAM] == NULL ? "default" : v->values[OPTION_TEAM]);
}

int cli_key_create(const struct invocation *v)
{
    struct remote_call c = {.team = team_of(v), .method = "POST", .status = 201};
    struct str team = team_of(v);
    struct buf body, answer;
    struct arena mem;
    struct key key = {0};
    struct err err;
    int result;

    if (!remote_is_plain(team))
        return command_fail(v, "'%.*s' is not a team", STR_ARG(team));
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%.*s/api-keys", STR_ARG(team)));
    buf_init(&body, ANSWER_MAX);
    buf_init(&answer, ANSWER_MAX);
    arena_init(&mem, ANSWER_MAX);
    buf_add_text(&body, "{\"name\":");
    json_quote(&body, str_of(v->words[0]));
    buf_add_byte(&body, '}');
    c.body = buf_str(&body);
    result = remote_call(v, &c, &answer, &err);
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
    struct remote_call c = {.team = team_of(v), .method = "GET", .status = 200};
    struct str team = team_of(v);
    struct buf answer, wrapped;
    struct arena mem;
    struct key_list list = {0};
    struct err err;
    int result;

    if (!remote_is_plain(team))
        return command_fail(v, "'%.*s' is not a team", STR_ARG(team));
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%.*s/api-keys", STR_ARG(team)));
    buf_init(&answer, ANSWER_MAX);
    buf_init(&wrapped, ANSWER_MAX + 16);
    arena_init(&mem, 4 * ANSWER_MAX);
    result = remote_call(v, &c, &answer, &err);
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
    struct remote_call c = {.team = team_of(v), .method = "DELETE", .status = 204};
    struct str team = team_of(v), id = str_of(v->words[0]);
    struct buf answer;
    struct err err;
    int result = EXIT_SUCCESS;

    if (!remote_is_plain(team) || !remote_is_plain(id))
        return command_fail(v, "'%.*s' is not a key id; see 'key list'", STR_ARG(id));
    ignore(snprintf(c.url, sizeof c.url, "/admin/teams/%.*s/api-keys/%.*s", STR_ARG(team),
                    STR_ARG(id)));
    buf_init(&answer, ANSWER_MAX);
    if (remote_call(v, &c, &answer, &err) != 0)
        result = command_fail(v, "%s", err.text);
    else
        printf("revoked %.*s\n", STR_ARG(id));
    buf_done(&answer);
    return result;
}
