/* SPDX-License-Identifier: Apache-2.0 */
/* Connect-RPC: codes, content types, envelopes. Called by envd for its calls, and by the edge where
 * it has to answer in envd's place. */
#include "http/connect.h"

#include "codec/codec.h"

static const struct {
    const char *name;
    unsigned status; /* of a unary answer */
} codes[] = {
    [CONNECT_OK] = {"ok",                  200},
    [CONNECT_CANCELED] = {"canceled",            499},
    [CONNECT_UNKNOWN] = {"unknown",             500},
    [CONNECT_INVALID_ARGUMENT] = {"invalid_argument",    400},
    [CONNECT_DEADLINE_EXCEEDED] = {"deadline_exceeded",   504},
    [CONNECT_NOT_FOUND] = {"not_found",           404},
    [CONNECT_ALREADY_EXISTS] = {"already_exists",      409},
    [CONNECT_PERMISSION_DENIED] = {"permission_denied",   403},
    [CONNECT_RESOURCE_EXHAUSTED] = {"resource_exhausted",  429},
    [CONNECT_FAILED_PRECONDITION] = {"failed_precondition", 400},
    [CONNECT_ABORTED] = {"aborted",             409},
    [CONNECT_OUT_OF_RANGE] = {"out_of_range",        400},
    [CONNECT_UNIMPLEMENTED] = {"unimplemented",       501},
    [CONNECT_INTERNAL] = {"internal",            500},
    [CONNECT_UNAVAILABLE] = {"unavailable",         503},
    [CONNECT_DATA_LOSS] = {"data_loss",           500},
    [CONNECT_UNAUTHENTICATED] = {"unauthenticated",     401},
};

static const enum connect_code codes_of_kinds[] = {
    [ERR_NONE] = CONNECT_OK,
    [ERR_INVALID] = CONNECT_INVALID_ARGUMENT,
    [ERR_UNAUTHENTICATED] = CONNECT_UNAUTHENTICATED,
    [ERR_DENIED] = CONNECT_PERMISSION_DENIED,
    [ERR_NOT_FOUND] = CONNECT_NOT_FOUND,
    [ERR_EXISTS] = CONNECT_ALREADY_EXISTS,
    [ERR_CONFLICT] = CONNECT_FAILED_PRECONDITION,
    [ERR_LIMIT] = CONNECT_RESOURCE_EXHAUSTED,
    [ERR_NO_SPACE] = CONNECT_RESOURCE_EXHAUSTED,
    [ERR_UNSUPPORTED] = CONNECT_UNIMPLEMENTED,
    [ERR_TIMEOUT] = CONNECT_DEADLINE_EXCEEDED,
    [ERR_UNAVAILABLE] = CONNECT_UNAVAILABLE,
    [ERR_SYSTEM] = CONNECT_INTERNAL,
};

/* A peer may compare literally: no "; charset" (wire.md 3.2). */
static const char *const types[] = {
    [CONNECT_JSON] = "application/json",
    [CONNECT_PROTO] = "application/proto",
    [CONNECT_STREAM_JSON] = "application/connect+json",
    [CONNECT_STREAM_PROTO] = "application/connect+proto",
    [CONNECT_OTHER] = "",
    [CONNECT_REST] = "application/json",
    [CONNECT_LINES] = "application/x-ndjson",
    [CONNECT_EVENTS] = "text/event-stream",
};

const char *connect_code_name(enum connect_code code)
{
    return codes[code].name;
}

unsigned connect_code_status(enum connect_code code)
{
    return codes[code].status;
}

enum connect_code connect_code_of(enum err_kind kind)
{
    return codes_of_kinds[kind];
}

enum connect_form connect_form_of(struct str content_type)
{
    struct str rest;
    struct str type = str_trim(str_cut(content_type, ';', &rest));

    for (size_t i = 0; i < CONNECT_OTHER; i++) {
        if (str_ieq(type, str_of(types[i])))
            return (enum connect_form)i;
    }
    return CONNECT_OTHER;
}

const char *connect_form_type(enum connect_form form)
{
    return form == CONNECT_OTHER ? types[CONNECT_JSON] : types[form];
}

ssize_t envelope_parse(struct str in, size_t max, uint8_t *out_flags, struct str *payload)
{
    const uint8_t *head = (const uint8_t *)in.at;
    size_t len;

    if (in.len == 0)
        return 0;
    if ((head[0] & ENVELOPE_COMPRESSED) != 0)
        return -1;
    if (in.len < ENVELOPE_HEAD)
        return 0;
    len = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    if (len > max)
        return -1;
    if (in.len - ENVELOPE_HEAD < len)
        return 0;
    *out_flags = head[0];
    *payload = (struct str){in.at + ENVELOPE_HEAD, len};
    return (ssize_t)(ENVELOPE_HEAD + len);
}

/* How many bytes of `in` the envelope at the end of `gathered` still lacks, as far as is known. */
static size_t lacking(const struct buf *gathered, struct str in)
{
    const uint8_t *head = (const uint8_t *)gathered->at;
    size_t wanted = ENVELOPE_HEAD;

    if (gathered->len >= ENVELOPE_HEAD)
        wanted += (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    return in.len < wanted - gathered->len ? in.len : wanted - gathered->len;
}

ssize_t envelope_gather(struct buf *gathered, struct str in, size_t max, struct envelope *out)
{
    size_t taken = 0;
    ssize_t used = 0;

    *out = (struct envelope){false};
    if (gathered->len == 0) { /* the usual case: nothing is copied */
        used = envelope_parse(in, max, &out->flags, &out->payload);
        out->is_whole = used > 0;
        if (used != 0)
            return used;
    }
    /* Its head, then its payload: the second is known with the first. */
    for (int part = 0; part < 2 && used == 0 && buf_ok(gathered); part++) {
        size_t more = lacking(gathered, str_from(in, taken));

        buf_add_str(gathered, str_upto(str_from(in, taken), more));
        taken += more;
        used = envelope_parse(buf_str(gathered), max, &out->flags, &out->payload);
    }
    out->is_whole = used > 0;
    return used < 0 || !buf_ok(gathered) ? -1 : (ssize_t)taken;
}

void envelope_head(uint8_t flags, uint32_t len, uint8_t out[ENVELOPE_HEAD])
{
    out[0] = flags;
    out[1] = (uint8_t)(len >> 24);
    out[2] = (uint8_t)(len >> 16);
    out[3] = (uint8_t)(len >> 8);
    out[4] = (uint8_t)len;
}

void connect_error_body(struct buf *out, enum connect_code code, struct str message)
{
    buf_add_text(out, "{\"code\":\"");
    buf_add_text(out, codes[code].name);
    buf_add_text(out, "\",\"message\":");
    json_quote(out, message);
    buf_add_byte(out, '}');
}

void envelope_end(struct buf *out, enum connect_code code, struct str message)
{
    uint8_t head[ENVELOPE_HEAD] = {0};
    size_t from;

    buf_add(out, head, sizeof(head)); /* its length follows */
    from = out->len;
    if (code == CONNECT_OK) {
        buf_add_text(out, "{}");
    } else {
        buf_add_text(out, "{\"error\":");
        connect_error_body(out, code, message);
        buf_add_byte(out, '}');
    }
    if (!buf_ok(out))
        return;
    envelope_head(ENVELOPE_END, (uint32_t)(out->len - from), head);
    memcpy(out->at + from - sizeof(head), head, sizeof(head));
}
