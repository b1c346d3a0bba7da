/* SPDX-License-Identifier: Apache-2.0 */
/* What the two encodings share: where in the message a decoder is, lists, presence, JSON tokens. */
#ifndef CODEC_CODEC_INTERNAL_H
#define CODEC_CODEC_INTERNAL_H

#include "codec/codec.h"

enum { TRAIL_NO_INDEX = -1 };

struct codec_step {
    const char *name; /* member, or NULL */
    ssize_t index;    /* list element, or TRAIL_NO_INDEX */
};

/* The way from the outermost value to the one being decoded: only read when something is wrong. */
struct codec_trail {
    unsigned depth; /* containers entered */
    struct codec_step steps[CODEC_DEPTH_MAX + 1];
};

/* message.c */
must_check int trail_enter(struct codec_trail *t, struct err *err);
void trail_leave(struct codec_trail *t);
/* "process.envs: <text>"; returns -1. */
int trail_fail(const struct codec_trail *t, struct err *err, enum err_kind kind, const char *text);

static inline void trail_name(struct codec_trail *t, const char *name, ssize_t index)
{
    t->steps[t->depth].name = name;
    t->steps[t->depth].index = index;
}

static inline void *field_at(const struct codec_field *f, void *message)
{
    return (char *)message + f->offset;
}

static inline const void *field_of(const struct codec_field *f, const void *message)
{
    return (const char *)message + f->offset;
}

/* The years 1 to 9999, as google.protobuf.Timestamp says. */
static inline bool time_in_range(const struct codec_time *t)
{
    return t->seconds >= -62135596800 && t->seconds <= 253402300799 && t->nanos < 1000000000;
}

static inline bool field_is_list(const struct codec_field *f)
{
    return f->type == CODEC_MAP || (f->flags & CODEC_REPEATED) != 0;
}

size_t field_item_size(const struct codec_field *f);
/* A zeroed element at the end of a list; NULL when the list or the arena is full. */
void *field_add(const struct codec_field *f, struct codec_list *list, struct arena *a);
/* Is it to be encoded, leaving CODEC_ALWAYS aside? */
bool field_is_set(const struct codec_field *f, const void *message);
/* Note that the member was there (optional, oneof). */
void field_mark(const struct codec_field *f, void *message);
/* The number of the oneof's member that is set. */
uint32_t field_oneof(const struct codec_field *f, const void *message);
/* By number and by JSON name. `hint` is where to look first: members tend to come in order. */
const struct codec_field *field_by_number(const struct codec_message *m, uint32_t number,
                                          size_t hint);
const struct codec_field *field_by_name(const struct codec_message *m, struct str name,
                                        size_t hint);
/* Drop all but the last pair of each key. Returns how many went, -1 when the arena is full. */
ssize_t map_settle(struct codec_list *map, struct arena *a);

/* json_scan.c */
struct json_in {
    const char *at, *end, *start;
    struct arena *arena;
    struct err *err;
    struct codec_trail trail;
};

struct json_text {
    struct str raw; /* between the quotes, checked, escapes still in it */
    bool has_escape;
};

void json_open(struct json_in *in, struct str text, struct arena *a, struct err *err);
/* "unexpected character at byte 3" or "unexpected end of input at byte 3"; returns -1. */
int json_fail(struct json_in *in);
/* Skip white space and look at the next byte; 0 at the end (a NUL is no JSON either). */
char json_peek(struct json_in *in);
/* The next byte after white space has to be this one. */
must_check int json_expect(struct json_in *in, char byte);
/* After an element: true when another follows; *end when `closer` was there. -1 if neither. */
must_check int json_more(struct json_in *in, char closer, bool *out_more);
must_check int json_word(struct json_in *in, const char *word);
must_check int json_text(struct json_in *in, struct json_text *out);
must_check int json_number(struct json_in *in, struct str *out_token);
must_check int json_skip(struct json_in *in);
must_check int json_end(struct json_in *in);
/* Writes at most raw.len bytes; returns how many. */
size_t json_unescape(struct str raw, char *out);
/* First byte at or after `at` that is not printable ASCII or that JSON strings must escape. */
const char *json_plain_end(const char *at, const char *end);

/* json_number.c: values of a number token. */
enum number_verdict {
    NUMBER_OK,
    NUMBER_FRACTION,
    NUMBER_RANGE,
};

struct integer {
    uint64_t magnitude;
    bool is_negative;
};

bool number_is_well_formed(struct str token);
enum number_verdict number_to_integer(struct str token, struct integer *out);
/* False when it is too large for a double. `token` is at most NUMBER_TEXT_MAX long. */
enum { NUMBER_TEXT_MAX = 800 };
bool number_to_double(struct str token, double *out);
void number_from_double(struct buf *out, double value);

#endif
