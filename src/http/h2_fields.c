/* SPDX-License-Identifier: Apache-2.0 */
/* What both sides of HTTP/2 do alike: fields for nghttp2, chunks for HTTP/1.1, frames to the
 * socket. */
#include "http/h2_internal.h"

enum { SEND_BATCH = 64 << 10 /* frames gathered for one write */ };

void h2_put_nv(nghttp2_nv *nv, struct str name, struct str value)
{
    /* nghttp2 copies them and writes to neither */
    *nv = (nghttp2_nv){(uint8_t *)(uintptr_t)name.at, (uint8_t *)(uintptr_t)value.at, name.len,
                       value.len, NGHTTP2_NV_FLAG_NONE};
}

struct str h2_lower(struct str name)
{
    char *at = (char *)(uintptr_t)name.at;

    for (size_t i = 0; i < name.len; i++)
        at[i] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] + 32) : at[i];
    return name;
}

size_t h2_take(struct buf *b, char *to, size_t size)
{
    size_t len = b->len < size ? b->len : size;

    if (len > 0)
        memcpy(to, b->at, len);
    buf_consume(b, len);
    return len;
}

size_t h2_put_chunk(struct buf *out, struct buf *data)
{
    size_t len = data->len < H2_FRAMED_MAX ? data->len : H2_FRAMED_MAX;

    buf_printf(out, "%zx\r\n", len);
    buf_add(out, data->at, len);
    buf_add_str(out, STR("\r\n"));
    buf_consume(data, len);
    return len;
}

int h2_send(nghttp2_session *session, struct stream *to)
{
    struct buf batch;
    ssize_t n = 1;

    buf_init(&batch, 2 * SEND_BATCH);
    while (n > 0 && stream_unsent(to) <= STREAM_HIGH) {
        const uint8_t *bytes;

        n = nghttp2_session_mem_send(session, &bytes);
        if (n > 0)
            buf_add(&batch, bytes, (size_t)n);
        if (batch.len > 0 && (n <= 0 || batch.len >= SEND_BATCH)) {
            ignore(stream_write(to, buf_str(&batch))); /* on_drain goes on */
            buf_clear(&batch);
        }
    }
    n = buf_ok(&batch) ? n : -1;
    buf_done(&batch);
    return n < 0 ? -1 : 0;
}
