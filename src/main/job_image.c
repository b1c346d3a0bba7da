/* SPDX-License-Identifier: Apache-2.0 */
/* The process of one job on images: a request on descriptor 0, events on 1. Started by node for
 * api; see ipc/image_messages.h. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/write.h"
#include "image/job.h"
#include "main/role.h"

enum { REQUEST_MEM_MAX = 4 * IMAGE_REQUEST_MAX };

/* Also called in the worker. Who reads slowly makes us wait; one who left is noticed elsewhere. */
static void send_event(const struct image_event *e)
{
    struct buf line;

    buf_init(&line, IMAGE_EVENT_MAX);
    json_encode(&image_event_message, e, &line);
    buf_add_byte(&line, '\n');
    if (buf_ok(&line))
        ignore(write_whole(STDOUT_FILENO, buf_str(&line)));
    buf_done(&line);
}

static void say(void *ctx, const char *line)
{
    ignore((long)(ctx != NULL));
    send_event(&(struct image_event){.line = str_of(line)});
}

static int read_request(struct buf *out, struct err *err)
{
    char *room = buf_room(out, IMAGE_REQUEST_MAX);
    ssize_t got;

    while (room != NULL && buf_left(out) > 0 &&
           (got = read(STDIN_FILENO, out->at + out->len, buf_left(out))) > 0)
        buf_fill(out, (size_t)got);
    return buf_left(out) > 0 ? 0 : err_set(err, ERR_LIMIT, "the request is too large");
}

static int run(const struct image_job *j, struct arena *a, struct buf *record, struct err *err)
{
    struct image_request request = {0};
    struct buf text;
    int result;

    buf_init(&text, IMAGE_REQUEST_MAX);
    result = read_request(&text, err);
    if (result == 0)
        result = json_decode(&image_request_message, buf_str(&text), a, &request, err);
    if (text.at != NULL)
        explicit_bzero(text.at, text.len); /* it may hold a password */
    buf_done(&text);
    return result == 0 ? image_job_run(j, &request, STDOUT_FILENO, record, err) : -1;
}

int job_image(const struct invocation *v)
{
    const struct program *program = v->ctx;
    struct image_job job = *program->places.image;
    struct image_result result = {0};
    struct arena mem;
    struct buf record;
    struct err err;
    bool is_ok;

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return command_fail(v, "ignore SIGPIPE");
    job.say = say;
    arena_init(&mem, REQUEST_MEM_MAX + 4 * IMAGE_EVENT_MAX);
    buf_init(&record, IMAGE_EVENT_MAX);
    is_ok = run(&job, &mem, &record, &err) == 0 &&
            (record.len == 0 ||
             json_decode(&image_result_message, buf_str(&record), &mem, &result, &err) == 0);
    if (is_ok)
        send_event(&(struct image_event){.result = &result});
    else
        send_event(&(struct image_event){
            .error = &(struct image_error){err.kind, str_of(err.text)}
        });
    buf_done(&record);
    arena_done(&mem);
    return is_ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
