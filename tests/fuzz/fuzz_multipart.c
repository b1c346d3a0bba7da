/* SPDX-License-Identifier: Apache-2.0 */
/* envd/multipart: the first byte says how the rest is cut into two pieces; cutting must not matter.
 */
#include <stdint.h>

#include "envd/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t bytes, parts, hash;
};

static void mix(struct sum *s, struct str data)
{
    for (size_t i = 0; i < data.len; i++)
        s->hash = s->hash * 31 + (uint8_t)data.at[i];
    s->bytes += data.len;
}

static int on_part(void *ctx, struct str name, struct str file, struct err *err)
{
    struct sum *s = ctx;

    (void)err;
    s->parts++;
    mix(s, name);
    mix(s, file);
    return 0;
}

static int on_bytes(void *ctx, struct str data, struct err *err)
{
    (void)err;
    mix(ctx, data);
    return 0;
}

static int on_part_end(void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    return 0;
}

static const struct multipart_events events = {on_part, on_bytes, on_part_end};

static int parse(struct str body, size_t cut, struct sum *s)
{
    struct multipart m;
    struct err err;
    int rc;

    *s = (struct sum){0};
    if (multipart_init(&m, STR("multipart/form-data; boundary=b"), &events, s, &err) != 0)
        abort();
    rc = multipart_feed(&m, str_upto(body, cut), &err);
    if (rc == 0)
        rc = multipart_feed(&m, str_from(body, cut), &err);
    if (rc == 0)
        rc = multipart_end(&m, &err);
    multipart_done(&m);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum whole, pieces;
    struct str body;
    char value[64];
    size_t cut;
    int a, b;

    if (size == 0)
        return 0;
    body = (struct str){(const char *)data + 1, size - 1};
    cut = body.len * data[0] / 255;
    a = parse(body, body.len, &whole);
    b = parse(body, cut, &pieces);
    if (a != b || (a == 0 && memcmp(&whole, &pieces, sizeof(whole)) != 0))
        abort();
    ignore(header_parameter(body, "name", value, sizeof(value))); /* must not crash */
    return 0;
}
