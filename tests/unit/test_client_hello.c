/* SPDX-License-Identifier: Apache-2.0 */
/* The name in the first message of a TLS client, in every cut and with every damage that decides.
 */
#include "base/buf.h"
#include "http/client_hello.h"
#include "test.h"

#define A      "\x00\x0a\x00\x04\x00\x02\x00\x1d"     /* supported groups */
#define GREASE "\x0a\x0a\x00\x00\xfa\xfa\x00\x01\x00" /* RFC 8701 */
#define NAMED                                                                                      \
    "\x00\x00\x00\x08\x00\x06\x00\x00\x03"                                                         \
    "a.b"                                     /* server name a.b */
#define HIDDEN     "\xfe\x0d\x00\x02\x00\x00" /* encrypted hello */
#define OLD_HIDDEN "\xff\xce\x00\x02\x00\x00"

enum {
    SIZE_MAX_HERE = 64 << 10,
};

static void put_number(struct buf *b, size_t value, size_t size)
{
    while (size-- > 0)
        buf_add_byte(b, (char)(value >> (size * 8)));
}

/* The message without its record. */
static void put_message(struct buf *b, struct str extensions)
{
    static const char random[32] = "r";

    buf_add_byte(b, 1);
    put_number(b, 2 + 32 + 1 + 32 + 2 + 4 + 2 + 2 + extensions.len, 3);
    buf_add(b, "\x03\x03", 2);
    buf_add(b, random, 32);
    buf_add_byte(b, 32);
    buf_add(b, random, 32);
    buf_add(b, "\x00\x04\x0a\x0a\x13\x01\x01\x00", 8);
    put_number(b, extensions.len, 2);
    buf_add_str(b, extensions);
}

static void put_record(struct buf *b, struct str part)
{
    buf_add(b, "\x16\x03\x01", 3);
    put_number(b, part.len, 2);
    buf_add_str(b, part);
}

static enum client_hello read_one(struct str message, char *name)
{
    struct buf b;
    enum client_hello result;

    buf_init(&b, SIZE_MAX_HERE);
    put_record(&b, message);
    result = client_hello_read(buf_str(&b), name);
    buf_done(&b);
    return result;
}

static void extensions(void)
{
    static const struct {
        struct str extensions;
        enum client_hello result;
    } cases[] = {
        {STR(NAMED),                                  CLIENT_HELLO_NAME     },
        {STR(A NAMED),                                CLIENT_HELLO_NAME     },
        {STR(GREASE A NAMED A GREASE),                CLIENT_HELLO_NAME     },
        {STR(""),                                     CLIENT_HELLO_NAMELESS },
        {STR(A GREASE),                               CLIENT_HELLO_NAMELESS },
        {STR(NAMED HIDDEN),                           CLIENT_HELLO_ENCRYPTED},
        {STR(HIDDEN NAMED),                           CLIENT_HELLO_ENCRYPTED},
        {STR(HIDDEN),                                 CLIENT_HELLO_ENCRYPTED},
        {STR(A OLD_HIDDEN),                           CLIENT_HELLO_ENCRYPTED},
        {STR(NAMED NAMED),                            CLIENT_HELLO_BAD      },
        {STR("\x00\x00\x00\x00"),                     CLIENT_HELLO_BAD      }, /* empty */
        {STR("\x00\x00\x00\x02\x00\x00"),             CLIENT_HELLO_BAD      }, /* empty list */
        {STR("\x00\x00\x00\x05\x00\x03\x00\x00\x00"), CLIENT_HELLO_BAD      }, /* empty name */
        {STR("\x00\x00\x00\x06\x00\x04\x01\x00\x01"
             "a"),
         CLIENT_HELLO_BAD                                                   }, /* another kind */
        {STR("\x00\x00\x00\x06\x00\x04\x00\x00\x02"
             "a"),
         CLIENT_HELLO_BAD                                                   }, /* too long */
        {STR("\x00\x00\x00\x06\x00\x05\x00\x00\x01"
             "a"),
         CLIENT_HELLO_BAD                                                   }, /* list too long */
        {STR("\x00\x00\x00\x0a\x00\x08\x00\x00\x01"
             "a\x00\x00\x01"
             "b"),
         CLIENT_HELLO_BAD                                                   }, /* two */
        {STR("\x00\x00\x00\x07\x00\x05\x00\x00\x02"
             "a."),
         CLIENT_HELLO_BAD                                                   }, /* trailing dot */
        {STR("\x00\x00\x00\x0c\x00\x0a\x00\x00\x07"
             "1.2.3.4"),
         CLIENT_HELLO_BAD                                                   },
        {STR("\x00\x00\x00\x08\x00\x06\x00\x00\x03"
             "a\0b"),
         CLIENT_HELLO_BAD                                                   },
        {STR("\x00\x00\x00\x09\x00\x06\x00\x00\x03"
             "a.b"),
         CLIENT_HELLO_BAD                                                   }, /* past the end */
        {STR(NAMED "\x00\x0a\x00\x09\x00"),           CLIENT_HELLO_BAD      },
        {STR(NAMED "\x00"),                           CLIENT_HELLO_BAD      },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char name[HOST_NAME_MAX_LEN + 1] = "";
        struct buf m;

        test_note("row %zu", i);
        buf_init(&m, SIZE_MAX_HERE);
        put_message(&m, cases[i].extensions);
        CHECK(read_one(buf_str(&m), name) == cases[i].result);
        CHECK(str_is(str_of(name), cases[i].result == CLIENT_HELLO_NAME ? "a.b" : ""));
        buf_done(&m);
    }
}

/* In one record, in two with every cut, in records of one byte; and each of their beginnings. */
static void cuts(void)
{
    char name[HOST_NAME_MAX_LEN + 1];
    struct buf m, b;
    struct str message;

    buf_init(&m, SIZE_MAX_HERE);
    buf_init(&b, SIZE_MAX_HERE);
    put_message(&m, STR(GREASE A NAMED A));
    message = buf_str(&m);
    for (size_t cut = 1; cut < message.len; cut++) {
        buf_clear(&b);
        put_record(&b, str_upto(message, cut));
        put_record(&b, str_from(message, cut));
        name[0] = '\0';
        CHECK(client_hello_read(buf_str(&b), name) == CLIENT_HELLO_NAME &&
              strcmp(name, "a.b") == 0);
        for (size_t len = 0; len < b.len; len++)
            CHECK(client_hello_read((struct str){b.at, len}, name) == CLIENT_HELLO_MORE);
    }
    buf_clear(&b);
    for (size_t i = 0; i < message.len; i++)
        put_record(&b, str_upto(str_from(message, i), 1));
    name[0] = '\0';
    CHECK(client_hello_read(buf_str(&b), name) == CLIENT_HELLO_NAME && strcmp(name, "a.b") == 0);
    buf_done(&b);
    buf_done(&m);
}

static void damage(void)
{
    /* Offsets in a record that holds a whole message. */
    static const struct {
        size_t at;
        uint8_t byte;
    } rows[] = {
        {0,  23  }, /* application data */
        {0,  0x80}, /* SSL 2.0 */
        {1,  2   },
        {3,  0xff}, /* record too long */
        {5,  2   }, /* another message */
        {6,  1   }, /* 64 KiB of hello */
        {43, 33  }, /* session id too long */
        {77, 3   }, /* odd cipher suites */
        {82, 0   }, /* no compression at all */
        {85, 9   }, /* extensions end early */
    };
    char name[HOST_NAME_MAX_LEN + 1];
    struct buf m, b;

    buf_init(&m, SIZE_MAX_HERE);
    buf_init(&b, SIZE_MAX_HERE);
    put_message(&m, STR(A NAMED));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        buf_clear(&b);
        put_record(&b, buf_str(&m));
        b.at[rows[i].at] = (char)rows[i].byte;
        test_note("byte %zu", rows[i].at);
        CHECK(client_hello_read(buf_str(&b), name) == CLIENT_HELLO_BAD);
    }
    buf_clear(&b);
    buf_add(&b, "\x16\x03\x01\x00\x00", 5); /* records without content would never end */
    CHECK(client_hello_read(buf_str(&b), name) == CLIENT_HELLO_BAD);
    buf_clear(&b);
    buf_add_byte(&m, 'x'); /* in the record, behind the message */
    put_record(&b, buf_str(&m));
    CHECK(client_hello_read(buf_str(&b), name) == CLIENT_HELLO_BAD);
    CHECK(client_hello_read(STR("GET / HTTP/1.1\r\n"), name) == CLIENT_HELLO_BAD);
    buf_done(&b);
    buf_done(&m);
}

/* Before TLS 1.2 a hello may have no extensions at all. */
static void bare(void)
{
    char name[HOST_NAME_MAX_LEN + 1];
    struct buf m;

    buf_init(&m, SIZE_MAX_HERE);
    put_message(&m, STR(""));
    buf_truncate(&m, m.len - 2);
    m.at[3] = (char)(m.at[3] - 2);
    CHECK(read_one(buf_str(&m), name) == CLIENT_HELLO_NAMELESS);
    buf_done(&m);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"extensions", extensions},
        {"cuts",       cuts      },
        {"damage",     damage    },
        {"bare",       bare      },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
