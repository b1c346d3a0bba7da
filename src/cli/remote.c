/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the running server over its unix socket, with the token that only root can read. Used by
 * the commands of this folder. */
#include "cli/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "codec/codec.h"
#include "http/client.h"

const char cli_admin_token_file[] = "admin.token";
const char cli_api_socket[] = "api.sock";

enum {
    TOKEN_MAX = 256,
    CALL_TIMEOUT_MS = 10000,
};

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

bool remote_is_plain(struct str word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return word.len > 0;
}

static enum err_kind kind_of(unsigned status)
{
    static const struct {
        unsigned status;
        enum err_kind kind;
    } rows[] = {
        {400, ERR_INVALID  },
        {401, ERR_DENIED   },
        {403, ERR_DENIED   },
        {404, ERR_NOT_FOUND},
        {409, ERR_CONFLICT },
        {429, ERR_LIMIT    },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].status == status)
            return rows[i].kind;
    return status >= 500 ? ERR_UNAVAILABLE : ERR_SYSTEM;
}

static int explain(const struct remote_call *c, const struct http_answer *answer, struct err *err)
{
    struct arena mem;
    struct refusal refusal = {0};
    enum err_kind kind = kind_of(answer->status);
    const char *rights = "";
    int result;

    if (kind == ERR_DENIED) /* AC-51 */
        rights = "; needed: the admin token of this server, which root reads from data_dir";

    arena_init(&mem, REMOTE_ANSWER_MAX);
    if (json_decode(&refusal_message, buf_str(&answer->body), &mem, &refusal, NULL) == 0)
        result = err_set(err, kind, "the server refused: %.*s (%u)%s", STR_ARG(refusal.message),
                         answer->status, rights);
    else
        result =
            err_set(err, kind, "%s %s: unexpected status %u", c->method, c->url, answer->status);
    arena_done(&mem);
    return result;
}

int remote_call(const struct invocation *v, const struct remote_call *c, struct buf *out,
                struct err *err)
{
    const struct cli_places *places = v->ctx;
    char token[TOKEN_MAX], socket[PATH_MAX];
    struct http_answer answer = {0};
    struct http_field fields[] = {
        {STR("Host"),          STR("localhost")       },
        {STR("Content-Type"),  STR("application/json")},
        {STR("X-Admin-Token"), {token, 0}             },
        {STR("X-Team-ID"),     c->team                },
    };
    struct call_request request = {.method = str_of(c->method),
                                   .target = str_of(c->url),
                                   .fields = fields,
                                   .field_count = COUNT_OF(fields) - (c->team.at == NULL),
                                   .length = (int64_t)c->body.len};
    int result;

    if (read_token(places, token, err) != 0)
        return -1;
    fields[2].value = str_of(token);
    if ((size_t)snprintf(socket, sizeof socket, "%s/%s", places->run_dir, cli_api_socket) >=
        sizeof socket)
        return err_set(err, ERR_INVALID, "run_dir is too long");
    if (http_fetch(socket, &request, c->body, c->timeout_ms > 0 ? c->timeout_ms : CALL_TIMEOUT_MS,
                   &answer, err) != 0)
        return err_wrap(err, "no server answers at '%s'; start it first with 'sandlot serve'",
                        socket);
    result = answer.status == c->status ? 0 : explain(c, &answer, err);
    if (result == 0)
        buf_add_str(out, buf_str(&answer.body));
    buf_done(&answer.body);
    return result;
}
