/* SPDX-License-Identifier: Apache-2.0 */
/* What the clients of /execute read. Callers: the drivers, execution.c. */
#include "interpreter/lines.h"

#include "base/clock.h"
#include "interpreter/ascii.h"

struct member {
    const char *mime, *name;
};

static const struct member members[] = {
    {"text/plain",             "text"      },
    {"text/html",              "html"      },
    {"text/markdown",          "markdown"  },
    {"image/svg+xml",          "svg"       },
    {"image/png",              "png"       },
    {"image/jpeg",             "jpeg"      },
    {"application/pdf",        "pdf"       },
    {"text/latex",             "latex"     },
    {"application/json",       "json"      },
    {"application/javascript", "javascript"},
    {"e2b/data",               "data"      },
    {"e2b/chart",              "chart"     },
};

static const char *member_of(struct str mime)
{
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (str_is(mime, members[i].mime))
            return members[i].name;
    }
    return NULL;
}

static void add_time(struct buf *out)
{
    char text[RFC3339_MAX];

    rfc3339_format_ms(clock_wall_ms(), text);
    buf_printf(out, ",\"timestamp\":\"%s\"}\n", text);
}

static void begin_stream(struct buf *out, bool is_stderr)
{
    buf_printf(out, "{\"type\":\"%s\",\"text\":", is_stderr ? "stderr" : "stdout");
}

void line_count(struct buf *out, int64_t count)
{
    buf_printf(out, "{\"type\":\"number_of_executions\",\"execution_count\":%lld}\n",
               (long long)count);
}

void line_stream(struct buf *out, bool is_stderr, struct str text)
{
    begin_stream(out, is_stderr);
    ascii_json(out, text);
    add_time(out);
}

void line_stream_bytes(struct buf *out, bool is_stderr, struct str bytes)
{
    begin_stream(out, is_stderr);
    ascii_quote(out, bytes);
    add_time(out);
}

/* The source of a text's value, without the quotes that a language's repr put around a string. */
static void add_plain(struct buf *out, struct str json)
{
    struct str in = str_from(json, 1);
    bool is_single;

    in.len--;
    is_single = in.len >= 2 && in.at[0] == '\'' && in.at[in.len - 1] == '\'';
    if (is_single)
        in = str_upto(str_from(in, 1), in.len - 2);
    else if (in.len >= 4 && str_has_prefix(in, "\\\"") && str_has_suffix(in, "\\\""))
        in = str_upto(str_from(in, 2), in.len - 4);
    buf_add_byte(out, '"');
    ascii_json(out, in);
    buf_add_byte(out, '"');
}

static void add_value(struct buf *out, const struct codec_pair *p)
{
    if (str_is(p->key, "text/plain") && str_has_prefix(p->value, "\""))
        add_plain(out, p->value);
    else
        ascii_json(out, p->value);
}

static void add_extra(struct buf *out, const struct codec_pair *pairs, size_t count)
{
    const char *before = ",\"extra\":{";

    for (size_t i = 0; i < count; i++) {
        if (member_of(pairs[i].key) != NULL)
            continue;
        buf_add_text(out, before);
        ascii_quote(out, pairs[i].key);
        buf_add_byte(out, ':');
        ascii_json(out, pairs[i].value);
        before = ",";
    }
    if (before[1] == '\0')
        buf_add_byte(out, '}');
}

void line_result(struct buf *out, bool is_main, const struct codec_list *data)
{
    const struct codec_pair *pairs = data->items;

    if (data->count == 0)
        return;
    buf_printf(out, "{\"type\":\"result\",\"is_main_result\":%s", is_main ? "true" : "false");
    for (size_t i = 0; i < data->count; i++) {
        const char *name = member_of(pairs[i].key);

        if (name == NULL || str_is(pairs[i].value, "null"))
            continue;
        buf_printf(out, ",\"%s\":", name);
        add_value(out, &pairs[i]);
    }
    add_extra(out, pairs, data->count);
    buf_add_text(out, "}\n");
}

void line_error(struct buf *out, struct str name, struct str value, struct str traceback)
{
    buf_add_text(out, "{\"type\":\"error\",\"name\":");
    ascii_quote(out, name);
    buf_add_text(out, ",\"value\":");
    ascii_quote(out, value);
    buf_add_text(out, ",\"traceback\":");
    ascii_quote(out, traceback);
    buf_add_text(out, "}\n");
}

void line_keepalive(struct buf *out)
{
    buf_add_text(out, "{\"type\":\"keepalive\"}\n");
}

void line_end(struct buf *out)
{
    buf_add_text(out, "{\"type\":\"end_of_execution\"}\n");
}
