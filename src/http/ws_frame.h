/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of WebSocket (RFC 6455 section 5): heads, masks, and the order frames may come in. Pure
 * functions on bytes. User: websocket.c. */
#ifndef HTTP_WS_FRAME_H
#define HTTP_WS_FRAME_H

#include "base/str.h"

enum {
    WS_MESSAGE_MAX = 64 << 20, /* bytes of one message, all its frames together */
    WS_CONTROL_MAX = 125,
    WS_HEAD_MAX = 14,
    WS_MASK = 4,
};

enum ws_opcode {
    WS_CONTINUED = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

/* Codes of a close frame (RFC 6455 section 7.4). */
enum ws_code {
    WS_NORMAL = 1000,
    WS_GOING = 1001,
    WS_PROTOCOL = 1002,
    WS_NO_CODE = 1005,  /* never sent: the frame had none */
    WS_ABNORMAL = 1006, /* never sent: there was no close frame */
    WS_NOT_UTF8 = 1007,
    WS_TOO_LARGE = 1009,
};

struct ws_frame {
    bool is_final, is_masked;
    uint8_t opcode;
    uint64_t length; /* of the payload */
    uint8_t mask[WS_MASK];
};

/* What came of a message so far; zeroed at first. */
struct ws_order {
    bool is_open; /* a message has begun and not ended */
    uint64_t size;
};

/* The head at the front of `in`: >0 its length; 0: more needed; -1: no frame that may follow, and
 * *out_code is what to close with. A head that is good has been counted in `order`. Extensions are
 * none, lengths in their shortest form, and a message ends below WS_MESSAGE_MAX. */
ssize_t ws_frame_head(struct str in, struct ws_order *order, struct ws_frame *out,
                      enum ws_code *out_code);
/* Writes a final frame's head, masked when `mask` is not NULL; returns its length. */
size_t ws_frame_put(uint8_t opcode, uint64_t length, const uint8_t *mask, uint8_t out[WS_HEAD_MAX]);
/* Put on or take off; `offset` is where in the payload `data` begins. */
void ws_mask(char *data, size_t len, const uint8_t mask[WS_MASK], uint64_t offset);
/* May a close frame carry this code? */
bool ws_code_is_good(unsigned code);

#endif
