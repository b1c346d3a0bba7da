/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of file answers; used by files_get.c. */
#include "envd/file_fields.h"

#include <stdio.h>

void http_date(time_t when, char out[HTTP_DATE_MAX])
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm = {0};

    if (gmtime_r(&when, &tm) == NULL || tm.tm_year > 8099) {
        out[0] = '\0';
        return;
    }
    snprintf(out, HTTP_DATE_MAX, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
             (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

const char *content_type_of(struct str name)
{
    static const struct {
        const char *extension, *type;
    } rows[] = {
        {".txt",  "text/plain; charset=utf-8"     },
        {".md",   "text/markdown; charset=utf-8"  },
        {".html", "text/html; charset=utf-8"      },
        {".htm",  "text/html; charset=utf-8"      },
        {".css",  "text/css; charset=utf-8"       },
        {".csv",  "text/csv; charset=utf-8"       },
        {".js",   "text/javascript; charset=utf-8"},
        {".mjs",  "text/javascript; charset=utf-8"},
        {".json", "application/json"              },
        {".xml",  "text/xml; charset=utf-8"       },
        {".pdf",  "application/pdf"               },
        {".zip",  "application/zip"               },
        {".gz",   "application/gzip"              },
        {".tar",  "application/x-tar"             },
        {".wasm", "application/wasm"              },
        {".png",  "image/png"                     },
        {".jpg",  "image/jpeg"                    },
        {".jpeg", "image/jpeg"                    },
        {".gif",  "image/gif"                     },
        {".webp", "image/webp"                    },
        {".svg",  "image/svg+xml"                 },
        {".mp3",  "audio/mpeg"                    },
        {".mp4",  "video/mp4"                     },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (str_has_suffix(name, rows[i].extension))
            return rows[i].type;
    }
    return "application/octet-stream";
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

void content_disposition(struct buf *out, struct str name)
{
    bool needs_quotes = false, needs_encoding = false;

    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];

        needs_quotes |= !is_plain(name.at[i]);
        needs_encoding |= c < ' ' || c >= 0x7f;
    }
    if (needs_encoding) {
        buf_add_text(out, "inline; filename*=utf-8''");
        for (size_t i = 0; i < name.len; i++) {
            if (is_plain(name.at[i]))
                buf_add_byte(out, name.at[i]);
            else
                buf_printf(out, "%%%02X", (unsigned char)name.at[i]);
        }
        return;
    }
    buf_add_text(out, needs_quotes ? "inline; filename=\"" : "inline; filename=");
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] == '"' || name.at[i] == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, name.at[i]);
    }
    buf_add_text(out, needs_quotes ? "\"" : "");
}

enum range_result range_parse(struct str value, uint64_t size, uint64_t *out_start,
                              uint64_t *out_len)
{
    struct str first, last;
    uint64_t start, end;

    if (!str_has_prefix(value, "bytes=") || str_find(value, ',') >= 0 || str_find(value, '-') < 0)
        return RANGE_NONE;
    first = str_trim(str_cut(str_from(value, strlen("bytes=")), '-', &last));
    last = str_trim(last);
    if (first.len == 0) { /* the last n bytes */
        if (!str_to_u64(last, &end))
            return RANGE_NONE;
        if (end == 0 || size == 0)
            return RANGE_BAD;
        *out_len = end < size ? end : size;
        *out_start = size - *out_len;
        return RANGE_PART;
    }
    if (!str_to_u64(first, &start) || (last.len > 0 && !str_to_u64(last, &end)))
        return RANGE_NONE;
    if (last.len == 0)
        end = UINT64_MAX;
    if (end < start)
        return RANGE_NONE;
    if (start >= size)
        return RANGE_BAD;
    *out_start = start;
    *out_len = (end < size ? end + 1 : size) - start;
    return RANGE_PART;
}

/* "q=0", "q=0.0", "q=0.000" */
static bool is_refused(struct str parameters)
{
    struct str rest;
    struct str weight = str_trim(str_cut(parameters, ';', &rest));

    if (!str_has_prefix(weight, "q=") && !str_has_prefix(weight, "Q="))
        return false;
    weight = str_from(weight, 2);
    if (weight.len == 0)
        return false;
    for (size_t i = 0; i < weight.len; i++) {
        if (weight.at[i] != '0' && weight.at[i] != '.')
            return false;
    }
    return true;
}

bool accepts_identity(struct str list)
{
    bool is_any_refused = false;

    while (list.len > 0) {
        struct str parameters, item = str_cut(list, ',', &list);
        struct str coding = str_trim(str_cut(item, ';', &parameters));

        if (str_ieq(coding, STR("identity")))
            return !is_refused(parameters);
        if (str_is(coding, "*"))
            is_any_refused = is_refused(parameters);
    }
    return !is_any_refused;
}
