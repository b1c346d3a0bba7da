/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/network_rules.h"
#include "test.h"

static struct arena mem;

static int parse(const char *json, struct codec_list *out, struct err *err)
{
    arena_done(&mem);
    arena_init(&mem, 1 << 20);
    return network_rules_read(str_of(json), &mem, out, err);
}

/* "": it is good; else how its text begins. */
static bool says(const char *json, const char *want)
{
    struct codec_list out;
    struct err err = {0};
    int result = parse(json, &out, &err);

    if (result != 0 && !str_has_prefix(str_of(err.text), want))
        test_note("%s", err.text);
    return want[0] == '\0' ? result == 0 : result == -1 && str_has_prefix(str_of(err.text), want);
}

static void reads_rules_and_writes_them_again(void)
{
    static const char json[] = "{\"api.example.com\":[{\"transform\":{\"headers\":{\"X-A\":\"1\"}},"
                               "\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/v1/\"]}]}],"
                               "\"*.example.com\":[{}]}";
    struct codec_list out;
    struct err err = {0};
    struct buf again;

    CHECK(parse(json, &out, &err) == 0 && out.count == 2);
    buf_init(&again, 1 << 16);
    network_rules_json(&out, &again);
    CHECK(str_is(buf_str(&again), json));
    buf_done(&again);
    CHECK(parse("{\"API.Example.COM\":[]}", &out, &err) == 0 && out.count == 1);
    CHECK(str_is(((const struct egress_rule *)out.items)->pattern, "api.example.com"));
    CHECK(parse("null", &out, &err) == 0 && out.count == 0);
    CHECK(parse("", &out, &err) == 0 && out.count == 0);
    CHECK(parse(" {} ", &out, &err) == 0 && out.count == 0);
}

static void says_what_is_wrong(void)
{
    /* clang-format off */
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"[]",
         "network rules"},
        {"{\"*\":[]}",
         "Rule domain \"*\" is not valid"},
        {"{\"1.2.3.4\":[]}",
         "Rule domain \"1.2.3.4\" is not valid"},
        {"{\"a b\":[]}",
         "Rule domain \"a b\" is not valid"},
        {"{\"a.b\":[],\"A.b\":[]}",
         "Rule domain \"a.b\" is given twice"},
        {"{\"a.b\":[],\"a.b\":[]}",
         "network rules: a name is given twice"},
        {"{\"a.b\":[{},{}]}",
         "Rule domain \"a.b\" can have at most one"},
        {"{\"a.b\":{}}",
         "Rule domain \"a.b\""},
        {"{\"a.b\":[{\"transform\":{\"headers\":{\"X Y\":\"\"}}}]}",
         "Header name \"X Y\" in rule"},
        {"{\"a.b\":[{\"transform\":{\"headers\":{\"host\":\"x\"}}}]}",
         "Header name \"host\" in rule"},
        {"{\"a.b\":[{\"transform\":{\"headers\":{\"X\":\"a\\nb\"}}}]}",
         "Value for header \"X\" in rule"},
        {"{\"a.b\":[{\"transform\":{\"headers\":{\"X\":\"1\",\"x\":\"2\"}}}]}",
         "Header name \"x\" in rule"},
        {"{\"a.b\":[{\"transform\":{\"headers\":{\"X\":\"${e2b.x}\"}}}]}",
         "Value for header \"X\" in rule"},
        {"{\"a.b\":[{\"allow\":[{\"paths\":[\"v1\"]}]}]}",
         "invalid path 'v1'"},
        {"{\"a.b\":[{\"allow\":[{\"paths\":[\"/a?b\"]}]}]}",
         "invalid path '/a?b'"},
        {"{\"a.b\":[{\"allow\":[{\"methods\":[\"G T\"]}]}]}",
         "invalid method 'G T'"},
        {"{\"a.b\":[{\"unknown\":1}]}",
         ""},
    };
    /* clang-format on */

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK(says(rows[i].json, rows[i].text));
}

static void limits_hold(void)
{
    struct buf json;

    buf_init(&json, 1 << 20);
    for (int most = 10; most <= 11; most++) {
        buf_clear(&json);
        for (int i = 0; i < most; i++)
            buf_printf(&json, "%s\"a%d.b\":[]", i == 0 ? "{" : ",", i);
        buf_add_text(&json, "}");
        buf_add_byte(&json, '\0');
        CHECK(says(json.at, most == 10 ? "" : "Network rules can have at most 10 domains."));
    }
    for (int most = 20; most <= 21; most++) {
        buf_clear(&json);
        buf_add_text(&json, "{\"a.b\":[{\"transform\":{\"headers\":{\"X\":\"\"");
        for (int i = 1; i < most; i++)
            buf_printf(&json, ",\"X%d\":\"${e2b.secrets.s%d}\"", i, i % 16);
        buf_add_text(&json, "}}}]}");
        buf_add_byte(&json, '\0');
        CHECK(says(json.at, most == 20 ? "" : "Rule domain \"a.b\" can have at most 20"));
    }
    for (int most = 16; most <= 17; most++) {
        buf_clear(&json);
        buf_add_text(&json, "{\"a.b\":[{\"transform\":{\"headers\":{\"X\":\"");
        for (int i = 0; i < most; i++)
            buf_printf(&json, "${e2b.secrets.s%d}", i);
        buf_add_text(&json, "\"}}}]}");
        buf_add_byte(&json, '\0');
        CHECK(says(json.at, most == 16 ? "" : "Network rules can use at most 16 secrets."));
    }
    buf_done(&json);
}

static bool proxy(const char *json, const char *address)
{
    struct egress_proxy *p = NULL;
    struct err err = {0};
    int result;

    arena_done(&mem);
    arena_init(&mem, 1 << 20);
    result = network_proxy_read(str_of(json), &mem, &p, &err);
    if (address == NULL)
        return result == -1 && str_has_prefix(str_of(err.text), "Invalid egress proxy config");
    return result == 0 &&
           (address[0] == '\0' ? p == NULL : p != NULL && str_is(p->address, address));
}

static void reads_proxies(void)
{
    CHECK(proxy("", "") && proxy("null", ""));
    CHECK(proxy("{\"address\":\"p.test:1080\"}", "p.test:1080"));
    CHECK(proxy("{\"address\":\"http://p.test:1\",\"username\":\"u\",\"password\":\"p\"}",
                "http://p.test:1"));
    CHECK(proxy("{}", NULL) && proxy("{\"address\":\"p.test\"}", NULL) && proxy("1", NULL));
    CHECK(proxy("{\"address\":\"p.test:70000\"}", NULL));
    CHECK(proxy("{\"address\":\"ftp://p.test:1\"}", NULL));
    CHECK(proxy("{\"address\":\"p.test:1\",\"password\":\"p\"}", NULL));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"reads rules and writes them again", reads_rules_and_writes_them_again},
        {"says what is wrong",                says_what_is_wrong               },
        {"limits hold",                       limits_hold                      },
        {"reads proxies",                     reads_proxies                    },
    };
    int result = test_main(tests, COUNT_OF(tests), argc, argv);

    arena_done(&mem);
    return result;
}
