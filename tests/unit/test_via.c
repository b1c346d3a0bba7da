/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "egress/via.h"
#include "test.h"

static struct via via;
static struct buf say;

static enum via_next hear(const struct via_target *t, const char *bytes, size_t len)
{
    buf_clear(&say);
    return via_step(&via, t, (struct str){bytes, len}, &say);
}

static void begin(enum via_kind kind)
{
    via = (struct via){.kind = kind};
    buf_done(&say);
    buf_init(&say, VIA_SAY_MAX);
}

static bool said(const char *bytes, size_t len)
{
    bool is_it = say.len == len && memcmp(say.at, bytes, len) == 0;

    buf_done(&say);
    return is_it;
}

static const struct via_target by_name = {
    "web.test", {{0}, 443},
     {0  },
     {0}
};

static void socks_by_name_without_a_password(void)
{
    begin(VIA_SOCKS5);
    CHECK(hear(&by_name, NULL, 0) == VIA_MORE && said("\5\1\0", 3));
    CHECK(hear(&by_name, "\5", 1) == VIA_MORE && say.len == 0 && via.used == 0);
    CHECK(hear(&by_name, "\5\0", 2) == VIA_MORE && via.used == 2);
    CHECK(said("\5\1\0\3\10web.test\1\273", 15));
    CHECK(hear(&by_name, "\5\0\0\1\0\0\0\0\0", 9) == VIA_MORE && via.used == 0);
    CHECK(hear(&by_name, "\5\0\0\1\0\0\0\0\0\0SSH", 13) == VIA_DONE && via.used == 10);
    buf_done(&say);
}

static void socks_by_address_with_a_password(void)
{
    const struct via_target t = {NULL, place_v4((const uint8_t[4]){12, 0, 0, 1}, 80), STR("me"),
                                 STR("pass")};

    begin(VIA_SOCKS5);
    CHECK(hear(&t, NULL, 0) == VIA_MORE && said("\5\2\0\2", 4));
    CHECK(hear(&t, "\5\2", 2) == VIA_MORE && said("\1\2me\4pass", 9));
    CHECK(hear(&t, "\1\0", 2) == VIA_MORE && said("\5\1\0\1\14\0\0\1\0\120", 10));
    CHECK(hear(&t, "\5\0\0\3\3abc\0\1", 10) == VIA_DONE && via.used == 10);
    buf_done(&say);
}

static void socks_failures_have_their_errors(void)
{
    static const struct {
        const char *bytes;
        int error;
    } rows[] = {
        {"\5\1\0\1\0",   ECONNREFUSED},
        {"\5\2\0\1\0",   EACCES      },
        {"\5\3\0\1\0",   ENETUNREACH },
        {"\5\4\0\1\0",   EHOSTUNREACH},
        {"\5\5\0\1\0",   ECONNREFUSED},
        {"\5\6\0\1\0",   ETIMEDOUT   },
        {"\5\177\0\1\0", ECONNREFUSED},
        {"\4\0\0\1\0",   ECONNREFUSED},
        {"\5\0\0\7\0",   ECONNREFUSED},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin(VIA_SOCKS5);
        CHECK(hear(&by_name, NULL, 0) == VIA_MORE && hear(&by_name, "\5\0", 2) == VIA_MORE);
        CHECK(hear(&by_name, rows[i].bytes, 5) == VIA_FAILED && via.error == rows[i].error);
        buf_done(&say);
    }
    begin(VIA_SOCKS5);
    CHECK(hear(&by_name, NULL, 0) == VIA_MORE);
    CHECK(hear(&by_name, "\5\2", 2) == VIA_FAILED); /* we have no password to give */
    begin(VIA_SOCKS5);
    CHECK(hear(&by_name, NULL, 0) == VIA_MORE && hear(&by_name, "HT", 2) == VIA_FAILED);
    buf_done(&say);
}

static void connect_by_name_and_password(void)
{
    static const char answer[] = "HTTP/1.1 200 Connection established\r\n\r\nSSH";
    const struct via_target t = {
        "web.test", {{0}, 443},
         STR("me"), STR("pass")
    };

    begin(VIA_HTTP);
    CHECK(hear(&t, NULL, 0) == VIA_MORE);
    CHECK(said("CONNECT web.test:443 HTTP/1.1\r\nHost: web.test:443\r\n"
               "Proxy-Authorization: Basic bWU6cGFzcw==\r\n\r\n",
               94));
    CHECK(hear(&t, answer, 20) == VIA_MORE && via.used == 0);
    CHECK(hear(&t, answer, sizeof(answer) - 1) == VIA_DONE && via.used == sizeof(answer) - 4);
    buf_done(&say);
}

static void connect_failures_have_their_errors(void)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        {"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", ECONNREFUSED},
        {"HTTP/1.1 403 No\r\n\r\n",                      EACCES      },
        {"HTTP/1.1 504 No\r\n\r\n",                      ETIMEDOUT   },
        {"HTTP/1.1 502 No\r\n\r\n",                      ECONNREFUSED},
        {"SSH-2.0-server\r\n\r\n",                       ECONNREFUSED},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin(VIA_HTTP);
        CHECK(hear(&by_name, NULL, 0) == VIA_MORE);
        CHECK(hear(&by_name, rows[i].text, strlen(rows[i].text)) == VIA_FAILED);
        CHECK(via.error == rows[i].error);
        buf_done(&say);
    }
}

static void addresses_of_proxies(void)
{
    enum via_kind kind;
    struct str host;
    uint16_t port;

    CHECK(via_read(STR("proxy.test:1080"), &kind, &host, &port) && kind == VIA_SOCKS5);
    CHECK(str_is(host, "proxy.test") && port == 1080);
    CHECK(via_read(STR("socks5://1.2.3.4:1"), &kind, &host, &port) && str_is(host, "1.2.3.4"));
    CHECK(via_read(STR("http://[2a00::1]:3128"), &kind, &host, &port) && kind == VIA_HTTP);
    CHECK(str_is(host, "2a00::1") && port == 3128);
    CHECK(!via_read(STR("proxy.test"), &kind, &host, &port));
    CHECK(!via_read(STR("proxy.test:0"), &kind, &host, &port));
    CHECK(!via_read(STR("proxy.test:65536"), &kind, &host, &port));
    CHECK(!via_read(STR(":1080"), &kind, &host, &port) && !via_read(STR(""), &kind, &host, &port));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"SOCKS by name without a password",   socks_by_name_without_a_password  },
        {"SOCKS by address with a password",   socks_by_address_with_a_password  },
        {"SOCKS failures have their errors",   socks_failures_have_their_errors  },
        {"CONNECT by name and password",       connect_by_name_and_password      },
        {"CONNECT failures have their errors", connect_failures_have_their_errors},
        {"addresses of proxies",               addresses_of_proxies              },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
