/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and JSON of Jupyter's protocol
 * (https://jupyter-client.readthedocs.io/en/stable/messaging.html). The user is jupyter.c. */
#include "interpreter/jupyter_message.h"

#include "base/clock.h"
#include "base/digest.h"

enum {
    SIGNATURE = 2 * SHA256_SIZE,
    PARTS = 4, /* header, parent header, metadata, content */
};

static const char delimiter[] = "<IDS|MSG>";

struct header {
    struct str id, type;
};

struct raw_display {
    struct str data;
};

/* clang-format off */
static const struct codec_field header_fields[] = {
    {1, "msg_id", CODEC_STRING, 0, offsetof(struct header, id)},
    {2, "msg_type", CODEC_STRING, 0, offsetof(struct header, type)},
};
static const struct codec_message header_message =
    {"header", sizeof(struct header), header_fields, COUNT_OF(header_fields)};

static const struct codec_field stream_fields[] = {
    {1, "name", CODEC_STRING, CODEC_REQUIRED, offsetof(struct jupyter_stream, name)},
    {2, "text", CODEC_RAW, CODEC_REQUIRED, offsetof(struct jupyter_stream, text)},
};
static const struct codec_message stream_message =
    {"stream", sizeof(struct jupyter_stream), stream_fields, COUNT_OF(stream_fields)};

static const struct codec_field display_fields[] = {
    {1, "data", CODEC_RAW, CODEC_REQUIRED, offsetof(struct raw_display, data)},
};
static const struct codec_message display_message =
    {"display_data", sizeof(struct raw_display), display_fields, COUNT_OF(display_fields)};

static const struct codec_field error_fields[] = {
    {1, "ename", CODEC_STRING, 0, offsetof(struct jupyter_error, name)},
    {2, "evalue", CODEC_STRING, 0, offsetof(struct jupyter_error, value)},
    {3, "traceback", CODEC_STRING, CODEC_REPEATED, offsetof(struct jupyter_error, traceback)},
};
static const struct codec_message error_message =
    {"error", sizeof(struct jupyter_error), error_fields, COUNT_OF(error_fields)};

static const struct codec_field state_fields[] = {
    {1, "execution_state", CODEC_STRING, 0, offsetof(struct jupyter_state, execution_state)},
    {2, "status", CODEC_STRING, 0, offsetof(struct jupyter_state, status)},
    {3, "execution_count", CODEC_NUMBER, 0, offsetof(struct jupyter_state, execution_count)},
};
static const struct codec_message state_message =
    {"status", sizeof(struct jupyter_state), state_fields, COUNT_OF(state_fields)};
/* clang-format on */

void jupyter_session_init(struct jupyter_session *s)
{
    id_token(s->key);
    id_uuid(s->id);
}

static struct str key_of(const struct jupyter_session *s)
{
    return (struct str){s->key, TOKEN_HEX_LEN};
}

void jupyter_write(const struct jupyter_session *s, const struct jupyter_request *r,
                   struct buf *mem, struct str out[JUPYTER_FRAMES])
{
    uint8_t digest[SHA256_SIZE];
    char date[RFC3339_MAX], hex[SIGNATURE + 1];
    size_t header;

    rfc3339_format_ms(clock_wall_ms(), date);
    buf_clear(mem);
    buf_printf(mem,
               "{\"msg_id\":\"%s\",\"session\":\"%s\",\"username\":\"user\",\"date\":\"%s\","
               "\"msg_type\":\"%s\",\"version\":\"5.3\"}",
               r->id, s->id, date, r->type);
    header = mem->len;
    buf_add_text(mem, "{}");
    buf_add_str(mem, r->metadata);
    buf_add_str(mem, r->content);
    hmac_sha256(key_of(s), buf_str(mem), digest);
    hex_encode(digest, sizeof(digest), hex);
    buf_add(mem, hex, SIGNATURE);
    out[0] = (struct str){delimiter, sizeof(delimiter) - 1};
    out[1] = str_from(buf_str(mem), mem->len - SIGNATURE);
    out[2] = str_upto(buf_str(mem), header);
    out[3] = str_upto(str_from(buf_str(mem), header), 2);
    out[4] = r->metadata;
    out[5] = r->content;
}

/* The place of the delimiter, behind the routing frames. */
static int find_delimiter(const struct str *frames, size_t count, size_t *out)
{
    for (size_t i = 0; i + 1 + PARTS < count; i++) {
        if (str_is(frames[i], delimiter)) {
            *out = i;
            return 0;
        }
    }
    return -1;
}

static bool is_signed(const struct jupyter_session *s, struct str signature,
                      const struct str *parts)
{
    uint8_t digest[SHA256_SIZE];
    char hex[SIGNATURE + 1];
    struct str all = {parts[0].at, 0};
    struct buf copy;

    for (size_t i = 0; i < PARTS; i++)
        all.len += parts[i].len;
    buf_init(&copy, all.len + 1);
    for (size_t i = 0; i < PARTS; i++) {
        /* A message's frames are received end to end, so there is hardly ever anything to copy. */
        if (parts[i].at + parts[i].len != (i + 1 < PARTS ? parts[i + 1].at : all.at + all.len)) {
            buf_clear(&copy);
            for (size_t j = 0; j < PARTS; j++)
                buf_add_str(&copy, parts[j]);
            all = buf_str(&copy);
            break;
        }
    }
    hmac_sha256(key_of(s), all, digest);
    buf_done(&copy);
    hex_encode(digest, sizeof(digest), hex);
    return str_eq_secret(signature, (struct str){hex, SIGNATURE});
}

int jupyter_read(const struct jupyter_session *s, const struct str *frames, size_t count,
                 struct arena *a, struct jupyter_message *out, struct err *err)
{
    struct header own = {0}, parent = {0};
    const struct str *parts;
    size_t at;

    if (find_delimiter(frames, count, &at) != 0)
        return err_set(err, ERR_INVALID, "a message without its frames");
    parts = frames + at + 2;
    if (!is_signed(s, frames[at + 1], parts))
        return err_set(err, ERR_DENIED, "a message with a wrong signature");
    if (json_decode(&header_message, parts[0], a, &own, err) != 0 ||
        json_decode(&header_message, parts[1], a, &parent, err) != 0)
        return err_wrap(err, "the header of a message");
    *out = (struct jupyter_message){own.type, parent.id, parts[3]};
    return 0;
}

int jupyter_read_stream(struct str content, struct arena *a, struct jupyter_stream *out,
                        struct err *err)
{
    *out = (struct jupyter_stream){0};
    if (json_decode(&stream_message, content, a, out, err) != 0)
        return -1;
    if (!str_has_prefix(out->text, "\""))
        return err_set(err, ERR_INVALID, "text: expected a string");
    return 0;
}

int jupyter_read_display(struct str content, struct arena *a, struct jupyter_display *out,
                         struct err *err)
{
    struct raw_display raw = {0};

    *out = (struct jupyter_display){0};
    if (json_decode(&display_message, content, a, &raw, err) != 0)
        return -1;
    return json_members(raw.data, a, &out->data, err);
}

int jupyter_read_error(struct str content, struct arena *a, struct jupyter_error *out,
                       struct err *err)
{
    *out = (struct jupyter_error){0};
    return json_decode(&error_message, content, a, out, err);
}

int jupyter_read_state(struct str content, struct arena *a, struct jupyter_state *out,
                       struct err *err)
{
    *out = (struct jupyter_state){0};
    return json_decode(&state_message, content, a, out, err);
}
