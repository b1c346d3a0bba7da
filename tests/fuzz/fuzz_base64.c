/* SPDX-License-Identifier: Apache-2.0 */
/* Base64: what decodes must encode to the same text again, alphabet and padding aside. */
#include "base/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same_digit(char given, char standard)
{
    return given == standard || (given == '-' && standard == '+') ||
           (given == '_' && standard == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    uint8_t *plain = mem_zero(base64_decoded_max(size));
    ssize_t len = base64_decode(text, plain);
    struct buf again;

    buf_init(&again, size + 4);
    if (len >= 0) {
        base64_encode(&again, plain, (size_t)len);
        if (!buf_ok(&again) || again.len < size || again.len - size > 2)
            abort();
        for (size_t i = 0; i < size; i++) {
            if (!is_same_digit(text.at[i], again.at[i]))
                abort();
        }
    }
    buf_done(&again);
    free(plain);
    return 0;
}
