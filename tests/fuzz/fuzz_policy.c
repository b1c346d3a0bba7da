/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz egress: a policy as it is stored, and what follows from it. Metadata and this host stay out
 * of reach whatever it says, and nothing is asked by name where no name is allowed. */
#include <stdlib.h>

#include "egress/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t metadata[4] = {169, 254, 169, 254}, here[4] = {127, 0, 0, 1},
                         there[4] = {1, 1, 1, 1};
    static const struct site site;
    static const struct policy defaults = {.connections_max = 1};
    const struct place never[] = {place_v4(metadata, 80), place_v4(here, 80)};
    const struct place usual = place_v4(there, 80);
    const char *rule = NULL;
    struct policy p;
    enum verdict v;

    if (policy_read((struct str){(const char *)data, size}, &defaults, &p, NULL) != 0)
        return 0;
    for (size_t i = 0; i < COUNT_OF(never); i++) {
        check(verdict(&site, &p, &never[i], (struct str){0}, NULL) == VERDICT_DENY);
        check(verdict(&site, &p, &never[i], STR("a.b"), NULL) == VERDICT_DENY);
    }
    v = verdict(&site, &p, &usual, (struct str){0}, &rule);
    check(rule != NULL && (v != VERDICT_BY_NAME || p.names.count > 0));
    check(verdict(&site, &p, &usual, STR("a.b"), NULL) != VERDICT_BY_NAME);
    check(p.connections_max > 0);
    policy_done(&p);
    return 0;
}
