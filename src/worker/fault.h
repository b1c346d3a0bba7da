/* SPDX-License-Identifier: Apache-2.0 */
/* The S-codes of the sandbox worker family (RX-15) in one table, and how an error is written. */
#ifndef WORKER_FAULT_H
#define WORKER_FAULT_H

#include "base/buf.h"

enum fault {
    FAULT_INPUT,      /* S001 */
    FAULT_NO_SANDBOX, /* S002 */
    FAULT_EXEC_CAP,   /* S003 */
    FAULT_STOPPED,    /* S004: it is there, and does not run */
    FAULT_IMAGE,      /* S100 */
    FAULT_FS_REQUEST, /* S210 */
    FAULT_FS_MISSING,
    FAULT_FS_TYPE,
    FAULT_FS_EXISTS,
    FAULT_FS_NOT_EMPTY,
    FAULT_FS_DENIED,
    FAULT_FS_IO,
    FAULT_FS_REGEX,
    FAULT_FS_CHANNEL,
    FAULT_FS_UNSUPPORTED, /* S219 */
    FAULT_BOOT,           /* S300 */
    FAULT_CAPACITY,       /* S400: sandboxes at once, or a size */
    FAULT_CAPABILITY,     /* S404 */
    FAULT_RATE,           /* S500 */
    FAULT_PAYMENT,        /* S501 */
    FAULT_UPSTREAM,       /* S502 */
    FAULT_KEY,            /* S503 */
    FAULT_PROVIDER,       /* S600 */
};

enum fault_format {
    FAULT_BRACKET, /* "[S100] text" */
    FAULT_JSON, /* {"type":…,"code":"S100","message":…,"docs_url":…,"retryable":…} as a text */
};

const char *fault_code(enum fault f);
/* The message of an error. `fix` is JSON, or empty; it is in FAULT_JSON alone. */
void fault_write(struct buf *out, enum fault f, enum fault_format format, struct str text,
                 struct str fix);
/* What an answer of the API means for the caller: 404 is `missing`. */
enum fault fault_of_status(unsigned status, enum fault missing);

#endif
