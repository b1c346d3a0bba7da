/* SPDX-License-Identifier: Apache-2.0 */
/* Formats text for err.c, buf.c and whoever else prints; see print.h. */
#include "envd/print.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { DIGITS_MAX = 20 };

struct output {
    char *to;
    size_t size, len; /* len: of the whole text, as far as it fits or not */
};

/* One conversion: "%05llu". */
struct directive {
    bool has_zeros, is_long;
    int width, precision; /* -1: none */
    char kind;
};

static void put(struct output *o, char c)
{
    if (o->len + 1 < o->size)
        o->to[o->len] = c;
    o->len++;
}

/* A number of digits, or "*" for the next argument. */
static int read_count(const char **at, va_list *args)
{
    int value = 0;

    if (**at == '*') {
        ++*at;
        return va_arg(*args, int);
    }
    while (**at >= '0' && **at <= '9' && value < INT_MAX / 10 - 1)
        value = value * 10 + (*(*at)++ - '0');
    return value;
}

static struct directive read_directive(const char **at, va_list *args)
{
    struct directive d = {.precision = -1};

    for (; **at == '0'; ++*at)
        d.has_zeros = true;
    d.width = read_count(at, args);
    if (**at == '.') {
        ++*at;
        d.precision = read_count(at, args);
    }
    for (; **at == 'l' || **at == 'z'; ++*at)
        d.is_long = true;
    d.kind = **at;
    return d;
}

/* Blanks or zeros on the left; `sign` comes in front of zeros and behind blanks. */
static void put_padded(struct output *o, const struct directive *d, char sign, const char *text,
                       size_t len)
{
    size_t whole = len + (sign != '\0');

    if (sign != '\0' && d->has_zeros)
        put(o, sign);
    for (size_t i = whole; d->width > 0 && i < (size_t)d->width; i++)
        put(o, d->has_zeros ? '0' : ' ');
    if (sign != '\0' && !d->has_zeros)
        put(o, sign);
    for (size_t i = 0; i < len; i++)
        put(o, text[i]);
}

static void put_number(struct output *o, const struct directive *d, va_list *args)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);
    bool is_signed = d->kind == 'd';
    unsigned base = d->kind == 'x' ? 16 : 10;
    uint64_t value;
    bool is_negative;

    if (d->is_long)
        value = va_arg(*args, uint64_t);
    else
        value = is_signed ? (uint64_t)va_arg(*args, int) : va_arg(*args, unsigned);
    is_negative = is_signed && (int64_t)value < 0;
    if (is_negative)
        value = -value;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    put_padded(o, d, is_negative ? '-' : '\0', digits + at, sizeof(digits) - at);
}

static void put_string(struct output *o, struct directive *d, const char *text)
{
    if (text == NULL)
        text = "(null)";
    d->has_zeros = false;
    put_padded(o, d, '\0', text,
               d->precision < 0 ? strlen(text) : strnlen(text, (size_t)d->precision));
}

/* False: not one of ours. */
static bool put_directive(struct output *o, struct directive *d, va_list *args)
{
    char c;

    switch (d->kind) {
    case '%': put(o, '%'); return true;
    case 's': put_string(o, d, va_arg(*args, const char *)); return true;
    case 'd':
    case 'u':
    case 'x': put_number(o, d, args); return true;
    case 'c':
        c = (char)va_arg(*args, int);
        put_padded(o, d, '\0', &c, 1);
        return true;
    default: return false;
    }
}

int print_text(char *to, size_t size, const char *format, va_list args)
{
    struct output o = {to, size, 0};
    va_list rest;

    va_copy(rest, args); /* a pointer to `args` itself would have another type on some machines */
    while (*format != '\0') {
        const char *at = format + 1;
        struct directive d;

        if (*format != '%') {
            put(&o, *format++);
            continue;
        }
        d = read_directive(&at, &rest);
        if (!put_directive(&o, &d, &rest)) {
            for (; *format != '\0'; format++)
                put(&o, *format);
            break;
        }
        format = at + 1;
    }
    va_end(rest);
    if (size > 0)
        to[o.len < size ? o.len : size - 1] = '\0';
    return o.len > INT_MAX ? -1 : (int)o.len;
}
