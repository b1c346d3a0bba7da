/* SPDX-License-Identifier: Apache-2.0 */
/* See seal.h. Used by store/sealed.c. */
#include "crypto/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/id.h"

enum {
    MARK_SIZE = 2,
    NAME_SIZE = 8,
    NONCE_SIZE = 12,
    TAG_SIZE = 16,
    HEAD_SIZE = MARK_SIZE + NAME_SIZE + NONCE_SIZE,
    FILE_MAX = 8 << 10,
};

_Static_assert(HEAD_SIZE + TAG_SIZE == SEAL_OVERHEAD, "what the header says");

/* No protobuf field has the number 0. */
static const char mark[MARK_SIZE] = {0, 1};

struct key {
    uint8_t bytes[SEAL_KEY_SIZE];
    uint8_t name[NAME_SIZE]; /* of its SHA-256 */
};

struct seal {
    struct key keys[SEAL_KEYS_MAX];
    size_t count;
};

static int add_key(struct seal *s, struct str line, struct err *err)
{
    struct key *k = &s->keys[s->count];
    uint8_t sum[SHA256_SIZE];

    if (s->count == SEAL_KEYS_MAX)
        return err_set(err, ERR_INVALID, "more than %d keys", SEAL_KEYS_MAX);
    if (line.len != (size_t)2 * SEAL_KEY_SIZE)
        return err_set(err, ERR_INVALID, "a key must have %d hexadecimal digits",
                       2 * SEAL_KEY_SIZE);
    for (size_t i = 0; i < SEAL_KEY_SIZE; i++) {
        int high = hex_digit(line.at[2 * i]), low = hex_digit(line.at[2 * i + 1]);

        if (high < 0 || low < 0)
            return err_set(err, ERR_INVALID, "a key must be of hexadecimal digits");
        k->bytes[i] = (uint8_t)(high << 4 | low);
    }
    sha256_of((struct str){(const char *)k->bytes, SEAL_KEY_SIZE}, sum);
    memcpy(k->name, sum, NAME_SIZE);
    s->count++;
    return 0;
}

static int read_keys(struct seal *s, struct str text, struct err *err)
{
    while (text.len > 0) {
        struct str line = str_cut(text, '\n', &text);

        line = str_trim(line);
        if (line.len > 0 && line.at[0] != '#' && add_key(s, line, err) != 0)
            return -1;
    }
    return s->count > 0 ? 0 : err_set(err, ERR_INVALID, "there is no key in it");
}

static int read_file(struct seal *s, const char *path, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char text[FILE_MAX];
    struct stat st;
    ssize_t n;
    int result;

    if (fd < 0 || fstat(fd, &st) != 0)
        return err_sys(err, errno, "open");
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return err_set(err, ERR_INVALID, "others than its owner may read it; chmod 600");
    n = read(fd, text, sizeof(text));
    if (n < 0)
        return err_sys(err, errno, "read");
    if (n == FILE_MAX)
        return err_set(err, ERR_INVALID, "too long");
    result = read_keys(s, (struct str){text, (size_t)n}, err);
    explicit_bzero(text, sizeof(text));
    return result;
}

static int write_key(const char *path, struct err *err)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    char line[2 * SEAL_KEY_SIZE + 2];
    uint8_t key[SEAL_KEY_SIZE];
    ssize_t n;

    if (fd < 0)
        return err_sys(err, errno, "make");
    id_random(key, sizeof(key));
    hex_encode(key, sizeof(key), line);
    line[sizeof(line) - 2] = '\n';
    errno = ENOSPC; /* of a write that is only short */
    n = write(fd, line, sizeof(line) - 1);
    explicit_bzero(key, sizeof(key));
    explicit_bzero(line, sizeof(line));
    return n == (ssize_t)sizeof(line) - 1 && fsync(fd) == 0 ? 0 : err_sys(err, errno, "write");
}

/* Whole and durable before anything is sealed with it: without it all of that is lost. */
static int make_file(const char *path, struct err *err)
{
    char fresh[PATH_MAX], folder[PATH_MAX];
    auto_fd int dir = -1;

    if (!str_to_c(str_of(path), folder, sizeof(folder)) ||
        (size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh))
        return err_set(err, ERR_INVALID, "the path is too long");
    if (write_key(fresh, err) != 0)
        return -1;
    dir = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) != 0 ||
        fsync(dir) != 0)
        return err_sys(err, errno, "keep");
    return 0;
}

int seal_new(const char *path, struct seal **out, struct err *err)
{
    struct seal *s = mem_zero(sizeof(*s));

    if ((access(path, F_OK) == 0 || make_file(path, err) == 0) && read_file(s, path, err) == 0) {
        *out = s;
        return 0;
    }
    seal_free(s);
    return err_wrap(err, "key file '%s'", path);
}

void seal_free(struct seal *s)
{
    if (s != NULL)
        explicit_bzero(s, sizeof(*s));
    free(s);
}

static const struct key *key_of(const struct seal *s, struct str sealed)
{
    for (size_t i = 0; i < s->count; i++)
        if (memcmp(s->keys[i].name, sealed.at + MARK_SIZE, NAME_SIZE) == 0)
            return &s->keys[i];
    return NULL;
}

bool seal_is_sealed(struct str bytes)
{
    return bytes.len >= SEAL_OVERHEAD && memcmp(bytes.at, mark, MARK_SIZE) == 0;
}

bool seal_is_fresh(const struct seal *s, struct str sealed)
{
    return seal_is_sealed(sealed) && key_of(s, sealed) == &s->keys[0];
}

static const uint8_t *bytes_of(struct str s)
{
    return (const uint8_t *)s.at;
}

int seal_close(const struct seal *s, struct str about, struct str bytes, struct buf *out,
               struct err *err)
{
    const struct key *k = &s->keys[0];
    char *at = buf_room(out, bytes.len + SEAL_OVERHEAD);
    EVP_CIPHER_CTX *c;
    uint8_t *to;
    int len = 0;
    bool is_good;

    if (at == NULL || bytes.len > INT_MAX || about.len > INT_MAX)
        return err_set(err, ERR_LIMIT, "too large to be sealed");
    memcpy(at, mark, MARK_SIZE);
    memcpy(at + MARK_SIZE, k->name, NAME_SIZE);
    id_random(at + MARK_SIZE + NAME_SIZE, NONCE_SIZE); /* 2^32 of them stay safe with one key */
    to = (uint8_t *)at + HEAD_SIZE;
    c = EVP_CIPHER_CTX_new();
    is_good = c != NULL &&
              EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, k->bytes,
                                 (uint8_t *)at + MARK_SIZE + NAME_SIZE) == 1 &&
              EVP_EncryptUpdate(c, NULL, &len, bytes_of(about), (int)about.len) == 1 &&
              EVP_EncryptUpdate(c, to, &len, bytes_of(bytes), (int)bytes.len) == 1 &&
              EVP_EncryptFinal_ex(c, to + bytes.len, &len) == 1 &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, to + bytes.len) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!is_good)
        return err_set(err, ERR_SYSTEM, "OpenSSL cannot seal");
    buf_fill(out, bytes.len + SEAL_OVERHEAD);
    return 0;
}

int seal_open(const struct seal *s, struct str about, struct str sealed, struct buf *out,
              struct err *err)
{
    size_t size = sealed.len - SEAL_OVERHEAD;
    const struct key *k = seal_is_sealed(sealed) ? key_of(s, sealed) : NULL;
    struct str body = str_from(sealed, HEAD_SIZE);
    uint8_t tag[TAG_SIZE];
    EVP_CIPHER_CTX *c;
    char *at;
    int len = 0;
    bool is_good;

    if (k == NULL)
        return err_set(err, ERR_INVALID, "sealed with a key that is not in the key file");
    at = buf_room(out, size + 1);
    if (at == NULL || size > INT_MAX || about.len > INT_MAX)
        return err_set(err, ERR_LIMIT, "too large to be opened");
    memcpy(tag, body.at + size, TAG_SIZE);
    c = EVP_CIPHER_CTX_new();
    is_good = c != NULL &&
              EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, k->bytes,
                                 bytes_of(sealed) + MARK_SIZE + NAME_SIZE) == 1 &&
              EVP_DecryptUpdate(c, NULL, &len, bytes_of(about), (int)about.len) == 1 &&
              EVP_DecryptUpdate(c, (uint8_t *)at, &len, bytes_of(body), (int)size) == 1 &&
              EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag) == 1 &&
              EVP_DecryptFinal_ex(c, (uint8_t *)at + size, &len) == 1;
    EVP_CIPHER_CTX_free(c);
    if (!is_good)
        return err_set(err, ERR_INVALID, "sealed bytes were changed or moved");
    buf_fill(out, size);
    return 0;
}
