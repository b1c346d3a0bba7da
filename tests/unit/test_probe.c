/* SPDX-License-Identifier: Apache-2.0 */
/* URLs in ready commands (CT-23 to CT-25). */
#include "build/probe.h"
#include "test.h"

static void finds(void)
{
    static const struct {
        const char *text;
        uint16_t port; /* 0: none */
        const char *path;
    } cases[] = {
        {"curl -fsS http://127.0.0.1:8080/ready?retries=3 || exit 1", 8080, "/ready"},
        {"until curl http://0.0.0.0:3000; do sleep 1; done",          3000, "/"     },
        {"http://localhost:80/a/b#c",                                 80,   "/a/b"  },
        {"http://[::1]:9000/x",                                       9000, "/x"    },
        {"http://::1:9000/x",                                         9000, "/x"    },
        {"wget 'http://LOCALHOST:8000/q'",                            8000, "/q"    },
        {"curl http://example.com:80/ && curl http://localhost:81/",  81,   "/"     },
        {"curl http://example.com:8080/",                             0,    NULL    },
        {"curl http://localhost/",                                    0,    NULL    },
        {"curl http://localhost:0/",                                  0,    NULL    },
        {"curl http://localhost:65536/",                              0,    NULL    },
        {"curl http://localhost:80x/",                                0,    NULL    },
        {"curl http://127.0.0.1.example.com:80/",                     0,    NULL    },
        {"curl http://user@localhost:80/",                            0,    NULL    },
        {"curl http://[::2]:80/",                                     0,    NULL    },
        {"curl http://[::1",                                          0,    NULL    },
        {"sleep 20",                                                  0,    NULL    },
        {"http://",                                                   0,    NULL    },
        {"",                                                          0,    NULL    },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct probe p = {0};

        test_note("%s", cases[i].text);
        CHECK(probe_find(str_of(cases[i].text), &p) == (cases[i].port != 0));
        CHECK(p.port == cases[i].port);
        CHECK(cases[i].port == 0 || str_is(str_of(p.path), cases[i].path));
    }
}

static void tells_urls_from_commands(void)
{
    CHECK(probe_is_url(STR(" http://localhost:80/x ")));
    CHECK(probe_is_url(STR("https://localhost:80/x")));
    CHECK(!probe_is_url(STR("curl http://localhost:80/x")));
    CHECK(!probe_is_url(STR("http://localhost:80/ && true")));
    CHECK(!probe_is_url(STR("")));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"CT-23 CT-25 finds URLs of this machine with a port", finds                   },
        {"CT-26 RX-28 a URL alone is no command",              tells_urls_from_commands},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
