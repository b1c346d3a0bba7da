/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of lines; see build_log.h. */
#include "domain/build_log.h"

#include <assert.h>

#include "base/clock.h"
#include "domain/build_record.h"

struct line {
    int64_t at_ms;
    uint8_t level, step_len;
    uint16_t text_len;
    char bytes[]; /* step, then text */
};

struct build_log {
    struct line **ring; /* line n is at n % BUILD_LINES_MAX; grows up to that */
    size_t room;
    size_t first, end;
    size_t bytes;
};

enum {
    RING_MIN = 64,
    LOG_MEM_MAX = 4 << 20, /* of a record while it is read */
};

static struct line **place(const struct build_log *l, size_t n)
{
    return &l->ring[n % l->room];
}

struct build_log *build_log_new(void)
{
    return mem_zero(sizeof(struct build_log));
}

static void drop_first(struct build_log *l)
{
    struct line **at = place(l, l->first++);

    l->bytes -= sizeof(**at) + (*at)->step_len + (*at)->text_len;
    free(*at);
    *at = NULL;
}

void build_log_free(struct build_log *l)
{
    if (l == NULL)
        return;
    while (l->first < l->end)
        drop_first(l);
    free(l->ring);
    free(l);
}

static void grow(struct build_log *l)
{
    size_t room = l->room == 0 ? RING_MIN : 4 * l->room;
    struct line **old = l->ring;
    size_t old_room = l->room;

    l->room = room < BUILD_LINES_MAX ? room : BUILD_LINES_MAX;
    l->ring = mem_zero(l->room * sizeof(struct line *));
    for (size_t n = l->first; n < l->end; n++)
        *place(l, n) = old[n % old_room];
    free(old);
}

static void add(struct build_log *l, const struct build_line *b)
{
    struct str text = str_upto(b->text, BUILD_LINE_MAX), step = str_upto(b->step, BUILD_STEP_MAX);
    size_t size = sizeof(struct line) + step.len + text.len;
    struct line *line = mem_zero(size);

    line->at_ms = b->at_ms;
    line->level = (uint8_t)b->level;
    line->step_len = (uint8_t)step.len;
    line->text_len = (uint16_t)text.len;
    if (step.len > 0)
        memcpy(line->bytes, step.at, step.len);
    if (text.len > 0)
        memcpy(line->bytes + step.len, text.at, text.len);
    if (l->end - l->first == l->room && l->room < BUILD_LINES_MAX)
        grow(l);
    while (l->first < l->end &&
           (l->end - l->first == l->room || l->bytes + size > BUILD_LOG_BYTES_MAX))
        drop_first(l);
    *place(l, l->end++) = line;
    l->bytes += size;
}

void build_log_add(struct build_log *l, enum build_level level, struct str step, struct str text)
{
    add(l, &(struct build_line){clock_wall_ms(), level, step, text});
}

size_t build_log_end(const struct build_log *l)
{
    return l->end;
}

size_t build_log_first(const struct build_log *l)
{
    return l->first;
}

struct build_line build_log_line(const struct build_log *l, size_t n)
{
    const struct line *line;

    assert(n >= l->first && n < l->end);
    line = *place(l, n);
    return (struct build_line){
        line->at_ms,
        (enum build_level)line->level,
        {line->bytes,                  line->step_len},
        {line->bytes + line->step_len, line->text_len}
    };
}

void build_log_encode(const struct build_log *l, struct buf *out, size_t max)
{
    size_t from = l->end, size = 64;
    struct build_log_record r = {0};
    struct build_line_record *lines;

    while (from > l->first) {
        struct build_line line = build_log_line(l, from - 1);
        size_t need = line.text.len + line.step.len + 32;

        if (size + need > max)
            break;
        size += need;
        from--;
    }
    lines = mem_zero((l->end - from + 1) * sizeof(*lines));
    for (size_t n = from; n < l->end; n++) {
        struct build_line line = build_log_line(l, n);

        lines[n - from] =
            (struct build_line_record){line.at_ms, (int32_t)line.level, line.step, line.text};
    }
    r.first = (int64_t)from;
    r.lines = (struct codec_list){lines, l->end - from};
    proto_encode(&build_log_message, &r, out);
    free(lines);
}

int build_log_decode(struct str bytes, struct build_log **out, struct err *err)
{
    struct build_log_record r = {0};
    const struct build_line_record *lines;
    struct build_log *l;
    struct arena mem;

    arena_init(&mem, LOG_MEM_MAX);
    if (proto_decode(&build_log_message, bytes, &mem, &r, err) != 0 || r.first < 0) {
        arena_done(&mem);
        return err_wrap(err, "log of a build");
    }
    l = build_log_new();
    l->first = l->end = (size_t)r.first;
    lines = r.lines.items;
    for (size_t i = 0; i < r.lines.count; i++) {
        uint32_t level = (uint32_t)lines[i].level;

        add(l, &(struct build_line){lines[i].at_ms,
                                    level <= BUILD_ERROR ? (enum build_level)level : BUILD_INFO,
                                    lines[i].step, lines[i].text});
    }
    arena_done(&mem);
    *out = l;
    return 0;
}
