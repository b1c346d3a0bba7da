/* SPDX-License-Identifier: Apache-2.0 */
/* See digest.h. */
#include "image/digest.h"

#include <stdio.h>

#include "base/id.h"

bool digest_read_hex(struct str hex, struct digest *out)
{
    struct digest d;

    if (hex.len != DIGEST_HEX)
        return false;
    for (size_t i = 0; i < sizeof d.at; i++) {
        int high = hex_digit(hex.at[2 * i]), low = hex_digit(hex.at[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        d.at[i] = (uint8_t)(high << 4 | low);
    }
    *out = d;
    return true;
}

bool digest_read(struct str text, struct digest *out)
{
    return image_digest_is_good(text) &&
           digest_read_hex(str_from(text, text.len - DIGEST_HEX), out);
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
    return memcmp(a->at, b->at, sizeof a->at) == 0;
}

void digest_hex(const struct digest *d, char out[DIGEST_HEX + 1])
{
    hex_encode(d->at, sizeof d->at, out);
}

void digest_text(const struct digest *d, char out[IMAGE_DIGEST_LEN + 1])
{
    char hex[DIGEST_HEX + 1];

    digest_hex(d, hex);
    ignore(snprintf(out, IMAGE_DIGEST_LEN + 1, "sha256:%s", hex));
}

struct digest digest_chain(const struct digest *below, const struct digest *diff)
{
    char both[2 * IMAGE_DIGEST_LEN + 2];
    char under[IMAGE_DIGEST_LEN + 1], top[IMAGE_DIGEST_LEN + 1];
    struct digest out;
    int len;

    if (below == NULL)
        return *diff;
    digest_text(below, under);
    digest_text(diff, top);
    len = snprintf(both, sizeof both, "%s %s", under, top);
    sha256_of((struct str){both, (size_t)len}, out.at);
    return out;
}
