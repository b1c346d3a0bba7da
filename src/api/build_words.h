/* SPDX-License-Identifier: Apache-2.0 */
/* How states of builds are called (RX-11). */
#ifndef API_BUILD_WORDS_H
#define API_BUILD_WORDS_H

#include "domain/build.h"

struct build_words {
    const char *status;   /* of E2B: waiting, building, ready, error */
    const char *state;    /* of AgentCube's builds: pending, building, completed, … */
    const char *template; /* and of their template: pending, building, ready, failed */
};

const struct build_words *build_words(enum build_state state);
const char *build_level_name(enum build_level level);
/* False: there is no such level. */
bool build_level_parse(struct str name, enum build_level *out);

#endif
