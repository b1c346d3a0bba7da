/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the machine's memory by other ways than a process's own pages, and on what is counted
 * for the whole machine. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"

enum {
    CHUNK = 1 << 20,
    CHUNKS = HOSTILE_MEMORY_MAX / CHUNK * 4,
    HUGE_PAGE = 2 << 20,
    HUGE_FILE = 4, /* MFD_HUGETLB */
    HUGE_SHARED = 04000,
    PIPE_SIZE = 1 << 20,
    SOCKETS = 4000,
    MANY = 200000,
    ENOUGH = 200,
#ifndef SO_MEMINFO
    SO_MEMINFO = 55,
#endif
};

static char chunk[CHUNK];
static uint32_t memory_info[9]; /* the first: what is received and not read */

/* Until it is refused, killed, or has four times what the sandbox may have. */
static void through_file(int fd)
{
    memset(chunk, 'x', sizeof(chunk));
    for (int i = 0; i < CHUNKS; i++) {
        if (write(fd, chunk, sizeof(chunk)) <= 0)
            held(strerror(errno));
    }
    broke("it has %d MiB", CHUNKS);
}

static void memory_file(const struct hostile_row *row)
{
    through_file((int)syscall(SYS_memfd_create, "x", row->numbers[0]));
}

static void temporary_file(const struct hostile_row *row)
{
    through_file(open(row->text, O_WRONLY | O_CREAT, 0600));
}

static void own_pages(const struct hostile_row *row)
{
    for (int i = 0; i < CHUNKS; i++) {
        if (mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
                 (int)row->numbers[0] | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED)
            held(strerror(errno));
    }
    broke("it has %d MiB", CHUNKS);
}

static void shared_segments(const struct hostile_row *row)
{
    (void)row;
    for (int i = 0; i < CHUNKS; i++) {
        int id = shmget(IPC_PRIVATE, CHUNK, IPC_CREAT | 0600);
        char *at = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

        if (at == (void *)-1)
            held(strerror(errno));
        memset(at, 'x', CHUNK);
        shmdt(at);
    }
    broke("it has %d MiB", CHUNKS);
}

static void message_queues(const struct hostile_row *row)
{
    struct {
        long type;
        char text[8192];
    } message = {1, ""};
    size_t total = 0;

    (void)row;
    for (;;) {
        int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

        if (id < 0)
            held(strerror(errno));
        while (msgsnd(id, &message, sizeof(message.text), IPC_NOWAIT) == 0)
            total += sizeof(message.text);
        if (total / CHUNK >= CHUNKS)
            broke("it has %d MiB", CHUNKS);
    }
}

static void pipes(const struct hostile_row *row)
{
    size_t total = 0;
    int ends[2];

    (void)row;
    while (pipe2(ends, O_NONBLOCK) == 0) {
        ssize_t n;

        fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
        while ((n = write(ends[1], chunk, sizeof(chunk))) > 0)
            total += (size_t)n;
        if (total / CHUNK >= CHUNKS)
            broke("it has %d MiB", CHUNKS);
    }
    held(strerror(errno));
}

/* What was sent and is not read waits in the kernel. */
static void unread(const struct hostile_row *row)
{
    size_t total = 0;
    int ends[2];

    for (int i = 0; i < SOCKETS; i++) {
        int size = CHUNK;
        ssize_t n;

        if (socketpair(AF_UNIX, (int)row->numbers[0] | SOCK_NONBLOCK, 0, ends) != 0)
            held(strerror(errno));
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        while ((n = send(ends[0], chunk, 65536, MSG_NOSIGNAL)) > 0)
            total += (size_t)n;
        if (total / CHUNK >= CHUNKS)
            broke("it has %d MiB", CHUNKS);
    }
    held("no more sockets");
}

static void unread_of_network(const struct hostile_row *row)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    size_t total = 0;

    (void)row;
    if (bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, SOCKETS) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) != 0)
        broke("listen: %s", strerror(errno));
    for (int i = 0; i < SOCKETS; i++) {
        int large = 8 << 20, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        ssize_t n;

        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
        if (fd < 0 || (connect(fd, (struct sockaddr *)&at, size) != 0 && errno != EINPROGRESS))
            held(strerror(errno));
        while ((n = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL)) > 0)
            total += (size_t)n;
        if (total / CHUNK >= CHUNKS)
            broke("it has %d MiB", CHUNKS);
    }
    held("no more sockets");
}

/* Each to itself, until the buffer is full. */
static void unread_datagrams(const struct hostile_row *row)
{
    size_t total = 0;

    (void)row;
    for (int i = 0; i < SOCKETS; i++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof(at);
        int large = 8 << 20, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
        if (bind(fd, (struct sockaddr *)&at, size) != 0 ||
            getsockname(fd, (struct sockaddr *)&at, &size) != 0)
            held(strerror(errno));
        for (int k = 0, queued = 0, before = -1; k < ENOUGH && queued != before; k++) {
            before = queued;
            sendto(fd, chunk, 60000, 0, (struct sockaddr *)&at, size);
            getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory_info, &(socklen_t){sizeof(memory_info)});
            queued = (int)memory_info[0];
        }
        total += memory_info[0];
        if (total / CHUNK >= CHUNKS)
            broke("it has %d MiB", CHUNKS);
    }
    held("no more sockets");
}

static void huge_pages(const struct hostile_row *row)
{
    int fd;

    if (row->numbers[0] == SYS_shmget)
        fd = shmget(IPC_PRIVATE, HUGE_PAGE, IPC_CREAT | HUGE_SHARED | 0600);
    else if (row->numbers[0] == SYS_memfd_create)
        fd = (int)syscall(SYS_memfd_create, "x", HUGE_FILE);
    else /* some libc say ENOMEM for EPERM */
        fd = (int)syscall(SYS_mmap, 0, HUGE_PAGE, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    expect_refused(fd, (const int[]){EPERM, 0});
}

/* clang-format off */
static const struct hostile_row memory[] = {
    {"own pages", own_pages, .numbers = {MAP_PRIVATE}, .may_be_killed = true},
    {"shared pages", own_pages, .numbers = {MAP_SHARED}, .may_be_killed = true},
    {"memory file", memory_file, .may_be_killed = true},
    {"/dev/shm", temporary_file, "/dev/shm/x", .may_be_killed = true},
    {"segments", shared_segments, .may_be_killed = true},
    {"message queues", message_queues, .may_be_killed = true},
    {"pipes", pipes, .may_be_killed = true},
    {"unread stream", unread, .numbers = {SOCK_STREAM}, .may_be_killed = true},
    {"unread packets", unread, .numbers = {SOCK_DGRAM}, .may_be_killed = true},
    {"unread TCP", unread_of_network, .may_be_killed = true},
    {"unread UDP", unread_datagrams, .may_be_killed = true},
    {"huge pages", huge_pages, .numbers = {SYS_mmap}},
    {"huge file", huge_pages, .numbers = {SYS_memfd_create}},
    {"huge segment", huge_pages, .numbers = {SYS_shmget}},
};

/* ---- what is counted by user or machine: taken until no more comes, and held ---- */

static void hold(unsigned long count)
{
    char text[64];

    snprintf(text, sizeof(text), "took %lu (%s)\n", count, strerror(errno));
    answer(text);
    for (;;)
        pause();
}

static void take_queues(const struct hostile_row *row)
{
    struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = 8192};
    unsigned long count = 0;
    char name[32];

    (void)row;
    do {
        snprintf(name, sizeof(name), "/q%lu", count);
    } while (mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr) >= 0 && ++count < MANY);
    hold(count);
}

static void take_signals(const struct hostile_row *row)
{
    unsigned long count = 0;
    sigset_t all;

    (void)row;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    while (sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0 && ++count < MANY) {
    }
    hold(count);
}

static void take_memory_in_place(const struct hostile_row *row)
{
    unsigned long count = 0;

    (void)row;
    for (;;) { /* of a segment it is counted by user, not by process */
        int id = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600);

        if (id < 0 || shmctl(id, SHM_LOCK, NULL) != 0 || ++count >= MANY / 64)
            break;
    }
    hold(count);
}

static void take_inotify(const struct hostile_row *row)
{
    unsigned long count = 0;

    (void)row;
    while (inotify_init1(0) >= 0 && ++count < MANY) {
    }
    hold(count);
}

static void take_terminals(const struct hostile_row *row)
{
    unsigned long count = 0;

    (void)row;
    while (open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0 && ++count < MANY) {
    }
    hold(count);
}

static const struct hostile_row take[] = {
    {"queues", take_queues},
    {"signals", take_signals},
    {"memory in place", take_memory_in_place},
    {"inotify", take_inotify},
    {"terminals", take_terminals},
};
/* clang-format on */

const struct hostile_list hostile_take = {take, sizeof(take) / sizeof(take[0])};
const struct hostile_list hostile_memory = {memory, sizeof(memory) / sizeof(memory[0])};
