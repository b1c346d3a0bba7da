/* SPDX-License-Identifier: Apache-2.0 */
/* What an Idempotency-Key has made: a client that lost the answer to its create repeats it and gets
 * the same sandbox, also after a restart of ours.
 *
 * A creation is known while its start runs, and written in the transaction that makes the sandbox
 * running: either both are there or neither is. One that failed is forgotten, so that a repetition
 * tries again. It is kept for CREATION_KEPT_MS, at most CREATIONS_MAX of all teams (the oldest
 * leaves first), and outlives its sandbox: a late repetition must not start a second one. Neither
 * the key nor the parameters are kept, only their SHA-256. */
#ifndef DOMAIN_CREATION_H
#define DOMAIN_CREATION_H

#include "base/digest.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/id.h"
#include "domain/record.h"

struct domain;
struct sandbox_params;

enum {
    CREATION_REPEAT_KEY_MAX = 255, /* characters of an Idempotency-Key */
    CREATION_KEPT_MS = 24 * 3600 * 1000,
    CREATIONS_MAX = 100000,
    CREATION_KEY_MAX = UUID_LEN + 1 + 2 * SHA256_SIZE,
};

/* Who asks for what, in the form that is compared. */
struct creation_ask {
    char key[CREATION_KEY_MAX + 1];
    char digest[2 * SHA256_SIZE + 1];
};

struct creation {
    struct creation_record r;
    struct heap_node age; /* in domain->creation_ages once it is durable */
    char text[];
};

/* 1 to CREATION_REPEAT_KEY_MAX visible ASCII characters: ERR_INVALID otherwise. */
must_check int creation_check(struct str repeat_key, struct err *err);
/* Of params with a repeat_key. The order of metadata and env does not count. */
void creation_ask(const struct sandbox_params *p, struct creation_ask *out);

struct creation *creation_find(const struct domain *d, struct str key); /* or NULL */
/* A start that runs. Forgotten with creation_drop(), or kept with creation_save() in the commit and
 * creation_keep() behind it. */
struct creation *creation_new(struct domain *d, const struct creation_ask *ask,
                              struct str sandbox_id);
void creation_drop(struct domain *d, struct creation *c); /* NULL is fine */
/* The same for one whose record may be on its way: queues its removal too. */
void creation_forget(struct domain *d, struct creation *c);
/* Queue its record; removes what is too old or too many in the same commit. */
must_check int creation_save(struct domain *d, const struct creation *c, struct err *err);
void creation_keep(struct domain *d, struct creation *c);

must_check int creation_load(struct domain *d, struct err *err);
void creation_done(struct domain *d);

#endif
