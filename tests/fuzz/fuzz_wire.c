/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz egress: packets of a sandbox, the messages that bring them, and what is built from them. */
#include <assert.h>
#include <stdlib.h>

#include "egress/shown.h"
#include "egress/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[WIRE_MAX];
    struct str packet;
    struct wire w, back;
    size_t len;

    if (shown_packet((struct str){(const char *)data, size}, &packet))
        assert(packet.at >= (const char *)data &&
               packet.at + packet.len <= (const char *)data + size);
    if (!wire_read((struct str){(const char *)data, size}, &w))
        return 0;
    assert(w.head <= size);
    for (unsigned why = WIRE_NO_NETWORK; why <= WIRE_FORBIDDEN; why++) {
        len = wire_unreachable(&w, (enum wire_why)why, out);
        assert(len <= WIRE_MAX && wire_read((struct str){out, len}, &back));
    }
    if (w.kind != WIRE_SYN)
        return 0;
    len = wire_again(&w, out);
    assert(len == size && wire_read((struct str){out, len}, &back) && back.kind == WIRE_SYN);
    len = wire_reset(&w, out);
    assert(wire_read((struct str){out, len}, &back));
    return 0;
}
