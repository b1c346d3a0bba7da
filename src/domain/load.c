/* SPDX-License-Identifier: Apache-2.0 */
/* Reading all records of a kind at start. Called by domain.c and the files of each noun. */
#include "domain/domain_internal.h"

enum {
    SHOWN_MAX = 64, /* characters of a record's key in a message */
};

struct load {
    struct domain *domain;
    const char *what;
    record_fn *fn;
    struct err *err;
    bool is_bad;
};

static bool on_row(void *ctx, struct str key, struct str value)
{
    struct load *load = ctx;

    if (load->fn(load->domain, value, load->err) == 0)
        return true;
    err_wrap(load->err, "%s '%.*s'", load->what, STR_ARG(str_upto(key, SHOWN_MAX)));
    load->is_bad = true;
    return false;
}

int record_each(struct domain *d, enum store_kind kind, const char *what, record_fn *fn,
                struct err *err)
{
    struct load load = {d, what, fn, err, false};

    return store_each(d->store, kind, on_row, &load, err) != 0 || load.is_bad ? -1 : 0;
}
