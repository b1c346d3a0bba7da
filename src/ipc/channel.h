/* SPDX-License-Identifier: Apache-2.0 */
/* Typed messages between roles: one SOCK_SEQPACKET packet is one byte of type and a protobuf body
 * from a codec table, with descriptors when the type carries any. Bounded: a peer that does not
 * read makes send fail with ERR_LIMIT once CHANNEL_QUEUE_MAX packets wait. */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "codec/codec.h"
#include "io/loop.h"

enum {
    CHANNEL_QUEUE_MAX = 65536,      /* packets waiting for the peer */
    CHANNEL_QUEUE_BYTES = 16 << 20, /* and their bytes */
};

struct channel;

/* One row per message type, indexed by type; NULL: unknown, the channel is closed as broken. */
struct channel_protocol {
    const struct codec_message *const *messages;
    size_t count;
};

/* `message` is valid during the call. The fd (or -1) is the callee's. */
typedef void channel_message_fn(void *ctx, unsigned type, const void *message, int fd);
/* The peer is gone or broke the protocol; the channel is dead: free it (not from on_message). */
typedef void channel_gone_fn(void *ctx, const struct err *why);

/* Takes the descriptor, also when it fails. */
must_check int channel_new(struct loop *l, int fd, const struct channel_protocol *protocol,
                           channel_message_fn *on_message, channel_gone_fn *on_gone, void *ctx,
                           struct channel **out, struct err *err);
void channel_free(struct channel *c); /* NULL is fine; callable from any callback */

/* ERR_LIMIT: the peer does not read, or the message is larger than a packet. A peer that is gone is
 * an error here and then, from the loop, on_gone. pass_fd is duplicated by the kernel and stays the
 * caller's; -1 = none. */
must_check int channel_send(struct channel *c, unsigned type, const void *message, int pass_fd,
                            struct err *err);

#endif
