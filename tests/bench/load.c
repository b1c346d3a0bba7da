/* SPDX-License-Identifier: Apache-2.0 */
/* Load generator: creates and destroys sandboxes through the real API as fast as it answers.
 *
 *   load ADDRESS API_KEY[,API_KEY …] CONCURRENCY SECONDS [TEMPLATE]
 *
 * Connections share the keys out among them: one key has a rate limit.
 * Prints one JSON object. A latency is that of one create; a rate counts whole create+destroy
 * pairs. With 0 SECONDS each connection creates one sandbox, all at once, and destroys it when
 * all of them are there; every latency is printed. Exit status 1 when a call failed. Started by
 * tools/bench. */
#include <stdio.h>

#include "base/clock.h"
#include "codec/codec.h"
#include "http/client.h"
#include "http/server.h"
#include "io/socket.h"

enum {
    WORKERS_MAX = 1024,
    SAMPLES_MAX = 4 << 20,
    ANSWER_MAX = 64 << 10,
    ID_MAX = 64,
};

struct load {
    struct loop *loop;
    const char *address, *keys, *template;
    struct timer end;
    uint32_t *created_us, *destroyed_us; /* one for each pair */
    size_t pairs, errors, running;
    uint64_t started_us, all_created_us;
    struct worker *workers;
    size_t concurrency, settled; /* of a burst: creates that were answered or failed */
    bool is_burst, is_ending;
};

struct worker {
    struct load *load;
    struct str key;
    struct http_conn *conn;
    struct buf answer;
    unsigned status;
    uint64_t began_us;
    uint32_t create_us;
    char id[ID_MAX]; /* empty: the next call is a create */
};

static const struct call_events events;

static void leave(struct worker *w)
{
    http_conn_free(w->conn);
    w->conn = NULL;
    if (--w->load->running == 0)
        loop_stop(w->load->loop);
}

static void settle(struct load *l);

static void give_up(struct worker *w, const char *why)
{
    bool is_create = w->id[0] == '\0';

    fprintf(stderr, "load: %s: %s\n", is_create ? "create" : "destroy", why);
    w->load->errors++;
    leave(w);
    if (is_create)
        settle(w->load);
}

static void next_call(struct worker *w)
{
    char body[160] = "", target[ID_MAX + 16] = "/v2/sandboxes";
    bool is_create = w->id[0] == '\0';
    struct http_field fields[] = {
        {STR("Host"),         str_of(w->load->address)},
        {STR("X-API-Key"),    w->key                  },
        {STR("Content-Type"), STR("application/json") },
    };
    struct call_request r = {.fields = fields, .field_count = COUNT_OF(fields)};

    if (is_create)
        ignore(snprintf(body, sizeof body, "{\"templateID\":\"%s\",\"timeout\":60}",
                        w->load->template));
    else
        ignore(snprintf(target, sizeof target, "/sandboxes/%s", w->id));
    r.method = is_create ? STR("POST") : STR("DELETE");
    r.target = str_of(target);
    r.length = (int64_t)strlen(body);
    w->began_us = clock_mono_us();
    buf_clear(&w->answer);
    http_conn_call(w->conn, &r, &events, w);
    if (is_create) {
        ignore(http_conn_write(w->conn, str_of(body)));
        http_conn_end(w->conn);
    }
}

/* A create of a burst has ended: after the last one all that were made are destroyed. */
static void settle(struct load *l)
{
    if (!l->is_burst || ++l->settled < l->concurrency)
        return;
    l->all_created_us = clock_mono_us();
    for (size_t i = 0; i < l->concurrency; i++) {
        if (l->workers[i].id[0] != '\0')
            next_call(&l->workers[i]);
    }
}

static bool take_id(struct worker *w)
{
    struct str text = buf_str(&w->answer);
    const char *name = "\"sandboxID\":\"";
    const char *at = memmem(text.at, text.len, name, strlen(name));
    struct str rest;

    if (at == NULL)
        return false;
    at += strlen(name);
    return str_to_c(str_cut((struct str){at, text.len - (size_t)(at - text.at)}, '"', &rest), w->id,
                    sizeof w->id);
}

static void finish_call(struct worker *w)
{
    struct load *l = w->load;
    uint32_t took_us = (uint32_t)(clock_mono_us() - w->began_us);
    bool is_create = w->id[0] == '\0';
    char why[200];

    if (w->status != (is_create ? 201U : 204U) || (is_create && !take_id(w))) {
        ignore(snprintf(why, sizeof why, "status %u: %.*s", w->status,
                        STR_ARG(str_upto(buf_str(&w->answer), 120))));
        give_up(w, why);
        return;
    }
    if (is_create) {
        w->create_us = took_us;
        if (l->is_burst)
            settle(l);
        else
            next_call(w);
        return;
    }
    w->id[0] = '\0';
    if (l->pairs < SAMPLES_MAX) {
        l->created_us[l->pairs] = w->create_us;
        l->destroyed_us[l->pairs++] = took_us;
    }
    if (l->is_ending)
        leave(w);
    else
        next_call(w);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct worker *w = ctx;

    w->status = h->status;
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    struct worker *w = ctx;

    buf_add_str(&w->answer, data);
    if (is_last)
        finish_call(w);
    return data.len;
}

static void on_drain(void *ctx)
{
    ignore(ctx != NULL); /* our bodies are small */
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    ignore(is_fresh);
    give_up(ctx, err->text);
}

static const struct call_events events = {on_head, on_body, on_drain, on_fail};

static void on_end(void *ctx)
{
    struct load *l = ctx;

    l->is_ending = true;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double percentile_ms(const uint32_t *sorted, size_t count, double part)
{
    return count == 0 ? 0 : sorted[(size_t)(part * (double)(count - 1))] / 1000.0;
}

static void report_burst(const struct load *l)
{
    printf(",\"wall_ms\":%.1f,\"create_ms\":[", (double)(l->all_created_us - l->started_us) / 1e3);
    for (size_t i = 0; i < l->pairs; i++)
        printf("%s%.3f", i == 0 ? "" : ",", l->created_us[i] / 1000.0);
    putchar(']');
}

static void report(struct load *l)
{
    double seconds = (double)(clock_mono_us() - l->started_us) / 1e6;

    qsort(l->created_us, l->pairs, sizeof *l->created_us, compare);
    qsort(l->destroyed_us, l->pairs, sizeof *l->destroyed_us, compare);
    printf("{\"bench\":\"create+destroy\",\"concurrency\":%llu,\"seconds\":%.2f,\"pairs\":%zu,"
           "\"errors\":%zu,\"rate_per_s\":%.1f,\"create_p50_ms\":%.3f,\"create_p99_ms\":%.3f,"
           "\"create_max_ms\":%.3f,\"destroy_p50_ms\":%.3f,\"destroy_p99_ms\":%.3f",
           (unsigned long long)l->concurrency, seconds, l->pairs, l->errors,
           (double)l->pairs / seconds, percentile_ms(l->created_us, l->pairs, 0.5),
           percentile_ms(l->created_us, l->pairs, 0.99), percentile_ms(l->created_us, l->pairs, 1),
           percentile_ms(l->destroyed_us, l->pairs, 0.5),
           percentile_ms(l->destroyed_us, l->pairs, 0.99));
    if (l->is_burst)
        report_burst(l);
    puts("}");
}

/* The keys again and again, one for each worker in turn. */
static struct str next_key(struct load *l, struct str *left)
{
    if (left->len == 0)
        *left = str_of(l->keys);
    return str_cut(*left, ',', left);
}

static int start_worker(struct load *l, struct worker *w, struct err *err)
{
    int fd;

    w->load = l;
    buf_init(&w->answer, ANSWER_MAX);
    if (socket_connect_tcp(l->address, &fd, err) != 0 ||
        http_conn_new(l->loop, fd, true, &w->conn, err) != 0)
        return -1;
    l->running++;
    next_call(w);
    return 0;
}

static int run(struct load *l, uint64_t seconds, struct err *err)
{
    struct str keys_left = {0};

    if (loop_new(&l->loop, err) != 0)
        return -1;
    l->started_us = clock_mono_us();
    for (size_t i = 0; i < l->concurrency; i++) {
        l->workers[i].key = next_key(l, &keys_left);
        if (start_worker(l, &l->workers[i], err) != 0)
            return -1;
    }
    if (l->is_burst)
        l->is_ending = true;
    else
        timer_start(l->loop, &l->end, seconds * 1000, on_end, l);
    return loop_run(l->loop, err);
}

int main(int argc, char **argv)
{
    struct load l = {.template = argc > 5 ? argv[5] : "base"};
    uint64_t concurrency = 0, seconds = 0;
    struct err err;

    if (argc < 5 || !str_to_u64(str_of(argv[3]), &concurrency) || concurrency == 0 ||
        concurrency > WORKERS_MAX || !str_to_u64(str_of(argv[4]), &seconds)) {
        fprintf(stderr, "usage: load ADDRESS API_KEY[,API_KEY] CONCURRENCY SECONDS [TEMPLATE]\n");
        return 2;
    }
    l.address = argv[1];
    l.keys = argv[2];
    l.created_us = mem_array(SAMPLES_MAX, sizeof *l.created_us);
    l.destroyed_us = mem_array(SAMPLES_MAX, sizeof *l.destroyed_us);
    l.workers = mem_array(concurrency, sizeof *l.workers);
    l.concurrency = concurrency;
    l.is_burst = seconds == 0;
    if (run(&l, seconds, &err) != 0) {
        fprintf(stderr, "load: %s\n", err.text);
        return 1;
    }
    report(&l);
    timer_stop(&l.end);
    for (size_t i = 0; i < concurrency; i++)
        buf_done(&l.workers[i].answer);
    loop_free(l.loop);
    free(l.workers);
    free(l.created_us);
    free(l.destroyed_us);
    return l.errors == 0 && l.pairs > 0 ? 0 : 1;
}
