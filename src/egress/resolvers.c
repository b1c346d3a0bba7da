/* SPDX-License-Identifier: Apache-2.0 */
/* Who is asked; see dns.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>

#include "base/log.h"
#include "egress/dns_internal.h"

enum { FILE_MAX = 8 << 10 };

static const char resolv_conf[] = "/etc/resolv.conf";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

static struct str next_word(struct str *rest)
{
    size_t from = 0, to;

    while (from < rest->len && is_blank(rest->at[from]))
        from++;
    to = from;
    while (to < rest->len && !is_blank(rest->at[to]))
        to++;

    struct str word = {rest->at + from, to - from};

    *rest = str_from(*rest, to);
    return word;
}

/* "192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:5353" */
static bool read_resolver(struct str word, struct place *out)
{
    struct range r;
    struct str host = word, port_text = {0};
    uint64_t port = DNS_PORT;

    if (word.len > 0 && word.at[0] == '[') {
        host = str_cut(str_from(word, 1), ']', &port_text);
        if (port_text.len > 0 && port_text.at[0] == ':')
            port_text = str_from(port_text, 1);
    } else if (str_find(word, '.') >= 0) {
        host = str_cut(word, ':', &port_text);
    }
    if (str_find(host, '/') >= 0 || !range_read(host, &r))
        return false;
    if (port_text.len > 0 && (!str_to_u64(port_text, &port) || port == 0 || port > UINT16_MAX))
        return false;
    memcpy(out->address, r.address, sizeof(out->address));
    out->port = (uint16_t)port;
    return true;
}

static void add(struct dns *d, const struct place *resolver)
{
    if (d->resolver_count < RESOLVERS_MAX)
        d->resolvers[d->resolver_count++] = *resolver;
}

static int read_file(struct dns *d, struct err *err)
{
    auto_fd int fd = open(resolv_conf, O_RDONLY | O_CLOEXEC);
    char space[FILE_MAX];
    struct place resolver;
    struct stat st;
    struct str rest;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) != 0 || (n = read(fd, space, sizeof(space))) < 0)
        return err_sys(err, errno, "read %s", resolv_conf);
    d->read_at = st.st_mtim;
    d->resolver_count = 0;
    rest = (struct str){space, (size_t)n};
    while (rest.len > 0) {
        struct str line = str_cut(rest, '\n', &rest);

        if (str_is(next_word(&line), "nameserver") && read_resolver(next_word(&line), &resolver))
            add(d, &resolver);
    }
    return 0;
}

int resolvers_read(struct dns *d, struct err *err)
{
    struct str rest = str_of(d->configured), word;
    struct place resolver;
    struct err why;

    if (str_trim(rest).len == 0) {
        /* a machine without name service still runs sandboxes */
        if (read_file(d, &why) != 0)
            log_warn("egress.no_resolver", "error=\"%s\"", why.text);
        return 0;
    }
    while ((word = next_word(&rest)).len > 0) {
        if (!read_resolver(word, &resolver))
            return err_set(err, ERR_INVALID, "'%.*s' is not the address of a resolver",
                           STR_ARG(word));
        add(d, &resolver);
    }
    return 0;
}

void resolvers_refresh(struct dns *d)
{
    struct stat st;

    if (str_trim(str_of(d->configured)).len > 0 || stat(resolv_conf, &st) != 0)
        return;
    if (st.st_mtim.tv_sec != d->read_at.tv_sec || st.st_mtim.tv_nsec != d->read_at.tv_nsec)
        ignore(read_file(d, NULL)); /* keeps what it had */
}
