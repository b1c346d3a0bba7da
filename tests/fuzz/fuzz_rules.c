/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz egress: a path that passes a rule is what it seems to be, and a filled value holds no
 * placeholder of a secret that was there. */
#include <stdlib.h>

#include "egress/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, prefix[] = {STR("/v1/")};
    struct egress_request request = {
        .paths = {prefix, 1}
    };
    const struct egress_rule rule = {
        .allow = {&request, 1}
    };
    struct codec_pair pair = {STR("a"), STR("value")};
    const struct codec_list secrets = {&pair, 1};
    struct buf out;

    if (rules_allow(&rule, STR("GET"), text) &&
        (memmem(data, size, "/../", 4) != NULL || memchr(data, '\\', size) != NULL))
        abort();
    buf_init(&out, 1 << 16);
    if (rules_fill(text, &secrets, &out, NULL) == 0 &&
        memmem(data, size, "${e2b.secrets.a}", 16) != NULL &&
        memmem(out.at, out.len, "value", 5) == NULL)
        abort();
    buf_done(&out);
    return 0;
}
