/* SPDX-License-Identifier: Apache-2.0 */
/* Which host the first bytes of a connection ask for. TLS is test_client_hello.c's. */
#include "http/asked_name.h"
#include "test.h"

#define GET "GET / HTTP/1.1\r\n"

static void heads(void)
{
    static const struct {
        const char *text;
        const char *name; /* NULL: refused; "": more */
    } cases[] = {
        {GET "Host: a.b\r\n\r\n",                          "a.b"},
        {GET "Host: A.b:8080\r\nX: y\r\n\r\nbody",         "A.b"},
        {GET "X: y\r\nhost:a.b\r\n\r\n",                   "a.b"},
        {"POST /x HTTP/1.0\r\nHost: a.b\r\n\r\n",          "a.b"},
        {"GET http://a.b/x HTTP/1.1\r\nHost: a.b\r\n\r\n", "a.b"},
        {GET "Host: a.b\r\n",                              ""   },
        {"G",                                              ""   },
        {"",                                               ""   },
        {GET "Host: a.b\r\nHost: c.d\r\n\r\n",             NULL }, /* two hosts */
        {"GET http://c.d/ HTTP/1.1\r\nHost: a.b\r\n\r\n",  NULL },
        {GET "\r\n",                                       NULL },
        {"GET / HTTP/1.0\r\n\r\n",                         NULL },
        {GET "Host: 1.2.3.4\r\n\r\n",                      NULL }, /* an address is asked for by address */
        {GET "Host: [::1]\r\n\r\n",                        NULL },
        {GET "Host: a.b.\r\n\r\n",                         NULL },
        {GET "Host: \r\n\r\n",                             NULL },
        {GET "Host : a.b\r\n\r\n",                         NULL },
        {GET "Host: a.b\r\n folded\r\n\r\n",               NULL },
        {"GET / HTTP/1.1\nHost: a.b\n\n",                  NULL },
        {"CONNECT a.b:443 HTTP/1.1\r\nHost: a.b\r\n\r\n",  NULL },
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",               NULL },
        {"SSH-2.0-OpenSSH_9.2\r\n",                        NULL },
        {"\r\nGET / HTTP/1.1\r\n",                         NULL },
        {"\x05\x01",                                       NULL }, /* SOCKS */
        {"\x16GET",                                        NULL },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char name[HOST_NAME_MAX_LEN + 1] = "";
        const char *why = NULL;
        enum asked result = asked_name_read(str_of(cases[i].text), name, &why);

        test_note("row %zu: %s", i, why == NULL ? "" : why);
        CHECK((result == ASKED_REFUSED) == (cases[i].name == NULL));
        if (cases[i].name == NULL) {
            CHECK(why != NULL);
            continue;
        }
        CHECK((result == ASKED_MORE) == (cases[i].name[0] == '\0'));
        CHECK(str_is(str_of(name), cases[i].name));
    }
}

static void each_beginning(void)
{
    const struct str all = STR(GET "Accept: */*\r\nHost: www.a.b\r\n\r\n");
    char name[HOST_NAME_MAX_LEN + 1] = "";
    const char *why;

    for (size_t len = 0; len < all.len; len++)
        CHECK(asked_name_read(str_upto(all, len), name, &why) == ASKED_MORE);
    CHECK(asked_name_read(all, name, &why) == ASKED_NAME && strcmp(name, "www.a.b") == 0);
}

static void endless(void)
{
    static char text[ASKED_NAME_BYTES_MAX];
    char name[HOST_NAME_MAX_LEN + 1];
    const char *why = NULL;
    size_t at = 0;

    /* A hello in records of one byte takes six for each: its end never comes. */
    memcpy(text, "\x16\x03\x01\x00\x04\x01\x00\x40\x00", 9);
    for (at = 9; at + 6 <= sizeof(text); at += 6)
        memcpy(text + at, "\x16\x03\x01\x00\x01\x00", 6);
    CHECK(asked_name_read((struct str){text, 9 + 6 * 34}, name, &why) == ASKED_MORE);
    memset(text, 'a', sizeof(text));
    memcpy(text, GET "X: ", sizeof(GET "X: ") - 1);
    CHECK(asked_name_read((struct str){text, sizeof(text) - 1}, name, &why) == ASKED_MORE);
    CHECK(asked_name_read((struct str){text, sizeof(text)}, name, &why) == ASKED_REFUSED);
    CHECK(why != NULL);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"heads",          heads         },
        {"each beginning", each_beginning},
        {"endless",        endless       },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
