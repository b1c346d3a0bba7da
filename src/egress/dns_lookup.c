/* SPDX-License-Identifier: Apache-2.0 */
/* Names that this role resolves for itself, by the way of everybody's questions; see dns.h. */
#include "base/host_name.h"
#include "egress/dns_internal.h"

struct dns_lookup {
    struct outlet *outlet;
    char name[HOST_NAME_MAX_LEN + 1];
    uint16_t port;
    uint16_t type;
    bool is_second; /* the family that is liked less */
    dns_found_fn *found;
    void *ctx;
};

static void ask_one(struct dns_lookup *l)
{
    const struct dns_from from = {.outlet = l->outlet, .lookup = l};
    char question[DNS_QUESTION_MAX];
    size_t size = dns_question_write(str_of(l->name), l->type, question);

    dns_ask(&from, (struct str){question, size});
}

void dns_lookup_answer(struct dns_lookup *l, struct str answer)
{
    struct place places[DNS_PLACES_MAX];
    size_t count = dns_answer_places(answer, l->type, places, COUNT_OF(places));

    if (count == 0 && !l->is_second) {
        l->is_second = true;
        l->type = l->type == DNS_TYPE_A ? DNS_TYPE_AAAA : DNS_TYPE_A;
        ask_one(l);
        return;
    }
    for (size_t i = 0; i < count; i++)
        places[i].port = l->port;
    l->found(l->ctx, places, count);
    free(l);
}

void dns_lookup_start(struct outlet *o, struct str name, const struct place *to,
                      dns_found_fn *found, void *ctx, struct dns_lookup **out)
{
    struct dns_lookup *l = mem_zero(sizeof(*l));

    l->outlet = o;
    ignore(str_to_c(name, l->name, sizeof(l->name))); /* a good name fits */
    l->port = to->port;
    l->type = place_is_v4(to) ? DNS_TYPE_A : DNS_TYPE_AAAA;
    l->found = found;
    l->ctx = ctx;
    *out = l;
    ask_one(l);
}

void dns_lookup_stop(struct dns_lookup *l)
{
    if (l == NULL)
        return;
    dns_forget_lookup(l->outlet->egress->dns, l);
    free(l);
}
