/* SPDX-License-Identifier: Apache-2.0 */
/* Wire types, shared by proto_decode.c and proto_encode.c. */
#ifndef CODEC_PROTO_INTERNAL_H
#define CODEC_PROTO_INTERNAL_H

#include "codec/codec.h"

enum wire {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_LEN = 2,
    WIRE_32 = 5,
};

static inline enum wire wire_of(enum codec_type type)
{
    switch (type) {
    case CODEC_STRING:
    case CODEC_BYTES:
    case CODEC_MESSAGE:
    case CODEC_TIMESTAMP:
    case CODEC_MAP:
    case CODEC_RAW: return WIRE_LEN;
    case CODEC_DOUBLE: return WIRE_64;
    default: return WIRE_VARINT;
    }
}

static inline bool type_is_json_only(enum codec_type type)
{
    return type == CODEC_NUMBER || type == CODEC_RAW;
}

#endif
