/* SPDX-License-Identifier: Apache-2.0 */
/* One build at work: its steps one after another, each in a sandbox that starts from what the step
 * before left. Users: builder.c. */
#ifndef BUILD_WORK_H
#define BUILD_WORK_H

#include "base/list.h"
#include "domain/build.h"
#include "io/loop.h"

struct work;

struct work_host {
    struct loop *loop;
    struct domain *domain;
    const char *uploads_dir;
    struct push_store *pushes;
};

/* It reports by build_say(), build_succeed() and build_fail(), not from inside this call. */
struct work *work_new(const struct work_host *host, const struct build *b);
/* Stops whatever it is doing: no function of it is called any more, and the plan is not looked at.
 * For those that are on the stack it stays in memory. */
void work_halt(struct work *w);
/* Nothing of it is left but layers. */
void work_free(struct work *w);

#endif
