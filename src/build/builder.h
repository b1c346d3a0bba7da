/* SPDX-License-Identifier: Apache-2.0 */
/* Who builds templates: takes builds from the domain (domain/build.h) and works on all of them at
 * once, as many as teams may have. One loop; nothing blocks. Users: api/api.c. */
#ifndef BUILD_BUILDER_H
#define BUILD_BUILDER_H

#include "build/work.h"

struct builder;

/* Takes builds from now on. */
struct builder *builder_new(const struct work_host *host);
/* Stops what is under way, without a word about it: before domain_free(). */
void builder_free(struct builder *b);

#endif
