/* SPDX-License-Identifier: Apache-2.0 */
/* Error answers: {"code":int,"message":string[,"error_code":string]} (wire.md 2.1). */
#ifndef API_ERRORS_H
#define API_ERRORS_H

#include "api/api_internal.h"

unsigned error_status(enum err_kind kind);
/* Status by err->kind, message err->text. */
void call_fail(struct call *c, const struct err *err);
/* The same with AgentCube's name of the error (AC-26); status 0: that of the kind. */
void call_fail_named(struct call *c, unsigned status, const char *error, const struct err *err);
/* An error of placing a sandbox: its own statuses, texts and error_code (semantics.md 2.9). */
void call_fail_placement(struct call *c, const struct err *err);
/* error_code may be NULL. */
void call_error(struct call *c, unsigned status, const char *error_code, const char *format, ...)
    printf_like(4, 5);

/* 429 with the fields that say when to come back (semantics.md 2.4). */
void call_too_fast(struct call *c, uint64_t rate_per_s, unsigned wait_s);

#endif
