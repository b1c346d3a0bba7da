/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as JSON spells them: exact integers from any spelling of one (100, 1e2, 100.0), doubles
 * that survive a round trip. Called by json_decode.c and json_encode.c. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "codec/codec_internal.h"

enum {
    FAST_DIGITS = 18,         /* always fit in 64 bits */
    EXPONENT_MAX = 100000000, /* larger ones make no difference */
    DOUBLE_TEXT_MAX = 32,
};

struct digits {
    const char *at, *end; /* of the mantissa, sign gone, the point still in it */
    int64_t fraction;     /* digits behind the point */
    int64_t exponent;
};

bool number_is_well_formed(struct str token)
{
    struct json_in in;
    struct str number;

    json_open(&in, token, NULL, NULL);
    return json_number(&in, &number) == 0 && in.at == in.end;
}

static bool read_plain(const char *at, const char *end, uint64_t *out)
{
    uint64_t value = 0;

    if (end - at > FAST_DIGITS)
        return false;
    for (; at != end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *out = value;
    return true;
}

static struct digits split(const char *at, const char *end)
{
    struct digits d = {at, at, 0, 0};
    bool is_negative = false, has_point = false;

    for (; d.end != end && *d.end != 'e' && *d.end != 'E'; d.end++) {
        d.fraction += has_point;
        has_point |= *d.end == '.';
    }
    for (at = d.end; at != end; at++) {
        if (*at == '-')
            is_negative = true;
        else if (*at >= '0' && *at <= '9' && d.exponent < EXPONENT_MAX)
            d.exponent = d.exponent * 10 + (*at - '0');
    }
    if (is_negative)
        d.exponent = -d.exponent;
    return d;
}

static bool append_digit(uint64_t *value, unsigned digit)
{
    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_add_overflow(*value, digit, value);
}

/* The value is the digits times ten to the power of (exponent - fraction). */
static enum number_verdict read_scaled(struct digits d, uint64_t *out)
{
    int64_t power = d.exponent - d.fraction;
    uint64_t value = 0;
    const char *last = d.end;

    while (last != d.at && (last[-1] == '0' || last[-1] == '.')) { /* zeros say nothing */
        power += last[-1] == '0';
        last--;
    }
    while (d.at != last && (*d.at == '0' || *d.at == '.'))
        d.at++;
    *out = 0;
    if (d.at == last)
        return NUMBER_OK;
    if (power < 0)
        return NUMBER_FRACTION;
    for (; d.at != last; d.at++) {
        if (*d.at != '.' && !append_digit(&value, (unsigned)(*d.at - '0')))
            return NUMBER_RANGE;
    }
    for (; power > 0; power--) {
        if (!append_digit(&value, 0))
            return NUMBER_RANGE;
    }
    *out = value;
    return NUMBER_OK;
}

enum number_verdict number_to_integer(struct str token, struct integer *out)
{
    const char *at = token.at, *end = token.at + token.len;

    out->is_negative = *at == '-';
    at += out->is_negative;
    if (read_plain(at, end, &out->magnitude))
        return NUMBER_OK;
    return read_scaled(split(at, end), &out->magnitude);
}

#ifdef CODEC_WITHOUT_DOUBLE

/* For a program none of whose messages has a double, and whose size counts: strtod(3) and printing
 * a double are 16 KB of a static one. */
bool number_to_double(struct str token, double *out)
{
    (void)token;
    (void)out;
    return false;
}

void number_from_double(struct buf *out, double value)
{
    (void)value;
    out->failed = true;
}

#else

bool number_to_double(struct str token, double *out)
{
    char text[NUMBER_TEXT_MAX + 1];

    if (!str_to_c(token, text, sizeof(text)))
        return false;
    *out = strtod(text, NULL);
    return isfinite(*out);
}

void number_from_double(struct buf *out, double value)
{
    char text[DOUBLE_TEXT_MAX];
    int digits = 15;

    if (isnan(value)) {
        buf_add_text(out, "\"NaN\"");
        return;
    }
    if (isinf(value)) {
        buf_add_text(out, value < 0 ? "\"-Infinity\"" : "\"Infinity\"");
        return;
    }
    do /* the shortest of these that reads back as the same value */
        snprintf(text, sizeof(text), "%.*g", digits, value);
    while (++digits <= 17 && strtod(text, NULL) != value);
    buf_add_text(out, text);
}

#endif
