/* SPDX-License-Identifier: Apache-2.0 */
/* JSON in ASCII only. One of the clients decodes each network packet by itself, so a character of
 * several bytes that falls between two would be lost (wire.md 6.2). */
#ifndef INTERPRETER_ASCII_H
#define INTERPRETER_ASCII_H

#include "base/buf.h"

/* Append well-formed JSON with every character above 0x7e as \uXXXX. Bytes that are no UTF-8
 * become U+FFFD, each. */
void ascii_json(struct buf *out, struct str json);
/* Append the text as a JSON string, quotes included. */
void ascii_quote(struct buf *out, struct str text);
/* How many bytes at the end are the beginning of a character that goes on in bytes to come: 0 to 3.
 */
size_t ascii_unfinished(struct str text);

#endif
