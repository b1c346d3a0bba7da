/* SPDX-License-Identifier: Apache-2.0 */
/* What the way from a client through edge into a sandbox costs: one file up and down, and commands
 * from Start to their exit event. Plain blocking sockets, so that the client costs least.
 *
 *   transfer PORT SANDBOX_ID TOKEN MIB COMMANDS
 *
 * Prints one JSON object; rates in decimal MB/s. Started by tools/bench. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/str.h"

enum {
    PIECE = 256 << 10,
    HEAD_MAX = 8 << 10,
    COMMANDS_MAX = 100000,
    FILE_MIB_MAX = 64 << 10,
};

struct place {
    uint16_t port;
    const char *sandbox, *token;
};

static char piece[PIECE];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int dial(const struct place *p)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(p->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        fail("transfer: connect");
    ignore(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))); /* as every HTTP library */
    return fd;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            fail("transfer: send");
        data += n;
        len -= (size_t)n;
    }
}

static void send_head(int fd, const struct place *p, const char *line, const char *type, size_t len)
{
    char head[HEAD_MAX];
    int size = snprintf(head, sizeof(head),
                        "%s HTTP/1.1\r\nHost: localhost\r\nE2b-Sandbox-Id: %s\r\n"
                        "E2b-Sandbox-Port: 49983\r\nX-Access-Token: %s\r\nContent-Type: %s\r\n"
                        "Connect-Protocol-Version: 1\r\nContent-Length: %zu\r\n\r\n",
                        line, p->sandbox, p->token, type, len);

    send_all(fd, head, (size_t)size);
}

/* The head of a 200 into `head`; returns how many bytes of the body came with it. */
static size_t read_head(int fd, char head[HEAD_MAX])
{
    size_t have = 0;
    char *end = NULL;

    while (end == NULL) {
        ssize_t n = recv(fd, head + have, HEAD_MAX - 1 - have, 0);

        if (n <= 0)
            fail("transfer: receive");
        have += (size_t)n;
        head[have] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    if (strncmp(head, "HTTP/1.1 200 ", 13) != 0) {
        fprintf(stderr, "transfer: %.300s\n", head);
        exit(1);
    }
    memmove(head, end + 4, have - (size_t)(end + 4 - head) + 1);
    return have - (size_t)(end + 4 - head);
}

static double rate(size_t bytes, uint64_t began_us)
{
    return (double)bytes / (double)(clock_mono_us() - began_us);
}

static double upload(const struct place *p, const char *path, size_t size)
{
    char line[256], head[HEAD_MAX];
    uint64_t began_us;
    int fd = dial(p);

    snprintf(line, sizeof(line), "POST /files?path=%s&username=root", path);
    began_us = clock_mono_us();
    send_head(fd, p, line, "application/octet-stream", size);
    for (size_t sent = 0; sent < size; sent += PIECE)
        send_all(fd, piece, PIECE);
    ignore((long)read_head(fd, head)); /* a 200 is all we ask */
    close(fd);
    return rate(size, began_us);
}

static double download(const struct place *p, const char *path, size_t size)
{
    char line[256], head[HEAD_MAX];
    uint64_t began_us;
    int fd = dial(p);
    size_t got;

    snprintf(line, sizeof(line), "GET /files?path=%s&username=root", path);
    began_us = clock_mono_us();
    send_head(fd, p, line, "text/plain", 0);
    got = read_head(fd, head);
    while (got < size) {
        ssize_t n = recv(fd, piece, PIECE, 0);

        if (n <= 0)
            fail("transfer: download");
        got += (size_t)n;
    }
    close(fd);
    return rate(size, began_us);
}

/* One command on a connection that is kept; microseconds to the end of its stream. */
static uint32_t run_command(int fd, const struct place *p)
{
    static const char message[] = "{\"process\":{\"cmd\":\"/bin/true\"},\"stdin\":false}";
    const uint32_t len = sizeof(message) - 1;
    const char envelope[] = {0, 0, 0, 0, (char)len};
    char head[HEAD_MAX];
    uint64_t began_us = clock_mono_us();
    size_t have;

    send_head(fd, p, "POST /process.Process/Start", "application/connect+json",
              sizeof(envelope) + len);
    memcpy(head, envelope, sizeof(envelope));
    memcpy(head + sizeof(envelope), message, len);
    send_all(fd, head, sizeof(envelope) + len);
    have = read_head(fd, head);
    while (have < 5 || memcmp(head + have - 5, "0\r\n\r\n", 5) != 0) {
        ssize_t n = recv(fd, head + have, HEAD_MAX - 1 - have, 0);

        if (n <= 0)
            fail("transfer: command");
        have += (size_t)n;
    }
    if (memmem(head, have, "\"exited\":true", 13) == NULL) {
        fprintf(stderr, "transfer: no exit event: %.*s\n", (int)have, head);
        exit(1);
    }
    return (uint32_t)(clock_mono_us() - began_us);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static uint32_t took_us[COMMANDS_MAX];
    uint64_t port = 0, mib = 0, commands = 0;
    struct place p;
    double up, down;
    int fd;

    if (argc != 6 || !str_to_u64(str_of(argv[1]), &port) || port > UINT16_MAX ||
        !str_to_u64(str_of(argv[4]), &mib) || mib > FILE_MIB_MAX ||
        !str_to_u64(str_of(argv[5]), &commands) || commands == 0 || commands > COMMANDS_MAX) {
        fprintf(stderr, "usage: transfer PORT SANDBOX_ID TOKEN MIB COMMANDS\n");
        return 2;
    }
    p = (struct place){(uint16_t)port, argv[2], argv[3]};
    for (size_t i = 0; i < sizeof(piece); i++)
        piece[i] = (char)(i * 2654435761u >> 13);
    up = upload(&p, "/tmp/transfer", mib << 20);
    down = download(&p, "/tmp/transfer", mib << 20);
    fd = dial(&p);
    for (uint64_t i = 0; i < commands; i++)
        took_us[i] = run_command(fd, &p);
    close(fd);
    qsort(took_us, commands, sizeof(took_us[0]), compare);
    printf("{\"mib\":%llu,\"up_mb_s\":%.0f,\"down_mb_s\":%.0f,\"commands\":%llu,"
           "\"true_p50_us\":%u,\"true_p99_us\":%u}\n",
           (unsigned long long)mib, up, down, (unsigned long long)commands, took_us[commands / 2],
           took_us[commands * 99 / 100]);
    return 0;
}
