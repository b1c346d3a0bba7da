/* SPDX-License-Identifier: Apache-2.0 */
/* Edge's own answers: who gets HTML, and the exact JSON that clients know. */
#include "codec/codec.h"
#include "edge/pages.h"
#include "test.h"

static void decides_between_json_and_html(void)
{
#define CHROME "User-Agent: Mozilla/5.0 (X11) Chrome/120 Safari/537\r\n"
    static const struct {
        const char *fields;
        bool is_html;
    } rows[] = {
        {"",                                                                        false},
        {"User-Agent: curl/8\r\n",                                                  false},
        {"User-Agent: node\r\n",                                                    false},
        {"User-Agent: e2b-js-sdk/2.45.0\r\n",                                       false},
        {CHROME,                                                                    true },
        {"user-agent: MOZILLA\r\n",                                                 true },
        {"User-Agent: Opera/9\r\n",                                                 true },
        {CHROME "Accept: text/html,application/xhtml+xml,*/*\r\n",                  true },
        {CHROME "Accept: application/json\r\n",                                     false},
        {CHROME "Accept: APPLICATION/JSON, */*\r\n",                                false},
        {CHROME "Accept: text/html, application/json\r\n",                          true },
        {CHROME "Sec-Fetch-Mode: cors\r\n",                                         false},
        {CHROME "Sec-Fetch-Mode: no-cors\r\n",                                      false},
        {CHROME "Sec-Fetch-Mode: same-origin\r\n",                                  false},
        {CHROME "Sec-Fetch-Mode: websocket\r\n",                                    false},
        {CHROME "Sec-Fetch-Mode: navigate\r\n",                                     true },
        {CHROME "X-Requested-With: XMLHttpRequest\r\n",                             false},
        {CHROME "X-Requested-With: XMLHttpRequest\r\nSec-Fetch-Mode: navigate\r\n", true },
        {"Sec-Fetch-Mode: navigate\r\n",                                            false},
        {"Accept: text/html\r\n",                                                   false},
    };
#undef CHROME
    static struct http_head h;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf text;
        const char *why;

        buf_init(&text, 4096);
        buf_printf(&text, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", rows[i].fields);
        CHECK(http_parse_request(buf_str(&text), &h, &why) == (int)text.len);
        if (page_wants_html(&h) != rows[i].is_html)
            test_note("row %zu: %s", i, rows[i].fields);
        CHECK(page_wants_html(&h) == rows[i].is_html);
        buf_done(&text);
    }
}

static const struct page_facts facts = {
    {"iabc",  4},
    8000, {"/init", 5}
};

static void writes_exact_json(void)
{
    static const struct {
        enum page_kind kind;
        unsigned status;
        const char *body;
    } rows[] = {
        {PAGE_NOT_FOUND,     502,
         "{\"sandboxId\":\"iabc\",\"message\":\"The sandbox was not found\",\"code\":502}"},
        {PAGE_PAUSED,        502,
         "{\"sandboxId\":\"iabc\",\"message\":\"The sandbox was not found\",\"code\":502}"},
        {PAGE_PORT_CLOSED,   502,
         "{\"sandboxId\":\"iabc\",\"message\":\"The sandbox is running but port is not open\","
         "\"port\":8000,\"code\":502}"                                                    },
        {PAGE_TOKEN_MISSING, 403,
         "{\"sandboxId\":\"iabc\",\"message\":\"Sandbox is secured with traffic access token. "
         "Token "
         "header 'e2b-traffic-access-token' is missing\",\"code\":403}"                   },
        {PAGE_TOKEN_WRONG,   403,
         "{\"sandboxId\":\"iabc\",\"message\":\"Sandbox is secured with traffic access token. "
         "Provided token in header 'e2b-traffic-access-token' is invalid\",\"code\":403}" },
        {PAGE_TRANSITION,    409,
         "{\"sandboxId\":\"iabc\",\"message\":\"The sandbox is still transitioning. Try again in a "
         "moment.\",\"code\":409}"                                                        },
        {PAGE_PRIVATE,       404,
         "{\"message\":\"This endpoint is reserved for the E2B control plane and is not reachable "
         "through the sandbox URL\",\"path\":\"/init\",\"code\":404}"                     },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out;

        buf_init(&out, PAGE_MAX);
        page_json(rows[i].kind, &facts, &out);
        CHECK(buf_ok(&out));
        CHECK(page_status(rows[i].kind, &facts) == rows[i].status);
        CHECK((page_retcode(rows[i].kind) != NULL) == (rows[i].kind == PAGE_NOT_FOUND));
        CHECK(str_is(buf_str(&out), rows[i].body));
        buf_done(&out);
    }
}

/* semantics.md 3.2: the pages that say a text or a number of their own. */
static void says_what_it_was_told(void)
{
#define ID "{\"sandboxId\":\"iabc\",\"message\":\""
    /* clang-format off */
    static const struct {
        enum page_kind kind;
        unsigned status, retry_s;
        const char *message, *body;
    } rows[] = {
        {PAGE_FULL, 429, 1, "",
         ID "The sandbox has too many concurrent incoming connections (limit: 7)\",\"code\":429,"
         "\"connectionLimit\":7}"},
        {PAGE_RESUME_DENIED, 403, 0, "not used",
         ID "This sandbox can't be resumed with the credentials provided. Check your access token "
         "and try again.\",\"code\":403}"},
        {PAGE_TEAM_LIMIT, 429, 5, "20 \"run\"", ID "20 \\\"run\\\"\",\"code\":429}"},
        {PAGE_RESUME_FAILED, 502, 0, "no driver", ID "no driver\",\"code\":502}"},
        {PAGE_RESUME_FAILED, 502, 0, "",
         ID "The sandbox is paused and could not be resumed\",\"code\":502}"},
        {PAGE_EXPIRED, 401, 0, "", "{\"message\":\"signature is already expired\",\"code\":401}"},
    };
    /* clang-format on */
#undef ID

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct page_facts f = facts;
        struct buf out;

        f.message = str_of(rows[i].message);
        f.limit = 7;
        buf_init(&out, PAGE_MAX);
        page_json(rows[i].kind, &f, &out);
        if (!str_is(buf_str(&out), rows[i].body))
            test_note("row %zu: %.*s", i, STR_ARG(buf_str(&out)));
        CHECK(str_is(buf_str(&out), rows[i].body));
        CHECK(page_status(rows[i].kind, &f) == rows[i].status);
        CHECK(page_retry_s(rows[i].kind) == rows[i].retry_s);
        buf_done(&out);
    }
}

static void what_is_gone_may_be_410(void)
{
    struct page_facts f = facts;
    struct buf out;

    f.gone_status = 410;
    buf_init(&out, PAGE_MAX);
    page_json(PAGE_NOT_FOUND, &f, &out);
    CHECK(
        str_is(buf_str(&out),
               "{\"sandboxId\":\"iabc\",\"message\":\"The sandbox was not found\",\"code\":410}"));
    CHECK(page_status(PAGE_NOT_FOUND, &f) == 410);
    CHECK(page_status(PAGE_PAUSED, &f) == 502); /* it may come back */
    CHECK(page_status(PAGE_PORT_CLOSED, &f) == 502);
    buf_done(&out);
}

static bool has(struct str in, const char *word)
{
    return memmem(in.at, in.len, word, strlen(word)) != NULL;
}

static void writes_pages_for_people(void)
{
    static const char *const words[PAGE_COUNT] = {
        [PAGE_NOT_FOUND] = "Sandbox Not Found",
        [PAGE_PAUSED] = "paused",
        [PAGE_PORT_CLOSED] = "no service running on port 8000",
        [PAGE_TOKEN_MISSING] = "Missing Traffic Access Token",
        [PAGE_TOKEN_WRONG] = "Invalid Traffic Access Token",
        [PAGE_TRANSITION] = "Reload",
        [PAGE_PRIVATE] = "reserved",
        [PAGE_BUSY] = "restarting",
        [PAGE_SIGNATURE] = "downloadUrl()",
        [PAGE_EXPIRED] = "Expired",
        [PAGE_RESUME_DENIED] = "X-Access-Token",
        [PAGE_RESUME_FAILED] = "resuming it failed",
        [PAGE_TEAM_LIMIT] = "team",
        [PAGE_FULL] = "Too Many Connections",
        [PAGE_STALLED] = "stopped before its end",
    };
    const struct page_facts hostile = {
        {"i\"<script>&'", 12},
        8000, {"/<script>",     9 }
    };

    for (enum page_kind kind = 0; kind < PAGE_COUNT; kind++) {
        struct buf html, json;

        buf_init(&html, PAGE_MAX);
        buf_init(&json, PAGE_MAX);
        page_html(kind, kind == PAGE_PORT_CLOSED ? &facts : &hostile, &html);
        page_json(kind, &hostile, &json);
        CHECK(buf_ok(&html) && buf_ok(&json));
        CHECK(json_valid(buf_str(&json)));
        CHECK(str_has_prefix(buf_str(&html), "<html"));
        CHECK(str_has_suffix(buf_str(&html), "</html>"));
        CHECK(has(buf_str(&html), words[kind]));
        CHECK(!has(buf_str(&html), "<script"));
        CHECK(!has(buf_str(&html), "http://") && !has(buf_str(&html), "https://"));
        buf_done(&html);
        buf_done(&json);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"decides between JSON and HTML", decides_between_json_and_html},
        {"writes exact JSON",             writes_exact_json            },
        {"says what it was told",         says_what_it_was_told        },
        {"RX-07 what is gone may be 410", what_is_gone_may_be_410      },
        {"writes pages for people",       writes_pages_for_people      },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
