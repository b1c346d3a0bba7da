/* SPDX-License-Identifier: Apache-2.0 */
/* See sealed.h. Called by store.c. */
#include "store/sealed.h"

enum {
    SHOWN_MAX = 64, /* bytes of a key in a message */
};

static const bool sealed[STORE_KIND_COUNT] = {
    [STORE_SANDBOX] = true, /* tokens, variables, the key of its authority */
    [STORE_WEBHOOK] = true, /* what it signs with */
    [STORE_SECRET] = true,
};

bool sealed_kind(enum store_kind kind)
{
    return kind < STORE_KIND_COUNT && sealed[kind];
}

/* What opens it: its kind and its key. */
static void put_about(const struct sealed_name *name, struct buf *out)
{
    buf_init(out, STORE_KEY_MAX + 16);
    buf_printf(out, "%d/%.*s", (int)name->kind, STR_ARG(str_upto(name->key, STORE_KEY_MAX)));
}

int sealed_put(const struct seal *s, const struct sealed_name *name, struct str value,
               struct buf *out, struct err *err)
{
    struct buf about;
    int result;

    put_about(name, &about);
    result = seal_close(s, buf_str(&about), value, out, err);
    buf_done(&about);
    return result;
}

int sealed_get(const struct seal *s, const struct sealed_name *name, struct str raw,
               struct buf *out, struct err *err)
{
    struct buf about;
    int result;

    if (!seal_is_sealed(raw)) {
        buf_add_str(out, raw);
        return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "a record is too large");
    }
    put_about(name, &about);
    result = seal_open(s, buf_str(&about), raw, out, err);
    buf_done(&about);
    if (result != 0)
        return err_wrap(err, "record '%.*s'", STR_ARG(str_upto(name->key, SHOWN_MAX)));
    return 0;
}

bool sealed_row(void *ctx, struct str key, struct str raw)
{
    struct sealed_rows *rows = ctx;
    const struct sealed_name name = {rows->kind, key};
    struct buf plain;
    bool goes_on = false;

    buf_init(&plain, STORE_VALUE_MAX);
    if (sealed_get(rows->seal, &name, raw, &plain, &rows->err) == 0)
        goes_on = rows->fn(rows->ctx, key, buf_str(&plain));
    else
        rows->is_bad = true;
    if (plain.at != NULL)
        explicit_bzero(plain.at, plain.len);
    buf_done(&plain);
    return goes_on;
}

int sealed_fail(const struct sealed_rows *rows, struct err *err)
{
    return err_set(err, rows->err.kind, "%s", rows->err.text);
}
