/* SPDX-License-Identifier: Apache-2.0 */
/* http/head: every message of tests/data/strictness.jsonl, whole and byte by byte; what a head
 * says; answers; writing. Run with the path of the file in HTTP_STRICTNESS. */
#include <fcntl.h>
#include <stdio.h>

#include "codec/codec.h"
#include "http/body_internal.h"
#include "http/head.h"
#include "test.h"

enum {
    FILE_BYTES_MAX = 1 << 20,
    ROW_MAX = 80 << 10,
};

struct row {
    struct str name, raw, body;
    bool reject;
    int64_t status;
};

static const struct codec_field row_fields[] = {
    {1, "name",   CODEC_STRING, CODEC_REQUIRED, offsetof(struct row, name)  },
    {2, "raw",    CODEC_STRING, CODEC_REQUIRED, offsetof(struct row, raw)   },
    {3, "body",   CODEC_STRING, 0,              offsetof(struct row, body)  },
    {4, "reject", CODEC_BOOL,   CODEC_REQUIRED, offsetof(struct row, reject)},
    {5, "status", CODEC_NUMBER, 0,              offsetof(struct row, status)},
};
static const struct codec_message row_message = {"Row", sizeof(struct row), row_fields,
                                                 COUNT_OF(row_fields)};

/* JSON text holds code points; those below 256 stand for bytes. */
static struct str to_bytes(struct str s)
{
    char *to = (char *)(uintptr_t)s.at; /* the arena's, and ours to change */
    size_t len = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];

        if (c >= 0xc0 && i + 1 < s.len)
            c = (unsigned char)(c << 6 | (s.at[++i] & 0x3f));
        to[len++] = (char)c;
    }
    return (struct str){s.at, len};
}

/* What a server makes of bytes that come `step` at a time. */
struct outcome {
    int status; /* of the refusal, or 0 */
    bool is_whole;
    size_t used;
    struct buf body;
};

static bool take_body(struct body *b, struct str in, struct outcome *o)
{
    while (!b->is_done) {
        struct str data;
        ssize_t n = body_next(b, str_from(in, o->used), &data);

        if (n < 0) {
            o->status = 400;
            return false;
        }
        if (n == 0)
            return false;
        buf_add_str(&o->body, data);
        o->used += (size_t)n;
    }
    return true;
}

static void feed_all(struct str raw, size_t step, struct body *body, struct outcome *o)
{
    static struct http_head head;
    const char *why = NULL;
    size_t seen = step;

    *o = (struct outcome){.is_whole = true};
    buf_init(&o->body, ROW_MAX);
    while (o->status == 0) {
        struct str in = str_upto(raw, seen);
        int n;

        if (!body->is_done && !take_body(body, in, o) && o->status != 0)
            return;
        o->is_whole = body->is_done && o->used == in.len;
        n = body->is_done ? http_parse_request(str_from(in, o->used), &head, &why) : 0;
        if (n < 0) {
            CHECK(why != NULL && strchr(why, '"') == NULL);
            o->status = -n;
        } else if (n > 0) {
            o->used += (size_t)n;
            body_init(body, &head);
        } else if (seen >= raw.len) {
            return;
        } else {
            seen += step;
        }
    }
}

static void feed(struct str raw, size_t step, struct outcome *o)
{
    struct body body = {.is_done = true};

    feed_all(raw, step, &body, o);
    body_done(&body);
}

static void check_row(const struct row *r, size_t step)
{
    struct outcome o;
    bool is_right;

    feed(r->raw, step, &o);
    if (r->reject)
        is_right = o.status == (int)r->status;
    else
        is_right = o.status == 0 && o.is_whole && str_eq(buf_str(&o.body), r->body);
    if (!is_right)
        test_note("%.*s, %zu at a time: status %d, whole %d, body '%.*s'", STR_ARG(r->name), step,
                  o.status, o.is_whole, STR_ARG(buf_str(&o.body)));
    buf_done(&o.body);
    CHECK(is_right);
}

static void judges_every_message(void)
{
    static char text[FILE_BYTES_MAX];
    const char *path = getenv("HTTP_STRICTNESS");
    auto_fd int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
    struct str rest = {text, (size_t)len};
    size_t rows = 0;

    CHECK(len > 0 && len < FILE_BYTES_MAX);
    while (rest.len > 0) {
        struct arena a;
        struct row r = {0};
        struct err err;

        arena_init(&a, 4 * ROW_MAX);
        CHECK(json_decode(&row_message, str_cut(rest, '\n', &rest), &a, &r, &err) == 0);
        r.raw = to_bytes(r.raw);
        check_row(&r, SIZE_MAX / 2);
        if (r.raw.len < 8 << 10)
            check_row(&r, 1);
        arena_done(&a);
        rows++;
    }
    CHECK(rows >= 220);
}

static struct http_head head;
static const char *why;

static int parse(const char *text)
{
    return http_parse_request(str_of(text), &head, &why);
}

static void says_what_is_in_it(void)
{
    static const char text[] = "POST /a%2Fb/c?x=1&y HTTP/1.1\r\nHost: Box.Example:8080\r\n"
                               "Content-Length: 7\r\nX-A:  v w \t\r\nx-a: 2\r\n\r\nbody";

    CHECK(parse(text) == sizeof(text) - 1 - 4);
    CHECK(str_is(head.method, "POST") && str_is(head.target, "/a%2Fb/c?x=1&y"));
    CHECK(str_is(head.path, "/a%2Fb/c") && str_is(head.query, "x=1&y"));
    CHECK(str_is(head.host, "Box.Example") && head.host_port == 8080);
    CHECK(head.framing == HTTP_LENGTH && head.body_length == 7 && head.minor == 1);
    CHECK(head.keep_alive && !head.is_upgrade && !head.expects_continue);
    CHECK(head.field_count == 4);
    CHECK(str_is(http_field(&head, "X-a"), "v w"));
    CHECK(http_field(&head, "X-B").at == NULL);
    CHECK(parse("GET /x HTTP/1.1\r\nHost: [::1]:9\r\nX-E:\r\n\r\n") > 0);
    CHECK(str_is(head.host, "[::1]") && head.host_port == 9 && head.framing == HTTP_NO_BODY);
    CHECK(http_field(&head, "x-e").at != NULL && http_field(&head, "x-e").len == 0);
    CHECK(head.query.len == 0);
    CHECK(parse("GET http://h:1/p?q HTTP/1.1\r\nHost: h:1\r\n\r\n") > 0);
    CHECK(str_is(head.target, "/p?q") && str_is(head.path, "/p") && str_is(head.query, "q"));
    CHECK(parse("GET http://h HTTP/1.0\r\n\r\n") > 0);
    CHECK(str_is(head.target, "/") && str_is(head.path, "/") && str_is(head.host, "h"));
}

static void decides_about_the_connection(void)
{
    static const struct {
        const char *version, *fields;
        bool keep_alive, is_upgrade, expects_continue;
    } cases[] = {
        {"1.1", "",                                                       true,  false, false},
        {"1.1", "Connection: close\r\n",                                  false, false, false},
        {"1.1", "Connection: x , Close\r\n",                              false, false, false},
        {"1.1", "Connection: x\r\nConnection: close\r\n",                 false, false, false},
        {"1.1", "Connection: closed\r\n",                                 true,  false, false},
        {"1.0", "",                                                       false, false, false},
        {"1.0", "Connection: keep-alive\r\n",                             true,  false, false},
        {"1.0", "Connection: keep-alive, close\r\n",                      false, false, false},
        {"1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n",          true,  true,  false},
        {"1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: x\r\n",      true,  true,  false},
        {"1.1", "Upgrade: websocket\r\n",                                 true,  false, false},
        {"1.1", "Connection: Upgrade\r\n",                                true,  false, false},
        {"1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n",          false, false, false},
        {"1.1", "Expect: 100-Continue\r\nContent-Length: 1\r\n",          true,  false, true },
        {"1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", true,  false, true },
        {"1.1", "Expect: 100-continue\r\n",                               true,  false, false},
        {"1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n",          true,  false, false},
        {"1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n",          false, false, false},
    };
    char text[200];

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(text, sizeof(text), "PUT / HTTP/%s\r\nHost: h\r\n%s\r\n", cases[i].version,
                 cases[i].fields);
        CHECK(parse(text) == (int)strlen(text));
        CHECK(head.keep_alive == cases[i].keep_alive);
        CHECK(head.is_upgrade == cases[i].is_upgrade);
        CHECK(head.expects_continue == cases[i].expects_continue);
    }
}

static void knows_tokens_and_hops(void)
{
    static const char *const hops[] = {"connection",
                                       "Keep-Alive",
                                       "TE",
                                       "Trailer",
                                       "UPGRADE",
                                       "Transfer-Encoding",
                                       "Proxy-Authorization",
                                       "proxy-connection",
                                       "X-Named"};
    static const char *const ends[] = {"Content-Length", "X-Other", "Host", "prox", "tex"};

    CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nAccept: a, b;q=1 ,, c\r\naccept: D\r\n"
                "Connection: x-named\r\n\r\n") > 0);
    CHECK(http_has_token(&head, "Accept", "a") && http_has_token(&head, "accept", "C"));
    CHECK(http_has_token(&head, "accept", "d") && http_has_token(&head, "accept", "b;q=1"));
    CHECK(!http_has_token(&head, "accept", "b") && !http_has_token(&head, "accept", ""));
    for (size_t i = 0; i < COUNT_OF(hops); i++)
        CHECK(http_is_hop_field(&head, str_of(hops[i])));
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        CHECK(!http_is_hop_field(&head, str_of(ends[i])));
}

static void waits_for_the_end(void)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

    for (size_t i = 0; i < sizeof(text) - 1; i++)
        CHECK(http_parse_request((struct str){text, i}, &head, &why) == 0);
    CHECK(parse(text) == sizeof(text) - 1);
}

static void reads_answers(void)
{
    static const struct {
        const char *method;
        unsigned status; /* 0: more is needed */
        enum http_framing framing;
        bool keep_alive;
        const char *text;
    } cases[] = {
        {"GET",  200, HTTP_LENGTH,      true,  "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"     },
        {"HEAD", 200, HTTP_NO_BODY,     true,  "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"     },
        {"GET",  200, HTTP_CHUNKED,     true,  "HTTP/1.1 200\r\nTransfer-Encoding:Chunked\r\n\r\n"},
        {"GET",  200, HTTP_UNTIL_CLOSE, false, "HTTP/1.1 200 \r\n\r\n"                            },
        {"GET",  200, HTTP_LENGTH,      false, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n"     },
        {"GET",  200, HTTP_LENGTH,      true,
         "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n"                 },
        {"GET",  204, HTTP_NO_BODY,     true,  "HTTP/1.1 204 No Content\r\n\r\n"                  },
        {"GET",  304, HTTP_NO_BODY,     true,  "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n"     },
        {"POST", 100, HTTP_NO_BODY,     true,  "HTTP/1.1 100 Continue\r\n\r\n"                    },
        {"GET",  101, HTTP_NO_BODY,     true,
         "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"                           },
        {"GET",  999, HTTP_LENGTH,      false,
         "HTTP/1.1 999 What?!\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"                  },
        {"GET",  0,   HTTP_NO_BODY,     false, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"         },
        {"GET",  0,   HTTP_NO_BODY,     false, "HTTP/1.1 2"                                       },
    };
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\nContent-Length: 3\n\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\n",
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int n = http_parse_response(str_of(cases[i].text), str_of(cases[i].method), &head, &why);

        test_note("case %zu", i);
        CHECK(n == (cases[i].status > 0 ? (int)strlen(cases[i].text) : 0));
        if (n <= 0)
            continue;
        CHECK(head.status == cases[i].status && head.framing == cases[i].framing);
        CHECK(head.keep_alive == cases[i].keep_alive);
        CHECK(head.is_upgrade == (head.status == 101));
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        test_note("bad case %zu", i);
        CHECK(http_parse_response(str_of(bad[i]), STR("GET"), &head, &why) == -502);
    }
}

static void writes_heads(void)
{
    struct buf b;

    buf_init(&b, 1000);
    http_put_request_line(&b, STR("GET"), STR("/a?b"));
    http_put_status_line(&b, 404);
    http_put_status_line(&b, 799);
    http_put_field(&b, STR("A"), STR(""));
    http_put_field_text(&b, "B", "c d");
    http_put_field_u64(&b, "Content-Length", 18446744073709551615u);
    CHECK(buf_ok(&b));
    CHECK(str_is(buf_str(&b),
                 "GET /a?b HTTP/1.1\r\nHTTP/1.1 404 Not Found\r\nHTTP/1.1 799 Unknown\r\n"
                 "A: \r\nB: c d\r\nContent-Length: 18446744073709551615\r\n"));
    buf_done(&b);
    CHECK(strcmp(http_reason(200), "OK") == 0 && strcmp(http_reason(598), "Unknown") == 0);
}

static void refuses_to_write_what_breaks_a_head(void)
{
    static const struct http_field bad[] = {
        {{"A", 1},     {"b\r\nC: d", 7}},
        {{"A", 1},     {"b\n", 2}      },
        {{"A", 1},     {"b\r", 2}      },
        {{"A", 1},     {"b\0", 2}      },
        {{"A:", 2},    {"b", 1}        },
        {{"A\r\n", 3}, {"b", 1}        },
        {{"", 0},      {"b", 1}        },
        {{"A b", 3},   {"b", 1}        },
    };
    struct buf b;

    buf_init(&b, 1000);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        buf_clear(&b);
        http_put_field(&b, bad[i].name, bad[i].value);
        CHECK(!buf_ok(&b) && b.len == 0);
    }
    buf_clear(&b);
    http_put_request_line(&b, STR("GET"), STR("/ HTTP/1.1\r\nA: b"));
    CHECK(!buf_ok(&b));
    buf_clear(&b);
    http_put_request_line(&b, STR("G T"), STR("/"));
    CHECK(!buf_ok(&b));
    buf_clear(&b);
    http_put_status_line(&b, 20);
    CHECK(!buf_ok(&b));
    buf_done(&b);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"judges every message",                judges_every_message               },
        {"says what is in it",                  says_what_is_in_it                 },
        {"decides about the connection",        decides_about_the_connection       },
        {"knows tokens and hops",               knows_tokens_and_hops              },
        {"waits for the end",                   waits_for_the_end                  },
        {"reads answers",                       reads_answers                      },
        {"writes heads",                        writes_heads                       },
        {"refuses to write what breaks a head", refuses_to_write_what_breaks_a_head},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
