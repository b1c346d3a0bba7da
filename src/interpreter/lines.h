/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of an answer to /execute (wire.md 6.2): one JSON object each, ASCII, "\n" behind.
 * All of them append. JSON that is passed has to be well-formed. */
#ifndef INTERPRETER_LINES_H
#define INTERPRETER_LINES_H

#include "base/buf.h"
#include "codec/codec.h"

void line_count(struct buf *out, int64_t count);
/* `text` is a JSON string as its source. */
void line_stream(struct buf *out, bool is_stderr, struct str text);
/* The same for bytes. */
void line_stream_bytes(struct buf *out, bool is_stderr, struct str bytes);
/* `data`: struct codec_pair, MIME type to the source of its value. Without any: no line. */
void line_result(struct buf *out, bool is_main, const struct codec_list *data);
void line_error(struct buf *out, struct str name, struct str value, struct str traceback);
void line_keepalive(struct buf *out);
void line_end(struct buf *out);

#endif
