/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a struct err. Used everywhere. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int sys;
    enum err_kind kind;
} kinds_of_errno[] = {
    {ENOENT,          ERR_NOT_FOUND  },
    {ESRCH,           ERR_NOT_FOUND  },
    {EEXIST,          ERR_EXISTS     },
    {EACCES,          ERR_DENIED     },
    {EPERM,           ERR_DENIED     },
    {EROFS,           ERR_DENIED     },
    {EINVAL,          ERR_INVALID    },
    {ENAMETOOLONG,    ERR_INVALID    },
    {ENOTDIR,         ERR_INVALID    },
    {EISDIR,          ERR_INVALID    },
    {ELOOP,           ERR_INVALID    },
    {EBUSY,           ERR_CONFLICT   },
    {ENOTEMPTY,       ERR_CONFLICT   },
    {ETXTBSY,         ERR_CONFLICT   },
    {EMFILE,          ERR_LIMIT      },
    {ENFILE,          ERR_LIMIT      },
    {EFBIG,           ERR_LIMIT      },
    {E2BIG,           ERR_LIMIT      },
    {EMSGSIZE,        ERR_LIMIT      },
    {ENOSPC,          ERR_NO_SPACE   },
    {EDQUOT,          ERR_NO_SPACE   },
    {ENOSYS,          ERR_UNSUPPORTED},
    {EOPNOTSUPP,      ERR_UNSUPPORTED},
    {EAFNOSUPPORT,    ERR_UNSUPPORTED},
    {EPROTONOSUPPORT, ERR_UNSUPPORTED},
    {ETIMEDOUT,       ERR_TIMEOUT    },
    {ETIME,           ERR_TIMEOUT    },
    {ECONNREFUSED,    ERR_UNAVAILABLE},
    {ECONNRESET,      ERR_UNAVAILABLE},
    {ECONNABORTED,    ERR_UNAVAILABLE},
    {ENOTCONN,        ERR_UNAVAILABLE},
    {EPIPE,           ERR_UNAVAILABLE},
    {EHOSTUNREACH,    ERR_UNAVAILABLE},
    {ENETUNREACH,     ERR_UNAVAILABLE},
    {EAGAIN,          ERR_UNAVAILABLE},
};

static const char *const kind_names[] = {
    [ERR_NONE] = "none",
    [ERR_INVALID] = "invalid",
    [ERR_UNAUTHENTICATED] = "unauthenticated",
    [ERR_DENIED] = "denied",
    [ERR_NOT_FOUND] = "not_found",
    [ERR_EXISTS] = "exists",
    [ERR_CONFLICT] = "conflict",
    [ERR_LIMIT] = "limit",
    [ERR_NO_SPACE] = "no_space",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_TIMEOUT] = "timeout",
    [ERR_UNAVAILABLE] = "unavailable",
    [ERR_SYSTEM] = "system",
};

static enum err_kind kind_of_errno(int sys)
{
    for (size_t i = 0; i < COUNT_OF(kinds_of_errno); i++) {
        if (kinds_of_errno[i].sys == sys)
            return kinds_of_errno[i].kind;
    }
    return ERR_SYSTEM;
}

/* The text is built aside: an argument may well be err->text itself. */
static void commit_text(struct err *err, const char *text)
{
    memcpy(err->text, text, sizeof(err->text));
}

int err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
    char text[sizeof(err->text)] = "";
    va_list args;

    if (err == NULL)
        return -1;
    va_start(args, format);
    ignore(vsnprintf(text, sizeof(text), format, args)); /* cut when it is too long */
    va_end(args);
    err->kind = kind;
    err->sys = 0;
    commit_text(err, text);
    return -1;
}

int err_sys(struct err *err, int sys, const char *format, ...)
{
    char text[sizeof(err->text)] = "";
    va_list args;
    size_t len;

    if (err == NULL)
        return -1;
    va_start(args, format);
    ignore(vsnprintf(text, sizeof(text), format, args));
    va_end(args);
    len = strlen(text);
    ignore(snprintf(text + len, sizeof(text) - len, ": %s", strerror(sys)));
    err->kind = kind_of_errno(sys);
    err->sys = sys;
    commit_text(err, text);
    return -1;
}

int err_wrap(struct err *err, const char *format, ...)
{
    char text[sizeof(err->text)] = "";
    va_list args;
    size_t len, left;

    if (err == NULL)
        return -1;
    va_start(args, format);
    ignore(vsnprintf(text, sizeof(text), format, args));
    va_end(args);
    len = strlen(text);
    left = sizeof(text) - len;
    ignore(snprintf(text + len, left, ": %.*s", (int)left, err->text));
    commit_text(err, text);
    return -1;
}

const char *err_kind_name(enum err_kind kind)
{
    size_t at = (size_t)kind;

    return at < COUNT_OF(kind_names) ? kind_names[at] : "unknown";
}
