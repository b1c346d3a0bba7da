/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of an execution; see run_output.h. Called by run.c. */
#include "cli/run_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/digest.h"
#include "base/write.h"
#include "codec/codec.h"

enum {
    FILES_MAX = 100000, /* numbers that are tried */
    NAME_SIZE = 32,
};

struct line {
    struct str type, text;
    struct str name, value, traceback;                  /* error */
    struct str markdown, latex, html, javascript, json; /* result, as all below */
    struct str png, jpeg, svg, pdf;
};

/* clang-format off */
static const struct codec_field line_fields[] = {
    {1, "type", CODEC_STRING, CODEC_REQUIRED, offsetof(struct line, type)},
    {2, "text", CODEC_STRING, 0, offsetof(struct line, text)},
    {3, "name", CODEC_STRING, 0, offsetof(struct line, name)},
    {4, "value", CODEC_STRING, 0, offsetof(struct line, value)},
    {5, "traceback", CODEC_STRING, 0, offsetof(struct line, traceback)},
    {6, "markdown", CODEC_STRING, 0, offsetof(struct line, markdown)},
    {7, "latex", CODEC_STRING, 0, offsetof(struct line, latex)},
    {8, "html", CODEC_STRING, 0, offsetof(struct line, html)},
    {9, "javascript", CODEC_STRING, 0, offsetof(struct line, javascript)},
    {10, "json", CODEC_RAW, 0, offsetof(struct line, json)},
    {11, "png", CODEC_STRING, 0, offsetof(struct line, png)},
    {12, "jpeg", CODEC_STRING, 0, offsetof(struct line, jpeg)},
    {13, "svg", CODEC_STRING, 0, offsetof(struct line, svg)},
    {14, "pdf", CODEC_STRING, 0, offsetof(struct line, pdf)},
};
static const struct codec_message line_message =
    {"line", sizeof(struct line), line_fields, COUNT_OF(line_fields)};

/* Members that become files. */
static const struct {
    const char *suffix;
    size_t offset;
    bool is_base64;
} files[] = {
    {"png", offsetof(struct line, png), true},
    {"jpeg", offsetof(struct line, jpeg), true},
    {"svg", offsetof(struct line, svg), false},
    {"pdf", offsetof(struct line, pdf), true},
};

/* The first that is there is what a result looks like in text. */
static const size_t readable[] = {
    offsetof(struct line, text), offsetof(struct line, markdown), offsetof(struct line, latex),
    offsetof(struct line, html), offsetof(struct line, javascript), offsetof(struct line, json),
};
/* clang-format on */

static struct str member(const struct line *l, size_t offset)
{
    struct str value;

    memcpy(&value, (const char *)l + offset, sizeof value);
    return value;
}

static void out(struct str text)
{
    ignore(fwrite(text.at, 1, text.len, stdout)); /* asked for after the flush */
}

static void err_out(struct str text)
{
    ignore(fflush(stdout));                       /* what was printed before is seen before */
    ignore(fwrite(text.at, 1, text.len, stderr)); /* where else could a failure be said */
}

/* Without colours: no sequences that begin with ESC [ (ECMA-48 5.4). */
static void show_traceback(const struct run_output *o, struct str text)
{
    while (text.len > 0) {
        size_t len = 1;

        if (!o->has_colors && text.len > 1 && text.at[0] == '\033' && text.at[1] == '[') {
            for (len = 2; len < text.len && (text.at[len] < '@' || text.at[len] > '~');)
                len++;
            text = str_from(text, len < text.len ? len + 1 : len);
            continue;
        }
        while (len < text.len && text.at[len] != '\033')
            len++;
        err_out(str_upto(text, len));
        text = str_from(text, len);
    }
}

/* Under the first free number. */
static int save(struct run_output *o, const char *suffix, struct str data, struct err *err)
{
    char name[NAME_SIZE];
    auto_fd int fd = -1;

    while (fd < 0) {
        if (o->number == FILES_MAX)
            return err_set(err, ERR_LIMIT, "'%s' has too many results", o->dir);
        o->number++;
        ignore(snprintf(name, sizeof name, "result-%u.%s", o->number, suffix));
        fd = openat(o->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            return err_sys(err, errno, "make '%s/%s'", o->dir, name);
    }
    if (write_whole(fd, data) != 0) {
        ignore(err_sys(err, errno, "write '%s/%s'", o->dir, name)); /* always -1 */
        ignore(unlinkat(o->dir_fd, name, 0)); /* half of an image is none; it may stay */
        return -1;
    }
    ignore(fflush(stdout));
    fprintf(stderr, "saved %s/%s\n", o->dir, name);
    return 0;
}

/* Jupyter breaks it into lines (RFC 2045 6.8). */
static int save_base64(struct run_output *o, const char *suffix, struct str text, struct err *err)
{
    uint8_t *data = mem_zero(base64_decoded_max(text.len));
    char *plain = mem_zero(text.len);
    size_t count = 0;
    ssize_t len;
    int result;

    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != '\n' && text.at[i] != '\r')
            plain[count++] = text.at[i];
    len = base64_decode((struct str){plain, count}, data);
    if (len < 0)
        result = err_set(err, ERR_INVALID, "the %s of a result is not base64", suffix);
    else
        result = save(o, suffix, (struct str){(char *)data, (size_t)len}, err);
    free(plain);
    free(data);
    return result;
}

static void show_result(struct run_output *o, const struct line *l)
{
    struct err err;

    for (size_t i = 0; i < COUNT_OF(readable); i++) {
        struct str text = member(l, readable[i]);

        if (text.len == 0)
            continue;
        out(text);
        out(STR("\n"));
        break;
    }
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        struct str data = member(l, files[i].offset);
        const char *suffix = files[i].suffix;

        if (data.len == 0 || (files[i].is_base64 ? save_base64(o, suffix, data, &err)
                                                 : save(o, suffix, data, &err)) == 0)
            continue;
        o->has_failed = true; /* the code goes on */
        err_out(str_of(err.text));
        err_out(STR("\n"));
    }
}

static void show_error(struct run_output *o, const struct line *l)
{
    if (l->traceback.len > 0) {
        show_traceback(o, l->traceback);
    } else {
        err_out(l->name);
        err_out(STR(": "));
        err_out(l->value);
    }
    err_out(STR("\n"));
}

static int one_line(struct run_output *o, struct str text, struct err *err)
{
    struct line l = {0};
    struct arena mem;
    int result;

    arena_init(&mem, RUN_LINE_MAX + (1 << 20));
    result = json_decode(&line_message, text, &mem, &l, err);
    if (result != 0) {
        ignore(err_wrap(err, "a line of the interpreter")); /* always -1 */
    } else if (str_is(l.type, "error")) {
        o->has_failed = true;
    } else if (str_is(l.type, "end_of_execution")) {
        o->has_ended = true;
    }
    if (result == 0 && o->is_json) {
        out(text);
        out(STR("\n"));
    } else if (result == 0) {
        if (str_is(l.type, "stdout"))
            out(l.text);
        else if (str_is(l.type, "stderr"))
            err_out(l.text);
        else if (str_is(l.type, "result"))
            show_result(o, &l);
        else if (str_is(l.type, "error"))
            show_error(o, &l);
    }
    arena_done(&mem);
    return result;
}

bool run_output_take(void *ctx, struct str data)
{
    struct run_output *o = ctx;

    while (data.len > 0) {
        ssize_t end = str_find(data, '\n');
        struct str part = end < 0 ? data : str_upto(data, (size_t)end);

        data = str_from(data, end < 0 ? data.len : (size_t)end + 1);
        buf_add_str(&o->line, part);
        if (!buf_ok(&o->line)) {
            ignore(err_set(&o->err, ERR_LIMIT, "a line has more than %d bytes", RUN_LINE_MAX));
            return false;
        }
        if (end < 0)
            break;
        if (one_line(o, buf_str(&o->line), &o->err) != 0)
            return false;
        buf_clear(&o->line);
    }
    if (fflush(stdout) == 0 && !ferror(stdout)) /* which a write before that may have met */
        return true;
    ignore(err_set(&o->err, ERR_SYSTEM, "standard output cannot be written")); /* always -1 */
    return false;
}

int run_output_open(struct run_output *o, const char *dir, bool is_json, struct err *err)
{
    *o = (struct run_output){.dir = dir, .is_json = is_json, .has_colors = isatty(STDERR_FILENO)};
    buf_init(&o->line, RUN_LINE_MAX);
    o->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return o->dir_fd >= 0 ? 0 : err_sys(err, errno, "open the directory '%s'", dir);
}

void run_output_close(struct run_output *o)
{
    own_close_fd(&o->dir_fd);
    buf_done(&o->line);
}
