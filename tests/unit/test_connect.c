/* SPDX-License-Identifier: Apache-2.0 */
/* http/connect: codes, content types, envelopes. */
#include <string.h>

#include "codec/codec.h"
#include "http/connect.h"
#include "test.h"

/* wire.md 3.2, "Error code - HTTP status (unary)". */
static void knows_codes(void)
{
    static const struct {
        enum connect_code code;
        const char *name;
        unsigned status;
    } cases[] = {
        {CONNECT_CANCELED,            "canceled",            499},
        {CONNECT_UNKNOWN,             "unknown",             500},
        {CONNECT_INVALID_ARGUMENT,    "invalid_argument",    400},
        {CONNECT_DEADLINE_EXCEEDED,   "deadline_exceeded",   504},
        {CONNECT_NOT_FOUND,           "not_found",           404},
        {CONNECT_ALREADY_EXISTS,      "already_exists",      409},
        {CONNECT_PERMISSION_DENIED,   "permission_denied",   403},
        {CONNECT_RESOURCE_EXHAUSTED,  "resource_exhausted",  429},
        {CONNECT_FAILED_PRECONDITION, "failed_precondition", 400},
        {CONNECT_ABORTED,             "aborted",             409},
        {CONNECT_OUT_OF_RANGE,        "out_of_range",        400},
        {CONNECT_UNIMPLEMENTED,       "unimplemented",       501},
        {CONNECT_INTERNAL,            "internal",            500},
        {CONNECT_UNAVAILABLE,         "unavailable",         503},
        {CONNECT_DATA_LOSS,           "data_loss",           500},
        {CONNECT_UNAUTHENTICATED,     "unauthenticated",     401},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK(strcmp(connect_code_name(cases[i].code), cases[i].name) == 0);
        CHECK(connect_code_status(cases[i].code) == cases[i].status);
    }
    CHECK(connect_code_status(CONNECT_OK) == 200);
}

static void maps_kinds_of_errors(void)
{
    static const struct {
        enum err_kind kind;
        enum connect_code code;
    } cases[] = {
        {ERR_NONE,            CONNECT_OK                 },
        {ERR_INVALID,         CONNECT_INVALID_ARGUMENT   },
        {ERR_UNAUTHENTICATED, CONNECT_UNAUTHENTICATED    },
        {ERR_DENIED,          CONNECT_PERMISSION_DENIED  },
        {ERR_NOT_FOUND,       CONNECT_NOT_FOUND          },
        {ERR_EXISTS,          CONNECT_ALREADY_EXISTS     },
        {ERR_CONFLICT,        CONNECT_FAILED_PRECONDITION},
        {ERR_LIMIT,           CONNECT_RESOURCE_EXHAUSTED },
        {ERR_NO_SPACE,        CONNECT_RESOURCE_EXHAUSTED },
        {ERR_UNSUPPORTED,     CONNECT_UNIMPLEMENTED      },
        {ERR_TIMEOUT,         CONNECT_DEADLINE_EXCEEDED  },
        {ERR_UNAVAILABLE,     CONNECT_UNAVAILABLE        },
        {ERR_SYSTEM,          CONNECT_INTERNAL           },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        CHECK(connect_code_of(cases[i].kind) == cases[i].code);
}

static void reads_content_types(void)
{
    static const struct {
        const char *type;
        enum connect_form form;
    } cases[] = {
        {"application/json",                CONNECT_JSON        },
        {"Application/JSON",                CONNECT_JSON        },
        {"application/json; charset=utf-8", CONNECT_JSON        },
        {"application/json ;charset=utf-8", CONNECT_JSON        },
        {"application/proto",               CONNECT_PROTO       },
        {"application/connect+json",        CONNECT_STREAM_JSON },
        {"application/connect+proto",       CONNECT_STREAM_PROTO},
        {"",                                CONNECT_OTHER       },
        {"application/jsonx",               CONNECT_OTHER       },
        {"application/grpc",                CONNECT_OTHER       },
        {"application/grpc-web+proto",      CONNECT_OTHER       },
        {"text/plain",                      CONNECT_OTHER       },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        CHECK(connect_form_of(str_of(cases[i].type)) == cases[i].form);
    CHECK(strcmp(connect_form_type(CONNECT_STREAM_JSON), "application/connect+json") == 0);
    for (int form = CONNECT_JSON; form < CONNECT_OTHER; form++)
        CHECK((int)connect_form_of(str_of(connect_form_type((enum connect_form)form))) == form);
}

static void parses_envelopes(void)
{
    struct str in = STR("\0\0\0\0\x03"
                        "abc"
                        "\x02\0\0\0\x02{}");
    struct str payload;
    uint8_t flags = 9;

    for (size_t len = 0; len < 8; len++)
        CHECK(envelope_parse(str_upto(in, len), 3, &flags, &payload) == 0);
    CHECK(envelope_parse(in, 3, &flags, &payload) == 8);
    CHECK(flags == 0 && str_is(payload, "abc") && payload.at == in.at + ENVELOPE_HEAD);
    in = str_from(in, 8);
    CHECK(envelope_parse(in, 3, &flags, &payload) == 7);
    CHECK(flags == ENVELOPE_END && str_is(payload, "{}"));
    CHECK(envelope_parse(STR("\0\0\0\0\0"), 0, &flags, &payload) == 5 && payload.len == 0);
    CHECK(envelope_parse((struct str){NULL, 0}, 3, &flags, &payload) == 0);
}

static void refuses_envelopes(void)
{
    struct str payload;
    uint8_t flags;

    CHECK(envelope_parse(STR("\0\0\0\0\x04"), 3, &flags, &payload) == -1);
    CHECK(envelope_parse(STR("\0\xff\xff\xff\xff"), ENVELOPE_MAX, &flags, &payload) == -1);
    CHECK(envelope_parse(STR("\x01\0\0\0\x01z"), 3, &flags, &payload) == -1);
    CHECK(envelope_parse(STR("\x01"), 3, &flags, &payload) == -1);
    CHECK(envelope_parse(STR("\x03\0\0\0\x01z"), 3, &flags, &payload) == -1);
}

static void writes_heads(void)
{
    uint8_t head[ENVELOPE_HEAD];

    envelope_head(2, 0x01020304, head);
    CHECK(memcmp(head, "\x02\x01\x02\x03\x04", sizeof(head)) == 0);
}

static void ends_streams(void)
{
    struct buf b;

    buf_init(&b, 1000);
    buf_add_text(&b, "before");
    envelope_end(&b, CONNECT_OK, STR("not said"));
    CHECK(str_eq(buf_str(&b), STR("before\x02\0\0\0\x02{}")));
    buf_clear(&b);
    envelope_end(&b, CONNECT_NOT_FOUND, STR("no \"x\"\n"));
    CHECK(str_eq(buf_str(&b), STR("\x02\0\0\0\x35{\"error\":{\"code\":\"not_found\","
                                  "\"message\":\"no \\\"x\\\"\\n\"}}")));
    CHECK(json_valid(str_from(buf_str(&b), ENVELOPE_HEAD)));
    buf_done(&b);
    buf_init(&b, 6);
    envelope_end(&b, CONNECT_OK, STR(""));
    CHECK(!buf_ok(&b));
    buf_done(&b);
}

static void says_what_is_wrong(void)
{
    struct buf b;

    buf_init(&b, 1000);
    connect_error_body(&b, CONNECT_RESOURCE_EXHAUSTED, STR("too \x01\xff"));
    CHECK(str_is(buf_str(&b), "{\"code\":\"resource_exhausted\","
                              "\"message\":\"too \\u0001\xef\xbf\xbd\"}"));
    buf_done(&b);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"knows codes",          knows_codes         },
        {"maps kinds of errors", maps_kinds_of_errors},
        {"reads content types",  reads_content_types },
        {"parses envelopes",     parses_envelopes    },
        {"refuses envelopes",    refuses_envelopes   },
        {"writes heads",         writes_heads        },
        {"ends streams",         ends_streams        },
        {"says what is wrong",   says_what_is_wrong  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
