/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz egress: what a proxy answers, in one piece or by the byte. It uses no more than it got, and
 * how it is cut changes nothing. */
#include <stdlib.h>

#include "egress/via.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum via_next talk(enum via_kind kind, struct str all, size_t step, size_t *used)
{
    const struct via_target t = {
        "web.test", {{0}, 443},
         STR("user"), STR("password")
    };
    struct via v = {.kind = kind};
    enum via_next next;
    struct buf say;
    size_t seen = 0;

    *used = 0;
    buf_init(&say, VIA_SAY_MAX);
    next = via_step(&v, &t, (struct str){0}, &say);
    while (next == VIA_MORE && (v.used > 0 || seen < all.len)) {
        if (v.used == 0)
            seen = seen + step < all.len ? seen + step : all.len;
        buf_clear(&say);
        next = via_step(&v, &t, str_from(str_upto(all, seen), *used), &say);
        *used += v.used;
        if (*used > seen || !buf_ok(&say))
            abort();
    }
    buf_done(&say);
    return next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data + 1, size - 1};
    size_t whole, cut;
    enum via_kind kind;
    enum via_next next;

    if (size == 0 || size > VIA_HEAR_MAX)
        return 0;
    kind = data[0] % 2 == 0 ? VIA_SOCKS5 : VIA_HTTP;
    next = talk(kind, all, all.len, &whole);
    if (talk(kind, all, 1, &cut) != next || (next == VIA_DONE && whole != cut))
        abort();
    return 0;
}
