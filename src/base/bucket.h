/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket: `rate` tokens per second flow in, at most `burst` are kept, and what is done
 * takes some out. A zeroed bucket is full. */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    double left;
    uint64_t at_ms; /* when `left` was true; 0: never, it is full */
};

struct bucket_rule {
    double rate;  /* tokens per second; more than 0 */
    double burst; /* at least what a single take may cost */
};

/* Takes `cost` tokens, or none and says no. `now_ms` is monotonic. */
bool bucket_take(struct bucket *b, const struct bucket_rule *rule, double cost, uint64_t now_ms);
/* Takes `cost` tokens whether they are there or not, at most all: a penalty. */
void bucket_drain(struct bucket *b, const struct bucket_rule *rule, double cost, uint64_t now_ms);
/* Whole seconds from the last take until `cost` tokens are there; at least 1. */
unsigned bucket_wait_s(const struct bucket *b, const struct bucket_rule *rule, double cost);
/* Tokens that are there at `now_ms`. */
double bucket_level(const struct bucket *b, const struct bucket_rule *rule, uint64_t now_ms);

#endif
