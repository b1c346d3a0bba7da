/* SPDX-License-Identifier: Apache-2.0 */
/* One table-driven codec for proto3 JSON and protobuf.
 *
 * A message is a C struct and a table of its fields; both encodings come from the same table. The
 * rules are proto3's JSON mapping (https://protobuf.dev/programming-guides/json) and wire.md 3.2:
 * unknown members are skipped, both lowerCamelCase and snake_case names are accepted, int64 is a
 * string on output and string or number on input, bytes are base64, enums are names (numbers
 * accepted), null means absent. A known member of the wrong type is an error that names its path.
 *
 * How a field is kept in the struct, by type:
 *
 *   CODEC_STRING, CODEC_BYTES    struct str            (decoded: copied into the arena, NUL behind)
 *   CODEC_BOOL                   bool
 *   CODEC_INT32, CODEC_SINT32    int32_t
 *   CODEC_UINT32                 uint32_t
 *   CODEC_INT64                  int64_t               (JSON output: a string)
 *   CODEC_UINT64                 uint64_t              (JSON output: a string)
 *   CODEC_NUMBER                 int64_t               (JSON only: a plain number both ways)
 *   CODEC_DOUBLE                 double
 *   CODEC_ENUM                   int32_t               (sub: struct codec_enum)
 *   CODEC_MESSAGE                struct pointer, NULL when absent (sub: struct codec_message)
 *   CODEC_TIMESTAMP              struct codec_time     (protobuf's Timestamp; RFC 3339 in JSON)
 *   CODEC_MAP                    struct codec_list of struct codec_pair (string to string)
 *   CODEC_RAW                    struct str            (JSON only: any value, its source text)
 *
 * A decoded string is UTF-8 but may hold NUL bytes: where C text is needed use str_to_c().
 *
 * CODEC_REPEATED: a struct codec_list of the above (for messages: of the structs themselves).
 * CODEC_OPTIONAL: `presence` is the offset of a bool that says whether the member was there. For a
 *   message the pointer alone says it too.
 * CODEC_ONEOF: `presence` is the offset of a uint32_t that holds the number of the member set, 0
 *   for none; members of one oneof share it. A message that is set but NULL is an empty one.
 * CODEC_ALWAYS: an absent message, timestamp or optional member is null, others their default. It
 *   says nothing about members of a oneof. */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum codec_type {
    CODEC_STRING,
    CODEC_BYTES,
    CODEC_BOOL,
    CODEC_INT32,
    CODEC_SINT32,
    CODEC_UINT32,
    CODEC_INT64,
    CODEC_UINT64,
    CODEC_NUMBER,
    CODEC_DOUBLE,
    CODEC_ENUM,
    CODEC_MESSAGE,
    CODEC_TIMESTAMP,
    CODEC_MAP,
    CODEC_RAW,
} __attribute__((packed)); /* of one byte, because tables are long */

enum codec_flag {
    CODEC_REPEATED = 1,
    CODEC_OPTIONAL = 2,
    CODEC_ONEOF = 4,
    CODEC_ALWAYS = 8,   /* JSON output includes it even when it has its default value */
    CODEC_REQUIRED = 16 /* JSON input without it is an error, so output always includes it */
};

enum {
    CODEC_DEPTH_MAX = 32,
    CODEC_ITEMS_MAX = 100000, /* elements of one list or map */
    CODEC_FIELDS_MAX = 256,   /* rows of one table */
};

struct codec_field {
    uint32_t number;  /* protobuf tag; for JSON-only messages any number, unique and not 0 */
    const char *name; /* lowerCamelCase; the snake_case spelling is derived for input */
    enum codec_type type;
    uint8_t flags;
    uint16_t offset;
    uint16_t presence;     /* CODEC_OPTIONAL, CODEC_ONEOF */
    const void *sub;       /* CODEC_MESSAGE, CODEC_ENUM */
    const char *json_name; /* exact JSON name when it is not `name` (allow_internet_access); on
                              input `name` and its snake_case are accepted as well */
};

struct codec_message {
    const char *name; /* for the errors of ipc/; NULL elsewhere */
    size_t size;      /* sizeof the struct */
    const struct codec_field *fields;
    size_t field_count;
};

struct codec_enum_value {
    int32_t number;
    const char *name;
};

struct codec_enum {
    const struct codec_enum_value *values;
    size_t count;
};

struct codec_list {
    void *items; /* COUNT elements one after another */
    size_t count;
};

struct codec_pair {
    struct str key, value;
};

struct codec_time {
    int64_t seconds;
    uint32_t nanos;
};

/* Decode `in` into the zeroed struct `out`. Memory is the arena's; nothing points into `in`. Always
 * all of `in`. When it fails, `out` is to be thrown away.
 *
 * ERR_INVALID with a text such as "timeout: expected an integer" or "unexpected end of input at
 * byte 17"; ERR_LIMIT when depth, items or the arena are exceeded.
 *
 * json_decode wants exactly one object with only white space around it. It rejects: a known member
 * given twice (null or not), except in two spellings with the very same text (RX-05); a map key
 * given twice; two members of one oneof, null
 * within a list or map, lone surrogates, invalid UTF-8, and numbers out of range. Unknown members
 * are skipped but have to be JSON.
 *
 * proto_decode rejects groups, a known field with another wire type, strings that are not UTF-8
 * and timestamps outside the years 1 to 9999. Unknown fields are skipped. The last value of a
 * scalar or map key counts; submessages are merged. CODEC_NUMBER and CODEC_RAW do not exist in
 * protobuf: their numbers are unknown fields. */
must_check int json_decode(const struct codec_message *m, struct str in, struct arena *a, void *out,
                           struct err *err);
must_check int proto_decode(const struct codec_message *m, struct str in, struct arena *a,
                            void *out, struct err *err);

/* Append the encoding. Members with their default value are left out (see CODEC_ALWAYS). Check
 * buf_ok() afterwards. Strings that are not UTF-8 have each bad byte replaced by U+FFFD. */
void json_encode(const struct codec_message *m, const void *in, struct buf *out);
void proto_encode(const struct codec_message *m, const void *in, struct buf *out);

/* The members of an object whose names are data: struct codec_pair of a name and the source text of
 * its value, in the arena. ERR_INVALID when a name is given twice. */
must_check int json_members(struct str in, struct arena *a, struct codec_list *out,
                            struct err *err);
/* A JSON string with its quotes: for bodies that are written by hand. */
void json_quote(struct buf *out, struct str text);
/* Exactly one well-formed JSON value? For CODEC_RAW members that are stored as they came. */
bool json_valid(struct str text);

#endif
