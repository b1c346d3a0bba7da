/* SPDX-License-Identifier: Apache-2.0 */
/* The message tables of egress.sock. Numbers are on the wire between roles of different versions,
 * and in files of run_dir: append, never change. */
#include "ipc/egress_messages.h"

static const struct codec_field socket_fields[] = {
    {1, "id",   CODEC_STRING, 0, offsetof(struct egress_socket, id)  },
    {2, "kind", CODEC_UINT32, 0, offsetof(struct egress_socket, kind)},
};
static const struct codec_message socket_message = {"EgressSocket", sizeof(struct egress_socket),
                                                    socket_fields, COUNT_OF(socket_fields)};

static const struct codec_field open_fields[] = {
    {1, "id",     CODEC_STRING, 0, offsetof(struct egress_open, id)    },
    {2, "policy", CODEC_BYTES,  0, offsetof(struct egress_open, policy)},
};
static const struct codec_message open_message = {"EgressOpen", sizeof(struct egress_open),
                                                  open_fields, COUNT_OF(open_fields)};

static const struct codec_field close_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct egress_close, id)},
};
static const struct codec_message close_message = {"EgressClose", sizeof(struct egress_close),
                                                   close_fields, COUNT_OF(close_fields)};

/* clang-format off */
static const struct codec_field policy_fields[] = {
    {1, "isOffline", CODEC_BOOL, 0, offsetof(struct egress_policy, is_offline)},
    {2, "denyOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct egress_policy, deny_out)},
    {3, "allowOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct egress_policy, allow_out)},
    {4, "bytesPerS", CODEC_UINT64, 0, offsetof(struct egress_policy, bytes_per_s)},
    {5, "connectionsMax", CODEC_UINT32, 0, offsetof(struct egress_policy, connections_max)},
};
/* clang-format on */

const struct codec_message egress_policy_message = {"EgressPolicy", sizeof(struct egress_policy),
                                                    policy_fields, COUNT_OF(policy_fields)};

static const struct codec_message *const egress_table[EGRESS_MESSAGE_COUNT] = {
    [EGRESS_SOCKET] = &socket_message, [EGRESS_OPEN] = &open_message,
    [EGRESS_POLICY] = &open_message,   [EGRESS_CLOSE] = &close_message,
    [EGRESS_LISTED] = &close_message,  [EGRESS_WANTED] = &close_message,
};

const struct channel_protocol egress_protocol = {egress_table, EGRESS_MESSAGE_COUNT};
