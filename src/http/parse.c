/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a message head: a strict scanner of bytes that never looks back. What the fields
 * mean is in framing.c. Called by the server for requests and by the client for answers. */
#include "http/parse_internal.h"

enum {
    METHOD_MAX = 32,
    MORE = 0, /* results of a step: the input ends here, */
    NEXT = 1, /* or go on, or minus a status */
    T = CHAR_TOKEN,
    V = CHAR_VALUE,
    U = CHAR_TARGET,
    H = CHAR_HOST,
};

/* '#' starts a fragment and never travels in a target; the other printable characters that URIs
 * exclude do, because browsers send them. */
const uint8_t http_classes[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = T | V | U,
    ['"'] = V | U,
    ['#'] = T | V,
    ['$' ... '\''] = T | V | U,
    ['(' ... ')'] = V | U,
    ['*' ... '+'] = T | V | U,
    [','] = V | U,
    ['-' ... '.'] = T | V | U | H,
    ['/'] = V | U,
    ['0' ... '9'] = T | V | U | H,
    [':' ... '@'] = V | U,
    ['A' ... 'Z'] = T | V | U | H,
    ['[' ... ']'] = V | U,
    ['^'] = T | V | U,
    ['_'] = T | V | U | H,
    ['`'] = T | V | U,
    ['a' ... 'z'] = T | V | U | H,
    ['{'] = V | U,
    ['|'] = T | V | U,
    ['}'] = V | U,
    ['~'] = T | V | U | H,
    [0x80 ... 0xff] = V,
};

struct scan {
    const char *at, *end;
    const char *why;
};

bool http_all_are(struct str s, enum char_class class)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!http_char_is(s.at[i], class))
            return false;
    }
    return s.len > 0;
}

static int bad(struct scan *s, int status, const char *why)
{
    s->why = why;
    return -status;
}

static struct str run_of(struct scan *s, enum char_class class)
{
    const char *start = s->at;

    while (s->at < s->end && http_char_is(*s->at, class))
        s->at++;
    return (struct str){start, (size_t)(s->at - start)};
}

static int skip_byte(struct scan *s, char byte, const char *why)
{
    if (s->at == s->end)
        return MORE;
    if (*s->at != byte)
        return bad(s, 400, why);
    s->at++;
    return NEXT;
}

static int skip_crlf(struct scan *s, const char *why)
{
    int result = skip_byte(s, '\r', why);

    return result == NEXT ? skip_byte(s, '\n', why) : result;
}

/* "HTTP/1.1": any other well-formed version is 505. */
static int scan_version(struct scan *s, uint8_t *out_minor)
{
    static const char form[] = "HTTP/d.d";
    const char *start = s->at;

    for (; form[s->at - start] != '\0'; s->at++) {
        char want = form[s->at - start];

        if (s->at == s->end)
            return MORE;
        if (want == 'd' ? *s->at < '0' || *s->at > '9' : *s->at != want)
            return bad(s, 400, "malformed HTTP version");
    }
    if (start[5] != '1' || start[7] > '1')
        return bad(s, 505, "HTTP version is not supported");
    *out_minor = (uint8_t)(start[7] - '0');
    return NEXT;
}

static int scan_field(struct scan *s, struct http_head *h)
{
    struct http_field *f = &h->fields[h->field_count];
    int result;

    if (*s->at == ' ' || *s->at == '\t')
        return bad(s, 400, "folded field lines are not allowed");
    if (h->field_count == HTTP_FIELDS_MAX)
        return bad(s, 431, "too many fields");
    f->name = run_of(s, CHAR_TOKEN);
    result = skip_byte(s, ':', "malformed field name");
    if (result != NEXT)
        return result;
    if (f->name.len == 0)
        return bad(s, 400, "empty field name");
    f->value = str_trim(run_of(s, CHAR_VALUE));
    h->field_count++;
    return skip_crlf(s, "malformed field value");
}

/* Field lines and the empty line behind them. */
static int scan_fields(struct scan *s, struct http_head *h)
{
    while (s->at < s->end && *s->at != '\r' && *s->at != '\n') {
        int result = scan_field(s, h);

        if (result != NEXT)
            return result;
    }
    return skip_crlf(s, "malformed line end");
}

/* Absolute form ("http://host/path") becomes origin form; the authority is compared with Host. */
static int split_target(struct scan *s, struct http_head *h, struct str *authority)
{
    struct str rest = h->target;
    size_t scheme = str_ieq(str_upto(rest, 7), STR("http://"))    ? 7
                    : str_ieq(str_upto(rest, 8), STR("https://")) ? 8
                                                                  : 0;

    if (str_is(h->method, "CONNECT"))
        return bad(s, 501, "CONNECT is not supported");
    if (scheme > 0) {
        ssize_t slash;

        rest = str_from(rest, scheme);
        slash = str_find(rest, '/');
        *authority = slash < 0 ? rest : str_upto(rest, (size_t)slash);
        h->target = slash < 0 ? STR("/") : str_from(rest, (size_t)slash);
        if (authority->len == 0)
            return bad(s, 400, "malformed request target");
    } else if (rest.at[0] != '/' && !(str_is(rest, "*") && str_is(h->method, "OPTIONS"))) {
        return bad(s, 400, "malformed request target");
    }
    h->path = str_cut(h->target, '?', &h->query);
    return NEXT;
}

static int scan_request_line(struct scan *s, struct http_head *h, struct str *authority)
{
    int result;

    h->method = run_of(s, CHAR_TOKEN);
    if (h->method.len > METHOD_MAX)
        return bad(s, 400, "malformed method");
    result = skip_byte(s, ' ', "malformed method");
    if (result != NEXT)
        return result;
    if (h->method.len == 0)
        return bad(s, 400, "malformed method");
    h->target = run_of(s, CHAR_TARGET);
    result = skip_byte(s, ' ', "malformed request target");
    if (result != NEXT)
        return result;
    if (h->target.len == 0)
        return bad(s, 400, "malformed request target");
    result = scan_version(s, &h->minor);
    if (result == NEXT)
        result = skip_crlf(s, "malformed request line");
    return result == NEXT ? split_target(s, h, authority) : result;
}

static int scan_status_line(struct scan *s, struct http_head *h)
{
    int result = scan_version(s, &h->minor);

    if (result == NEXT)
        result = skip_byte(s, ' ', "malformed status line");
    if (result != NEXT)
        return result;
    if (s->end - s->at < 4)
        return MORE;
    for (int i = 0; i < 3; i++, s->at++) {
        if (*s->at < '0' || *s->at > '9')
            return bad(s, 400, "malformed status");
        h->status = (uint16_t)(h->status * 10 + (*s->at - '0'));
    }
    if (h->status < 100)
        return bad(s, 400, "malformed status");
    /* The blank before an empty reason is often forgotten. */
    if (*s->at == ' ') {
        s->at++;
        h->reason = run_of(s, CHAR_VALUE);
    }
    return skip_crlf(s, "malformed status line");
}

static void head_init(struct http_head *h)
{
    memset(h, 0, offsetof(struct http_head, fields));
}

static struct scan scan_of(struct str in)
{
    struct str first = str_upto(in, HTTP_HEAD_MAX);

    return (struct scan){first.at, first.at + first.len, NULL};
}

int http_parse_request(struct str in, struct http_head *out, const char **why)
{
    struct scan s = scan_of(in);
    struct str authority = {NULL, 0};
    int result = NEXT;

    if (in.len == 0)
        return MORE;
    head_init(out);
    /* One empty line in front is forgiven (RFC 9112 2.2): old clients end a body with it. */
    if (*s.at == '\r')
        result = skip_crlf(&s, "malformed method");
    if (result == NEXT)
        result = scan_request_line(&s, out, &authority);
    if (result == NEXT)
        result = scan_fields(&s, out);
    if (result == NEXT)
        result = http_frame_request(out, authority, &s.why);
    if (result == MORE && in.len >= HTTP_HEAD_MAX)
        result = bad(&s, 431, "request head is too large");
    *why = s.why;
    return result == NEXT ? (int)(s.at - in.at) : result;
}

int http_parse_response(struct str in, struct str method, struct http_head *out, const char **why)
{
    struct scan s = scan_of(in);
    int result;

    if (in.len == 0)
        return MORE;
    head_init(out);
    result = scan_status_line(&s, out);
    if (result == NEXT)
        result = scan_fields(&s, out);
    if (result == NEXT)
        result = http_frame_response(out, method, &s.why);
    if (result == MORE && in.len >= HTTP_HEAD_MAX)
        result = bad(&s, 502, "response head is too large");
    *why = s.why;
    if (result == NEXT)
        return (int)(s.at - in.at);
    return result == MORE ? MORE : -502;
}
