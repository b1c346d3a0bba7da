/* SPDX-License-Identifier: Apache-2.0 */
/* What strangers tell the service: bodies of requests, and lines of a kernel that pipes lead to. */
#ifndef INTERPRETER_BODIES_H
#define INTERPRETER_BODIES_H

#include "codec/codec.h"

struct execute_body {
    struct str code, context_id, language, env_vars;
    bool has_context_id, has_language;
};

struct context_body {
    struct str language, cwd;
};

/* A line of our kernels (kernels/). The code that they run may write to that pipe too. */
struct kernel_event {
    struct str type;
    bool is_main;
    struct str data;
    struct str name, value, traceback;
    int64_t status;
    int64_t of; /* "done" of a shell: which execution, from 1; 0: not said */
};

extern const struct codec_message execute_message, context_message, kernel_event_message;

#endif
