/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 in clear text behind an http_conn, by prior knowledge: a transport (io/transport.h) that
 * carries the HTTP/1.1 messages of http/client.h as one stream after the other. For servers that
 * speak nothing else, as those of gRPC: trailers go both ways, "te: trailers" is said. Bounded as
 * h2.h: windows are given back as the connection reads, one answer at a time. */
#ifndef HTTP_H2_CLIENT_H
#define HTTP_H2_CLIENT_H

#include "base/err.h"
#include "io/transport.h"

/* Takes the descriptor, also when it fails. */
must_check int h2_client_open(struct loop *l, int fd, bool is_connecting, struct transport **out,
                              struct err *err);

#endif
