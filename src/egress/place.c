/* SPDX-License-Identifier: Apache-2.0 */
/* See place.h. */
#include "egress/place.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

_Static_assert(sizeof(struct place) == 18, "no padding");

bool place_is_v4(const struct place *p)
{
    return memcmp(p->address, v4_prefix, sizeof(v4_prefix)) == 0;
}

struct place place_v4(const uint8_t address[4], uint16_t port)
{
    struct place p = {.port = port};

    memcpy(p.address, v4_prefix, sizeof(v4_prefix));
    memcpy(p.address + 12, address, 4);
    return p;
}

struct place place_of(const struct sockaddr *address)
{
    struct place p = {0};
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        return place_v4((const uint8_t *)&v4.sin_addr, ntohs(v4.sin_port));
    }
    if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof(v6));
        memcpy(p.address, &v6.sin6_addr, sizeof(p.address));
        p.port = ntohs(v6.sin6_port);
    }
    return p;
}

socklen_t place_to(const struct place *p, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(p->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(p->port)};

    memset(out, 0, sizeof(*out));
    if (place_is_v4(p)) {
        memcpy(&v4.sin_addr, p->address + 12, 4);
        memcpy(out, &v4, sizeof(v4));
        return sizeof(v4);
    }
    memcpy(&v6.sin6_addr, p->address, 16);
    memcpy(out, &v6, sizeof(v6));
    return sizeof(v6);
}

void place_text(const struct place *p, char out[PLACE_TEXT_MAX])
{
    char address[INET6_ADDRSTRLEN] = "";
    bool is_v4 = place_is_v4(p);

    ignore(inet_ntop(is_v4 ? AF_INET : AF_INET6, p->address + (is_v4 ? 12 : 0), address,
                     sizeof(address)) == NULL); /* it has room */
    ignore(snprintf(out, PLACE_TEXT_MAX, is_v4 ? "%s:%u" : "[%s]:%u", address, p->port));
}

bool range_read(struct str text, struct range *out)
{
    char address[INET6_ADDRSTRLEN];
    struct str bits_text, host = str_cut(text, '/', &bits_text);
    struct range r = {.bits = 128};
    uint64_t bits;
    bool is_v4;

    if (!str_to_c(host, address, sizeof(address)))
        return false;
    is_v4 = inet_pton(AF_INET, address, r.address + 12) == 1;
    if (is_v4)
        memcpy(r.address, v4_prefix, sizeof(v4_prefix));
    else if (inet_pton(AF_INET6, address, r.address) != 1)
        return false;
    if (host.len < text.len) {
        if (!str_to_u64(bits_text, &bits) || bits > (is_v4 ? 32 : 128))
            return false;
        r.bits = (uint8_t)(is_v4 ? bits + 96 : bits);
    }
    *out = r;
    return true;
}

bool range_has(const struct range *r, const struct place *p)
{
    size_t whole = r->bits / 8, rest = r->bits % 8;

    if (memcmp(r->address, p->address, whole) != 0)
        return false;
    return rest == 0 || ((r->address[whole] ^ p->address[whole]) >> (8 - rest)) == 0;
}
