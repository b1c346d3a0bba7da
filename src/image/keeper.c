/* SPDX-License-Identifier: Apache-2.0 */
/* See keeper.h. */
#include "image/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/id.h"
#include "image/beneath.h"
#include "image/confine.h"
#include "io/socket.h"
#include "ipc/image_messages.h"
#include "runtime/linux/files.h"
#include "runtime/linux/idmap.h"

enum {
    STAGE_NAME_LEN = 20,
    PATH_SIZE = 1200,
};

struct keeper {
    const struct keeper_spec *spec;
    char stage[STAGE_NAME_LEN + 1]; /* its name in staging/; "": none was made */
    int stage_fd;
    int mapped_stage_fd, mapped_blobs_fd; /* the same, as the worker's namespace sees them */
    int userns_fd;
    int desk_fd; /* ours; the worker's is closed here */
    pid_t pid;
    int pidfd;
    struct buf *out;
    bool is_done, has_failed;
    struct err why;
};

static int open_mapped(struct keeper *k, const char *below, int *out_fd, struct err *err)
{
    char path[PATH_SIZE];

    if ((size_t)snprintf(path, sizeof path, "%s/images/%s", k->spec->store->data_dir, below) >=
        sizeof path)
        return err_set(err, ERR_INVALID, "data_dir is too long");
    if (tree_clone(path, 0, k->userns_fd, out_fd, err) != 0)
        return err->sys == EINVAL || err->sys == ENOSYS
                   ? err_set(err, ERR_UNSUPPORTED,
                             "images need a file system that can be mounted with mapped ids, as "
                             "data_dir")
                   : -1;
    return 0;
}

/* The store is locked, shared, as long as we work: nobody collects what is in staging/. */
static int open_stage(struct keeper *k, struct err *err)
{
    char below[STAGE_NAME_LEN + sizeof "staging/"];

    id_text(k->stage, STAGE_NAME_LEN);
    k->stage[STAGE_NAME_LEN] = '\0';
    if (mkdirat(k->spec->store->staging_fd, k->stage, 0700) != 0) {
        k->stage[0] = '\0';
        return err_sys(err, errno, "make a place for layers");
    }
    if (dir_open(k->spec->store->staging_fd, k->stage, &k->stage_fd, err) != 0)
        return -1;
    ignore(snprintf(below, sizeof below, "staging/%s", k->stage));
    if (userns_open(k->spec->uid_base, &k->userns_fd, err) != 0)
        return err_wrap(err, "make a user namespace");
    if (open_mapped(k, below, &k->mapped_stage_fd, err) != 0)
        return -1;
    return open_mapped(k, "blobs", &k->mapped_blobs_fd, err);
}

/* A directory of others, as the worker's namespace sees it: its root may read all of it, and nobody
 * may write. Where the file system cannot be mapped the worker is a stranger in it. */
static int map_source(struct keeper *k, int fd)
{
    char path[sizeof "/proc/self/fd/" + 12];
    auto_fd int tree = -1;
    struct stat st;
    struct err err;
    int mapped;

    if (fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode))
        return fd;
    ignore(snprintf(path, sizeof path, "/proc/self/fd/%d", fd));
    if (tree_clone(path, MOUNT_ATTR_RDONLY, k->userns_fd, &tree, &err) != 0 ||
        dir_open(tree, ".", &mapped, &err) != 0)
        return fd;
    ignore(dup3(mapped, fd, O_CLOEXEC)); /* the worker knows it by its number; this is its copy */
    close(mapped);
    return fd;
}

static _Noreturn void work(struct keeper *k, int desk_fd, pid_t parent)
{
    const struct keeper_spec *s = k->spec;
    struct desk desk = {desk_fd, -1};
    int fds[CONFINE_FDS_MAX] = {desk_fd};
    struct confine c = {
        .userns_fd = k->userns_fd,
        .parent = parent,
        .fds = fds,
        .fd_count = 2,
        .needs_network = s->needs_network,
        .file_bytes = s->file_bytes,
    };
    struct err err;

    /* A descriptor that was opened through the mapped mount, not O_PATH: it is read as well. */
    if (dir_open(k->mapped_blobs_fd, ".", &desk.blobs_fd, &err) != 0) {
        desk_fail(&desk, &err);
        _exit(EXIT_FAILURE);
    }
    fds[1] = desk.blobs_fd;
    for (size_t i = 0; i < s->fd_count && i < KEEPER_FDS_MAX; i++)
        fds[c.fd_count++] = map_source(k, s->fds[i]);
    if (confine(&c, &err) != 0)
        desk_fail(&desk, &err);
    else
        s->fn(s->ctx, &desk);
    _exit(EXIT_SUCCESS);
}

static int start_worker(struct keeper *k, struct err *err)
{
    int ends[2];
    pid_t parent = getpid();

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return err_sys(err, errno, "make a socket pair");
    k->desk_fd = ends[0];
    k->pid = fork();
    if (k->pid == 0) {
        close(ends[0]);
        work(k, ends[1], parent);
    }
    close(ends[1]);
    if (k->pid < 0)
        return err_sys(err, errno, "start a worker");
    k->pidfd = pidfd_open(k->pid, 0);
    return k->pidfd < 0 ? err_sys(err, errno, "watch the worker") : 0;
}

/* What the worker asks for. The answer's text goes to `text`, its descriptor to *fd. */
struct request {
    const struct desk_head *head;
    struct str text;
    struct buf answer;
    int fd;
};

static int do_find(struct keeper *k, struct request *r, struct err *err)
{
    struct desk_layer l = {.id = r->head->layer};

    if (!image_store_has(k->spec->store, &l.id))
        return err_set(err, ERR_NOT_FOUND, "no such layer");
    l.bytes = image_store_bytes(k->spec->store, &l.id);
    buf_add(&r->answer, &l, sizeof l);
    return 0;
}

static int do_begin(struct keeper *k, struct request *r, struct err *err)
{
    char name[DIGEST_HEX + 1];

    digest_hex(&r->head->layer, name);
    if (mkdirat(k->stage_fd, name, 0700) != 0 || fchmodat(k->stage_fd, name, 0755, 0) != 0)
        return err_sys(err, errno, "make a directory for a layer");
    return dir_open(k->mapped_stage_fd, name, &r->fd, err);
}

/* The path is the worker's word: it is resolved with the layer for its root. */
static int do_opaque(struct keeper *k, struct request *r, struct err *err)
{
    char path[BENEATH_PATH_MAX], name[DIGEST_HEX + 1];
    auto_fd int root = -1;
    auto_fd int dir = -1;

    digest_hex(&r->head->layer, name);
    if (beneath_clean(r->text, path, err) != 0 || dir_open(k->stage_fd, name, &root, err) != 0 ||
        beneath_open(root, path, O_RDONLY | O_DIRECTORY, &dir, err) != 0)
        return -1;
    if (fsetxattr(dir, "trusted.overlay.opaque", "y", 1, 0) != 0)
        return err_sys(err, errno, "mark a directory as opaque");
    return 0;
}

static int do_name(struct keeper *k, struct request *r, struct err *err)
{
    return image_store_name_get(k->spec->store, &r->head->layer, &r->answer, err);
}

/* Everything is on disk before it has its name. */
static int keep_layers(struct keeper *k, const struct desk_layer *layers, size_t count,
                       struct err *err)
{
    struct image_store *s = k->spec->store;
    struct digest ids[DESK_LAYERS_MAX];

    if (syncfs(k->stage_fd) != 0)
        return err_sys(err, errno, "sync the layers");
    for (size_t i = 0; i < count; i++) {
        ids[i] = layers[i].id;
        if (!image_store_has(s, &ids[i]) &&
            image_store_add(s, k->stage_fd, &ids[i], layers[i].bytes, err) != 0)
            return -1;
    }
    if (k->spec->holder.len > 0)
        return image_store_hold(s, k->spec->holder, ids, count, err);
    return 0;
}

static int do_done(struct keeper *k, struct request *r, struct err *err)
{
    size_t count = r->head->count;
    struct desk_layer layers[DESK_LAYERS_MAX];
    struct str record;

    if (count > DESK_LAYERS_MAX || r->text.len < count * sizeof *layers)
        return err_set(err, ERR_INVALID, "bad list of layers");
    if (count > 0)
        memcpy(layers, r->text.at, count * sizeof *layers);
    record = str_from(r->text, count * sizeof *layers);
    if (keep_layers(k, layers, count, err) != 0)
        return -1;
    if (k->spec->has_key && image_store_name_put(k->spec->store, &k->spec->key, record, err) != 0)
        return -1;
    buf_add_str(k->out, record);
    k->is_done = buf_ok(k->out);
    return k->is_done ? 0 : err_set(err, ERR_LIMIT, "the record is too large");
}

static int do_fail(struct keeper *k, struct request *r, struct err *err)
{
    enum err_kind kind = r->head->kind == ERR_NONE || r->head->kind > ERR_SYSTEM
                             ? ERR_SYSTEM
                             : (enum err_kind)r->head->kind;

    err_set(&k->why, kind, "%.*s", STR_ARG(r->text));
    k->has_failed = true;
    ignore((long)(err != NULL));
    return 0;
}

typedef int desk_fn(struct keeper *k, struct request *r, struct err *err);

static desk_fn *const desk_ops[] = {
    [DESK_FIND] = do_find, [DESK_BEGIN] = do_begin, [DESK_OPAQUE] = do_opaque,
    [DESK_NAME] = do_name, [DESK_DONE] = do_done,   [DESK_FAIL] = do_fail,
};

static int answer(struct keeper *k, const struct request *r, const struct err *why)
{
    struct desk_head head = {.op = r->head->op};
    struct buf packet;
    struct err err;
    int result;

    buf_init(&packet, PACKET_MAX);
    if (why != NULL)
        head.kind = why->kind;
    buf_add(&packet, &head, sizeof head);
    if (why != NULL)
        buf_add_text(&packet, why->text);
    else
        buf_add_str(&packet, buf_str(&r->answer));
    result = buf_ok(&packet)
                 ? packet_send(k->desk_fd, buf_str(&packet), &r->fd, r->fd >= 0 ? 1 : 0, &err)
                 : -1;
    buf_done(&packet);
    return result;
}

/* False: the worker has left, or does not keep to the rules. */
static bool serve_one(struct keeper *k)
{
    auto_free char *packet = mem_zero(PACKET_MAX);
    int fds[PACKET_FDS_MAX];
    size_t fd_count = 0;
    struct desk_head head;
    struct request r = {.head = &head, .fd = -1};
    struct err err = {0};
    ssize_t got = packet_receive(k->desk_fd, packet, PACKET_MAX, fds, &fd_count, &err);
    bool goes_on;
    int result;

    while (got > 0 && fd_count > 0)
        own_close_fd(&fds[--fd_count]); /* none is expected */
    if (got < (ssize_t)sizeof head)
        return false;
    memcpy(&head, packet, sizeof head);
    r.text = (struct str){packet + sizeof head, (size_t)got - sizeof head};
    if (head.op >= COUNT_OF(desk_ops) || desk_ops[head.op] == NULL || head.text != r.text.len)
        return false;
    buf_init(&r.answer, DESK_TEXT_MAX);
    result = desk_ops[head.op](k, &r, &err);
    goes_on = answer(k, &r, result == 0 ? NULL : &err) == 0;
    own_close_fd(&r.fd);
    buf_done(&r.answer);
    return goes_on && !k->has_failed && !k->is_done;
}

/* The worker speaks, or the one who asked for the work leaves, or time is up. */
static int serve(struct keeper *k, struct err *err)
{
    uint64_t end_ms = clock_mono_ms() + k->spec->timeout_ms;

    for (;;) {
        struct pollfd polls[] = {
            {k->desk_fd,        POLLIN, 0},
            {k->spec->watch_fd, 0,      0},
        };
        uint64_t now_ms = clock_mono_ms();
        int wait_ms = now_ms >= end_ms          ? 0
                      : end_ms - now_ms > 60000 ? 60000
                                                : (int)(end_ms - now_ms);
        int count = poll(polls, COUNT_OF(polls), wait_ms);

        if (count < 0 && errno != EINTR)
            return err_sys(err, errno, "wait for the worker");
        if (clock_mono_ms() >= end_ms)
            return err_set(err, ERR_TIMEOUT, "it took longer than %llu s",
                           (unsigned long long)(k->spec->timeout_ms / 1000));
        if (count <= 0)
            continue;
        if ((polls[1].revents & (POLLHUP | POLLERR)) != 0)
            return err_set(err, ERR_UNAVAILABLE, "who asked for it is gone");
        if (polls[0].revents != 0 && !serve_one(k))
            return 0;
    }
}

static int end_worker(struct keeper *k, struct err *err)
{
    siginfo_t info = {0};

    if (!k->is_done)
        ignore(kill(k->pid, SIGKILL)); /* it may be gone already */
    while (waitid(P_PID, (id_t)k->pid, &info, WEXITED) != 0 && errno == EINTR) {
        /* it is dead or about to end */
    }
    if (k->is_done)
        return 0;
    if (k->has_failed) {
        *err = k->why;
        return -1;
    }
    if (info.si_code == CLD_EXITED)
        return err_set(err, ERR_SYSTEM, "the worker ended with status %d", info.si_status);
    return err_set(err, ERR_SYSTEM, "the worker was killed by signal %d", info.si_status);
}

static void close_all(struct keeper *k)
{
    struct err err;

    own_close_fd(&k->desk_fd);
    own_close_fd(&k->pidfd);
    own_close_fd(&k->mapped_blobs_fd);
    own_close_fd(&k->mapped_stage_fd);
    own_close_fd(&k->userns_fd);
    own_close_fd(&k->stage_fd);
    if (k->stage[0] != '\0')
        ignore(tree_remove(k->spec->store->staging_fd, k->stage, &err)); /* else collected later */
}

int keeper_run(const struct keeper_spec *spec, struct buf *out, struct err *err)
{
    struct keeper k = {
        .spec = spec,
        .stage_fd = -1,
        .mapped_stage_fd = -1,
        .mapped_blobs_fd = -1,
        .userns_fd = -1,
        .desk_fd = -1,
        .pidfd = -1,
        .out = out,
    };
    int result = -1;

    if (open_stage(&k, err) == 0 && start_worker(&k, err) == 0) {
        struct err served = {0};

        result = serve(&k, &served);
        if (end_worker(&k, err) == 0)
            result = 0;
        else if (result != 0)
            *err = served;
        else
            result = -1;
    }
    close_all(&k);
    return result;
}
