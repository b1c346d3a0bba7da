/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3339: what parses must be the same moment after formatting and parsing again. */
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t seconds = 0, seconds_again = 0;
    uint32_t nanos = 0, nanos_again = 0;
    char text[RFC3339_MAX];
    size_t len;

    if (!rfc3339_parse((struct str){(const char *)data, size}, &seconds, &nanos))
        return 0;
    if (nanos > 999999999)
        abort();
    len = rfc3339_format_ns(seconds, nanos, text);
    if (!rfc3339_parse((struct str){text, len}, &seconds_again, &nanos_again) ||
        nanos_again != nanos)
        abort();
    /* an offset may reach a day beyond the years that have four digits: clamped */
    if (seconds_again != seconds && seconds >= -62167219200 && seconds <= 253402300799)
        abort();
    return 0;
}
