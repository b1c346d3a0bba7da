/* SPDX-License-Identifier: Apache-2.0 */
/* See via.h. Called by reach.c. */
#include "egress/via.h"

#include <errno.h>
#include <stdio.h>

#include "base/digest.h"
#include "http/head.h"

enum {
    SOCKS_VERSION = 5,
    METHOD_NONE = 0,
    METHOD_PASSWORD = 2,
    METHOD_REFUSED = 0xff,
    PASSWORD_VERSION = 1,
    COMMAND_CONNECT = 1,
    ADDRESS_V4 = 1,
    ADDRESS_NAME = 3,
    ADDRESS_V6 = 4,
    REPLY_HEAD = 5, /* up to the first byte of the address */
    CREDENTIAL_MAX = 255,
};

enum step {
    STEP_BEGIN,
    STEP_METHOD,
    STEP_PASSWORD,
    STEP_REPLY,
};

bool via_read(struct str address, enum via_kind *kind, struct str *host, uint16_t *port)
{
    static const struct {
        const char *text;
        enum via_kind kind;
    } schemes[] = {
        {"socks5://", VIA_SOCKS5},
        {"http://",   VIA_HTTP  },
    };
    ssize_t colon = -1;
    uint64_t number;

    *kind = VIA_SOCKS5;
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (!str_has_prefix(address, schemes[i].text))
            continue;
        *kind = schemes[i].kind;
        address = str_from(address, strlen(schemes[i].text));
        break;
    }
    for (size_t i = 0; i < address.len; i++)
        if (address.at[i] == ':')
            colon = (ssize_t)i;
    if (colon <= 0 || !str_to_u64(str_from(address, (size_t)colon + 1), &number) || number == 0 ||
        number > UINT16_MAX)
        return false;
    *host = str_upto(address, (size_t)colon);
    if (host->len > 2 && host->at[0] == '[' && host->at[host->len - 1] == ']')
        *host = str_from(str_upto(*host, host->len - 1), 1);
    *port = (uint16_t)number;
    return true;
}

static enum via_next fail(struct via *v, int error, const char *why)
{
    v->error = error;
    v->why = why;
    return VIA_FAILED;
}

static void put(struct buf *out, unsigned byte)
{
    buf_add_byte(out, (char)byte);
}

static void put_text(struct buf *out, struct str text)
{
    put(out, (unsigned)text.len);
    buf_add_str(out, text);
}

static void say_methods(const struct via_target *t, struct buf *say)
{
    put(say, SOCKS_VERSION);
    put(say, t->username.len > 0 ? 2 : 1);
    put(say, METHOD_NONE);
    if (t->username.len > 0)
        put(say, METHOD_PASSWORD);
}

static void say_connect(const struct via_target *t, struct buf *say)
{
    bool is_v4 = place_is_v4(&t->to);

    put(say, SOCKS_VERSION);
    put(say, COMMAND_CONNECT);
    put(say, 0);
    if (t->name != NULL) {
        put(say, ADDRESS_NAME);
        put_text(say, str_of(t->name)); /* a host name has at most 253 */
    } else {
        put(say, is_v4 ? ADDRESS_V4 : ADDRESS_V6);
        buf_add(say, t->to.address + (is_v4 ? 12 : 0), is_v4 ? 4 : 16);
    }
    put(say, t->to.port >> 8);
    put(say, t->to.port & 0xff);
}

static enum via_next hear_method(struct via *v, const struct via_target *t, struct str heard,
                                 struct buf *say)
{
    if ((uint8_t)heard.at[0] != SOCKS_VERSION)
        return fail(v, ECONNREFUSED, "the proxy does not speak SOCKS5");
    if (heard.at[1] == METHOD_PASSWORD && t->username.len > 0) {
        put(say, PASSWORD_VERSION);
        put_text(say, str_upto(t->username, CREDENTIAL_MAX));
        put_text(say, str_upto(t->password, CREDENTIAL_MAX));
        v->step = STEP_PASSWORD;
        return VIA_MORE;
    }
    if (heard.at[1] != METHOD_NONE)
        return fail(v, ECONNREFUSED, "the proxy wants other credentials");
    say_connect(t, say);
    v->step = STEP_REPLY;
    return VIA_MORE;
}

static enum via_next hear_reply(struct via *v, struct str heard)
{
    static const int errors[] = {[1] = ECONNREFUSED, [2] = EACCES,       [3] = ENETUNREACH,
                                 [4] = EHOSTUNREACH, [5] = ECONNREFUSED, [6] = ETIMEDOUT};
    uint8_t code = (uint8_t)heard.at[1];
    size_t size;

    switch ((uint8_t)heard.at[3]) {
    case ADDRESS_V4: size = 4; break;
    case ADDRESS_V6: size = 16; break;
    case ADDRESS_NAME: size = 1 + (size_t)(uint8_t)heard.at[4]; break;
    default: return fail(v, ECONNREFUSED, "the proxy's answer is broken");
    }
    if (code != 0)
        return fail(v, code < COUNT_OF(errors) ? errors[code] : ECONNREFUSED,
                    "the proxy could not connect");
    size += 4 + 2;
    if (heard.len < size)
        return VIA_MORE;
    v->used = size;
    return VIA_DONE;
}

static enum via_next step_socks(struct via *v, const struct via_target *t, struct str heard,
                                struct buf *say)
{
    if (v->step == STEP_BEGIN) {
        say_methods(t, say);
        v->step = STEP_METHOD;
        return VIA_MORE;
    }
    if (heard.len < (v->step == STEP_REPLY ? REPLY_HEAD : 2))
        return VIA_MORE;
    if (v->step == STEP_REPLY)
        return (uint8_t)heard.at[0] == SOCKS_VERSION
                   ? hear_reply(v, heard)
                   : fail(v, ECONNREFUSED, "the proxy's answer is broken");
    v->used = 2;
    if (v->step == STEP_METHOD)
        return hear_method(v, t, heard, say);
    if (heard.at[1] != 0)
        return fail(v, ECONNREFUSED, "the proxy refuses the credentials");
    say_connect(t, say);
    v->step = STEP_REPLY;
    return VIA_MORE;
}

static void say_http(const struct via_target *t, struct buf *say)
{
    char place[PLACE_TEXT_MAX], host[VIA_SAY_MAX / 4];
    struct buf pair;

    place_text(&t->to, place);
    ignore(snprintf(host, sizeof(host), "%s:%u", t->name, t->to.port)); /* a host name fits */
    buf_printf(say, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", t->name != NULL ? host : place,
               t->name != NULL ? host : place);
    if (t->username.len > 0) {
        buf_init(&pair, 2 * CREDENTIAL_MAX + 1);
        buf_printf(&pair, "%.*s:%.*s", STR_ARG(t->username), STR_ARG(t->password));
        buf_add_text(say, "Proxy-Authorization: Basic ");
        base64_encode(say, pair.at, pair.len);
        buf_add_text(say, "\r\n");
        if (pair.at != NULL)
            explicit_bzero(pair.at, pair.len);
        buf_done(&pair);
    }
    buf_add_text(say, "\r\n");
}

static enum via_next step_http(struct via *v, const struct via_target *t, struct str heard,
                               struct buf *say)
{
    struct http_head head;
    const char *text;
    int len;

    if (v->step == STEP_BEGIN) {
        say_http(t, say);
        v->step = STEP_REPLY;
        return VIA_MORE;
    }
    /* nothing of a body: behind a good answer begins the tunnel, as with HEAD */
    len = http_parse_response(heard, STR("HEAD"), &head, &text);
    if (len == 0)
        return VIA_MORE;
    if (len < 0)
        return fail(v, ECONNREFUSED, "the proxy does not speak HTTP");
    v->used = (size_t)len;
    if (head.status >= 100 && head.status < 200)
        return VIA_MORE;
    if (head.status >= 200 && head.status < 300)
        return VIA_DONE;
    if (head.status == 407)
        return fail(v, ECONNREFUSED, "the proxy refuses the credentials");
    return fail(v,
                head.status == 403   ? EACCES
                : head.status == 504 ? ETIMEDOUT
                                     : ECONNREFUSED,
                "the proxy could not connect");
}

enum via_next via_step(struct via *v, const struct via_target *t, struct str heard, struct buf *say)
{
    v->used = 0;
    if (v->kind == VIA_HTTP)
        return step_http(v, t, heard, say);
    return step_socks(v, t, heard, say);
}
