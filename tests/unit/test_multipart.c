/* SPDX-License-Identifier: Apache-2.0 */
/* envd/multipart: every body is fed whole, byte by byte and in two halves; the result is one. */
#include "envd/multipart.h"
#include "test.h"

/* What came out, as text: "[name|file]content;" per part. */
struct seen {
    struct buf text;
    int refuse_at;
};

static int on_part(void *ctx, struct str name, struct str file, struct err *err)
{
    struct seen *s = ctx;

    if (s->refuse_at > 0 && --s->refuse_at == 0)
        return err_set(err, ERR_NO_SPACE, "full");
    buf_printf(&s->text, "[%.*s|%.*s]", STR_ARG(name), file.at == NULL ? 1 : (int)file.len,
               file.at == NULL ? "-" : file.at);
    return 0;
}

static int on_bytes(void *ctx, struct str data, struct err *err)
{
    struct seen *s = ctx;

    (void)err;
    buf_add_str(&s->text, data);
    return 0;
}

static int on_part_end(void *ctx, struct err *err)
{
    struct seen *s = ctx;

    (void)err;
    buf_add_byte(&s->text, ';');
    return 0;
}

static const struct multipart_events events = {on_part, on_bytes, on_part_end};

/* Feed in pieces of `step` bytes; true when it was accepted. */
static bool parse(const char *type, struct str body, size_t step, struct seen *s, struct err *err)
{
    struct multipart m;
    int rc = multipart_init(&m, str_of(type), &events, s, err);

    if (rc != 0)
        return false;
    for (size_t at = 0; rc == 0 && at < body.len; at += step)
        rc = multipart_feed(&m, str_upto(str_from(body, at), step), err);
    if (rc == 0)
        rc = multipart_end(&m, err);
    multipart_done(&m);
    return rc == 0;
}

struct row {
    const char *body, *want; /* want NULL: refused */
};

/* clang-format off */
static const struct row rows[] = {
    {"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"/a/b.txt\"\r\n\r\nhello"
     "\r\n--b--\r\n",
     "[file|/a/b.txt]hello;"},
    {"preamble\r\n--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n--b--",
     "[x|-];"},
    {"--b\r\ncontent-disposition:form-data;name=\"a\"\r\nX: y\r\n\r\n1\r\n--bb\r\n\r\r\n--b--",
     NULL},
    {"--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"q;\\\"=.c\"\r\n\r\n1\r\n"
     "--c\r\n\r\r\n--b--",
     "[a|q;\"=.c]1\r\n--c\r\n\r;"},
    {"--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b+c%20.txt\"\r\n\r\n\r\n\r\n"
     "--b  \r\n\r\nno headers\r\n--b--junk",
     "[a|b+c%20.txt]\r\n;[|-]no headers;"},
    {"--b\r\nContent-Disposition: form-data; name=\"a\"; filename*=UTF-8''%C3%A4.txt\r\n\r\nx\r\n"
     "--b--",
     "[a|\xc3\xa4.txt]x;"},
    {"--b--", ""},
    {"", NULL},
    {"--b\r\n", NULL},
    {"--b\r\n\r\nnever ends", NULL},
    {"--b\r\n\r\nx\r\n--b-x", NULL},
    {"--bx\r\n\r\nx\r\n--b--", NULL},
};
/* clang-format on */

static void bodies(void)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].body);
        size_t steps[] = {len + 1, 1, 2, 3, len / 2 + 1};

        for (size_t k = 0; k < COUNT_OF(steps); k++) {
            struct seen s = {0};
            struct err err;
            bool is_ok;

            buf_init(&s.text, 4096);
            is_ok =
                parse("multipart/form-data; boundary=b", str_of(rows[i].body), steps[k], &s, &err);
            test_note("row %zu in pieces of %zu", i, steps[k]);
            CHECK(is_ok == (rows[i].want != NULL));
            CHECK(!is_ok || str_is(buf_str(&s.text), rows[i].want));
            buf_done(&s.text);
        }
    }
}

static void boundaries(void)
{
    static const struct {
        const char *type;
        bool is_ok;
    } types[] = {
        {"multipart/form-data; boundary=abc",                  true },
        {"multipart/form-data; charset=x; boundary=\"a b:c\"", true },
        {"multipart/form-data; Boundary=abc",                  true },
        {"multipart/form-data",                                false},
        {"multipart/form-data; boundary=",                     false},
        {"multipart/form-data; boundary=\"abc",                false},
        {"",                                                   false},
    };
    char large[128] = "multipart/form-data; boundary=";

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct multipart m;
        struct err err;

        CHECK((multipart_init(&m, str_of(types[i].type), &events, NULL, &err) == 0) ==
              types[i].is_ok);
    }
    memset(large + strlen(large), 'x', 71);
    {
        struct multipart m;
        struct err err;

        CHECK(multipart_init(&m, str_of(large), &events, NULL, &err) != 0);
    }
}

static void limits(void)
{
    struct buf body;
    struct seen s = {0};
    struct err err;

    buf_init(&s.text, 1 << 20);
    buf_init(&body, 1 << 20);
    buf_add_text(&body, "--b\r\nX: ");
    for (int i = 0; i < MULTIPART_HEADERS_MAX; i++)
        buf_add_byte(&body, 'x');
    buf_add_text(&body, "\r\n\r\n\r\n--b--");
    CHECK(!parse("m; boundary=b", buf_str(&body), 4096, &s, &err));
    CHECK(err.kind == ERR_INVALID);
    s.refuse_at = 2;
    CHECK(!parse("m; boundary=b", STR("--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--"), 1, &s, &err));
    CHECK(err.kind == ERR_NO_SPACE);
    buf_done(&body);
    buf_done(&s.text);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"bodies in any pieces",     bodies    },
        {"boundaries",               boundaries},
        {"limits and refusals stop", limits    },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
