/* SPDX-License-Identifier: Apache-2.0 */
/* A Dockerfile as the plan of a build, by the rules that E2B's clients have for it (wire.md 5.5):
 * the steps begin as root in /, CMD and ENTRYPOINT become the start command, and the sandbox's user
 * is `user` unless the file says who.
 *
 * One FROM. What says nothing about a sandbox (LABEL, VOLUME, STOPSIGNAL, MAINTAINER) is
 * left out; what would be lost silently (SHELL, ONBUILD, HEALTHCHECK, here-documents, --from,
 * --mount but of caches) is an error. */
#ifndef DOMAIN_DOCKERFILE_H
#define DOMAIN_DOCKERFILE_H

#include "base/arena.h"
#include "domain/build_record.h"

enum { DOCKERFILE_MAX = 64 << 10 };

/* Everything is in the arena. `files_hash` is that of the archive that each COPY and ADD takes its
 * files from; empty: there is none, and they are errors. ERR_INVALID says the line. */
must_check int dockerfile_read(struct str text, struct str files_hash, struct arena *a,
                               struct build_plan *out, struct err *err);

#endif
