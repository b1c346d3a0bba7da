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
};
static const struct codec_message route_message = {"Route", sizeof(struct route), route_fields,
                                                   COUNT_OF(route_fields)};

static const struct codec_field counters_fields[] = {
    {1, "control",     CODEC_UINT64, 0, offsetof(struct route_counters, control)    },
    {2, "sandbox",     CODEC_UINT64, 0, offsetof(struct route_counters, sandbox)    },
    {3, "refused",     CODEC_UINT64, 0, offsetof(struct route_counters, refused)    },
    {4, "connections", CODEC_UINT64, 0, offsetof(struct route_counters, connections)},
    {5, "routes",      CODEC_UINT64, 0, offsetof(struct route_counters, routes)     },
};
static const struct codec_message counters_message = {
    "RouteCounters", sizeof(struct route_counters), counters_fields, COUNT_OF(counters_fields)};

static const struct codec_message *const route_table[ROUTE_MESSAGE_COUNT] = {
    [ROUTE_LOOKUP] = &lookup_message,     [ROUTE_FOUND] = &route_message,
    [ROUTE_MISSING] = &lookup_message,    [ROUTE_PUT] = &route_message,
    [ROUTE_GONE] = &lookup_message,       [ROUTE_ACTIVE] = &lookup_message,
    [ROUTE_COUNTERS] = &counters_message,
};

const struct channel_protocol route_protocol = {route_table, ROUTE_MESSAGE_COUNT};
