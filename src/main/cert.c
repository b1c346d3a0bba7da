/* SPDX-License-Identifier: Apache-2.0 */
/* `sandlot cert`: a certificate from an authority of this machine alone, for use where there is no
 * public one. The authority's key never leaves its file, which only its owner may read. */
#include "main/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "io/cert.h"
#include "main/layout.h"
#include "main/role.h"

enum {
    AUTHORITY_DAYS = 3650,
    LEAF_DAYS = 825, /* what browsers take at most from an authority that was added by hand */
    OWN_NAMES = 5,
    DIR_MAX = 1100,
    FILE_MAX = DIR_MAX + 16,
};

/* A new file in the place of the old one, whole or not at all. */
static int write_file(const char *path, struct str text, mode_t mode, struct err *err)
{
    char fresh[FILE_MAX + 8];
    auto_fd int fd = -1;

    ignore(snprintf(fresh, sizeof fresh, "%s.new", path));
    ignore(unlink(fresh)); /* left by one that was interrupted */
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_sys(err, errno, "write '%s'", fresh);
    if (write(fd, text.at, text.len) != (ssize_t)text.len || fchmod(fd, mode) != 0 ||
        fsync(fd) != 0 || rename(fresh, path) != 0) {
        int sys = errno;

        ignore(unlink(fresh));
        return err_sys(err, sys, "write '%s'", path);
    }
    return 0;
}

static int save(const struct cert *c, const char *chain_path, const char *key_path, mode_t key_mode,
                struct err *err)
{
    struct buf chain, key;
    int status;

    buf_init(&chain, CERT_PEM_MAX);
    buf_init(&key, CERT_PEM_MAX);
    status = cert_put_chain(c, &chain, err) != 0 || cert_put_key(c, &key, err) != 0 ||
                     write_file(key_path, buf_str(&key), key_mode, err) != 0 ||
                     write_file(chain_path, buf_str(&chain), 0644, err) != 0
                 ? -1
                 : 0;
    if (key.at != NULL)
        explicit_bzero(key.at, key.len);
    buf_done(&key);
    buf_done(&chain);
    return status;
}

/* The one of last time, or a new one. */
static int open_authority(const char *chain_path, const char *key_path, struct cert **out,
                          struct err *err)
{
    char name[64] = "Sandlot local authority";
    char host[40] = "";

    if (access(chain_path, F_OK) == 0 || access(key_path, F_OK) == 0)
        return cert_read(chain_path, key_path, out, err);
    if (gethostname(host, sizeof host - 1) == 0 && host[0] != '\0')
        ignore(snprintf(name, sizeof name, "Sandlot on %.38s", host));
    if (cert_make_authority(name, AUTHORITY_DAYS, out, err) != 0)
        return -1;
    if (save(*out, chain_path, key_path, 0600, err) == 0)
        return 0;
    cert_free(*out);
    return -1;
}

/* What is asked for, else what this server is called. `wild` is memory for one of them. */
static size_t choose_names(const struct invocation *v, const char *domain, char wild[260],
                           struct str *names)
{
    struct str whole, bare = str_cut(str_of(domain), ':', &whole);
    size_t count = 0;

    for (size_t i = 0; i < v->count && count < CERT_NAMES_MAX - OWN_NAMES; i++)
        names[count++] = str_of(v->words[i]);
    if (bare.len > 0 && bare.len < 250) {
        ignore(snprintf(wild, 260, "*.%.*s", STR_ARG(bare)));
        names[count++] = bare;
        names[count++] = str_of(wild);
    }
    names[count++] = STR("localhost");
    names[count++] = STR("127.0.0.1");
    names[count++] = STR("::1");
    return count;
}

static int make(const struct invocation *v, const struct config *c, const char *dir,
                struct err *err)
{
    char paths[4][FILE_MAX];
    static const char *const files[4] = {"ca.pem", "ca.key", "cert.pem", "cert.key"};
    struct str names[CERT_NAMES_MAX];
    struct cert *authority, *leaf = NULL;
    struct user edge;
    char wild[260];
    size_t count = choose_names(v, c->domain, wild, names);
    int status;

    for (size_t i = 0; i < COUNT_OF(files); i++)
        config_path(paths[i], sizeof paths[i], dir, files[i]);
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return err_sys(err, errno, "make '%s'", dir);
    if (open_authority(paths[0], paths[1], &authority, err) != 0)
        return -1;
    status = cert_issue(authority, names, count, LEAF_DAYS, &leaf, err) != 0 ||
                     save(leaf, paths[2], paths[3], 0600, err) != 0
                 ? -1
                 : 0;
    cert_free(authority);
    cert_free(leaf);
    if (status != 0)
        return -1;
    if (geteuid() == 0 && user_find(c->edge_user, &edge, err) == 0 &&
        chown(paths[3], edge.uid, edge.gid) != 0)
        return err_sys(err, errno, "give '%s' to '%s'", paths[3], c->edge_user);
    printf("for");
    for (size_t i = 0; i < count; i++)
        printf(" %.*s", STR_ARG(names[i]));
    printf("\n\ntls.certificates = %s:%s\n", paths[2], paths[3]);
    printf("\nexport NODE_EXTRA_CA_CERTS=%s\nexport SSL_CERT_FILE=%s\n", paths[0], paths[0]);
    return 0;
}

int cert_command(const struct invocation *v)
{
    const struct program *program = v->ctx;
    const char *given = command_value(v, "--dir");
    char dir[DIR_MAX];
    struct err err = {0};

    if (given == NULL)
        config_path(dir, sizeof dir, program->config.data_dir, "tls");
    else if (!str_to_c(str_of(given), dir, sizeof dir))
        return command_fail(v, "the path is too long");
    return make(v, &program->config, dir, &err) == 0 ? EXIT_SUCCESS
                                                     : command_fail(v, "%s", err.text);
}
