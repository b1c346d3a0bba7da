/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings of /files: what an upload is in, and what a download should be in (RFC 9110, 8.4
 * and 12.5.3). We speak identity and gzip. */
#ifndef ENVD_ENCODING_H
#define ENVD_ENCODING_H

#include "http/head.h"

enum coding {
    CODING_IDENTITY,
    CODING_GZIP,
    CODING_NONE, /* nothing that both sides speak */
};

/* By Content-Encoding; codings on top of each other are not taken. */
enum coding encoding_of_body(const struct http_head *h);

/* By Accept-Encoding. Identity is the better answer where both will do: it has a length, can be
 * ranged and costs nothing. gzip is sent to those who rank it above identity, and to those who name
 * it alone, as the SDKs' `gzip: true` does; not to the default of an HTTP library, which lists all
 * that it could read (`gzip, deflate`, wire.md 3.10). With `is_partial` (Range and conditions) only
 * when identity is refused. */
enum coding encoding_for_answer(const struct http_head *h, bool is_partial);

#endif
