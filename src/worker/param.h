/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a function's payload and of its result, in tables: a call is checked against them, and
 * the JSON schemas that the engine is given are written from them (IW-31). */
#ifndef WORKER_PARAM_H
#define WORKER_PARAM_H

#include "codec/codec.h"

enum {
    PARAMS_MAX = 20,
};

enum param_type {
    PARAM_TEXT,    /* text */
    PARAM_TEXTS,   /* list of struct str */
    PARAM_ENV,     /* list of struct codec_pair; an object of strings, or a list of "K=V" */
    PARAM_NUMBER,  /* number within [min, max] */
    PARAM_BOOL,    /* flag */
    PARAM_BASE64,  /* text: the bytes */
    PARAM_MODE,    /* number: permissions, as text in octal ("0644") or a number of 0 to 07777 */
    PARAM_CHANNEL, /* text: the JSON of a reference to an engine's channel */
    PARAM_CONTENT, /* text: that of a text; or `is_channel`, and the JSON of a reference */
    PARAM_OBJECT,  /* text: its JSON */
    PARAM_OBJECTS, /* text: the JSON of a list of them */
};

enum {
    PARAM_REQUIRED = 1,
    PARAM_NULLABLE = 2, /* of results */
};

struct param {
    const char *name;
    enum param_type type;
    int flags;
    const char *help;
    int64_t min, max;  /* PARAM_NUMBER; both 0: any that a program counts with */
    const char *other; /* another name it is taken by, or NULL */
};

struct arg {
    bool is_set;
    bool flag, is_channel;
    int64_t number;
    struct str text;
    struct codec_list list;
};

/* Reads `data` (an object, or null for none) into out[count]; other members are let pass. What is
 * wrong is named: "missing string field 'cmd'". Memory is the arena's. */
must_check int params_read(const struct param *params, size_t count, struct str data,
                           struct arena *a, struct arg *out, struct err *err);
void params_schema(const struct param *params, size_t count, struct buf *out);

#endif
