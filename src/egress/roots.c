/* SPDX-License-Identifier: Apache-2.0 */
/* See roots.h. */
#include "egress/roots.h"

#include <errno.h>
#include <fcntl.h>

#include "base/buf.h"

enum {
    ROOTS_MAX = 4 << 20, /* bytes of PEM */
    PEM_STEP = 64 << 10,
};

struct roots {
    struct tls_context *context; /* NULL: not needed yet */
};

static int read_pem(const char *path, struct buf *out, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char *room;
    ssize_t n;

    if (fd < 0)
        return err_sys(err, errno, "open '%s'", path);
    do {
        room = buf_room(out, PEM_STEP);
        n = room == NULL ? 0 : read(fd, room, PEM_STEP);
        if (n > 0)
            buf_fill(out, (size_t)n);
    } while (n > 0);
    buf_add_byte(out, '\n');
    return n == 0 && buf_ok(out) ? 0 : err_sys(err, n < 0 ? errno : EFBIG, "read '%s'", path);
}

/* With no file of the operator's, what OpenSSL takes for this machine's store. */
static int load(struct roots *r, const char *file, struct err *err)
{
    static const char machines[] = "/etc/ssl/certs/ca-certificates.crt";
    static const char *const protocols[] = {"http/1.1", NULL};
    struct tls_client_spec spec = {.protocols = protocols};
    struct buf pem;
    int result = 0;

    buf_init(&pem, ROOTS_MAX);
    if (file[0] != '\0') {
        result = read_pem(file, &pem, err);
        if (result == 0 && access(machines, R_OK) == 0)
            result = read_pem(machines, &pem, err);
        spec.roots_pem = buf_str(&pem);
    }
    if (result == 0)
        result = tls_client_context(&spec, &r->context, err);
    buf_done(&pem);
    return result;
}

int roots_new(const char *file, struct roots **out, struct err *err)
{
    struct roots *r = mem_zero(sizeof(*r));

    if (file[0] != '\0' && load(r, file, err) != 0) {
        roots_free(r);
        return -1;
    }
    *out = r;
    return 0;
}

void roots_free(struct roots *r)
{
    if (r == NULL)
        return;
    tls_context_free(r->context);
    free(r);
}

int roots_context(struct roots *r, struct tls_context **out, struct err *err)
{
    if (r->context == NULL && load(r, "", err) != 0)
        return -1;
    *out = r->context;
    return 0;
}
