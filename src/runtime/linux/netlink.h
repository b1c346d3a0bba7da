/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the kernel's netlink families, built in place: a message, attributes, nested
 * attributes. What does not fit marks the request as too long, and sending it fails. */
#ifndef RUNTIME_LINUX_NETLINK_H
#define RUNTIME_LINUX_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { NETLINK_SIZE = 8192 };

struct netlink {
    _Alignas(8) char bytes[NETLINK_SIZE];
    size_t len;          /* of all messages */
    size_t message;      /* offset of the one being built */
    uint32_t seq;        /* of that one */
    uint32_t last_asked; /* the last that wants an answer: a batch ends with one that gets none */
    bool is_too_long;
};

void netlink_init(struct netlink *n);
/* Begins a message; `head` is the family's fixed part. NLM_F_REQUEST is set by itself. */
void netlink_message(struct netlink *n, unsigned type, unsigned flags, const void *head,
                     size_t size);
void netlink_put(struct netlink *n, unsigned type, const void *data, size_t size);
void netlink_put_text(struct netlink *n, unsigned type, const char *text);
void netlink_put_be16(struct netlink *n, unsigned type, uint16_t value);
void netlink_put_be32(struct netlink *n, unsigned type, uint32_t value);
/* What is put until netlink_close() is inside; returns what that wants. */
size_t netlink_open(struct netlink *n, unsigned type);
void netlink_close(struct netlink *n, size_t opened);
/* Sends all at once over `fd` and waits for the answer to the last message that asks for one
 * (NLM_F_ACK), or to the first that failed. */
must_check int netlink_ask(const struct netlink *n, int fd, struct err *err);
/* The same over a socket of its own, of `protocol`, in the thread's network namespace. */
must_check int netlink_talk(const struct netlink *n, int protocol, struct err *err);

#endif
