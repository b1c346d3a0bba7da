/* SPDX-License-Identifier: Apache-2.0 */
/* http/fetch: one blocking request against a scripted server in a thread. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "http/client.h"
#include "io/socket.h"
#include "test.h"

enum { WAIT_MS = 5000 };

struct script {
    int listener;
    const char *answer;
    char got[512];
};

static void *serve_one(void *ctx)
{
    struct script *s = ctx;
    int fd = accept(s->listener, NULL, NULL);
    size_t len = 0;
    ssize_t n = 0;

    while (strstr(s->got, "\r\n\r\nhello") == NULL &&
           (n = recv(fd, s->got + len, sizeof(s->got) - 1 - len, 0)) > 0)
        len += (size_t)n;
    ignore(send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL)); /* the peer judges */
    if (s->answer[0] == '\0')
        ignore(recv(fd, s->got, 1, 0)); /* until the peer gives up */
    close(fd);
    return NULL;
}

static int fetch(struct script *s, uint32_t timeout_ms, struct http_answer *out, struct err *err)
{
    const struct http_field host = {STR("Host"), STR("h")};
    const struct call_request r = {
        .method = STR("POST"), .target = STR("/x"), .fields = &host, .field_count = 1};
    pthread_t thread;
    char address[32];
    int fd, result;

    CHECK(socket_listen_tcp("127.0.0.1:0", false, &fd, err) == 0);
    CHECK(fcntl(fd, F_SETFL, 0) == 0);
    s->listener = fd;
    snprintf(address, sizeof(address), "localhost:%u", socket_port(fd));
    CHECK(pthread_create(&thread, NULL, serve_one, s) == 0);
    result = http_fetch(address, &r, STR("hello"), timeout_ms, out, err);
    pthread_join(thread, NULL);
    close(fd);
    return result;
}

static void fetches(void)
{
    struct script whole = {.answer = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"};
    struct script half = {.answer = "HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nok"};
    struct script none = {.answer = ""};
    struct http_answer a;
    struct err err;

    CHECK(fetch(&whole, WAIT_MS, &a, &err) == 0);
    CHECK(a.status == 201 && str_is(buf_str(&a.body), "ok"));
    CHECK(strcmp(whole.got, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello") == 0);
    buf_done(&a.body);
    CHECK(fetch(&half, WAIT_MS, &a, &err) == -1 && err.kind == ERR_UNAVAILABLE);
    CHECK(fetch(&none, 30, &a, &err) == -1 && err.kind == ERR_TIMEOUT);
    CHECK(http_fetch("/nonexistent/socket", &(struct call_request){.method = STR("GET")}, STR(""),
                     100, &a, &err) == -1);
    CHECK(strstr(err.text, "/nonexistent/socket") != NULL);
}

static void tells_that_nobody_listens(void)
{
    const struct call_request r = {.method = STR("GET"), .target = STR("/")};
    struct http_answer a;
    struct err err;
    char address[32];
    int fd;

    CHECK(socket_listen_tcp("127.0.0.1:0", false, &fd, &err) == 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", socket_port(fd));
    close(fd);
    CHECK(http_fetch(address, &r, STR(""), WAIT_MS, &a, &err) == -1);
    CHECK(err.sys == ECONNREFUSED);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"fetches",                   fetches                  },
        {"tells that nobody listens", tells_that_nobody_listens},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
