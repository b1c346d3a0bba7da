/* SPDX-License-Identifier: Apache-2.0 */
/* Jupyter's messages (protocol 5.3): their frames, signed with HMAC-SHA-256, and the contents that
 * an interpreter reads. */
#ifndef INTERPRETER_JUPYTER_MESSAGE_H
#define INTERPRETER_JUPYTER_MESSAGE_H

#include "base/id.h"
#include "codec/codec.h"

enum { JUPYTER_FRAMES = 6 }; /* of a message we send: "<IDS|MSG>", signature, four of JSON */

struct jupyter_session {
    char key[TOKEN_HEX_LEN + 1]; /* shared with the kernel by its connection file */
    char id[UUID_LEN + 1];
};

void jupyter_session_init(struct jupyter_session *s);

struct jupyter_request {
    const char *type, *id;
    struct str metadata, content; /* JSON objects */
};

/* The frames of a message. Valid as long as `mem` is not touched, metadata and content as long as
 * what they point into. */
void jupyter_write(const struct jupyter_session *s, const struct jupyter_request *r,
                   struct buf *mem, struct str out[JUPYTER_FRAMES]);

struct jupyter_message {
    struct str type, parent_id; /* in the arena */
    struct str content;         /* in the frames */
};

/* ERR_DENIED: not signed by this session's kernel. ERR_INVALID: not a message. */
must_check int jupyter_read(const struct jupyter_session *s, const struct str *frames, size_t count,
                            struct arena *a, struct jupyter_message *out, struct err *err);

struct jupyter_stream {
    struct str name;
    struct str text; /* source of a JSON string */
};

struct jupyter_display {
    struct codec_list data; /* struct codec_pair: MIME type, source of the value */
};

struct jupyter_error {
    struct str name, value;
    struct codec_list traceback; /* of struct str */
};

struct jupyter_state {
    struct str execution_state; /* of "status" */
    struct str status;          /* of replies */
    int64_t execution_count;
};

must_check int jupyter_read_stream(struct str content, struct arena *a, struct jupyter_stream *out,
                                   struct err *err);
must_check int jupyter_read_display(struct str content, struct arena *a,
                                    struct jupyter_display *out, struct err *err);
must_check int jupyter_read_error(struct str content, struct arena *a, struct jupyter_error *out,
                                  struct err *err);
must_check int jupyter_read_state(struct str content, struct arena *a, struct jupyter_state *out,
                                  struct err *err);

#endif
