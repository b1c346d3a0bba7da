/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Deadlines inside a process are monotonic milliseconds; what is stored or shown is wall
 * time in milliseconds since 1970, UTC. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

enum { RFC3339_MAX = 40 };

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
int64_t clock_wall_ms(void);
/* Tests only: shift both clocks forward. */
void clock_shift_ms(uint64_t forward_ms);

/* "2026-11-20T18:49:00.123Z": 3 fraction digits, always UTC. Writes a NUL; returns the length. */
size_t rfc3339_format_ms(int64_t wall_ms, char out[RFC3339_MAX]);
/* seconds + nanoseconds, with 0, 3, 6 or 9 digits as proto3 JSON asks. */
size_t rfc3339_format_ns(int64_t seconds, uint32_t nanos, char out[RFC3339_MAX]);
/* Accepts any offset and up to 9 fraction digits. False on anything that is not a real date. */
bool rfc3339_parse(struct str text, int64_t *out_seconds, uint32_t *out_nanos);

#endif
