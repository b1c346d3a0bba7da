/* SPDX-License-Identifier: Apache-2.0 */
/* See connection.h. Used by api/net_log.c and cli/net.c. */
#include "ipc/connection.h"

/* clang-format off */
static const struct codec_field connection_fields[] = {
    {1, "id", CODEC_STRING, CODEC_ALWAYS, offsetof(struct connection, id)},
    {2, "time", CODEC_STRING, CODEC_ALWAYS, offsetof(struct connection, time)},
    {3, "durationMs", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct connection, took_ms)},
    {4, "protocol", CODEC_STRING, CODEC_ALWAYS, offsetof(struct connection, protocol)},
    {5, "address", CODEC_STRING, CODEC_ALWAYS, offsetof(struct connection, address)},
    {6, "port", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct connection, port)},
    {7, "name", CODEC_STRING, CODEC_ALWAYS, offsetof(struct connection, name)},
    {8, "verdict", CODEC_STRING, CODEC_ALWAYS, offsetof(struct connection, verdict)},
    {9, "rule", CODEC_STRING, CODEC_ALWAYS, offsetof(struct connection, rule)},
    {10, "detail", CODEC_STRING, CODEC_ALWAYS, offsetof(struct connection, detail)},
    {11, "bytesUp", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct connection, up)},
    {12, "bytesDown", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct connection, down)},
    {13, "missed", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct connection, missed)},
};
const struct codec_message connection_message =
    {"connection", sizeof(struct connection), connection_fields, COUNT_OF(connection_fields)};

static const struct codec_field connections_fields[] = {
    {1, "connections", CODEC_MESSAGE, CODEC_ALWAYS | CODEC_REPEATED, offsetof(struct connections, rows), 0, &connection_message},
    {2, "cursor", CODEC_STRING, CODEC_ALWAYS, offsetof(struct connections, cursor)},
};
const struct codec_message connections_message =
    {"connections", sizeof(struct connections), connections_fields, COUNT_OF(connections_fields)};
/* clang-format on */
