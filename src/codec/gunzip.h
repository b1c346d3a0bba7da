/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of gzip files (RFC 1952), pushed: bytes go in as they arrive, content comes out. One or
 * more members, nothing else behind them; check value and length of each are compared. */
#ifndef CODEC_GUNZIP_H
#define CODEC_GUNZIP_H

#include "base/err.h"
#include "codec/inflate.h"

struct gunzip;

/* NULL: no memory. About 40 KiB. */
struct gunzip *gunzip_new(inflate_fn *fn, void *ctx);
void gunzip_free(struct gunzip *g);
/* Takes all of `data`; up to 1032 bytes of content for each of its bytes are told to fn.
 * ERR_INVALID: no gzip data, or damaged. What was told until then is not to be trusted. */
must_check int gunzip_feed(struct gunzip *g, struct str data, struct err *err);
/* The input ended: was it complete? */
must_check int gunzip_end(const struct gunzip *g, struct err *err);

#endif
