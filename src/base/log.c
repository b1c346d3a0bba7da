/* SPDX-License-Identifier: Apache-2.0 */
/* The log writer. Called by api, edge, node and the programs above them. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/digest.h"

enum {
    LINE_MAX_SIZE = 4096, /* with the newline: one write(2), whole on a pipe */
    TEXT_MAX = 3072,      /* the formatted fields, before escaping */
    TAIL_SIZE = 8,        /* kept free for what closes a line that was cut */
    ESCAPE_SIZE = 7,
};

static struct {
    const char *role;
    enum log_level level;
    enum log_format format;
} settings = {"", LOG_LEVEL_INFO, LOG_FORMAT_HUMAN};

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

static const char *const level_words[] = {
    [LOG_LEVEL_DEBUG] = "DEBUG",
    [LOG_LEVEL_INFO] = "INFO ",
    [LOG_LEVEL_WARN] = "WARN ",
    [LOG_LEVEL_ERROR] = "ERROR",
};

struct line {
    char bytes[LINE_MAX_SIZE];
    size_t len;
    bool is_cut;
};

void log_setup(const char *role, enum log_level level, enum log_format format)
{
    settings.role = role;
    settings.level = level;
    settings.format = format;
}

static void add(struct line *line, const char *data, size_t len)
{
    if (line->is_cut || len > sizeof(line->bytes) - TAIL_SIZE - line->len) {
        line->is_cut = true;
        return;
    }
    memcpy(line->bytes + line->len, data, len);
    line->len += len;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

/* What stands for one character that must not appear as it is, or NULL. */
static const char *escape_of(unsigned char c, size_t len, char room[ESCAPE_SIZE])
{
    bool is_json = settings.format == LOG_FORMAT_JSON;

    if (is_json && (c == '"' || c == '\\'))
        ignore(snprintf(room, ESCAPE_SIZE, "\\%c", c));
    else if (c == '\n')
        return "\\n";
    else if (c == '\t')
        return "\\t";
    else if (c < 0x20 || c == 0x7f || len == 0) /* control, or no UTF-8 */
        ignore(snprintf(room, ESCAPE_SIZE, is_json ? "\\u%04x" : "\\x%02x", c));
    else
        return NULL;
    return room;
}

static void add_escaped(struct line *line, struct str text)
{
    char room[ESCAPE_SIZE];

    while (text.len > 0 && !line->is_cut) {
        size_t len = utf8_first(text);
        /* C1 controls (80..9F) steer terminals too */
        bool is_c1 = len == 2 && (uint8_t)text.at[0] == 0xc2 && (uint8_t)text.at[1] < 0xa0;
        const char *escape;

        if (is_c1)
            len = 0;
        escape = escape_of((unsigned char)text.at[0], len, room);
        if (escape != NULL)
            add_text(line, escape);
        else
            add(line, text.at, len);
        text = str_from(text, len == 0 ? 1 : len);
    }
}

static void build_json(struct line *line, enum log_level level, const char *event, struct str text)
{
    char ts[RFC3339_MAX];

    ignore((long)rfc3339_format_ms(clock_wall_ms(), ts));
    add_text(line, "{\"ts\":\"");
    add_text(line, ts);
    add_text(line, "\",\"level\":\"");
    add_text(line, level_names[level]);
    add_text(line, "\",\"role\":\"");
    add_escaped(line, str_of(settings.role));
    add_text(line, "\",\"event\":\"");
    add_escaped(line, str_of(event));
    add_text(line, "\",\"message\":\"");
    add_escaped(line, text);
}

static void build_human(struct line *line, enum log_level level, const char *event, struct str text)
{
    int64_t wall_ms = clock_wall_ms();
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm local = {0};
    char ts[16];

    ignore(localtime_r(&seconds, &local) != NULL); /* midnight then; the line still goes out */
    ignore(snprintf(ts, sizeof(ts), "%02u:%02u:%02u.%03u", (unsigned)local.tm_hour % 24,
                    (unsigned)local.tm_min % 60, (unsigned)local.tm_sec % 61,
                    (unsigned)(wall_ms % 1000)));
    add_text(line, ts);
    add_text(line, " ");
    add_text(line, level_words[level]);
    add_text(line, " ");
    add_escaped(line, str_of(settings.role));
    add_text(line, " ");
    add_escaped(line, str_of(event));
    if (text.len > 0)
        add_text(line, " ");
    add_escaped(line, text);
}

static void log_line(enum log_level level, const char *event, const char *format, va_list args)
{
    bool is_json = settings.format == LOG_FORMAT_JSON;
    char text[TEXT_MAX];
    struct line line = {.len = 0};
    const char *tail;
    int len;

    if (level < settings.level)
        return;
    len = vsnprintf(text, sizeof(text), format, args);
    if (len < 0)
        len = 0;
    line.is_cut = false;
    (is_json ? build_json : build_human)(&line, level, event, str_upto(str_of(text), (size_t)len));
    if ((size_t)len >= sizeof(text))
        line.is_cut = true;
    tail = line.is_cut ? "..." : "";
    /* TAIL_SIZE bytes were kept free for this */
    line.len += (size_t)snprintf(line.bytes + line.len, sizeof(line.bytes) - line.len, "%s%s\n",
                                 tail, is_json ? "\"}" : "");
    ignore(write(STDERR_FILENO, line.bytes, line.len)); /* nobody to tell when the log is gone */
}

void log_debug(const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(LOG_LEVEL_DEBUG, event, format, args);
    va_end(args);
}

void log_info(const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(LOG_LEVEL_INFO, event, format, args);
    va_end(args);
}

void log_warn(const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(LOG_LEVEL_WARN, event, format, args);
    va_end(args);
}

void log_error(const char *event, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(LOG_LEVEL_ERROR, event, format, args);
    va_end(args);
}
