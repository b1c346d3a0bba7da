/* SPDX-License-Identifier: Apache-2.0 */
/* What each type of step means: what it does to the state of a build, and what has to run for it.
 * Users: work.c. */
#ifndef BUILD_STEP_H
#define BUILD_STEP_H

#include "base/arena.h"
#include "base/err.h"
#include "domain/build_record.h"

enum {
    STEP_ENV_MAX = 1000,
    STEP_PORTS_MAX = 100,
    STEP_SCRIPT_ENV = 8,
};

/* What steps change and later ones see. Texts are in the arena of the build. */
struct step_state {
    struct str user, workdir; /* workdir empty: the user's home */
    struct codec_pair env[STEP_ENV_MAX], arg[STEP_ENV_MAX];
    size_t env_count, arg_count;
    struct str ports[STEP_PORTS_MAX]; /* "80/tcp", each once */
    size_t port_count;
};

/* What runs in the sandbox; program NULL: nothing does. */
struct step_command {
    const char *script; /* of ours, for /bin/sh, as root; NULL: text is for a login shell */
    struct str text, user;
    struct codec_pair env[STEP_SCRIPT_ENV]; /* what the script is told */
    size_t env_count;
    bool needs_files; /* the archive files_hash at STEP_ARCHIVE */
    bool is_nothing;  /* the files stay as they are */
};

extern const char step_archive[];   /* path in the sandbox */
extern const char step_provision[]; /* script: what every image gets first */
extern const char step_finish[];    /* script: /.e2b */

/* ERR_INVALID for what cannot be. `out` is for before step_apply(). */
must_check int step_plan(const struct build_step *s, const struct step_state *state,
                         struct arena *a, struct step_command *out, struct err *err);
/* It was done: change the state. */
must_check int step_apply(const struct build_step *s, struct step_state *state, struct arena *a,
                          struct err *err);
must_check int step_set_env(struct step_state *state, struct codec_pair pair, struct err *err);
/* "80", "80/udp", "8000-8010": kept as a container image keeps it. ERR_INVALID. */
must_check int step_expose(struct step_state *state, struct str port, struct arena *a,
                           struct err *err);
/* One line for logs and errors: "RUN apt-get update". */
struct str step_text(const struct build_step *s, struct arena *a);

#endif
