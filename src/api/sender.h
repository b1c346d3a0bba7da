/* SPDX-License-Identifier: Apache-2.0 */
/* Sends deliveries of webhooks: one POST each, on a connection of its own.
 *
 *   Sandlot-Webhook-Id, Sandlot-Event-Id   who and what; the event's id names repetitions
 *   Sandlot-Timestamp                      seconds since 1970, when this try was sent
 *   Sandlot-Signature                      "v1=" + hex HMAC-SHA256(secret, timestamp "." body)
 *   Sandlot-Try                            1 for the first
 *
 * A receiver answers 2xx to take it. 408, 425, 429, 5xx and silence are tried again, every other
 * status is final; redirects are not followed. Under https the receiver's certificate is verified.
 */
#ifndef API_SENDER_H
#define API_SENDER_H

#include "domain/webhook.h"
#include "io/loop.h"

struct sender;

enum {
    SENDER_TRY_MS = 10 * 1000,    /* for one try, the name's lookup included */
    SENDER_ANSWER_MAX = 64 << 10, /* bytes of an answer that are read, and not looked at */
};

/* `ca_file` (borrowed): whom to believe that a receiver is who it says; "" or NULL: this machine's
 * store. */
struct sender *sender_new(struct loop *l, struct domain *d, const char *ca_file);
void sender_free(struct sender *s); /* cuts what is on its way; it is owed as before */

/* Signature of a body sent at `seconds`: 64 hex digits and a NUL. */
void sender_sign(struct str secret, int64_t seconds, struct str body, char out[65]);

#endif
