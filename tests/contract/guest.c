/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in for envd with which the runtime contract can try what envd would never do. Static,
 * libc only. It answers its first request as the body asks ("refuse", "die", "silent"; with " late"
 * only when it was started ahead of need, and told to prepare first), having started the image's
 * service at the first one, then takes one command per
 * connection on 127.0.0.1:49983, and answers "six" on [::1]:49984:
 *   s<text>  run it by sh, output to the connection
 *   h<part>  try attacks (hostile.c, where it is linked in), what they came to to the connection
 *   x        end       m  eat memory until killed       w  fill the disk file by file */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONTROL_FD = 3,
    PORT = 49983,
    TEXT_SIZE = 8192,
    CHUNK_SIZE = 1 << 20,
    EXIT_CODE = 7,
    FILL_PAUSE_US = 50000,
    SERVICE_READY_MS = 5000,
};

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        _exit(1);
}

/* A whole request; of one that is longer than the text, its begin. */
static ssize_t read_request(int control, char text[TEXT_SIZE])
{
    static const char length[] = "Content-Length: ";
    static char rest[TEXT_SIZE];
    ssize_t n = read(control, text, TEXT_SIZE - 1);
    ssize_t missing, got = 0;
    const char *body, *field;

    if (n <= 0)
        return n;
    text[n] = '\0';
    body = strstr(text, "\r\n\r\n"); /* the head comes in one piece */
    field = strstr(text, length);
    if (body == NULL || field == NULL)
        return -1;
    missing = body + 4 + strtol(field + sizeof(length) - 1, NULL, 10) - (text + n);
    while (missing > 0 && got >= 0) {
        got = n < TEXT_SIZE - 1 ? read(control, text + n, (size_t)(TEXT_SIZE - 1 - n))
                                : read(control, rest, sizeof(rest));
        if (got == 0)
            return -1;
        missing -= got;
        n += n < TEXT_SIZE - 1 ? got : 0;
        text[n] = '\0';
    }
    return n;
}

/* As envd has it: envd/service.h. */
static void start_service(void)
{
    static const char path[] = "/etc/sandlot/start";
    static int had_one;
    struct pollfd ready = {.events = POLLIN};
    int ends[2];

    if (had_one++ || access(path, X_OK) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return;
    if (fork() == 0) {
        setsid();
        for (int fd = 0; fd < 3; fd++)
            dup2(ends[1], fd);
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    ready.fd = ends[0];
    poll(&ready, 1, SERVICE_READY_MS);
    close(ends[0]);
}

/* 0: it does not answer. */
static int answer_init(const char *text, int was_ahead)
{
    if (strstr(text, " late") != NULL && !was_ahead)
        text = ""; /* as if nothing had been asked */
    if (strstr(text, "die") != NULL)
        _exit(1);
    if (strstr(text, "silent") != NULL)
        return 0;
    start_service();
    say(CONTROL_FD, strstr(text, "refuse") != NULL ? "HTTP/1.1 400 Bad Request\r\n\r\n"
                                                   : "HTTP/1.1 204 No Content\r\n\r\n");
    return 1;
}

/* Until the node has what it wants, and closes. */
static void first_answers(void)
{
    static char text[TEXT_SIZE];
    int is_waiting = 1, was_ahead = 0;
    ssize_t n;

    while ((n = read_request(CONTROL_FD, text)) > 0) {
        if (strncmp(text, "POST /prepare HTTP/1.1\r\n", 24) == 0) {
            say(CONTROL_FD, "HTTP/1.1 204 No Content\r\n\r\n");
            is_waiting = was_ahead = 1;
        } else if (strncmp(text, "POST /init HTTP/1.1\r\n", 21) == 0) {
            is_waiting = 0;
            if (!answer_init(text, was_ahead))
                return;
        } else {
            _exit(1);
        }
        memset(text, 0, sizeof(text));
    }
    if (is_waiting)
        _exit(1); /* nobody knows of it any more */
    close(CONTROL_FD);
}

static int listen_at(const struct sockaddr *address, socklen_t size)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind(fd, address, size) == 0 && listen(fd, 64) == 0)
        return fd;
    return -1;
}

static void eat(void)
{
    for (;;) {
        char *chunk = mmap(NULL, CHUNK_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        if (chunk == MAP_FAILED)
            _exit(1);
    }
}

static void fill(void)
{
    static char chunk[CHUNK_SIZE];
    char name[] = "/fill-aaa";

    for (unsigned i = 0;; i++) {
        int fd;

        name[6] = (char)('a' + i / 676 % 26);
        name[7] = (char)('a' + i / 26 % 26);
        name[8] = (char)('a' + i % 26);
        fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, chunk, sizeof(chunk)) < 0)
            _exit(1);
        close(fd);
        usleep(FILL_PAUSE_US);
    }
}

static void run(int fd, const char *text)
{
    if (fork() != 0)
        return;
    signal(SIGCHLD, SIG_DFL);
    setsid(); /* so that a command may kill what it started */
    dup2(fd, 0);
    dup2(fd, 1);
    dup2(fd, 2);
    execl("/bin/sh", "sh", "-c", text, (char *)NULL);
    _exit(127);
}

/* Absent where hostile.c is not linked in. */
__attribute__((weak)) void hostile_run(int fd, const char *part);

static void attack(int fd, const char *part)
{
    if (hostile_run == NULL || fork() != 0)
        return;
    setsid();
    hostile_run(fd, part);
    _exit(0);
}

static void serve(int fd)
{
    static char text[TEXT_SIZE];
    size_t len = 0;
    ssize_t n;

    while (len + 1 < sizeof(text) && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    switch (text[0]) {
    case 's': run(fd, text + 1); break;
    case 'h': attack(fd, text + 1); break;
    case 'x': _exit(EXIT_CODE);
    case 'm': eat(); break;
    case 'w': fill(); break;
    default: break;
    }
}

/* What a restored one is reached by: io/control.h. */
static int listen_for_host(void)
{
    static const struct {
        sa_family_t family;
        char name[8];
    } place = {AF_UNIX, "\0sandlot"};

    return listen_at((const struct sockaddr *)&place, sizeof(place));
}

static void answer_host(int listener)
{
    static char text[TEXT_SIZE];
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (read_request(fd, text) > 0 && strncmp(text, "POST /init HTTP/1.1\r\n", 21) == 0)
        say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    close(fd);
}

int main(void)
{
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(PORT + 1), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int four = listen_at((const struct sockaddr *)&v4, sizeof(v4));
    int six = listen_at((const struct sockaddr *)&v6, sizeof(v6));
    int host = listen_for_host();
    struct pollfd ready[] = {
        {.fd = four, .events = POLLIN},
        {.fd = host, .events = POLLIN}
    };

    signal(SIGCHLD, SIG_IGN); /* orphans are reaped by the kernel */
    first_answers();
    if (six >= 0 && fork() == 0) {
        for (;;) {
            int fd = accept(six, NULL, NULL);

            say(fd, "six");
            close(fd);
        }
    }
    for (;;) {
        if (poll(ready, 2, -1) < 0)
            continue;
        if (ready[1].revents != 0)
            answer_host(host);
        if (ready[0].revents == 0)
            continue;

        int fd = accept4(four, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            _exit(1);
        serve(fd);
        close(fd);
    }
}
