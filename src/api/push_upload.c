/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs on their way in: in one piece, in several, or gone on with after a cut (OCI distribution,
 * "Pushing blobs"). The body goes to the disk as it comes: a slow disk slows the client, and what
 * is in memory is one read of it (CT-37). Called by the gate. */
#include "api/errors.h"
#include "api/push.h"

/* One request that brings bytes. Ids, as the build may end meanwhile. */
struct incoming {
    struct call *call;
    char id[UUID_LEN + 1];
    struct str digest; /* it is complete then; empty: more will come */
    bool has_end;      /* the request says which bytes these are */
    uint64_t end;      /* the place of the last one */
    bool is_lone;      /* nobody can go on with it */
};

static struct push_upload *find(const struct call *c, struct str id)
{
    return push_upload_find(c->api->pushes, str_of(c->build_id), id);
}

static struct str range_of(const struct call *c, uint64_t size)
{
    return str_of(arena_printf(exchange_arena(c->x), "0-%llu",
                               (unsigned long long)(size > 0 ? size - 1 : 0)));
}

static void answer_open(struct call *c, unsigned status, const struct push_upload *u)
{
    push_reply(c, &(struct push_reply){
                      .status = status,
                      .location = push_location(c, "blobs/uploads", push_upload_id(u)),
                      .range = range_of(c, push_upload_size(u)),
                      .upload = push_upload_id(u),
                  });
}

static void answer_done(struct call *c, struct str digest)
{
    push_reply(c, &(struct push_reply){
                      .status = 201,
                      .location = push_location(c, "blobs", digest),
                      .digest = digest,
                  });
}

static void refuse(struct call *c, const struct err *err)
{
    if (err->kind == ERR_LIMIT)
        push_refuse(c, 413, "SIZE_INVALID", "%s", err->text);
    else
        push_fail(c, err->kind == ERR_INVALID ? "DIGEST_INVALID" : "BLOB_UPLOAD_INVALID", err);
}

static void refuse_unknown(struct call *c)
{
    push_refuse(c, 404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload");
}

/* The client is away. What it sent stays for a while, if it knows where. */
static void on_gone(void *ctx, struct exchange *x)
{
    struct incoming *in = ctx;
    struct call *c = in->call;
    struct push_upload *u = find(c, str_of(in->id));

    ignore((long)(x == c->x));
    if (u != NULL && in->is_lone)
        push_upload_drop(u);
    else if (u != NULL)
        push_upload_give(u);
    free(in);
    c->x = NULL;
    call_reply_empty(c, 499);
}

static void finish(struct incoming *in, struct push_upload *u)
{
    struct call *c = in->call;
    struct str digest = in->digest;
    struct err err = {0};

    if (in->has_end && push_upload_size(u) != in->end + 1) {
        push_upload_drop(u);
        push_refuse(c, 400, "SIZE_INVALID", "the body is not what Content-Range says");
    } else if (digest.len == 0) {
        push_upload_give(u);
        answer_open(c, 202, u);
    } else if (push_upload_end(u, digest, &err) == 0) {
        answer_done(c, digest);
    } else {
        refuse(c, &err);
    }
    free(in);
}

static size_t on_data(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct incoming *in = ctx;
    struct call *c = in->call;
    struct push_upload *u = find(c, str_of(in->id));
    struct err err = {0};

    ignore((long)(x == c->x));
    if (u == NULL) {
        free(in);
        refuse_unknown(c);
        return 0;
    }
    if (is_last) {
        finish(in, u);
        return 0;
    }
    if (push_upload_write(u, data, &err) == 0)
        return data.len;
    push_upload_drop(u);
    free(in);
    refuse(c, &err);
    return 0;
}

static void take_body(struct call *c, struct push_upload *u, const struct incoming *how)
{
    struct incoming *in = mem_zero(sizeof(*in));

    *in = *how;
    in->call = c;
    ignore(str_to_c(push_upload_id(u), in->id, sizeof(in->id)));
    exchange_on_gone(c->x, on_gone, in);
    exchange_on_body(c->x, on_data, in);
}

/* POST /v2/…/blobs/uploads/: an upload; with ?digest= all of it; with ?mount= perhaps none. */
void push_upload_post(struct call *c)
{
    const struct build *b = push_build(c);
    struct incoming how = {.is_lone = true};
    struct str mount;
    struct push_upload *u;
    struct err err = {0};
    uint64_t size;
    int fd;

    if (b == NULL)
        return;
    how.digest = call_query(c, "digest");
    mount = call_query(c, "mount");
    if (how.digest.len > 0 && !push_digest_is_good(how.digest)) {
        push_refuse(c, 400, "DIGEST_INVALID", "a digest is sha256: and 64 digits");
        return;
    }
    /* Other repositories cannot be read; what is here already need not come again. */
    if (mount.len > 0 && push_blob_open(c->api->pushes, b->r.id, mount, &fd, &size, NULL) == 0) {
        own_close_fd(&fd);
        answer_done(c, mount);
        return;
    }
    if (push_upload_new(c->api->pushes, b->r.id, &u, &err) != 0) {
        push_fail(c, err.kind == ERR_LIMIT ? "TOOMANYREQUESTS" : "UNKNOWN", &err);
        return;
    }
    if (how.digest.len == 0)
        answer_open(c, 202, u);
    else if (push_upload_take(u))
        take_body(c, u, &how);
}

/* "FIRST-LAST" */
static bool read_range(struct str text, uint64_t *out_first, uint64_t *out_last)
{
    struct str last;
    struct str first = str_cut(text, '-', &last);

    return str_to_u64(first, out_first) && str_to_u64(last, out_last) && *out_first <= *out_last &&
           *out_last < INT64_MAX;
}

/* Bytes follow those that are there, or are refused with how many that are. */
static int check_range(struct call *c, const struct push_upload *u, struct incoming *how)
{
    const struct http_head *h = exchange_head(c->x);
    struct str range = http_field(h, "content-range");
    uint64_t first;

    if (range.at == NULL)
        return 0;
    if (!read_range(range, &first, &how->end)) {
        push_refuse(c, 400, "BLOB_UPLOAD_INVALID", "Content-Range must be FIRST-LAST");
        return -1;
    }
    if (first != push_upload_size(u)) {
        answer_open(c, 416, u);
        return -1;
    }
    if (h->framing == HTTP_LENGTH && h->body_length != how->end - first + 1) {
        push_refuse(c, 400, "SIZE_INVALID", "the body is not what Content-Range says");
        return -1;
    }
    how->has_end = true;
    return 0;
}

/* The upload that the path names, of a build that takes pushes; NULL: refused. */
static struct push_upload *asked_for(struct call *c)
{
    struct push_upload *u;

    if (push_build(c) == NULL)
        return NULL;
    u = find(c, call_param(c, 2));
    if (u == NULL)
        refuse_unknown(c);
    return u;
}

static void go_on(struct call *c, struct incoming *how)
{
    struct push_upload *u = asked_for(c);

    if (u == NULL)
        return;
    if (check_range(c, u, how) != 0)
        return;
    if (!push_upload_take(u)) {
        push_refuse(c, 409, "BLOB_UPLOAD_INVALID", "another request writes to this upload");
        return;
    }
    take_body(c, u, how);
}

void push_upload_patch(struct call *c)
{
    go_on(c, &(struct incoming){0});
}

/* The last piece, which may be empty. */
void push_upload_put(struct call *c)
{
    struct incoming how = {.digest = call_query(c, "digest")};

    if (push_digest_is_good(how.digest))
        go_on(c, &how);
    else
        push_refuse(c, 400, "DIGEST_INVALID", "a digest is sha256: and 64 digits");
}

void push_upload_get(struct call *c)
{
    const struct push_upload *u = asked_for(c);

    if (u != NULL)
        answer_open(c, 204, u);
}

void push_upload_delete(struct call *c)
{
    struct push_upload *u = asked_for(c);

    if (u == NULL)
        return;
    if (!push_upload_take(u)) {
        push_refuse(c, 409, "BLOB_UPLOAD_INVALID", "another request writes to this upload");
    } else {
        push_upload_drop(u);
        push_reply(c, &(struct push_reply){.status = 204});
    }
}
