/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz domain: rules as clients send them. What is taken survives being written and read again, and
 * fits what egress is told. */
#include <stdlib.h>

#include "domain/network_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct codec_list *rules)
{
    struct codec_list again;
    struct arena mem;
    struct buf json, twice;

    buf_init(&json, 8 << 20);
    buf_init(&twice, 8 << 20);
    arena_init(&mem, 16 << 20);
    network_rules_json(rules, &json);
    if (network_rules_read(buf_str(&json), &mem, &again, NULL) != 0)
        abort();
    network_rules_json(&again, &twice);
    if (!str_eq(buf_str(&json), buf_str(&twice)))
        abort();
    arena_done(&mem);
    buf_done(&json);
    buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str names[EGRESS_SECRETS_USED_MAX];
    struct codec_list rules;
    struct arena mem;

    arena_init(&mem, 1 << 20);
    if (network_rules_read((struct str){(const char *)data, size}, &mem, &rules, NULL) == 0) {
        if (rules.count > EGRESS_RULES_MAX ||
            network_rules_secrets(&rules, names) > EGRESS_SECRETS_USED_MAX)
            abort();
        check_again(&rules);
    }
    arena_done(&mem);
    return 0;
}
