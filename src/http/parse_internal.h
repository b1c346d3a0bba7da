/* SPDX-License-Identifier: Apache-2.0 */
/* Private to http/: classes of characters, and the meaning of fields (framing.c) for parse.c. */
#ifndef HTTP_PARSE_INTERNAL_H
#define HTTP_PARSE_INTERNAL_H

#include "http/head.h"

enum char_class {
    CHAR_TOKEN = 1,  /* in methods and field names (RFC 9110 5.6.2) */
    CHAR_VALUE = 2,  /* in field values: everything but controls; bytes above 0x7f are opaque */
    CHAR_TARGET = 4, /* in request targets */
    CHAR_HOST = 8,   /* in host names */
};

extern const uint8_t http_classes[256];

static inline bool http_char_is(char c, enum char_class class)
{
    return (http_classes[(unsigned char)c] & class) != 0;
}

/* Is `s` not empty and of this class throughout? */
bool http_all_are(struct str s, enum char_class class);

/* The next element of a comma-separated list, without blanks at its ends; false at the end. Empty
 * elements are skipped. */
bool http_list_next(struct str *rest, struct str *out_item);

/* Fill the fields of `h` that follow from its field lines. 0, or minus a status. */
int http_frame_request(struct http_head *h, struct str authority, const char **why);
int http_frame_response(struct http_head *h, struct str method, const char **why);

#endif
