/* SPDX-License-Identifier: Apache-2.0 */
/* JSON tokens (RFC 8259), strictly: strings, numbers, words, and skipping a whole value.
 * Called by json_decode.c; json_valid() is here too. */
#include "base/digest.h"
#include "base/id.h"
#include "codec/codec_internal.h"

void json_open(struct json_in *in, struct str text, struct arena *a, struct err *err)
{
    in->start = text.len == 0 ? "" : text.at;
    in->at = in->start;
    in->end = in->start + text.len;
    in->arena = a;
    in->err = err;
    in->trail.depth = 0;
}

int json_fail(struct json_in *in)
{
    err_set(in->err, ERR_INVALID, "unexpected %s at byte %zu",
            in->at == in->end ? "end of input" : "character", (size_t)(in->at - in->start));
    return -1;
}

char json_peek(struct json_in *in)
{
    const char *at = in->at;

    while (at != in->end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    in->at = at;
    return at == in->end ? '\0' : *at;
}

int json_expect(struct json_in *in, char byte)
{
    if (json_peek(in) != byte)
        return json_fail(in);
    in->at++;
    return 0;
}

int json_more(struct json_in *in, char closer, bool *out_more)
{
    char next = json_peek(in);

    if (next != ',' && next != closer)
        return json_fail(in);
    in->at++;
    *out_more = next == ',';
    return 0;
}

int json_word(struct json_in *in, const char *word)
{
    for (; *word != '\0'; word++, in->at++) {
        if (in->at == in->end || *in->at != *word)
            return json_fail(in);
    }
    return 0;
}

/* Eight bytes at a time; a byte with its top bit set in `odd` is below 0x20, '"', '\\' or not
 * ASCII. A borrow can only mark a byte above a marked one, so the first mark is always right. */
const char *json_plain_end(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101ull, tops = 0x8080808080808080ull;

    while (end - at >= 8) {
        uint64_t word, quote, slash, odd;

        memcpy(&word, at, 8);
        quote = word ^ (ones * '"');
        slash = word ^ (ones * '\\');
        odd = ((word - ones * 0x20) | (quote - ones) | (slash - ones) | word) & tops;
        if (odd != 0)
            break;
        at += 8;
    }
    while (at != end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

/* Four hex digits at in->at. */
static int read_unit(struct json_in *in, unsigned *out)
{
    unsigned unit = 0;

    for (int i = 0; i < 4; i++, in->at++) {
        int digit = in->at == in->end ? -1 : hex_digit(*in->at);

        if (digit < 0)
            return json_fail(in);
        unit = unit << 4 | (unsigned)digit;
    }
    *out = unit;
    return 0;
}

static bool is_surrogate(unsigned unit, unsigned first)
{
    return (unit & 0xfc00) == first;
}

/* Behind a backslash: check one escape. A high surrogate needs its low one right behind it. */
static int check_escape(struct json_in *in)
{
    const char *from = in->at;
    unsigned unit;

    if (in->at == in->end || *in->at == '\0' || strchr("\"\\/bfnrtu", *in->at) == NULL)
        return json_fail(in);
    if (*in->at++ != 'u')
        return 0;
    if (read_unit(in, &unit) != 0)
        return -1;
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): json_fail() is -1 */
    if (is_surrogate(unit, 0xd800)) {
        if (in->end - in->at < 2 || in->at[0] != '\\' || in->at[1] != 'u')
            goto lone;
        in->at += 2;
        if (read_unit(in, &unit) != 0)
            return -1;
        if (!is_surrogate(unit, 0xdc00))
            goto lone;
    } else if (is_surrogate(unit, 0xdc00)) {
        goto lone;
    }
    return 0;
lone:
    return err_set(in->err, ERR_INVALID, "lone surrogate at byte %zu",
                   (size_t)(from - 1 - in->start));
}

int json_text(struct json_in *in, struct json_text *out)
{
    const char *from;

    if (json_expect(in, '"') != 0)
        return -1;
    from = in->at;
    out->has_escape = false;
    for (;;) {
        size_t len;

        in->at = json_plain_end(in->at, in->end);
        if (in->at == in->end)
            return json_fail(in);
        if (*in->at == '"')
            break;
        if (*in->at == '\\') {
            out->has_escape = true;
            in->at++;
            if (check_escape(in) != 0)
                return -1;
            continue;
        }
        len = (unsigned char)*in->at < 0x80 /* a control byte */
                  ? 0
                  : utf8_first((struct str){in->at, (size_t)(in->end - in->at)});
        if (len == 0)
            return json_fail(in);
        in->at += len;
    }
    out->raw = (struct str){from, (size_t)(in->at - from)};
    in->at++;
    return 0;
}

static size_t put_utf8(unsigned point, char *out)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

static unsigned unit_at(const char *at)
{
    unsigned unit = 0;

    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (unsigned)hex_digit(at[i]);
    return unit;
}

/* `at` is behind the 'u' of an escape that was checked; returns where the escape ends. */
static const char *put_unit(const char *at, char *out, size_t *used)
{
    unsigned point = unit_at(at);

    at += 4;
    if (is_surrogate(point, 0xd800)) {
        point = 0x10000 + ((point & 0x3ff) << 10 | (unit_at(at + 2) & 0x3ff));
        at += 6;
    }
    *used += put_utf8(point, out + *used);
    return at;
}

size_t json_unescape(struct str raw, char *out)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *at = raw.at, *end = raw.at + raw.len;
    size_t used = 0;

    while (at != end) {
        const char *stop = memchr(at, '\\', (size_t)(end - at));
        const char *letter;
        size_t plain = (size_t)((stop == NULL ? end : stop) - at);

        memcpy(out + used, at, plain);
        used += plain;
        if (stop == NULL)
            break;
        at = stop + 2;
        if (stop[1] == 'u') {
            at = put_unit(at, out, &used);
            continue;
        }
        letter = strchr(from, stop[1]);
        out[used++] = letter == NULL ? stop[1] : to[letter - from];
    }
    return used;
}

static const char *digits_end(const char *at, const char *end)
{
    while (at != end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* One or more digits. */
static int skip_digits(struct json_in *in)
{
    const char *from = in->at;

    in->at = digits_end(from, in->end);
    return in->at == from ? json_fail(in) : 0;
}

int json_number(struct json_in *in, struct str *out_token)
{
    const char *from = in->at;

    if (in->at != in->end && *in->at == '-')
        in->at++;
    if (in->at != in->end && *in->at == '0')
        in->at++;
    else if (skip_digits(in) != 0)
        return -1;
    if (in->at != in->end && *in->at == '.') {
        in->at++;
        if (skip_digits(in) != 0)
            return -1;
    }
    if (in->at != in->end && (*in->at == 'e' || *in->at == 'E')) {
        in->at++;
        if (in->at != in->end && (*in->at == '+' || *in->at == '-'))
            in->at++;
        if (skip_digits(in) != 0)
            return -1;
    }
    *out_token = (struct str){from, (size_t)(in->at - from)};
    return 0;
}

static int skip_member_name(struct json_in *in)
{
    struct json_text name;

    if (json_text(in, &name) != 0)
        return -1;
    return json_expect(in, ':');
}

static int skip_container(struct json_in *in, char closer)
{
    bool more = true;

    if (trail_enter(&in->trail, in->err) != 0)
        return -1;
    in->at++;
    if (json_peek(in) == closer) {
        in->at++;
        more = false;
    }
    while (more) {
        if (closer == '}' && skip_member_name(in) != 0)
            return -1;
        if (json_skip(in) != 0 || json_more(in, closer, &more) != 0)
            return -1;
    }
    trail_leave(&in->trail);
    return 0;
}

int json_skip(struct json_in *in)
{
    struct json_text text;
    struct str token;

    switch (json_peek(in)) {
    case '{': return skip_container(in, '}');
    case '[': return skip_container(in, ']');
    case '"': return json_text(in, &text);
    case 't': return json_word(in, "true");
    case 'f': return json_word(in, "false");
    case 'n': return json_word(in, "null");
    default: return json_number(in, &token);
    }
}

int json_end(struct json_in *in)
{
    json_peek(in);
    return in->at == in->end ? 0 : json_fail(in);
}

bool json_valid(struct str text)
{
    struct json_in in;

    json_open(&in, text, NULL, NULL);
    return json_skip(&in) == 0 && json_end(&in) == 0;
}
