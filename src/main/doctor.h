/* SPDX-License-Identifier: Apache-2.0 */
/* The command `doctor`: can this machine run sandboxes, and how; what to do where it cannot. */
#ifndef MAIN_DOCTOR_H
#define MAIN_DOCTOR_H

#include "main/role.h"

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_WARN,
    DOCTOR_FAIL,
};

enum { DOCTOR_TEXT_MAX = 400 };

/* What a check found; verdict is DOCTOR_OK to begin with. */
struct doctor_row {
    enum doctor_verdict verdict;
    char found[DOCTOR_TEXT_MAX];
    char advice[DOCTOR_TEXT_MAX]; /* "" when all is well */
};

typedef void doctor_fn(const struct config *c, struct doctor_row *row);

struct doctor_check {
    const char *name;
    doctor_fn *fn;
};

/* doctor_host.c: checks that need no runtime. */
extern const struct doctor_check doctor_host_checks[];
extern const size_t doctor_host_check_count;

void doctor_found(struct doctor_row *row, const char *format, ...) printf_like(2, 3);
/* Sets verdict and advice. */
void doctor_advise(struct doctor_row *row, enum doctor_verdict verdict, const char *format, ...)
    printf_like(3, 4);

int doctor(const struct invocation *v); /* option --json */

#endif
