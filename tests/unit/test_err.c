/* SPDX-License-Identifier: Apache-2.0 */
/* base/err: kinds, texts, wrapping, cutting. */
#include <errno.h>

#include "base/err.h"
#include "base/str.h"
#include "test.h"

static void sets_kind_and_text(void)
{
    struct err err = {0};

    CHECK(err_set(&err, ERR_LIMIT, "%d of %d", 3, 2) == -1);
    CHECK(err.kind == ERR_LIMIT);
    CHECK(err.sys == 0);
    CHECK(strcmp(err.text, "3 of 2") == 0);
}

static void derives_kind_from_errno(void)
{
    static const struct {
        int sys;
        enum err_kind kind;
    } rows[] = {
        {ENOENT,       ERR_NOT_FOUND  },
        {EEXIST,       ERR_EXISTS     },
        {EACCES,       ERR_DENIED     },
        {ENOSPC,       ERR_NO_SPACE   },
        {EDQUOT,       ERR_NO_SPACE   },
        {ETIMEDOUT,    ERR_TIMEOUT    },
        {EIO,          ERR_SYSTEM     },
        {ENOSYS,       ERR_UNSUPPORTED},
        {ECONNREFUSED, ERR_UNAVAILABLE},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err err = {0};

        CHECK(err_sys(&err, rows[i].sys, "open '%s'", "x") == -1);
        CHECK(err.kind == rows[i].kind);
        CHECK(err.sys == rows[i].sys);
        CHECK(str_has_prefix(str_of(err.text), "open 'x': "));
        CHECK(str_has_suffix(str_of(err.text), strerror(rows[i].sys)));
    }
}

static void wraps_outermost_first(void)
{
    struct err err = {0};

    ignore(err_sys(&err, ENOENT, "open rootfs"));
    CHECK(err_wrap(&err, "start %s", "sbx") == -1);
    CHECK(strcmp(err.text, "start sbx: open rootfs: No such file or directory") == 0);
    CHECK(err.kind == ERR_NOT_FOUND);
    CHECK(err.sys == ENOENT);
}

static void may_quote_itself(void)
{
    struct err err = {0};

    ignore(err_set(&err, ERR_INVALID, "inner"));
    ignore(err_set(&err, ERR_CONFLICT, "outer (%s)", err.text));
    CHECK(strcmp(err.text, "outer (inner)") == 0);
}

static void cuts_long_texts(void)
{
    struct err err = {0};
    char text[1000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ignore(err_set(&err, ERR_INVALID, "%s", text));
    CHECK(strlen(err.text) == sizeof(err.text) - 1);
    ignore(err_sys(&err, EIO, "%s", text));
    CHECK(strlen(err.text) == sizeof(err.text) - 1);
    ignore(err_wrap(&err, "w%s", text));
    CHECK(strlen(err.text) == sizeof(err.text) - 1);
    CHECK(err.text[0] == 'w');
}

static void accepts_no_err(void)
{
    CHECK(err_set(NULL, ERR_INVALID, "x") == -1);
    CHECK(err_sys(NULL, EIO, "x") == -1);
    CHECK(err_wrap(NULL, "x") == -1);
}

static void names_every_kind(void)
{
    CHECK(strcmp(err_kind_name(ERR_NOT_FOUND), "not_found") == 0);
    for (int kind = ERR_NONE; kind <= ERR_SYSTEM; kind++) {
        CHECK(err_kind_name((enum err_kind)kind) != NULL);
        for (int other = ERR_NONE; other < kind; other++)
            CHECK(strcmp(err_kind_name((enum err_kind)kind), err_kind_name((enum err_kind)other)) !=
                  0);
    }
    CHECK(strcmp(err_kind_name((enum err_kind)99), "unknown") == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"sets kind and text",      sets_kind_and_text     },
        {"derives kind from errno", derives_kind_from_errno},
        {"wraps outermost first",   wraps_outermost_first  },
        {"may quote itself",        may_quote_itself       },
        {"cuts long texts",         cuts_long_texts        },
        {"accepts no err",          accepts_no_err         },
        {"names every kind",        names_every_kind       },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
