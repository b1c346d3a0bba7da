/* SPDX-License-Identifier: Apache-2.0 */
/* Random identifiers and secrets, from getrandom(2). */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stddef.h>
#include <stdint.h>

enum {
    SANDBOX_ID_LEN = 21, /* "i" + 20 of [a-z0-9] (RX-26) */
    UUID_LEN = 36,
    TOKEN_HEX_LEN = 64, /* 32 random bytes in hex: access tokens */
    API_KEY_LEN = 44,   /* "e2b_" + 40 hex digits (RX-13, AC-37) */
};

void id_random(void *out, size_t len);
/* The following write len characters and a NUL. */
void id_sandbox(char out[SANDBOX_ID_LEN + 1]);
void id_uuid(char out[UUID_LEN + 1]); /* version 4 */
/* Version 7 (RFC 9562): texts sort by `wall_ms`, then by `count` (its 12 low bits). */
void id_uuid_at(int64_t wall_ms, unsigned count, char out[UUID_LEN + 1]);
void id_token(char out[TOKEN_HEX_LEN + 1]);
void id_api_key(char out[API_KEY_LEN + 1]);
/* Any length, from [a-z0-9], unbiased. */
void id_text(char *out, size_t len);

void hex_encode(const void *data, size_t len, char *out); /* 2*len + NUL, lower case */
/* Value of one hex digit of either case, or -1. */
int hex_digit(char c);

#endif
