/* SPDX-License-Identifier: Apache-2.0 */
#include "egress/rules.h"
#include "ipc/placeholder.h"
#include "test.h"

static const struct egress_rule rows[] = {
    {.pattern = STR("*.example.com")},
    {.pattern = STR("api.example.com")},
    {.pattern = STR("*.api.example.com")},
    {.pattern = STR("*.com")},
};

static const struct codec_list rules = {(void *)(uintptr_t)rows, COUNT_OF(rows)};

static const char *found(const char *host)
{
    const struct egress_rule *r = rules_find(&rules, str_of(host));

    return r == NULL ? "" : r->pattern.at;
}

static bool is(const char *host, const char *pattern)
{
    return str_is(str_of(found(host)), pattern);
}

static void the_name_beats_the_longest_pattern(void)
{
    CHECK(is("api.example.com", "api.example.com") && is("API.Example.com", "api.example.com"));
    CHECK(is("x.api.example.com", "*.api.example.com"));
    CHECK(is("www.example.com", "*.example.com") && is("a.b.example.com", "*.example.com"));
    CHECK(is("example.com", "*.com") && is("com", "") && is("example.org", ""));
    CHECK(is("example.com.", "") && is("1.2.3.4", "") && is("", ""));
}

static bool passes(const struct egress_rule *r, const char *method, const char *path)
{
    return rules_allow(r, str_of(method), str_of(path));
}

static void only_what_is_allowed_passes(void)
{
    struct str get[] = {STR("GET"), STR("HEAD")}, v1[] = {STR("/v1/"), STR("/health")};
    struct egress_request requests[] = {
        {.methods = {get, 2}, .paths = {v1, 2}},
        {.methods = {get + 1, 1}                  },
    };
    const struct egress_rule open =
                                 {
                                     0
    },
                             one = {.allow = {requests, 1}}, two = {.allow = {requests, 2}};

    CHECK(passes(&open, "POST", "/anything/../at%2fall"));
    CHECK(passes(&one, "GET", "/v1/x") && passes(&one, "HEAD", "/health"));
    CHECK(passes(&one, "GET", "/%761/x") && passes(&one, "GET", "/v1/a%20b"));
    CHECK(!passes(&one, "POST", "/v1/x") && !passes(&one, "get", "/v1/x"));
    CHECK(!passes(&one, "GET", "/v1") && !passes(&one, "GET", "/") && !passes(&one, "GET", "*"));
    CHECK(!passes(&one, "HEAD", "/other") && passes(&two, "HEAD", "/other/../x"));
}

static void paths_that_may_mean_another_do_not_pass(void)
{
    static const char *const paths[] = {
        "/v1/..",    "/v1/../x",  "/v1/./x",        "/v1/%2e%2e/x", "/v1/.%2E/x",
        "/v1/a%2fb", "/v1/a%5cb", "/v1/\\..\\x",    "/v1/..;a/x",   "/v1/%",
        "/v1/%2",    "/v1/%zz",   "/v1/%252e%252e", "/v1/%00",      "//v1/",
    };
    struct str v1[] = {STR("/v1/")};
    struct egress_request request = {
        .paths = {v1, 1}
    };
    const struct egress_rule r = {
        .allow = {&request, 1}
    };

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (passes(&r, "GET", paths[i]))
            test_note("path %zu", i);
        CHECK(!passes(&r, "GET", paths[i]));
    }
}

static bool fills(const char *text, const char *want)
{
    struct codec_pair pairs[] = {
        {STR("key"),   STR("s3cret")            },
        {STR("other"), STR("${e2b.secrets.key}")},
    };
    const struct codec_list secrets = {pairs, COUNT_OF(pairs)};
    struct buf out;
    struct err err = {0};
    bool is_same;

    buf_init(&out, 64);
    is_same = rules_fill(str_of(text), &secrets, &out, &err) == 0 && str_is(buf_str(&out), want);
    buf_done(&out);
    return is_same;
}

static void placeholders_are_filled_once(void)
{
    CHECK(fills("", "") && fills("plain $ {x}", "plain $ {x}"));
    CHECK(fills("Bearer ${e2b.secrets.key}", "Bearer s3cret"));
    CHECK(fills("${e2b.secrets.KEY}${e2b.secrets.key}.", "s3crets3cret."));
    CHECK(fills("${e2b.secrets.other}", "${e2b.secrets.key}")); /* a value is only a value */
    CHECK(fills("${e2b.secrets.}", "${e2b.secrets.}"));
    CHECK(fills("${e2b.secrets.${e2b.secrets.key}", "${e2b.secrets.s3cret"));
    CHECK(!fills("${e2b.secrets.nobody}", "") && !fills("${e2b.secrets.nobody}", "nobody"));
    CHECK(!fills("0123456789012345678901234567890123456789012345678901234567890123456789", ""));
}

static void other_placeholders_are_told_of(void)
{
    const char *why = NULL;

    CHECK(placeholder_check(STR("Bearer ${e2b.secrets.a-b_9}"), &why));
    CHECK(placeholder_check(STR("${x} ${e2b}"), &why) && why == NULL);
    CHECK(!placeholder_check(STR("${e2b.identity.tokens.aws}"), &why) && why != NULL);
    CHECK(!placeholder_check(STR("${e2b.secrets.a b}"), &why));
    CHECK(!placeholder_check(STR("${e2b.secrets.a"), &why));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"the name beats the longest pattern",      the_name_beats_the_longest_pattern     },
        {"only what is allowed passes",             only_what_is_allowed_passes            },
        {"paths that may mean another do not pass", paths_that_may_mean_another_do_not_pass},
        {"placeholders are filled once",            placeholders_are_filled_once           },
        {"other placeholders are told of",          other_placeholders_are_told_of         },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
