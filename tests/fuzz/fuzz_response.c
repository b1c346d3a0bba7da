/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz http: the head of an answer; the first byte chooses the method. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "http/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct str method = size > 0 && data[0] == '!' ? STR("HEAD") : STR("GET");
    struct http_head h;
    const char *why = NULL;
    int n;

    if (size > 0 && data[0] == '!')
        in = str_from(in, 1);
    n = http_parse_response(in, method, &h, &why);
    if (n <= 0) {
        assert(n == 0 || (n == -502 && why != NULL));
        assert(n != 0 || in.len < HTTP_HEAD_MAX);
        return 0;
    }
    assert((size_t)n <= in.len && memcmp(in.at + n - 2, "\r\n", 2) == 0);
    assert(h.status >= 100 && h.status <= 999);
    assert(h.framing != HTTP_UNTIL_CLOSE || !h.keep_alive);
    assert(h.framing == HTTP_NO_BODY || (h.status >= 200 && !str_is(method, "HEAD")));
    for (int shorter = n - 1; shorter >= 0 && n < 400; shorter--)
        assert(http_parse_response(str_upto(in, (size_t)shorter), method, &h, &why) == 0);
    return 0;
}
