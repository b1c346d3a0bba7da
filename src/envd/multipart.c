/* SPDX-License-Identifier: Apache-2.0 */
/* See multipart.h. The delimiter begins with CR, which occurs nowhere else in it: after a mismatch
 * the bytes held back are known (they are the delimiter's own start), so nothing needs storing. */
#include "envd/multipart.h"

#include "http/head.h"

enum state {
    PREAMBLE,
    AFTER_DELIMITER, /* "--" or the rest of the delimiter's line */
    LAST_DASH,
    LINE_END,
    HEADERS,
    BODY,
    EPILOGUE,
};

static bool is_token_end(char c)
{
    return c == ';' || c == ' ' || c == '\t';
}

/* The value behind '=': quoted or plain. Returns what follows it. */
static struct str read_value(struct str rest, struct buf *out)
{
    bool is_quoted = rest.len > 0 && rest.at[0] == '"';

    for (rest = str_from(rest, is_quoted); rest.len > 0; rest = str_from(rest, 1)) {
        char c = rest.at[0];

        if (is_quoted && c == '"')
            return str_from(rest, 1);
        if (!is_quoted && is_token_end(c))
            return rest;
        if (is_quoted && c == '\\' && rest.len > 1 && (rest.at[1] == '"' || rest.at[1] == '\\')) {
            rest = str_from(rest, 1);
            c = rest.at[0];
        }
        buf_add_byte(out, c);
    }
    if (is_quoted)
        out->failed = true; /* the quote is never closed */
    return rest;
}

bool header_parameter(struct str value, const char *name, char *out, size_t size)
{
    struct buf text;
    struct str rest, key;
    bool is_found = false, is_ok;

    buf_init(&text, size - 1);
    ignore((long)str_cut(value, ';', &rest).len); /* the part in front of the parameters */
    while (rest.len > 0 && !is_found) {
        rest = str_trim(rest);
        if (rest.len > 0 && rest.at[0] == ';') {
            rest = str_from(rest, 1);
            continue;
        }
        if (str_find(rest, '=') < 0)
            break;
        key = str_trim(str_cut(rest, '=', &rest));
        buf_clear(&text);
        rest = read_value(rest, &text);
        is_found = str_ieq(key, str_of(name));
    }
    is_ok = is_found && buf_ok(&text) && str_to_c(buf_str(&text), out, size);
    buf_done(&text);
    return is_ok;
}

int multipart_init(struct multipart *m, struct str content_type,
                   const struct multipart_events *events, void *ctx, struct err *err)
{
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    size_t len;

    if (!header_parameter(content_type, "boundary", boundary, sizeof(boundary)) ||
        boundary[0] == '\0')
        return err_set(err, ERR_INVALID, "multipart body without a usable boundary");
    len = strlen(boundary);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)boundary[i] < ' ' || boundary[i] == 0x7f)
            return err_set(err, ERR_INVALID, "multipart boundary has a bad character");
    }
    *m = (struct multipart){.events = events, .ctx = ctx, .state = PREAMBLE};
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, len);
    m->delimiter_len = len + 4;
    m->matched = 2; /* the first delimiter may stand at the very start, without its line break */
    buf_init(&m->headers, MULTIPART_HEADERS_MAX);
    return 0;
}

void multipart_done(struct multipart *m)
{
    buf_done(&m->headers);
}

/* Find the field in the block of header lines. */
static struct str header_field(struct str block, const char *name)
{
    while (block.len > 0) {
        struct str value, line = str_cut(block, '\n', &block);

        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        if (str_ieq(str_trim(str_cut(line, ':', &value)), str_of(name)))
            return str_trim(value);
    }
    return (struct str){NULL, 0};
}

/* `UTF-8''a%20b` of RFC 5987, decoded in place. */
static bool decode_extended(char *text, struct str *out)
{
    struct str rest = str_of(text);
    ssize_t len;

    if (!str_ieq(str_cut(rest, '\'', &rest), STR("UTF-8")) || str_find(rest, '\'') < 0)
        return false;
    ignore((long)str_cut(rest, '\'', &rest).len); /* the language */
    len = url_decode(rest, false, text);
    *out = (struct str){text, len < 0 ? 0 : (size_t)len};
    return len > 0;
}

/* Returns the file name, .at NULL when there is none. The plain form stays as it came, because
 * clients do not escape '%' (wire.md 3.11). */
static struct str file_name_of(struct str disposition, char *text, size_t size)
{
    struct str name;

    if (header_parameter(disposition, "filename*", text, size) && decode_extended(text, &name))
        return name;
    if (header_parameter(disposition, "filename", text, size))
        return str_of(text);
    return (struct str){NULL, 0};
}

static int begin_part(struct multipart *m, struct err *err)
{
    struct str disposition = header_field(buf_str(&m->headers), "Content-Disposition");
    auto_free char *file_name = malloc(MULTIPART_HEADERS_MAX);
    char name[256];

    if (file_name == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (++m->part_count > MULTIPART_PARTS_MAX)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): auto_free, which it does not know */
        return err_set(err, ERR_INVALID, "more than %d parts", MULTIPART_PARTS_MAX);
    if (!header_parameter(disposition, "name", name, sizeof(name)))
        name[0] = '\0';
    m->state = BODY;
    m->matched = 0;
    return m->events->on_part(m->ctx, str_of(name),
                              file_name_of(disposition, file_name, MULTIPART_HEADERS_MAX), err);
}

/* Up to and with the empty line behind the headers of a part. */
static int feed_headers(struct multipart *m, struct str *data, struct err *err)
{
    struct str rest, line = str_cut(*data, '\n', &rest);
    bool has_end = line.len < data->len;
    struct str held;

    buf_add(&m->headers, data->at, line.len + has_end);
    if (!buf_ok(&m->headers))
        return err_set(err, ERR_INVALID, "headers of a part are larger than %d bytes",
                       MULTIPART_HEADERS_MAX);
    *data = rest;
    if (!has_end)
        return 0;
    held = buf_str(&m->headers);
    if (!str_is(held, "\r\n") && !str_has_suffix(held, "\r\n\r\n"))
        return 0;
    if (begin_part(m, err) != 0)
        return -1;
    buf_done(&m->headers);
    return 0;
}

static int emit(struct multipart *m, const char *at, size_t len, struct err *err)
{
    if (m->state == PREAMBLE || len == 0)
        return 0;
    return m->events->on_bytes(m->ctx, (struct str){at, len}, err);
}

/* Content up to the next delimiter (or all there is). */
static int feed_content(struct multipart *m, struct str *data, struct err *err)
{
    const char *cr;
    size_t run;

    if (m->matched == 0) {
        cr = memchr(data->at, '\r', data->len);
        run = cr == NULL ? data->len : (size_t)(cr - data->at);
        if (emit(m, data->at, run, err) != 0)
            return -1;
        *data = str_from(*data, run);
    }
    while (data->len > 0 && m->matched < m->delimiter_len &&
           data->at[0] == m->delimiter[m->matched]) {
        m->matched++;
        *data = str_from(*data, 1);
    }
    if (m->matched == m->delimiter_len) {
        bool is_first = m->state == PREAMBLE;

        m->state = AFTER_DELIMITER;
        m->matched = 0;
        return is_first ? 0 : m->events->on_part_end(m->ctx, err);
    }
    if (data->len == 0)
        return 0; /* perhaps the rest of a delimiter comes next */
    run = m->matched;
    m->matched = 0;
    return emit(m, m->delimiter, run, err);
}

/* What follows a delimiter: "--" ends it all, otherwise blanks and a line break. */
static int feed_delimiter_end(struct multipart *m, struct str *data, struct err *err)
{
    char c = data->at[0];

    *data = str_from(*data, 1);
    if (m->state == AFTER_DELIMITER && c == '-')
        m->state = LAST_DASH;
    else if (m->state == LAST_DASH && c == '-')
        m->state = EPILOGUE;
    else if (m->state == AFTER_DELIMITER && c == '\r')
        m->state = LINE_END;
    else if (m->state == LINE_END && c == '\n')
        m->state = HEADERS;
    else if (m->state != AFTER_DELIMITER || (c != ' ' && c != '\t'))
        return err_set(err, ERR_INVALID, "malformed multipart delimiter");
    return 0;
}

int multipart_feed(struct multipart *m, struct str data, struct err *err)
{
    int rc = 0;

    while (rc == 0 && data.len > 0 && m->state != EPILOGUE) {
        if (m->state == HEADERS)
            rc = feed_headers(m, &data, err);
        else if (m->state == PREAMBLE || m->state == BODY)
            rc = feed_content(m, &data, err);
        else
            rc = feed_delimiter_end(m, &data, err);
    }
    return rc;
}

int multipart_end(const struct multipart *m, struct err *err)
{
    if (m->state != EPILOGUE)
        return err_set(err, ERR_INVALID, "unexpected end of the multipart body");
    return 0;
}
