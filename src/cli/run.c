/* SPDX-License-Identifier: Apache-2.0 */
/* run: code from a file or standard input, in a sandbox that has the code interpreter. What it
 * answers is told by run_output.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "base/digest.h"
#include "cli/guest_port.h"
#include "cli/run_output.h"
#include "cli/template_call.h"
#include "cli/words.h"

static const char template_name[] = "code-interpreter-v1";

enum {
    INTERPRETER_PORT = 49999,
    CODE_MAX = 16 << 20, /* the service's limit, which counts the request as JSON */
    ID_SIZE = 64,
    TOKEN_SIZE = 256,
    ANSWER_MAX = 64 << 10,
    TIMEOUT_DEFAULT_S = 300,
    TIMEOUT_MAX_S = 30 * 86400,
    SPARE_S = 60,       /* a sandbox lives so much longer than its code may run */
    REFRESH_MIN_S = 15, /* what POST .../refreshes takes */
    REFRESH_MAX_S = 3600,
    CREATE_MS = 150 * 1000,
    CONTEXT_MS = 60 * 1000, /* a kernel starts meanwhile */
};

struct place {
    struct str id, token, state;
};

struct context {
    struct str id;
};

/* clang-format off */
static const struct codec_field place_fields[] = {
    {1, "sandboxID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct place, id)},
    {2, "envdAccessToken", CODEC_STRING, 0, offsetof(struct place, token)},
    {3, "state", CODEC_STRING, 0, offsetof(struct place, state)},
};
static const struct codec_message place_message =
    {"sandbox", sizeof(struct place), place_fields, COUNT_OF(place_fields)};

static const struct codec_field context_fields[] = {
    {1, "id", CODEC_STRING, CODEC_REQUIRED, offsetof(struct context, id)},
};
static const struct codec_message context_message =
    {"context", sizeof(struct context), context_fields, COUNT_OF(context_fields)};
/* clang-format on */

struct run {
    const struct invocation *v;
    struct template_call api;
    struct loop *loop;
    struct run_output output;
    struct guest_port guest;
    uint64_t timeout_s;
    struct buf code, body, answer;
    char id[ID_SIZE], token[TOKEN_SIZE];
    char context[ID_SIZE]; /* made for --cwd; empty: none */
    bool is_own;           /* the sandbox, which is killed at the end */
    int signal;            /* that asked us to stop */
};

/* What is asked for */

static struct str given(const struct run *r, const char *flag, const char *fallback)
{
    const char *value = command_value(r->v, flag);

    return str_of(value == NULL ? fallback : value);
}

static int read_code(struct run *r, struct err *err)
{
    const char *path = r->v->words[0];
    bool is_stdin = strcmp(path, "-") == 0;
    auto_fd int opened = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int fd = is_stdin ? STDIN_FILENO : opened;
    ssize_t got = 1;

    if (fd < 0)
        return err_sys(err, errno, "open '%s'", path);
    while (got > 0) {
        char *room = buf_room(&r->code, 64 << 10);

        if (room == NULL)
            return err_set(err, ERR_LIMIT, "'%s' has more than %d bytes", path, CODE_MAX);
        got = read(fd, room, 64 << 10);
        buf_fill(&r->code, got > 0 ? (size_t)got : 0);
    }
    if (got < 0)
        return err_sys(err, errno, "read '%s'", path);
    return utf8_valid(buf_str(&r->code)) ? 0 : err_set(err, ERR_INVALID, "'%s' is not UTF-8", path);
}

/* All that can be wrong with the words, before anything is done. -1: told, EXIT_USAGE. */
static int check_words(struct run *r)
{
    const char *timeout = command_value(r->v, "--timeout");
    size_t cursor = 0;
    const char *env;
    struct err err;
    int result = 0;

    r->timeout_s = TIMEOUT_DEFAULT_S;
    if (timeout != NULL && cli_duration(str_of(timeout), &r->timeout_s, &err) != 0)
        result = command_misuse(r->v, "%s", err.text);
    else if (r->timeout_s == 0 || r->timeout_s > TIMEOUT_MAX_S)
        result = command_misuse(r->v, "--timeout is at least 1 second and at most 30 days");
    while ((env = command_next_value(r->v, "--env", &cursor)) != NULL && result == 0)
        if (strchr(env, '=') == NULL || env[0] == '=')
            result = command_misuse(r->v, "--env '%s' is not NAME=VALUE", env);
    if (result == 0 && command_value(r->v, "--sandbox") != NULL &&
        !remote_is_plain(given(r, "--sandbox", "")))
        result = command_misuse(r->v, "'%s' is not the id of a sandbox",
                                command_value(r->v, "--sandbox"));
    return result == 0 ? 0 : -1;
}

/* The sandbox */

static int keep_place(struct run *r, const struct place *p, struct err *err)
{
    if (!remote_is_plain(p->id) || !str_to_c(p->id, r->id, sizeof r->id) ||
        !str_to_c(p->token, r->token, sizeof r->token))
        return err_set(err, ERR_SYSTEM, "the server's answer is odd");
    return 0;
}

static int create(struct run *r, struct err *err)
{
    struct place p = {0};
    int result;

    template_call_set(&r->api, "POST", 201, "/v2/sandboxes");
    buf_printf(&r->api.body, "{\"templateID\":\"%s\",\"timeout\":%llu}", template_name,
               (unsigned long long)r->timeout_s + SPARE_S);
    r->api.call.timeout_ms = CREATE_MS;
    result = template_call_run(&r->api, r->v, &place_message, &p, err);
    r->api.call.timeout_ms = 0;
    /* all that such a request names is a template; of a missing server the system tells */
    if (result != 0 && err->kind == ERR_NOT_FOUND && err->sys == 0)
        return err_set(err, ERR_NOT_FOUND,
                       "there is no template %s yet: 'make interpreter', as root in Sandlot's "
                       "source, makes it",
                       template_name);
    if (result != 0 || keep_place(r, &p, err) != 0)
        return -1;
    r->is_own = true;
    return 0;
}

/* The one that was named; it lives on for as long as the code may run, an hour at most. */
static int find(struct run *r, const char *id, struct err *err)
{
    uint64_t seconds = r->timeout_s < REFRESH_MIN_S ? REFRESH_MIN_S : r->timeout_s;
    struct place p = {0};

    template_call_set(&r->api, "GET", 200, "/sandboxes/%s", id);
    if (template_call_run(&r->api, r->v, &place_message, &p, err) != 0)
        return -1;
    if (!str_is(p.state, "running"))
        return err_set(err, ERR_CONFLICT, "sandbox '%s' is %.*s, not running", id,
                       STR_ARG(p.state));
    if (keep_place(r, &p, err) != 0)
        return -1;
    template_call_set(&r->api, "POST", 204, "/sandboxes/%s/refreshes", r->id);
    buf_printf(&r->api.body, "{\"duration\":%llu}",
               (unsigned long long)(seconds > REFRESH_MAX_S ? REFRESH_MAX_S : seconds));
    return template_call_run(&r->api, r->v, NULL, NULL, err);
}

/* The interpreter */

static bool gather(void *ctx, struct str data)
{
    struct run *r = ctx;

    buf_add_str(&r->answer, data);
    return true;
}

static int make_context(struct run *r, struct err *err)
{
    const char *cwd = command_value(r->v, "--cwd");
    struct guest_call c = {.method = "POST",
                           .path = "/contexts",
                           .timeout_ms = CONTEXT_MS,
                           .on_data = gather,
                           .ctx = r};
    struct context context = {0};
    struct arena mem;
    int result;

    if (cwd == NULL)
        return 0;
    buf_add_text(&r->body, "{\"language\":");
    json_quote(&r->body, given(r, "--lang", "python"));
    buf_add_text(&r->body, ",\"cwd\":");
    json_quote(&r->body, str_of(cwd));
    buf_add_byte(&r->body, '}');
    c.body = buf_str(&r->body);
    if (guest_port_call(&r->guest, &c, err) != 0)
        return -1;
    arena_init(&mem, ANSWER_MAX);
    result = json_decode(&context_message, buf_str(&r->answer), &mem, &context, err);
    if (result == 0 &&
        (!remote_is_plain(context.id) || !str_to_c(context.id, r->context, sizeof r->context)))
        result = err_set(err, ERR_SYSTEM, "the interpreter's answer is odd");
    arena_done(&mem);
    return result;
}

static void put_request(struct run *r)
{
    struct buf *json = &r->body;
    size_t cursor = 0, count = 0;
    const char *env;

    buf_clear(json);
    buf_add_text(json, "{\"code\":");
    json_quote(json, buf_str(&r->code));
    buf_add_text(json, r->context[0] != '\0' ? ",\"context_id\":" : ",\"language\":");
    json_quote(json, r->context[0] != '\0' ? str_of(r->context) : given(r, "--lang", "python"));
    while ((env = command_next_value(r->v, "--env", &cursor)) != NULL) {
        struct str value;
        struct str name = str_cut(str_of(env), '=', &value);

        buf_add_text(json, count++ == 0 ? ",\"env_vars\":{" : ",");
        json_quote(json, name);
        buf_add_byte(json, ':');
        json_quote(json, value);
    }
    buf_add_text(json, count > 0 ? "}}" : "}");
}

static int execute(struct run *r, struct err *err)
{
    struct guest_call c = {.method = "POST",
                           .path = "/execute",
                           .token = str_of(r->token),
                           .timeout_ms = (uint32_t)(r->timeout_s * 1000),
                           .on_data = run_output_take,
                           .ctx = &r->output};

    put_request(r);
    if (!buf_ok(&r->body))
        return err_set(err, ERR_LIMIT, "the code is too large to be sent");
    c.body = buf_str(&r->body);
    if (guest_port_call(&r->guest, &c, err) != 0)
        return err->kind != ERR_TIMEOUT
                   ? -1
                   : err_set(err, ERR_TIMEOUT, "the code ran for more than %llu s and was stopped",
                             (unsigned long long)r->timeout_s);
    if (r->output.err.kind != ERR_NONE) {
        *err = r->output.err;
        return -1;
    }
    return r->output.has_ended ? 0 : err_set(err, ERR_UNAVAILABLE, "the answer ended too early");
}

/* The whole */

static void stop(struct run *r, int number)
{
    r->signal = number;
    loop_stop(r->loop);
}

static void on_int(void *ctx)
{
    stop(ctx, SIGINT);
}

static void on_term(void *ctx)
{
    stop(ctx, SIGTERM);
}

static void on_hup(void *ctx)
{
    stop(ctx, SIGHUP);
}

/* From here on no signal ends us before the sandbox was killed. */
static int watch_signals(struct run *r, struct err *err)
{
    ignore((long)(signal(SIGPIPE, SIG_IGN) == SIG_ERR)); /* a writer is told by an error instead */
    return loop_new(&r->loop, err) != 0 || loop_on_signal(r->loop, SIGINT, on_int, r, err) != 0 ||
                   loop_on_signal(r->loop, SIGTERM, on_term, r, err) != 0 ||
                   loop_on_signal(r->loop, SIGHUP, on_hup, r, err) != 0
               ? -1
               : 0;
}

static int run(struct run *r, struct err *err)
{
    const struct cli_places *places = r->v->ctx;
    const char *id = command_value(r->v, "--sandbox");

    if (read_code(r, err) != 0 || watch_signals(r, err) != 0 ||
        (id == NULL ? create(r, err) : find(r, id, err)) != 0)
        return -1;
    r->guest = (struct guest_port){r->loop, places->run_dir, r->id, INTERPRETER_PORT};
    return make_context(r, err) != 0 ? -1 : execute(r, err);
}

/* Leaves nothing behind. */
static int clean(struct run *r, struct err *err)
{
    char path[ID_SIZE + sizeof "/contexts/"];
    const struct guest_call c = {.method = "DELETE", .path = path, .timeout_ms = CONTEXT_MS};

    if (r->is_own) {
        template_call_set(&r->api, "DELETE", 204, "/sandboxes/%s", r->id);
        if (template_call_run(&r->api, r->v, NULL, NULL, err) == 0 || err->kind == ERR_NOT_FOUND)
            return 0;
        return err_wrap(err, "kill sandbox '%s', which ends by itself after %llu s", r->id,
                        (unsigned long long)r->timeout_s + SPARE_S);
    }
    if (r->context[0] == '\0')
        return 0;
    ignore(snprintf(path, sizeof path, "/contexts/%s", r->context));
    return guest_port_call(&r->guest, &c, err) == 0 || err->kind == ERR_NOT_FOUND ? 0 : -1;
}

static int tell(const struct run *r, const struct err *err)
{
    ignore(fflush(stdout)); /* what cannot be printed was told, or is */
    /* cli_fail() would take --output=json for what it is elsewhere */
    return command_value(r->v, "--json") != NULL ? cli_fail(r->v, err)
                                                 : command_fail(r->v, "%s", err->text);
}

static int run_and_clean(struct run *r)
{
    struct err err;
    int result = EXIT_SUCCESS;

    if (run(r, &err) != 0 && r->signal == 0)
        result = tell(r, &err);
    else if (r->output.has_failed)
        result = EXIT_FAILURE;
    if (r->signal != 0)
        result = 128 + r->signal; /* as a shell has it */
    return clean(r, &err) == 0 ? result : tell(r, &err);
}

int cli_run(const struct invocation *v)
{
    struct run r = {.v = v};
    struct str dir = given(&r, "--output", ".");
    bool is_json = command_value(v, "--json") != NULL;
    int result = EXIT_USAGE;
    struct err err;

    buf_init(&r.code, CODE_MAX + (64 << 10));
    buf_init(&r.body, CODE_MAX);
    buf_init(&r.answer, ANSWER_MAX);
    if (template_call_begin(&r.api, v) == 0 && check_words(&r) == 0) {
        if (run_output_open(&r.output, dir.at, is_json, &err) == 0)
            result = run_and_clean(&r);
        else
            result = tell(&r, &err);
        run_output_close(&r.output);
    }
    template_call_end(&r.api);
    buf_done(&r.code);
    buf_done(&r.body);
    buf_done(&r.answer);
    loop_free(r.loop);
    return result;
}
