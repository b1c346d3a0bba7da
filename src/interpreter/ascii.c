/* SPDX-License-Identifier: Apache-2.0 */
/* Characters above ASCII as escapes, for lines.c and the kernels that speak in bytes. */
#include "interpreter/ascii.h"

#include "base/digest.h"

enum {
    REPLACEMENT = 0xfffd,
    BEYOND_PLANE = 0x10000,
};

static void add_unit(struct buf *out, unsigned unit)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\', 'u'};

    for (int i = 0; i < 4; i++)
        text[2 + i] = digits[unit >> (12 - 4 * i) & 15];
    buf_add(out, text, sizeof(text));
}

static void add_point(struct buf *out, unsigned point)
{
    if (point < BEYOND_PLANE) {
        add_unit(out, point);
        return;
    }
    point -= BEYOND_PLANE;
    add_unit(out, 0xd800 | point >> 10);
    add_unit(out, 0xdc00 | (point & 0x3ff));
}

/* Of a well-formed character of `len` bytes. */
static unsigned point_of(const char *at, size_t len)
{
    static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned point = (unsigned char)at[0] & first[len];

    for (size_t i = 1; i < len; i++)
        point = point << 6 | ((unsigned char)at[i] & 0x3f);
    return point;
}

/* Bytes from `at` that are plain ASCII; DEL counts, it is no special case of JSON. */
static size_t plain_len(const char *at, size_t len)
{
    const uint64_t tops = 0x8080808080808080ull;
    size_t n = 0;

    while (len - n >= 8) {
        uint64_t word;

        memcpy(&word, at + n, 8);
        if ((word & tops) != 0)
            break;
        n += 8;
    }
    while (n < len && (unsigned char)at[n] < 0x80)
        n++;
    return n;
}

void ascii_json(struct buf *out, struct str json)
{
    while (json.len > 0) {
        size_t len = plain_len(json.at, json.len);

        if (len > 0) {
            buf_add(out, json.at, len);
        } else {
            len = utf8_first(json);
            add_point(out, len == 0 ? REPLACEMENT : point_of(json.at, len));
            len = len == 0 ? 1 : len;
        }
        json = str_from(json, len);
    }
}

static void add_escaped(struct buf *out, unsigned char c)
{
    static const char *const names[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n",  ['\f'] = "\\f",
        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\",
    };

    if (c < COUNT_OF(names) && names[c] != NULL)
        buf_add_text(out, names[c]);
    else
        add_unit(out, c);
}

static bool must_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

void ascii_quote(struct buf *out, struct str text)
{
    buf_add_byte(out, '"');
    while (text.len > 0) {
        size_t len = 0;

        while (len < text.len && !must_escape(text.at[len]))
            len++;
        ascii_json(out, str_upto(text, len));
        if (len < text.len)
            add_escaped(out, (unsigned char)text.at[len++]);
        text = str_from(text, len);
    }
    buf_add_byte(out, '"');
}

size_t ascii_unfinished(struct str text)
{
    for (size_t back = 1; back <= 3 && back <= text.len; back++) {
        unsigned char c = (unsigned char)text.at[text.len - back];
        size_t whole = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;

        if (c < 0x80)
            return 0;
        if (whole > 0)
            return back < whole ? back : 0;
    }
    return 0;
}
