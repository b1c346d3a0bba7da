/* SPDX-License-Identifier: Apache-2.0 */
/* See fetch.h. */
#include "image/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "egress/verdict.h"

enum {
    CONNECT_S = 20,
    STALL_S = 60, /* with less than STALL_BYTES per second */
    STALL_BYTES = 100,
    URL_PART_MAX = 512,
};

struct fetcher {
    CURLM *multi;
    const struct fetch_rule *rule;
    struct site site;             /* its `allow` goes before everything else here */
    char refused[PLACE_TEXT_MAX]; /* the last address that may not be reached; "": none */
};

int fetcher_new(const struct fetch_rule *rule, struct fetcher **out, struct err *err)
{
    struct fetcher *f = mem_zero(sizeof *f);

    f->rule = rule;
    if (site_read(rule->allow, "", &f->site, err) != 0) {
        err_wrap(err, "images.allow");
        fetcher_free(f);
        return -1;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        f->multi = curl_multi_init();
    if (f->multi == NULL) {
        fetcher_free(f);
        return err_set(err, ERR_SYSTEM, "libcurl cannot start");
    }
    *out = f;
    return 0;
}

void fetcher_free(struct fetcher *f)
{
    if (f == NULL)
        return;
    if (f->multi != NULL)
        ignore((long)curl_multi_cleanup(f->multi)); /* at the end */
    site_done(&f->site);
    free(f);
}

const char *fetcher_plain_http(const struct fetcher *f)
{
    return f->rule->plain_http;
}

/* The operator's word first: a registry on this machine or in a private network is reached when he
 * says so, and not otherwise. */
static bool may_reach(const struct fetcher *f, const struct place *to)
{
    static const struct policy open;

    for (size_t i = 0; i < f->site.allow.count; i++) {
        if (range_has(&f->site.allow.rows[i], to))
            return true;
    }
    return verdict(&f->site, &open, to, (struct str){0}, NULL) == VERDICT_ALLOW;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetcher *f = ctx;
    struct place to = place_of(&address->addr);

    if (purpose != CURLSOCKTYPE_IPCXN || !may_reach(f, &to)) {
        place_text(&to, f->refused);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_field(char *data, size_t one, size_t len, void *ctx)
{
    static const struct str name = STR("www-authenticate");
    struct fetch *r = ctx;
    struct str line = {data, one * len};
    struct str value;

    if (str_ieq(str_cut(line, ':', &value), name)) {
        buf_add_text(&r->challenge, r->challenge.len > 0 ? ", " : "");
        buf_add_str(&r->challenge, str_trim(str_upto(value, value.len - (value.len >= 2 ? 2 : 0))));
    } else if (str_has_prefix(line, "HTTP/")) {
        buf_clear(&r->challenge); /* of an answer that is not the last */
    }
    return line.len;
}

static size_t take_body(char *data, size_t one, size_t len, void *ctx)
{
    struct fetch *r = ctx;
    struct str part = {data, one * len};
    long status = 0;

    ignore((long)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status));
    if (r->on_body == NULL)
        return part.len;
    return r->on_body(r->ctx, (unsigned)status, part, &r->err) == 0 ? part.len : 0;
}

/* A part of a URL; empty when it has none. */
static bool url_part(CURLU *u, CURLUPart part, char out[URL_PART_MAX])
{
    char *text = NULL;
    bool is_there = curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK;
    int len = snprintf(out, URL_PART_MAX, "%s", is_there ? text : "");

    curl_free(text);
    return len >= 0 && len < URL_PART_MAX;
}

struct origin {
    char scheme[URL_PART_MAX], host[URL_PART_MAX], port[URL_PART_MAX];
    bool has_user;
};

static bool origin_of(const char *url, struct origin *out)
{
    CURLU *u = curl_url();
    char user[URL_PART_MAX];
    bool is_good = u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                   url_part(u, CURLUPART_SCHEME, out->scheme) &&
                   url_part(u, CURLUPART_HOST, out->host) &&
                   url_part(u, CURLUPART_PORT, out->port) && url_part(u, CURLUPART_USER, user);

    curl_url_cleanup(u);
    out->has_user = is_good && user[0] != '\0';
    return is_good;
}

bool fetch_same_origin(const char *a, const char *b)
{
    struct origin x, y;

    return origin_of(a, &x) && origin_of(b, &y) && strcmp(x.scheme, y.scheme) == 0 &&
           strcasecmp(x.host, y.host) == 0 && strcmp(x.port, y.port) == 0;
}

static bool is_plain_host(const struct fetcher *f, const struct origin *o)
{
    struct str rest = str_of(f->rule->plain_http);

    while (rest.len > 0) {
        struct str row = str_trim(str_cut(rest, ',', &rest));
        char both[2 * URL_PART_MAX];

        ignore(snprintf(both, sizeof both, "%s:%s", o->host, o->port));
        if (str_ieq(row, str_of(both)))
            return true;
    }
    return false;
}

static int check_url(const struct fetcher *f, const char *url, struct err *err)
{
    struct origin o;

    if (strlen(url) >= FETCH_URL_MAX || !origin_of(url, &o) || o.has_user)
        return err_set(err, ERR_DENIED, "bad URL '%.100s'", url);
    if (strcmp(o.scheme, "https") == 0)
        return 0;
    if (strcmp(o.scheme, "http") == 0 && is_plain_host(f, &o))
        return 0;
    return err_set(err, ERR_DENIED, "%.100s:%.10s is not asked without TLS; see images.plain_http",
                   o.host, o.port);
}

static void add_field(struct fetch *r, const char *name, const char *value)
{
    char *text = NULL;
    int len = asprintf(&text, "%s%s", name, value);

    if (len < 0)
        abort(); /* out of memory */
    r->list = curl_slist_append(r->list, text);
    explicit_bzero(text, (size_t)len);
    free(text);
}

static void add_fields(struct fetch *r)
{
    if (r->authorization != NULL)
        add_field(r, "Authorization: ", r->authorization);
    if (r->accept != NULL)
        add_field(r, "", r->accept);
    for (size_t i = 0; r->fields != NULL && r->fields[i] != NULL; i++)
        add_field(r, "", r->fields[i]);
    if (r->list != NULL)
        curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->list);
}

static void set_limits(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)STALL_BYTES);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "sandlot");
}

static void set_request(struct fetcher *f, struct fetch *r)
{
    curl_easy_setopt(r->easy, CURLOPT_URL, r->url);
    curl_easy_setopt(r->easy, CURLOPT_PRIVATE, r);
    curl_easy_setopt(r->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(r->easy, CURLOPT_OPENSOCKETDATA, f);
    curl_easy_setopt(r->easy, CURLOPT_HEADERFUNCTION, take_field);
    curl_easy_setopt(r->easy, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(r->easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)r->from);
    if (r->post != NULL)
        curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->post);
    if (r->aws_sigv4 == NULL)
        return;
    curl_easy_setopt(r->easy, CURLOPT_AWS_SIGV4, r->aws_sigv4);
    curl_easy_setopt(r->easy, CURLOPT_USERNAME, r->user);
    curl_easy_setopt(r->easy, CURLOPT_PASSWORD, r->password);
}

int fetch_start(struct fetcher *f, struct fetch *r, struct err *err)
{
    if (check_url(f, r->url, err) != 0)
        return -1;
    r->easy = curl_easy_init();
    if (r->easy == NULL)
        return err_set(err, ERR_LIMIT, "no memory for a request");
    r->status = 0;
    r->err = (struct err){0};
    r->redirect[0] = '\0';
    r->has_ended = false;
    r->list = NULL;
    buf_init(&r->challenge, FETCH_FIELD_MAX);
    f->refused[0] = '\0';
    set_limits(r->easy);
    set_request(f, r);
    add_fields(r);
    if (curl_multi_add_handle(f->multi, r->easy) == CURLM_OK)
        return 0;
    fetch_done(r);
    return err_set(err, ERR_SYSTEM, "libcurl takes no request");
}

void fetch_done(struct fetch *r)
{
    curl_slist_free_all(r->list);
    r->list = NULL;
    if (r->easy != NULL)
        curl_easy_cleanup(r->easy);
    r->easy = NULL;
    buf_done(&r->challenge);
}

static void keep_answer(struct fetcher *f, struct fetch *r, CURLcode code)
{
    const char *redirect = NULL;
    long status = 0;

    ignore((long)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status));
    ignore((long)curl_easy_getinfo(r->easy, CURLINFO_REDIRECT_URL, &redirect));
    r->status = (unsigned)status;
    r->has_ended = true;
    if (redirect != NULL && strlen(redirect) < sizeof r->redirect)
        memcpy(r->redirect, redirect, strlen(redirect) + 1);
    if (code == CURLE_OK || r->err.kind != ERR_NONE)
        return;
    if (f->refused[0] != '\0')
        err_set(&r->err, ERR_DENIED, "%s is a private address; see images.allow", f->refused);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        err_set(&r->err, ERR_TIMEOUT, "no answer, or a slow one");
    else
        err_set(&r->err, ERR_UNAVAILABLE, "%s", curl_easy_strerror(code));
}

struct fetch *fetch_wait(struct fetcher *f, int ms)
{
    CURLMsg *message;
    int running, left;

    if (curl_multi_perform(f->multi, &running) != CURLM_OK)
        return NULL;
    message = curl_multi_info_read(f->multi, &left);
    if (message == NULL) {
        ignore((long)curl_multi_poll(f->multi, NULL, 0, ms, NULL)); /* the next call tells */
        ignore((long)curl_multi_perform(f->multi, &running));
        message = curl_multi_info_read(f->multi, &left);
    }
    if (message != NULL && message->msg == CURLMSG_DONE) {
        CURLcode code = message->data.result;
        CURL *easy = message->easy_handle;
        char *private = NULL;
        struct fetch *r;

        ignore((long)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private));
        r = (struct fetch *)(void *)private;
        keep_answer(f, r, code);
        ignore((long)curl_multi_remove_handle(f->multi, easy)); /* it has ended */
        return r;
    }
    return NULL;
}

int fetch_run(struct fetcher *f, struct fetch *r, struct err *err)
{
    if (fetch_start(f, r, err) != 0)
        return -1;
    while (!r->has_ended)
        ignore((long)(fetch_wait(f, 1000) != NULL));
    if (r->err.kind == ERR_NONE)
        return 0;
    *err = r->err;
    return -1;
}
