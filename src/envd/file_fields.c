/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of file answers; used by files_get.c. */
#include "envd/file_fields.h"

const char *content_type_of(struct str name)
{
    static const struct {
        const char *extensions, *type;
    } rows[] = {
        {"txt log",  "text/plain; charset=utf-8"     },
        {"md",       "text/markdown; charset=utf-8"  },
        {"html htm", "text/html; charset=utf-8"      },
        {"css",      "text/css; charset=utf-8"       },
        {"csv",      "text/csv; charset=utf-8"       },
        {"js mjs",   "text/javascript; charset=utf-8"},
        {"json",     "application/json"              },
        {"xml",      "text/xml; charset=utf-8"       },
        {"pdf",      "application/pdf"               },
        {"zip",      "application/zip"               },
        {"gz tgz",   "application/gzip"              },
        {"tar",      "application/x-tar"             },
        {"wasm",     "application/wasm"              },
        {"png",      "image/png"                     },
        {"jpg jpeg", "image/jpeg"                    },
        {"gif",      "image/gif"                     },
        {"webp",     "image/webp"                    },
        {"avif",     "image/avif"                    },
        {"ico",      "image/vnd.microsoft.icon"      },
        {"svg",      "image/svg+xml"                 },
        {"mp3",      "audio/mpeg"                    },
        {"wav",      "audio/wav"                     },
        {"mp4",      "video/mp4"                     },
        {"webm",     "video/webm"                    },
        {"woff2",    "font/woff2"                    },
    };
    struct str extension = {NULL, 0};

    for (size_t i = name.len; i-- > 0 && name.at[i] != '/' && extension.at == NULL;) {
        if (name.at[i] == '.')
            extension = str_from(name, i + 1);
    }
    for (size_t i = 0; i < COUNT_OF(rows) && extension.len > 0; i++) {
        struct str rest = str_of(rows[i].extensions);

        while (rest.len > 0) {
            if (str_ieq(str_cut(rest, ' ', &rest), extension))
                return rows[i].type;
        }
    }
    return "application/octet-stream";
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

static void add_escaped(struct buf *out, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";

    buf_add_byte(out, '%');
    buf_add_byte(out, digits[c >> 4]);
    buf_add_byte(out, digits[c & 15]);
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
                add_escaped(out, (unsigned char)name.at[i]);
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
