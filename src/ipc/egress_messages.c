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
static const struct codec_field request_fields[] = {
    {1, "methods", CODEC_STRING, CODEC_REPEATED, offsetof(struct egress_request, methods)},
    {2, "paths", CODEC_STRING, CODEC_REPEATED, offsetof(struct egress_request, paths)},
};
static const struct codec_message request_message = {"EgressRequest", sizeof(struct egress_request),
                                                     request_fields, COUNT_OF(request_fields)};

static const struct codec_field rule_fields[] = {
    {1, "pattern", CODEC_STRING, 0, offsetof(struct egress_rule, pattern)},
    {2, "headers", CODEC_MAP, 0, offsetof(struct egress_rule, headers)},
    {3, "allow", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct egress_rule, allow), 0, &request_message},
};
const struct codec_message egress_rule_message = {"EgressRule", sizeof(struct egress_rule),
                                                  rule_fields, COUNT_OF(rule_fields)};

static const struct codec_field proxy_fields[] = {
    {1, "address", CODEC_STRING, 0, offsetof(struct egress_proxy, address)},
    {2, "username", CODEC_STRING, 0, offsetof(struct egress_proxy, username)},
    {3, "password", CODEC_STRING, 0, offsetof(struct egress_proxy, password)},
};
const struct codec_message egress_proxy_message = {"EgressProxy", sizeof(struct egress_proxy),
                                                   proxy_fields, COUNT_OF(proxy_fields)};

static const struct codec_field authority_fields[] = {
    {1, "certificate", CODEC_STRING, 0, offsetof(struct egress_authority, certificate)},
    {2, "key", CODEC_STRING, 0, offsetof(struct egress_authority, key)},
};
const struct codec_message egress_authority_message = {
    "EgressAuthority", sizeof(struct egress_authority), authority_fields,
    COUNT_OF(authority_fields)};

static const struct codec_field secrets_fields[] = {
    {1, "values", CODEC_MAP, 0, offsetof(struct egress_secrets, values)},
    {2, "authority", CODEC_MESSAGE, 0, offsetof(struct egress_secrets, authority), 0, &egress_authority_message},
    {3, "proxyUsername", CODEC_STRING, 0, offsetof(struct egress_secrets, proxy_username)},
    {4, "proxyPassword", CODEC_STRING, 0, offsetof(struct egress_secrets, proxy_password)},
};
const struct codec_message egress_secrets_message = {"EgressSecrets", sizeof(struct egress_secrets),
                                                     secrets_fields, COUNT_OF(secrets_fields)};

static const struct codec_field policy_fields[] = {
    {1, "isOffline", CODEC_BOOL, 0, offsetof(struct egress_policy, is_offline)},
    {2, "denyOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct egress_policy, deny_out)},
    {3, "allowOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct egress_policy, allow_out)},
    {4, "bytesPerS", CODEC_UINT64, 0, offsetof(struct egress_policy, bytes_per_s)},
    {5, "connectionsMax", CODEC_UINT32, 0, offsetof(struct egress_policy, connections_max)},
    {6, "rules", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct egress_policy, rules), 0, &egress_rule_message},
    {7, "proxy", CODEC_MESSAGE, 0, offsetof(struct egress_policy, proxy), 0, &egress_proxy_message},
    {8, "auditPercent", CODEC_UINT32, 0, offsetof(struct egress_policy, audit_percent)},
};

static const struct codec_field record_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct egress_record, id)},
    {2, "atMs", CODEC_INT64, 0, offsetof(struct egress_record, at_ms)},
    {3, "tookMs", CODEC_UINT64, 0, offsetof(struct egress_record, took_ms)},
    {4, "protocol", CODEC_STRING, 0, offsetof(struct egress_record, protocol)},
    {5, "address", CODEC_STRING, 0, offsetof(struct egress_record, address)},
    {6, "port", CODEC_UINT32, 0, offsetof(struct egress_record, port)},
    {7, "name", CODEC_STRING, 0, offsetof(struct egress_record, name)},
    {8, "rule", CODEC_STRING, 0, offsetof(struct egress_record, rule)},
    {9, "isDenied", CODEC_BOOL, 0, offsetof(struct egress_record, is_denied)},
    {10, "detail", CODEC_STRING, 0, offsetof(struct egress_record, detail)},
    {11, "up", CODEC_UINT64, 0, offsetof(struct egress_record, up)},
    {12, "down", CODEC_UINT64, 0, offsetof(struct egress_record, down)},
    {13, "missed", CODEC_UINT32, 0, offsetof(struct egress_record, missed)},
};
const struct codec_message egress_record_message = {"EgressRecord", sizeof(struct egress_record),
                                                    record_fields, COUNT_OF(record_fields)};
/* clang-format on */

const struct codec_message egress_policy_message = {"EgressPolicy", sizeof(struct egress_policy),
                                                    policy_fields, COUNT_OF(policy_fields)};

static const struct codec_message *const egress_table[EGRESS_MESSAGE_COUNT] = {
    [EGRESS_SOCKET] = &socket_message, [EGRESS_OPEN] = &open_message,
    [EGRESS_POLICY] = &open_message,   [EGRESS_CLOSE] = &close_message,
    [EGRESS_LISTED] = &close_message,  [EGRESS_WANTED] = &close_message,
    [EGRESS_SECRETS] = &open_message,  [EGRESS_RECORD] = &egress_record_message,
};

const struct channel_protocol egress_protocol = {egress_table, EGRESS_MESSAGE_COUNT};
