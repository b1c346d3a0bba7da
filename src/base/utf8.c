/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, as in table 3-7 of the Unicode standard. Used by the codec and the log. */
#include "base/digest.h"

/* First bytes, the range of the second byte, and the length; the rest is 80..BF. */
static const struct {
    uint8_t first_low, first_high, second_low, second_high;
    size_t len;
} forms[] = {
    {0x00, 0x7f, 0x00, 0x00, 1},
    {0xc2, 0xdf, 0x80, 0xbf, 2},
    {0xe0, 0xe0, 0xa0, 0xbf, 3}, /* no overlong forms */
    {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, /* no surrogates */
    {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, /* no overlong forms */
    {0xf1, 0xf3, 0x80, 0xbf, 4},
    {0xf4, 0xf4, 0x80, 0x8f, 4}, /* not above U+10FFFF */
};

static bool is_tail(const uint8_t *from, size_t form)
{
    if (forms[form].len > 1 &&
        (from[1] < forms[form].second_low || from[1] > forms[form].second_high))
        return false;
    for (size_t i = 2; i < forms[form].len; i++) {
        if (from[i] < 0x80 || from[i] > 0xbf)
            return false;
    }
    return true;
}

size_t utf8_first(struct str text)
{
    const uint8_t *from = (const uint8_t *)text.at;

    for (size_t i = 0; i < COUNT_OF(forms) && text.len > 0; i++) {
        if (from[0] >= forms[i].first_low && from[0] <= forms[i].first_high)
            return text.len >= forms[i].len && is_tail(from, i) ? forms[i].len : 0;
    }
    return 0;
}

bool utf8_valid(struct str text)
{
    size_t at = 0;

    while (at < text.len) {
        size_t len;

        if ((uint8_t)text.at[at] < 0x80) { /* nearly all there is */
            at++;
            continue;
        }
        len = utf8_first(str_from(text, at));
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}
