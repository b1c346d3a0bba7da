/* SPDX-License-Identifier: Apache-2.0 */
/* A record of what a sandbox did with the network, as REST has it: api writes pages of them, the
 * command line reads them. */
#ifndef IPC_CONNECTION_H
#define IPC_CONNECTION_H

#include "codec/codec.h"

struct connection {
    struct str id, time, protocol, address, name, rule, verdict, detail;
    int64_t took_ms, port, up, down, missed;
};

/* The cursor is where the next page begins. */
struct connections {
    struct codec_list rows; /* struct connection */
    struct str cursor;
};

extern const struct codec_message connection_message, connections_message;

#endif
