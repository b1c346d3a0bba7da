/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a sandbox believe its certificate authority (domain/authority.h): one command, run by its
 * envd as root. The answer is a sandbox's and is believed in nothing but whether it worked, which
 * is that sandbox's own concern. Called by domain through its hooks. */
#include "api/api_internal.h"
#include "codec/codec.h"
#include "domain/authority.h"
#include "http/client.h"
#include "http/connect.h"

enum {
    ENVD_PORT = 49983,
    COMMAND_MAX = 32 << 10,
    ANSWER_MAX = 256 << 10, /* bytes of it in all */
    EVENT_MAX = 64 << 10,
    TRUST_MS = 20 * 1000,
};

struct trust_call {
    struct list_node node; /* in api->trusts */
    struct api *api;
    struct trust *trust; /* NULL: answered */
    bool is_dialing;
    struct http_conn *conn;
    struct timer timer; /* the deadline, then the end */
    struct buf gathered;
    size_t read;
    bool has_ended; /* the command, with the code */
    int32_t code;
    struct err err;
};

/* Of process.StartResponse what matters here. */
struct end_event {
    int32_t exit_code;
};

struct start_event {
    struct end_event *end;
};

struct start_answer {
    struct start_event *event;
};

/* clang-format off */
static const struct codec_field end_fields[] = {
    {1, "exitCode", CODEC_INT32, 0, offsetof(struct end_event, exit_code)},
};
static const struct codec_message end_message =
    {"end", sizeof(struct end_event), end_fields, COUNT_OF(end_fields)};
static const struct codec_field event_fields[] = {
    {3, "end", CODEC_MESSAGE, 0, offsetof(struct start_event, end), 0, &end_message},
};
static const struct codec_message event_message =
    {"event", sizeof(struct start_event), event_fields, COUNT_OF(event_fields)};
static const struct codec_field answer_fields[] = {
    {1, "event", CODEC_MESSAGE, 0, offsetof(struct start_answer, event), 0, &event_message},
};
static const struct codec_message answer_message =
    {"answer", sizeof(struct start_answer), answer_fields, COUNT_OF(answer_fields)};
/* clang-format on */

static void call_done(struct trust_call *c)
{
    list_remove(&c->node);
    timer_stop(&c->timer);
    http_conn_free(c->conn);
    buf_done(&c->gathered);
    free(c);
}

/* From a timer, never from inside the call that failed. */
static void on_end(void *ctx)
{
    struct trust_call *c = ctx;
    struct trust *t = take_ptr(&c->trust);
    struct err err = c->err;

    if (err.kind == ERR_NONE && !c->has_ended)
        err_set(&err, ERR_SYSTEM, "envd did not run it");
    else if (err.kind == ERR_NONE && c->code != 0)
        err_set(&err, ERR_SYSTEM, "/bin/sh ended with %d", c->code);
    if (err.kind != ERR_NONE)
        ignore(err_wrap(&err, "install the sandbox's certificate authority"));
    http_conn_free(take_ptr(&c->conn));
    if (!c->is_dialing)
        call_done(c); /* else when the socket comes */
    authority_answer(t, err.kind == ERR_NONE ? NULL : &err);
}

static void end_soon(struct trust_call *c)
{
    if (c->trust != NULL)
        timer_start(c->api->loop, &c->timer, 0, on_end, c);
}

static void on_deadline(void *ctx)
{
    struct trust_call *c = ctx;

    err_set(&c->err, ERR_TIMEOUT, "no answer within %d s", TRUST_MS / 1000);
    on_end(c);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct trust_call *c = ctx;

    if (h->status != 200)
        err_set(&c->err, ERR_SYSTEM, "envd answered %u", h->status);
}

static void look(struct trust_call *c, struct str event)
{
    struct start_answer answer = {0};
    struct arena mem;

    arena_init(&mem, EVENT_MAX);
    if (json_decode(&answer_message, event, &mem, &answer, NULL) == 0 && answer.event != NULL &&
        answer.event->end != NULL) {
        c->has_ended = true;
        c->code = answer.event->end->exit_code;
    }
    arena_done(&mem);
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    struct trust_call *c = ctx;
    size_t all = data.len;

    c->read += data.len;
    if (c->read > ANSWER_MAX && c->err.kind == ERR_NONE)
        err_set(&c->err, ERR_LIMIT, "envd says too much");
    while (data.len > 0 && c->err.kind == ERR_NONE) {
        struct envelope one = {0};
        ssize_t n = envelope_gather(&c->gathered, data, EVENT_MAX, &one);

        if (n < 0) {
            err_set(&c->err, ERR_INVALID, "envd's answer is no stream of messages");
            break;
        }
        if (one.is_whole && (one.flags & ENVELOPE_END) == 0)
            look(c, one.payload);
        if (one.is_whole)
            buf_done(&c->gathered);
        data = str_from(data, (size_t)n);
    }
    if (is_last || c->err.kind != ERR_NONE)
        end_soon(c);
    return all;
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    struct trust_call *c = ctx;

    ignore((long)is_fresh);
    c->err = *err;
    end_soon(c);
}

static void put_command(const struct sandbox *s, struct buf *out)
{
    uint8_t head[ENVELOPE_HEAD];
    struct buf json;

    buf_init(&json, COMMAND_MAX);
    buf_add_text(&json, "{\"process\":{\"cmd\":\"/bin/sh\",\"args\":[\"-c\",");
    json_quote(&json, str_of(authority_script));
    buf_add_text(&json, ",\"sh\",");
    json_quote(&json, s->r.authority->certificate);
    buf_add_text(&json, "]}}");
    envelope_head(0, (uint32_t)json.len, head);
    buf_add(out, head, sizeof(head));
    buf_add_str(out, buf_str(&json));
    buf_done(&json);
}

static void send_command(struct trust_call *c, const struct sandbox *s)
{
    static const struct call_events events = {
        .on_head = on_head, .on_body = on_body, .on_fail = on_fail};
    const struct http_field fields[] = {
        {STR("Host"),           STR("localhost")               },
        {STR("Content-Type"),   STR("application/connect+json")},
        {STR("Authorization"),  STR("Basic cm9vdDo=")          }, /* root, without a password */
        {STR("X-Access-Token"), s->r.access_token              },
    };
    struct call_request r = {.method = STR("POST"),
                             .target = STR("/process.Process/Start"),
                             .fields = fields,
                             .field_count = COUNT_OF(fields)};
    struct buf body;

    buf_init(&body, COMMAND_MAX);
    put_command(s, &body);
    r.length = (int64_t)body.len;
    http_conn_call(c->conn, &r, &events, c);
    ignore(http_conn_write(c->conn, buf_str(&body))); /* a single small one */
    http_conn_end(c->conn);
    buf_done(&body);
}

static void on_dialed(void *ctx, struct str id, int fd, const struct err *err)
{
    struct trust_call *c = ctx;
    const struct sandbox *s = c->trust == NULL ? NULL : authority_sandbox(c->trust);
    auto_fd int taken = fd;

    ignore((long)id.len); /* of c->trust */
    c->is_dialing = false;
    if (c->trust == NULL) { /* it took too long and was answered */
        call_done(c);
        return;
    }
    if (err != NULL)
        c->err = *err;
    else if (s == NULL || s->r.authority == NULL)
        err_set(&c->err, ERR_NOT_FOUND, "the sandbox ended");
    else if (http_conn_new(c->api->loop, take_fd(&taken), true, &c->conn, &c->err) == 0) {
        send_command(c, s);
        return;
    }
    end_soon(c);
}

void trust_begin(void *ctx, struct trust *t)
{
    struct api *a = ctx;
    struct trust_call *c = mem_zero(sizeof(*c));

    c->api = a;
    c->trust = t;
    buf_init(&c->gathered, EVENT_MAX + ENVELOPE_HEAD);
    list_push(&a->trusts, &c->node);
    timer_start(a->loop, &c->timer, TRUST_MS, on_deadline, c);
    c->is_dialing = true;
    if (domain_dial(a->domain, str_of(t->id), ENVD_PORT, on_dialed, c, &c->err) != 0) {
        c->is_dialing = false;
        end_soon(c);
    }
}

void trust_done(struct api *a)
{
    struct list_node *at;

    while ((at = list_first(&a->trusts)) != NULL)
        call_done(container_of(at, struct trust_call, node));
}
