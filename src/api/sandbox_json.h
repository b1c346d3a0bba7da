/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox as the REST API shows it. */
#ifndef API_SANDBOX_JSON_H
#define API_SANDBOX_JSON_H

#include "api/api_internal.h"

/* Answers of create and connect. */
void sandbox_json_reply(struct call *c, unsigned status, const struct sandbox *s);
/* The same within an answer. */
void sandbox_json_put(const struct call *c, const struct sandbox *s, struct buf *out);
void sandbox_json_detail(struct call *c, const struct sandbox *s);
/* Append one element of a list. */
void sandbox_json_listed(const struct sandbox *s, struct buf *out);
void sandbox_json_missing(struct call *c, struct str id); /* 404 */

#endif
