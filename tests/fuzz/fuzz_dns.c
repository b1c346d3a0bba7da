/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz egress: questions of sandboxes, answers of resolvers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "egress/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_question(struct str m)
{
    char out[DNS_HEAD + DNS_NAME_MAX + 8];
    struct dns_question q;

    if (!dns_question_read(m, &q))
        return;
    assert(q.end <= m.len && q.end <= sizeof(out) && strlen(q.name) <= DNS_NAME_MAX &&
           q.udp_room >= DNS_UDP_LEAST);
    assert(dns_error(m, q.end, DNS_SERVFAIL, out) == q.end);
    assert(dns_answer_fits((struct str){out, q.end}, m, q.end));
}

static void check_answer(struct str m)
{
    char *copy = malloc(m.len + 1);
    struct place places[4];
    uint32_t life, after;

    assert(copy != NULL);
    assert(dns_answer_places(m, DNS_TYPE_A, places, COUNT_OF(places)) <= COUNT_OF(places));
    assert(dns_answer_places(m, DNS_TYPE_AAAA, places, COUNT_OF(places)) <= COUNT_OF(places));
    if (dns_answer_life(m, &life)) {
        memcpy(copy, m.at, m.len);
        dns_answer_age(copy, m.len, 1);
        assert(!dns_answer_life((struct str){copy, m.len}, &after) || after <= life);
        dns_answer_age(copy, m.len, UINT32_MAX);
        assert(!dns_answer_life((struct str){copy, m.len}, &after));
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str m = {(const char *)data, size};

    check_question(m);
    check_answer(m);
    return 0;
}
