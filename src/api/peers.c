/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets by address; see peers.h. Called by gate.c. */
#include "api/peers.h"

#include <arpa/inet.h>

struct peer {
    struct list_node node;
    struct bucket bucket;
    char address[INET6_ADDRSTRLEN];
};

/* What is counted as one. Text that is no address is taken as it is, cut. */
static void normalise(struct str address, char out[INET6_ADDRSTRLEN])
{
    struct in6_addr number;

    if (!str_to_c(str_upto(address, INET6_ADDRSTRLEN - 1), out, INET6_ADDRSTRLEN))
        out[0] = '\0';
    if (inet_pton(AF_INET6, out, &number) != 1)
        return;
    memset(number.s6_addr + 8, 0, 8);
    ignore(inet_ntop(AF_INET6, &number, out, INET6_ADDRSTRLEN) == NULL); /* it has the room */
}

static struct peer *add(struct peers *p, const char *address)
{
    struct peer *peer;

    if (p->by_address.count >= PEERS_MAX) {
        peer = container_of(list_pop(&p->order), struct peer, node);
        map_remove(&p->by_address, str_of(peer->address));
        *peer = (struct peer){0};
    } else {
        peer = mem_zero(sizeof(*peer));
    }
    ignore(str_to_c(str_of(address), peer->address, sizeof(peer->address))); /* same size */
    map_put(&p->by_address, str_of(peer->address), peer);
    return peer;
}

struct bucket *peers_get(struct peers *p, struct str address)
{
    char text[INET6_ADDRSTRLEN];
    struct peer *peer;

    normalise(address, text);
    peer = map_get(&p->by_address, str_of(text));
    if (peer == NULL)
        peer = add(p, text);
    list_remove(&peer->node);
    list_push(&p->order, &peer->node);
    return &peer->bucket;
}

void peers_done(struct peers *p)
{
    struct list_node *at;

    while ((at = list_pop(&p->order)) != NULL)
        free(container_of(at, struct peer, node));
    map_done(&p->by_address);
}
