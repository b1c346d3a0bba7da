/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz ipc: what roles say to each other. The first byte chooses the protocol, the rest is as for
 * tables. */
#include "ipc/egress_messages.h"
#include "ipc/image_messages.h"
#include "ipc/node_messages.h"
#include "ipc/route_messages.h"
#include "tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_message *const image[] = {
        &image_request_message,
        &image_result_message,
        &image_event_message,
    };
    const struct channel_protocol protocols[] = {
        node_protocol,
        route_protocol,
        egress_protocol,
        {image, COUNT_OF(image)},
    };
    const struct channel_protocol *p;

    if (size == 0)
        return 0;
    p = &protocols[data[0] % COUNT_OF(protocols)];
    tables_check(p->messages, p->count, (struct str){(const char *)data + 1, size - 1});
    return 0;
}
