/* SPDX-License-Identifier: Apache-2.0 */
/* The message tables of the routes socket. Numbers are on the wire between roles of different
 * versions: append, never change. */
#include "ipc/route_messages.h"

static const struct codec_field lookup_fields[] = {
    {1, "seq", CODEC_UINT64, 0, offsetof(struct route_lookup, seq)},
    {2, "id",  CODEC_STRING, 0, offsetof(struct route_lookup, id) },
};
static const struct codec_message lookup_message = {"RouteLookup", sizeof(struct route_lookup),
                                                    lookup_fields, COUNT_OF(lookup_fields)};

static const struct codec_field route_fields[] = {
    {1, "seq",          CODEC_UINT64, 0, offsetof(struct route, seq)          },
    {2, "id",           CODEC_STRING, 0, offsetof(struct route, id)           },
    {3, "state",        CODEC_UINT32, 0, offsetof(struct route, state)        },
    {4, "trafficToken", CODEC_STRING, 0, offsetof(struct route, traffic_token)},
    {5, "maskHost",     CODEC_STRING, 0, offsetof(struct route, mask_host)    },
    {6, "isIdle",       CODEC_BOOL,   0, offsetof(struct route, is_idle)      },
    {7, "mayResume",    CODEC_BOOL,   0, offsetof(struct route, may_resume)   },
};
static const struct codec_message route_message = {"Route", sizeof(struct route), route_fields,
                                                   COUNT_OF(route_fields)};

/* clang-format off */
static const struct codec_field wake_fields[] = {
    {1, "seq", CODEC_UINT64, 0, offsetof(struct route_wake, seq)},
    {2, "id", CODEC_STRING, 0, offsetof(struct route_wake, id)},
    {3, "port", CODEC_UINT32, 0, offsetof(struct route_wake, port)},
    {4, "accessToken", CODEC_BYTES, 0, offsetof(struct route_wake, access_token)},
    {5, "isVerified", CODEC_BOOL, 0, offsetof(struct route_wake, is_verified)},
};
static const struct codec_message wake_message =
    {"RouteWake", sizeof(struct route_wake), wake_fields, COUNT_OF(wake_fields)};

static const struct codec_field signed_fields[] = {
    {1, "seq", CODEC_UINT64, 0, offsetof(struct route_signed, seq)},
    {2, "id", CODEC_STRING, 0, offsetof(struct route_signed, id)},
    {3, "path", CODEC_BYTES, 0, offsetof(struct route_signed, path)},
    {4, "operation", CODEC_STRING, 0, offsetof(struct route_signed, operation)},
    {5, "user", CODEC_BYTES, 0, offsetof(struct route_signed, user)},
    {6, "signature", CODEC_BYTES, 0, offsetof(struct route_signed, signature)},
    {7, "expiration", CODEC_BYTES, 0, offsetof(struct route_signed, expiration)},
    {8, "hasExpiration", CODEC_BOOL, 0, offsetof(struct route_signed, has_expiration)},
};
static const struct codec_message signed_message =
    {"RouteSigned", sizeof(struct route_signed), signed_fields, COUNT_OF(signed_fields)};

static const struct codec_field answer_fields[] = {
    {1, "seq", CODEC_UINT64, 0, offsetof(struct route_answer, seq)},
    {2, "id", CODEC_STRING, 0, offsetof(struct route_answer, id)},
    {3, "kind", CODEC_UINT32, 0, offsetof(struct route_answer, kind)},
    {4, "text", CODEC_STRING, 0, offsetof(struct route_answer, text)},
};
static const struct codec_message answer_message =
    {"RouteAnswer", sizeof(struct route_answer), answer_fields, COUNT_OF(answer_fields)};

static const struct codec_field counters_fields[] = {
    {1, "control", CODEC_UINT64, 0, offsetof(struct route_counters, control)},
    {2, "sandbox", CODEC_UINT64, 0, offsetof(struct route_counters, sandbox)},
    {3, "refused", CODEC_UINT64, 0, offsetof(struct route_counters, refused)},
    {4, "connections", CODEC_UINT64, 0, offsetof(struct route_counters, connections)},
    {5, "routes", CODEC_UINT64, 0, offsetof(struct route_counters, routes)},
    {6, "answers", CODEC_UINT64, CODEC_REPEATED, offsetof(struct route_counters, answers)},
    {7, "running", CODEC_UINT64, CODEC_REPEATED, offsetof(struct route_counters, running)},
    {8, "bytes", CODEC_UINT64, CODEC_REPEATED, offsetof(struct route_counters, bytes)},
    {9, "tookUs", CODEC_UINT64, CODEC_REPEATED, offsetof(struct route_counters, took_us)},
    {10, "refusedPeers", CODEC_UINT64, 0, offsetof(struct route_counters, refused_peers)},
    {11, "refusedSandboxes", CODEC_UINT64, 0, offsetof(struct route_counters, refused_sandboxes)},
    {12, "stalled", CODEC_UINT64, 0, offsetof(struct route_counters, stalled)},
    {13, "woken", CODEC_UINT64, 0, offsetof(struct route_counters, woken)},
    {14, "wakeFailures", CODEC_UINT64, 0, offsetof(struct route_counters, wake_failures)},
};
static const struct codec_message counters_message =
    {"RouteCounters", sizeof(struct route_counters), counters_fields, COUNT_OF(counters_fields)};
/* clang-format on */

static const struct codec_message *const route_table[ROUTE_MESSAGE_COUNT] = {
    [ROUTE_LOOKUP] = &lookup_message,     [ROUTE_FOUND] = &route_message,
    [ROUTE_MISSING] = &lookup_message,    [ROUTE_PUT] = &route_message,
    [ROUTE_GONE] = &lookup_message,       [ROUTE_ACTIVE] = &lookup_message,
    [ROUTE_WAKE] = &wake_message,         [ROUTE_AWAKE] = &answer_message,
    [ROUTE_SIGNED] = &signed_message,     [ROUTE_SIGNER] = &answer_message,
    [ROUTE_COUNTERS] = &counters_message, [ROUTE_SNAPSHOT] = &lookup_message,
    [ROUTE_COMPLETE] = &lookup_message,
};

const struct channel_protocol route_protocol = {route_table, ROUTE_MESSAGE_COUNT};
