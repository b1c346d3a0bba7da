/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, for callers to branch on (kind) and for people to read (text).
 *
 * A function that can fail returns 0 or -1, takes `struct err *err` last and is must_check. The
 * struct is the caller's, fixed in size, untouched on success; nothing is to be released. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/own.h"

enum err_kind {
    ERR_NONE,
    ERR_INVALID,         /* the input is wrong; trying again will not help */
    ERR_UNAUTHENTICATED, /* who are you */
    ERR_DENIED,          /* we know you, and no */
    ERR_NOT_FOUND,
    ERR_EXISTS,
    ERR_CONFLICT,    /* not in this state; may work later */
    ERR_LIMIT,       /* a quota, a size or a rate is exceeded */
    ERR_NO_SPACE,    /* ENOSPC, EDQUOT */
    ERR_UNSUPPORTED, /* this host or this version cannot do it */
    ERR_TIMEOUT,
    ERR_UNAVAILABLE, /* a part we need is not there right now */
    ERR_SYSTEM,      /* everything else, with errno in `sys` */
};

struct err {
    enum err_kind kind;
    int sys;        /* errno, or 0 */
    char text[240]; /* outermost first: "start sbx: open rootfs 'x': No such file or directory" */
};

/* All return -1, so that `return err_set(err, …)` reads well. `err` may be NULL. */
int err_set(struct err *err, enum err_kind kind, const char *format, ...) printf_like(3, 4);
/* Kind is derived from `sys` (ENOENT is ERR_NOT_FOUND and so on); ": <strerror>" is appended. */
int err_sys(struct err *err, int sys, const char *format, ...) printf_like(3, 4);
/* Put "<format>: " in front of the text that is there. */
int err_wrap(struct err *err, const char *format, ...) printf_like(2, 3);

/* Stable lower-case word of a kind ("not_found"), for logs and messages between roles. */
const char *err_kind_name(enum err_kind kind);

#endif
