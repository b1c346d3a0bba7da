/* SPDX-License-Identifier: Apache-2.0 */
/* net log: what a sandbox did with the network. */
#include <stdio.h>
#include <time.h>

#include "cli/remote.h"
#include "ipc/connection.h"

enum {
    OPTION_DENIED,
    OPTION_FOLLOW,
    OPTION_JSON,
    CURSOR_SIZE = 64,
    PAUSE_MS = 500,
};

static void print_line(const struct connection *r)
{
    bool is_v6 = str_find(r->address, ':') >= 0;

    if (r->missed > 0)
        printf("... %lld more, not told\n", (long long)r->missed);
    printf("%.*s  %-7.*s  %-4.*s ", STR_ARG(r->time), STR_ARG(r->verdict), STR_ARG(r->protocol));
    if (r->address.len > 0)
        printf(is_v6 ? " [%.*s]" : " %.*s", STR_ARG(r->address));
    if (r->port > 0)
        printf(":%lld", (long long)r->port);
    if (r->name.len > 0)
        printf(" %.*s", STR_ARG(r->name));
    if (r->up + r->down > 0)
        printf("  up %lld down %lld", (long long)r->up, (long long)r->down);
    if (r->took_ms > 0)
        printf("  %lld.%03lld s", (long long)r->took_ms / 1000, (long long)r->took_ms % 1000);
    printf("  by %.*s", STR_ARG(r->rule));
    if (r->detail.len > 0)
        printf(": %.*s", STR_ARG(r->detail));
    printf("\n");
}

static void print_json(const struct connection *r)
{
    struct buf line;

    buf_init(&line, REMOTE_ANSWER_MAX);
    json_encode(&connection_message, r, &line);
    printf("%.*s\n", STR_ARG(buf_str(&line)));
    buf_done(&line);
}

/* One page from `cursor` on, which is moved behind it. */
static int one_page(const struct invocation *v, char cursor[CURSOR_SIZE], size_t *out_count,
                    struct err *err)
{
    bool is_json = v->values[OPTION_JSON] != NULL;
    struct remote_call c = {.method = "GET", .status = 200};
    struct connections page = {0};
    struct arena mem;
    struct buf answer;
    int result;

    ignore(snprintf(c.url, sizeof(c.url),
                    "/admin/sandboxes/%s/network/log?limit=1000&verdict=%s&cursor=%s", v->words[0],
                    v->values[OPTION_DENIED] != NULL ? "denied" : "any", cursor));
    buf_init(&answer, REMOTE_ANSWER_MAX);
    arena_init(&mem, REMOTE_ANSWER_MAX);
    result = remote_call(v, &c, &answer, err);
    if (result == 0)
        result = json_decode(&connections_message, buf_str(&answer), &mem, &page, err);
    for (size_t i = 0; result == 0 && i < page.rows.count; i++) {
        const struct connection *r = (const struct connection *)page.rows.items + i;

        if (is_json)
            print_json(r);
        else
            print_line(r);
    }
    ignore(fflush(stdout)); /* a reader that left ends us by a signal */
    if (result == 0 && !str_to_c(page.cursor, cursor, CURSOR_SIZE))
        result = err_set(err, ERR_INVALID, "the server's cursor is too long");
    *out_count = page.rows.count;
    buf_done(&answer);
    arena_done(&mem);
    return result;
}

int cli_net_log(const struct invocation *v)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    bool follows = v->values[OPTION_FOLLOW] != NULL;
    char cursor[CURSOR_SIZE] = "";
    size_t count;
    struct err err;

    if (!remote_is_plain(str_of(v->words[0])))
        return command_fail(v, "'%s' is not the id of a sandbox", v->words[0]);
    for (;;) {
        if (one_page(v, cursor, &count, &err) != 0)
            return command_fail(v, "%s", err.text);
        if (count > 0)
            continue;
        if (!follows)
            return EXIT_SUCCESS;
        ignore(nanosleep(&pause, NULL)); /* a signal ends the pause, or us */
    }
}
