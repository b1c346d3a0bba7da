/* SPDX-License-Identifier: Apache-2.0 */
/* See client_hello.h. The message is read byte by byte across its records, so that nothing is
 * copied but the name. Called by asked_name.c. */
#include "http/client_hello.h"

enum {
    RECORD_HANDSHAKE = 22,
    RECORD_HEAD = 5,
    RECORD_MAX = 16 << 10,
    MESSAGE_CLIENT_HELLO = 1,
    VERSION_MAJOR = 3, /* of SSL 3.0 up to TLS 1.3 */
    RANDOM_SIZE = 32,
    SESSION_ID_MAX = 32,
    EXTENSION_NAME = 0,
    EXTENSION_HELLO = 0xfe0d,    /* draft-ietf-tls-esni, from 13 on */
    EXTENSION_OLD_NAME = 0xffce, /* the encrypted name of its first drafts */
    NAME_HOST = 0,
};

/* Where the reader is: behind the heads of records. The first trouble stays. */
struct reader {
    struct str in;
    size_t record_left;      /* of the record that `in` begins with */
    size_t left;             /* of the message, once its length is known */
    enum client_hello state; /* CLIENT_HELLO_NAME: no trouble */
};

static void fail(struct reader *r, enum client_hello why)
{
    if (r->state == CLIENT_HELLO_NAME)
        r->state = why;
}

static uint8_t byte_at(const struct reader *r, size_t offset)
{
    return (uint8_t)r->in.at[offset];
}

/* Judges as much of the head as there is: what is no TLS need not be waited for. */
static void read_record(struct reader *r)
{
    size_t have = r->in.len;

    if ((have > 0 && byte_at(r, 0) != RECORD_HANDSHAKE) ||
        (have > 1 && byte_at(r, 1) != VERSION_MAJOR)) {
        fail(r, CLIENT_HELLO_BAD);
        return;
    }
    if (have < RECORD_HEAD) {
        fail(r, CLIENT_HELLO_MORE);
        return;
    }
    r->record_left = (size_t)byte_at(r, 3) << 8 | byte_at(r, 4);
    r->in = str_from(r->in, RECORD_HEAD);
    if (r->record_left == 0 || r->record_left > RECORD_MAX)
        fail(r, CLIENT_HELLO_BAD);
}

/* Up to `count` bytes that lie together in one record; empty after trouble. */
static struct str take(struct reader *r, size_t count)
{
    struct str part;

    if (count > r->left)
        fail(r, CLIENT_HELLO_BAD);
    if (r->state == CLIENT_HELLO_NAME && r->record_left == 0)
        read_record(r);
    if (r->state == CLIENT_HELLO_NAME && r->in.len == 0)
        fail(r, CLIENT_HELLO_MORE);
    if (r->state != CLIENT_HELLO_NAME)
        return (struct str){0};
    part = str_upto(str_upto(r->in, r->record_left), count);
    r->in = str_from(r->in, part.len);
    r->record_left -= part.len;
    r->left -= part.len;
    return part;
}

static void skip(struct reader *r, size_t count)
{
    while (count > 0 && r->state == CLIENT_HELLO_NAME)
        count -= take(r, count).len;
}

static void copy(struct reader *r, size_t count, char *to)
{
    while (count > 0 && r->state == CLIENT_HELLO_NAME) {
        struct str part = take(r, count);

        if (part.len > 0)
            memcpy(to, part.at, part.len);
        to += part.len;
        count -= part.len;
    }
}

/* Big-endian, of 1 to 3 bytes; 0 after trouble. */
static size_t number(struct reader *r, size_t size)
{
    uint8_t bytes[3] = {0};
    size_t value = 0;

    copy(r, size, (char *)bytes);
    for (size_t i = 0; r->state == CLIENT_HELLO_NAME && i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void expect(struct reader *r, bool is_right)
{
    if (!is_right)
        fail(r, CLIENT_HELLO_BAD);
}

/* One name of one kind: RFC 6066 allows a list, and every client sends one entry. */
static void read_name(struct reader *r, size_t size, char *out)
{
    size_t list = number(r, 2), kind = number(r, 1), len = number(r, 2);

    expect(r, size > 5 && list == size - 2 && kind == NAME_HOST && len == size - 5);
    expect(r, len <= HOST_NAME_MAX_LEN);
    if (r->state != CLIENT_HELLO_NAME)
        return;
    copy(r, len, out);
    if (r->state != CLIENT_HELLO_NAME)
        return;
    out[len] = '\0';
    expect(r, host_name_is_good((struct str){out, len}));
}

static void read_extensions(struct reader *r, char *name)
{
    bool is_named = false, is_encrypted = false;
    size_t all = number(r, 2);

    expect(r, all == r->left);
    while (r->left > 0 && r->state == CLIENT_HELLO_NAME) {
        size_t kind = number(r, 2), size = number(r, 2);

        if (r->state != CLIENT_HELLO_NAME)
            return;
        is_encrypted = is_encrypted || kind == EXTENSION_HELLO || kind == EXTENSION_OLD_NAME;
        if (kind != EXTENSION_NAME) {
            skip(r, size);
            continue;
        }
        expect(r, !is_named); /* RFC 8446 4.2: none twice; which one would the server take? */
        is_named = true;
        read_name(r, size, name);
    }
    if (is_encrypted)
        fail(r, CLIENT_HELLO_ENCRYPTED);
    if (!is_named)
        fail(r, CLIENT_HELLO_NAMELESS);
}

enum client_hello client_hello_read(struct str in, char out_name[HOST_NAME_MAX_LEN + 1])
{
    struct reader r = {.in = in, .left = 4, .state = CLIENT_HELLO_NAME};
    char name[HOST_NAME_MAX_LEN + 1] = "";
    size_t size;

    expect(&r, number(&r, 1) == MESSAGE_CLIENT_HELLO);
    r.left = size = number(&r, 3);
    expect(&r, size <= CLIENT_HELLO_MAX);
    skip(&r, 2 + RANDOM_SIZE);
    size = number(&r, 1);
    expect(&r, size <= SESSION_ID_MAX);
    skip(&r, size);
    size = number(&r, 2); /* of cipher suites */
    expect(&r, size >= 2 && size % 2 == 0);
    skip(&r, size);
    size = number(&r, 1); /* of compressions */
    expect(&r, size >= 1);
    skip(&r, size);
    if (r.state == CLIENT_HELLO_NAME && r.left == 0)
        return CLIENT_HELLO_NAMELESS; /* before TLS 1.2 it may end here */
    read_extensions(&r, name);
    expect(&r, r.record_left == 0); /* nothing else may share its last record's rest */
    if (r.state == CLIENT_HELLO_NAME)
        memcpy(out_name, name, sizeof(name));
    return r.state;
}
