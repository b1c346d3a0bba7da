/* SPDX-License-Identifier: Apache-2.0 */
/* worker/: addresses, config.yaml, payloads, and who has which slot. */
#include "test.h"
#include "worker/address.h"
#include "worker/param.h"
#include "worker/seats.h"
#include "worker/settings.h"

static void addresses(void)
{
    static const struct {
        const char *url;
        enum address_kind kind;
        const char *authority; /* NULL: refused */
        unsigned port;
        const char *path;
    } cases[] = {
        {"https://api.e2b.dev",    ADDRESS_HTTP, "api.e2b.dev",     443,   ""    },
        {"http://127.0.0.1:3000/", ADDRESS_HTTP, "127.0.0.1:3000",  3000,  ""    },
        {"http://[::1]:3000/a/b/", ADDRESS_HTTP, "[::1]:3000",      3000,  "/a/b"},
        {"http://x:80",            ADDRESS_HTTP, "x",               80,    ""    },
        {"wss://engine/ws",        ADDRESS_WS,   "engine",          443,   "/ws" },
        {"ws://localhost:49134",   ADDRESS_WS,   "localhost:49134", 49134, ""    },
        {"http://localhost",       ADDRESS_WS,   NULL,              0,     NULL  },
        {"ftp://localhost",        ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://",                ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://user@host",       ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://host:0",          ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://host:",           ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://host:70000",      ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://host/a?b",        ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://ho st",           ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://[::1",            ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://[::1]x",          ADDRESS_HTTP, NULL,              0,     NULL  },
        {"http://-host",           ADDRESS_HTTP, NULL,              0,     NULL  },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address a;
        struct err err = {0};
        int status = address_parse(str_of(cases[i].url), cases[i].kind, &a, &err);

        test_note("%s", cases[i].url);
        CHECK((status == 0) == (cases[i].authority != NULL));
        CHECK(status == 0 || err.kind == ERR_INVALID);
        if (status != 0)
            continue;
        CHECK(strcmp(a.authority, cases[i].authority) == 0 && a.port == cases[i].port);
        CHECK(strcmp(a.path, cases[i].path) == 0);
    }
}

static void settings(void)
{
    static const char text[] = "---\nconfig:\n    api_base: 'http://[::1]:3000' # here\n"
                               "    image_allowlist:\n    - base\n      - \"a\\\"b\"\n"
                               "    domain: \"x.test\"\n    legacy_ids: true\r\n";
    struct settings s;
    struct err err;

    CHECK(settings_read(&s, (struct str){text, sizeof(text) - 1}, &err) == 0);
    CHECK(s.image_count == 2 && strcmp(s.images[0], "base") == 0);
    CHECK(strcmp(s.images[1], "a\"b") == 0 && s.has_images && s.has_legacy_ids);
    CHECK(s.sandboxes_max == 10 && s.idle_timeout_s == 300 && s.api_base.port == 3000);
    settings_done(&s);
    CHECK(s.has_sandbox_url); /* plain http: one port for all */
    CHECK(settings_read(&s, (struct str){0}, &err) == 0);
    CHECK(strcmp(s.api_base_text, "https://api.e2b.dev") == 0 && !s.has_images);
    CHECK(strcmp(s.api_key_env, "E2B_API_KEY") == 0 && !s.has_sandbox_url);
    CHECK(settings_read(&s, STR("drain_secs: 1\n\n domain: x\n"), &err) != 0);
    CHECK(strstr(err.text, "line 3") != NULL);
}

static void sample(void)
{
    struct settings s;
    struct buf out, bare;
    struct err err;

    buf_init(&out, 1 << 16);
    buf_init(&bare, 1 << 16);
    settings_sample(&out);
    CHECK(buf_ok(&out) && settings_read(&s, buf_str(&out), &err) == 0);
    /* Every line that names a key, as a line that counts. */
    for (struct str rest = buf_str(&out); rest.len > 0;) {
        struct str line = str_cut(rest, '\n', &rest);

        if (str_has_prefix(line, "# ") && str_find(line, ':') > 0 &&
            str_find(str_upto(str_from(line, 2), (size_t)str_find(line, ':') - 2), ' ') < 0) {
            buf_add_str(&bare, str_from(line, 2));
            buf_add_byte(&bare, '\n');
        }
    }
    test_note("%.*s", STR_ARG(buf_str(&bare)));
    CHECK(settings_read(&s, buf_str(&bare), &err) == 0 && s.has_images);
    buf_done(&out);
    buf_done(&bare);
}

static struct box box_of(const char *id)
{
    struct box b = {0};

    CHECK(str_to_c(str_of(id), b.id, sizeof(b.id)));
    return b;
}

static void slots(void)
{
    struct seats s = {.max = 2};
    struct box a = box_of("a"), b = box_of("b");
    struct map seen = {0};

    CHECK(seats_reserve(&s) && seats_reserve(&s) && !seats_reserve(&s));
    seats_take(&s, &a);
    seats_give_back(&s);
    CHECK(seats_used(&s) == 1 && seats_find(&s, STR("a")) != NULL);
    seats_end(&s, STR("nobody"));
    CHECK(seats_used(&s) == 1);
    CHECK(seats_reserve(&s));
    seats_keep_only(&s, &seen, s.births); /* a is gone; the one under way is not touched */
    CHECK(seats_used(&s) == 1 && seats_find(&s, STR("a")) == NULL);
    seats_end(&s, STR("a"));
    seats_end(&s, STR("a"));
    CHECK(seats_used(&s) == 1);
    seats_take(&s, &b);
    seats_keep_only(&s, &seen, s.births - 1); /* born after that list was begun */
    CHECK(seats_find(&s, STR("b")) != NULL && seats_used(&s) == 1);
    seats_done(&s);
}

static void payloads(void)
{
    /* clang-format off */
    static const struct param params[] = {
        {"id", PARAM_TEXT, PARAM_REQUIRED, "an id"},
        {"env", PARAM_ENV, 0, "variables"},
        {"mode", PARAM_MODE, 0, "permissions"},
        {"cwd", PARAM_TEXT, 0, "directory", 0, 0, "workdir"},
    };
    /* clang-format on */
    struct arg args[COUNT_OF(params)];
    struct arena arena;
    struct err err;

    arena_init(&arena, 1 << 20);
    CHECK(params_read(params, COUNT_OF(params),
                      STR("{\"id\":\"x\",\"env\":[\"A=b=c\",\"D=\"],\"mode\":\"0750\",\"workdir\":"
                          "\"/\",\"_caller_worker_id\":1,\"other\":{}}"),
                      &arena, args, &err) == 0);
    CHECK(str_is(args[0].text, "x") && args[1].list.count == 2 && args[2].number == 0750);
    CHECK(str_is(((struct codec_pair *)args[1].list.items)[0].value, "b=c"));
    CHECK(str_is(args[3].text, "/"));
    CHECK(params_read(params, COUNT_OF(params), STR("{\"id\":\"x\",\"mode\":null}"), &arena, args,
                      &err) == 0);
    CHECK(!args[2].is_set);
    CHECK(params_read(params, COUNT_OF(params), STR("null"), &arena, args, &err) != 0);
    CHECK(strcmp(err.text, "missing string field 'id'") == 0);
    CHECK(params_read(params, COUNT_OF(params), STR("{\"id\":1}"), &arena, args, &err) != 0);
    CHECK(params_read(params, COUNT_OF(params), STR("[]"), &arena, args, &err) != 0);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"addresses of APIs and engines", addresses},
        {"config.yaml",                   settings },
        {"the sample is a configuration", sample   },
        {"slots belong to ids",           slots    },
        {"payloads by their tables",      payloads },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
