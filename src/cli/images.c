/* SPDX-License-Identifier: Apache-2.0 */
/* See images.h. */
#include "cli/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "cli/remote.h"
#include "image/job.h"
#include "image/store.h"

enum {
    RECORD_MEM_MAX = 4 << 20,
    LIST_MAX = 64 << 20,
};

static void say(void *ctx, const char *line)
{
    ignore((long)(ctx != NULL));
    fprintf(stderr, "%s\n", line);
}

static void print_record(const struct image_result *r)
{
    printf("%-48.*s  %.19s  %6zu  %8.1f MB  %.*s\n", STR_ARG(r->reference),
           r->digest.len > 7 ? r->digest.at : "", r->layers.count, (double)r->size_bytes / 1e6,
           STR_ARG(r->created_at));
}

int cli_image_import(const struct invocation *v)
{
    const struct cli_places *places = v->ctx;
    struct image_job job = *places->image;
    auto_fd int fd = open(v->words[1], O_RDONLY | O_CLOEXEC);
    struct buf record;
    struct err err;
    int result;

    if (fd < 0)
        return command_fail(v, "open '%s': %s", v->words[1], strerror(errno));
    job.say = say;
    buf_init(&record, IMAGE_RECORD_MAX);
    result = image_job_import(&job, str_of(v->words[0]), fd, &record, &err);
    if (result == 0 && v->values[0] != NULL)
        printf("%.*s\n", STR_ARG(buf_str(&record)));
    buf_done(&record);
    return result == 0 ? EXIT_SUCCESS : command_fail(v, "%s", err.text);
}

struct image_listing {
    bool is_json;
    struct buf json;
};

static int list_one(void *ctx, struct str record, struct err *err)
{
    struct image_listing *l = ctx;
    struct image_result r = {0};
    struct arena mem;
    int result;

    arena_init(&mem, RECORD_MEM_MAX);
    result = json_decode(&image_result_message, record, &mem, &r, err);
    if (result == 0 && l->is_json) {
        buf_add_text(&l->json, l->json.len > 0 ? "," : "");
        buf_add_str(&l->json, record);
    } else if (result == 0) {
        print_record(&r);
    }
    arena_done(&mem);
    return result;
}

int cli_image_list(const struct invocation *v)
{
    const struct cli_places *places = v->ctx;
    struct image_listing l = {.is_json = v->values[0] != NULL};
    struct image_store store;
    struct err err;
    int result;

    if (image_store_open(places->data_dir, &store, &err) != 0)
        return command_fail(v, "%s", err.text);
    if (!l.is_json)
        printf("%-48s  %-19s  %6s  %11s  %s\n", "IMAGE", "DIGEST", "LAYERS", "SIZE", "IMPORTED");
    buf_init(&l.json, LIST_MAX);
    result = image_store_each_name(&store, list_one, &l, &err);
    if (result == 0 && l.is_json)
        printf("[%.*s]\n", STR_ARG(buf_str(&l.json)));
    buf_done(&l.json);
    image_store_close(&store);
    return result == 0 ? EXIT_SUCCESS : command_fail(v, "%s", err.text);
}

int cli_image_remove(const struct invocation *v)
{
    const struct cli_places *places = v->ctx;
    struct err err;

    if (image_job_remove(places->image, str_of(v->words[0]), &err) != 0)
        return command_fail(v, "%s", err.text);
    return EXIT_SUCCESS;
}
