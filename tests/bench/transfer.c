/* SPDX-License-Identifier: Apache-2.0 */
/* What the way from a client through edge into a sandbox costs: one file up and down, and commands
 * from Start to their exit event. Plain blocking sockets, so that the client costs least.
 *
 *   transfer PORT SANDBOX_ID TOKEN PART COUNT
 *
 * Parts: `up` and `down` move a file of COUNT MiB, `disk` has dd write one as large inside the
 * sandbox and `loopback` sends as much over a bare TCP connection, which is what the first two are
 * measured by; a file of before is removed first, for it is the file system that frees it.
 * `commands` runs COUNT of them. Prints one JSON object; rates in decimal MB/s.
 * Started by tools/bench. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/str.h"

enum {
    PIECE = 256 << 10,
    HEAD_MAX = 8 << 10,
    COUNT_MAX = 64 << 10,
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
    static char head[HEAD_MAX];
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

    snprintf(line, sizeof(line), "POST /files?path=%s", path);
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

    snprintf(line, sizeof(line), "GET /files?path=%s", path);
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

/* From here to a reader of our own that forgets all of it. */
static double loopback(const struct place *p, const char *path, size_t size)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
    struct place own = *p;
    uint64_t began_us;
    pid_t reader;

    ignore((long)path[0]); /* nothing is stored */
    if (door < 0 || bind(door, (const struct sockaddr *)&at, len) != 0 || listen(door, 1) != 0 ||
        getsockname(door, (struct sockaddr *)&at, &len) != 0)
        fail("transfer: listen");
    reader = fork();
    if (reader == 0) {
        fd = accept(door, NULL, NULL);
        for (size_t got = 0; got < size;) {
            ssize_t n = recv(fd, piece, PIECE, 0);

            if (n <= 0)
                _exit(1);
            got += (size_t)n;
        }
        _exit(0);
    }
    own.port = ntohs(at.sin_port);
    fd = dial(&own);
    began_us = clock_mono_us();
    for (size_t sent = 0; sent < size; sent += PIECE)
        send_all(fd, piece, PIECE);
    if (waitpid(reader, NULL, 0) != reader)
        fail("transfer: reader");
    close(fd);
    close(door);
    return rate(size, began_us);
}

/* One command on a connection that is kept; `message` is less than 256 bytes. */
static void run_command(int fd, const struct place *p, const char *message)
{
    const size_t len = strlen(message);
    const char envelope[] = {0, 0, 0, 0, (char)len};
    char head[HEAD_MAX];
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
    if (memmem(head, have, "\"exited\":true", 13) == NULL ||
        memmem(head, have, "exit status 0", 13) == NULL) {
        fwrite(head, 1, have, stderr);
        exit(1);
    }
}

/* The same bytes to the same disk and memory by the least program, in pieces that suit ext4. */
static double disk(const struct place *p, const char *path, size_t size)
{
    char message[256];
    uint64_t began_us;
    int fd = dial(p);

    snprintf(message, sizeof(message),
             "{\"process\":{\"cmd\":\"dd\",\"args\":[\"if=/dev/zero\",\"of=%s\",\"bs=256k\","
             "\"count=%zu\",\"status=none\"]},\"stdin\":false}",
             path, size >> 18);
    began_us = clock_mono_us();
    run_command(fd, p, message);
    close(fd);
    return rate(size, began_us);
}

static void remove_file(const struct place *p, const char *path)
{
    char message[256];
    int fd = dial(p);

    snprintf(message, sizeof(message),
             "{\"process\":{\"cmd\":\"rm\",\"args\":[\"-f\",\"%s\"]},\"stdin\":false}", path);
    run_command(fd, p, message);
    close(fd);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* From each Start to the end of its stream. */
static void run_commands(const struct place *p, size_t count)
{
    static uint32_t took_us[COUNT_MAX];
    int fd = dial(p);

    for (size_t i = 0; i < count; i++) {
        uint64_t began_us = clock_mono_us();

        run_command(fd, p, "{\"process\":{\"cmd\":\"/bin/true\"},\"stdin\":false}");
        took_us[i] = (uint32_t)(clock_mono_us() - began_us);
    }
    close(fd);
    qsort(took_us, count, sizeof(took_us[0]), compare);
    printf("{\"commands\":%zu,\"true_p50_us\":%u,\"true_p99_us\":%u}\n", count, took_us[count / 2],
           took_us[count * 99 / 100]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool is_new; /* the file that it makes */
        double (*run)(const struct place *p, const char *path, size_t size);
    } parts[] = {
        {"up",       true,  upload  },
        {"down",     false, download},
        {"disk",     true,  disk    },
        {"loopback", false, loopback},
    };
    static const char path[] = "/tmp/transfer";
    uint64_t port = 0, count = 0;
    struct place p;

    if (argc != 6 || !str_to_u64(str_of(argv[1]), &port) || port > UINT16_MAX ||
        !str_to_u64(str_of(argv[5]), &count) || count == 0 || count > COUNT_MAX) {
        fprintf(stderr, "usage: transfer PORT SANDBOX_ID TOKEN PART COUNT\n");
        return 2;
    }
    p = (struct place){(uint16_t)port, argv[2], argv[3]};
    for (size_t i = 0; i < sizeof(piece); i++)
        piece[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (strcmp(argv[4], parts[i].name) != 0)
            continue;
        if (parts[i].is_new)
            remove_file(&p, path);
        printf("{\"mib\":%llu,\"mb_s\":%.0f}\n", (unsigned long long)count,
               parts[i].run(&p, path, count << 20));
    }
    if (strcmp(argv[4], "commands") == 0)
        run_commands(&p, count);
    return 0;
}
