/* SPDX-License-Identifier: Apache-2.0 */
/* What the builder asks of a guest: a command to run, a file to take, a port to answer. One call
 * has one connection, which is closed at its end, so that nothing of it is in a checkpoint. Users:
 * work.c. */
#ifndef BUILD_GUEST_CALL_H
#define BUILD_GUEST_CALL_H

#include "codec/codec.h"
#include "domain/build_guest.h"

struct guest_call;

struct guest_command {
    struct str program;
    struct codec_list args; /* of struct str */
    struct codec_list env;  /* of struct codec_pair */
    struct str cwd;         /* empty: the user's home */
    struct str user;
    uint64_t timeout_ms; /* then it is killed */
};

struct guest_events {
    /* A piece of what it prints, cut anywhere; may be NULL. */
    void (*on_output)(void *ctx, bool is_stderr, struct str data);
    /* The end of the call; the call is freed. err NULL: the command ended with `code`; of a file
     * and a port it is the HTTP status. */
    void (*on_end)(void *ctx, int code, const struct err *err);
};

enum {
    ENVD_PORT = 49983,
};

must_check int guest_run(struct loop *l, struct build_guest *g, const struct guest_command *c,
                         const struct guest_events *events, void *ctx, struct guest_call **out,
                         struct err *err);
/* The file is read from `fd`, which becomes the call's, and is root's in the guest. */
must_check int guest_put(struct loop *l, struct build_guest *g, struct str path, int fd,
                         const struct guest_events *events, void *ctx, struct guest_call **out,
                         struct err *err);
must_check int guest_get(struct loop *l, struct build_guest *g, uint16_t port, struct str path,
                         const struct guest_events *events, void *ctx, struct guest_call **out,
                         struct err *err);
/* Cuts it without a word to `events`; a command goes on. NULL is fine. Before the guest stops. */
void guest_call_free(struct guest_call *c);

#endif
