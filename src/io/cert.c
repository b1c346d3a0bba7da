/* SPDX-License-Identifier: Apache-2.0 */
/* See cert.h. Used by tls.c, by edge for its files, by `sandlot cert`, by egress for the hosts that
 * it answers for. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "io/cert_internal.h"

enum {
    CHAIN_MAX = 10,
    HOUR_S = 60 * 60,
    DAY_S = 24 * HOUR_S,
    SERIAL_BITS = 127,
    HOST_MAX = 255,
};

int err_ssl(struct err *err, enum err_kind kind, const char *what)
{
    unsigned long code = ERR_get_error();
    const char *why = code == 0 ? NULL : ERR_reason_error_string(code);

    ERR_clear_error();
    return err_set(err, kind, "%s: %s", what, why == NULL ? "unknown error" : why);
}

/* OpenSSL would ask on the terminal. */
static int no_passphrase(char *text, int size, int is_writing, void *ctx)
{
    ignore(text == ctx);
    ignore(size + is_writing);
    return -1;
}

static BIO *open_text(struct str text)
{
    return text.len > CERT_PEM_MAX ? NULL : BIO_new_mem_buf(text.at, (int)text.len);
}

static int parse_chain(struct cert *c, struct str pem, struct err *err)
{
    BIO *in = open_text(pem);
    X509 *next;
    int status = 0;

    if (in == NULL)
        return err_set(err, ERR_LIMIT, "a certificate file has %d bytes at most", CERT_PEM_MAX);
    c->leaf = PEM_read_bio_X509_AUX(in, NULL, no_passphrase, NULL);
    if (c->leaf == NULL)
        status = err_ssl(err, ERR_INVALID, "read certificate");
    while (status == 0 && (next = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)) != NULL) {
        if (sk_X509_num(c->chain) < CHAIN_MAX && sk_X509_push(c->chain, next) > 0)
            continue;
        X509_free(next);
        status = err_set(err, ERR_LIMIT, "a chain has %d certificates at most", CHAIN_MAX);
    }
    ERR_clear_error(); /* the end of the text is one */
    BIO_free(in);
    return status;
}

static int parse_key(struct cert *c, struct str pem, struct err *err)
{
    BIO *in = open_text(pem);

    if (in == NULL)
        return err_set(err, ERR_LIMIT, "a key file has %d bytes at most", CERT_PEM_MAX);
    c->key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
    BIO_free(in);
    if (c->key == NULL)
        return err_ssl(err, ERR_INVALID, "read key");
    if (X509_check_private_key(c->leaf, c->key) != 1)
        return err_ssl(err, ERR_INVALID, "the key is of another certificate");
    return 0;
}

static struct cert *cert_new(void)
{
    struct cert *c = mem_zero(sizeof(*c));

    c->chain = sk_X509_new_null();
    if (c->chain == NULL)
        abort(); /* no memory */
    return c;
}

int cert_parse(struct str chain_pem, struct str key_pem, struct cert **out, struct err *err)
{
    struct cert *c = cert_new();

    if (parse_chain(c, chain_pem, err) != 0 || parse_key(c, key_pem, err) != 0) {
        cert_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return err_sys(err, errno, "read '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_size > CERT_PEM_MAX)
        return err_set(err, ERR_INVALID, "read '%s': not a file of at most %d bytes", path,
                       CERT_PEM_MAX);
    for (;;) {
        char *room = buf_room(out, 4096);
        ssize_t n = room == NULL ? -1 : read(fd, room, 4096);

        if (n < 0)
            return err_sys(err, room == NULL ? ENOMEM : errno, "read '%s'", path);
        if (n == 0)
            return 0;
        buf_fill(out, (size_t)n);
    }
}

int cert_read(const char *chain_file, const char *key_file, struct cert **out, struct err *err)
{
    struct buf chain, key;
    int status;

    buf_init(&chain, CERT_PEM_MAX + 4096);
    buf_init(&key, CERT_PEM_MAX + 4096);
    status =
        read_file(chain_file, &chain, err) != 0 || read_file(key_file, &key, err) != 0 ? -1 : 0;
    if (status == 0 && cert_parse(buf_str(&chain), buf_str(&key), out, err) != 0)
        status = err_wrap(err, "'%s' with '%s'", chain_file, key_file);
    if (key.at != NULL)
        explicit_bzero(key.at, key.len);
    buf_done(&chain);
    buf_done(&key);
    return status;
}

void cert_free(struct cert *c)
{
    if (c == NULL)
        return;
    X509_free(c->leaf);
    EVP_PKEY_free(c->key);
    sk_X509_pop_free(c->chain, X509_free);
    free(c);
}

bool cert_is_for(const struct cert *c, struct str host)
{
    char text[HOST_MAX + 1];

    if (!str_to_c(host, text, sizeof(text)))
        return false;
    return X509_check_host(c->leaf, text, host.len, 0, NULL) == 1 ||
           X509_check_ip_asc(c->leaf, text, 0) == 1;
}

int64_t cert_seconds_left(const struct cert *c)
{
    int days = 0, seconds = 0;

    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(c->leaf)) != 1)
        return -1;
    return (int64_t)days * DAY_S + seconds;
}

static bool set_random_serial(X509 *leaf)
{
    BIGNUM *number = BN_new();
    bool is_set = number != NULL && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, 0) == 1 &&
                  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(leaf)) != NULL;

    BN_free(number);
    return is_set;
}

static bool set_name(X509 *leaf, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(leaf);
    int len = (int)strnlen(name, 64); /* ub-common-name */

    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name,
                                      len, -1, 0) == 1;
}

static bool add_extension(X509 *leaf, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool is_added;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, leaf, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, kind, value);
    is_added = extension != NULL && X509_add_ext(leaf, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

/* All that both kinds have. */
static bool begin_made(struct cert *c, const char *name, unsigned days)
{
    c->leaf = X509_new();
    c->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    return c->leaf != NULL && c->key != NULL && X509_set_version(c->leaf, 2) == 1 &&
           set_random_serial(c->leaf) && set_name(c->leaf, name) &&
           X509_gmtime_adj(X509_getm_notBefore(c->leaf), -HOUR_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(c->leaf), (long)days * DAY_S) != NULL &&
           X509_set_pubkey(c->leaf, c->key) == 1;
}

int cert_make_authority(const char *name, unsigned days, struct cert **out, struct err *err)
{
    struct cert *c = cert_new();
    bool is_made =
        begin_made(c, name, days) &&
        X509_set_issuer_name(c->leaf, X509_get_subject_name(c->leaf)) == 1 &&
        add_extension(c->leaf, c->leaf, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(c->leaf, c->leaf, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(c->leaf, c->leaf, NID_subject_key_identifier, "hash") &&
        X509_sign(c->leaf, c->key, EVP_sha256()) > 0;

    if (!is_made) {
        cert_free(c);
        return err_ssl(err, ERR_SYSTEM, "make an authority");
    }
    *out = c;
    return 0;
}

static bool add_name(GENERAL_NAMES *to, struct str name)
{
    char text[HOST_MAX + 1];
    GENERAL_NAME *entry;
    bool is_address;

    if (!str_to_c(name, text, sizeof(text)) || name.len == 0)
        return false;
    is_address =
        str_find(name, ':') >= 0 || (text[name.len - 1] >= '0' && text[name.len - 1] <= '9');
    entry = a2i_GENERAL_NAME(NULL, NULL, NULL, is_address ? GEN_IPADD : GEN_DNS, text, 0);
    if (entry != NULL && sk_GENERAL_NAME_push(to, entry) > 0)
        return true;
    GENERAL_NAME_free(entry);
    return false;
}

static bool add_names(X509 *leaf, const struct str *names, size_t count)
{
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    bool is_added = list != NULL;

    for (size_t i = 0; is_added && i < count; i++)
        is_added = add_name(list, names[i]);
    is_added = is_added && X509_add1_ext_i2d(leaf, NID_subject_alt_name, list, 0, 0) == 1;
    GENERAL_NAMES_free(list);
    return is_added;
}

int cert_issue(const struct cert *authority, const struct str *names, size_t count, unsigned days,
               struct cert **out, struct err *err)
{
    struct cert *c;
    char first[HOST_MAX + 1];
    X509 *by = authority->leaf;
    bool is_made;

    if (count == 0 || count > CERT_NAMES_MAX || !str_to_c(names[0], first, sizeof(first)))
        return err_set(err, ERR_INVALID, "a certificate needs 1 to %d names", CERT_NAMES_MAX);
    c = cert_new();
    is_made = begin_made(c, first, days) &&
              X509_set_issuer_name(c->leaf, X509_get_subject_name(by)) == 1 &&
              add_extension(c->leaf, by, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(c->leaf, by, NID_key_usage, "critical,digitalSignature") &&
              add_extension(c->leaf, by, NID_ext_key_usage, "serverAuth") &&
              add_extension(c->leaf, by, NID_authority_key_identifier, "keyid") &&
              add_names(c->leaf, names, count) &&
              X509_sign(c->leaf, authority->key, EVP_sha256()) > 0 && X509_up_ref(by) == 1 &&
              sk_X509_push(c->chain, by) > 0;
    if (!is_made) {
        cert_free(c);
        return err_ssl(err, ERR_INVALID, "issue a certificate");
    }
    *out = c;
    return 0;
}

static int take_text(BIO *from, struct buf *out, struct err *err)
{
    char *text;
    long len = BIO_get_mem_data(from, &text);

    buf_add(out, text, (size_t)len);
    BIO_free(from);
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "no room for a certificate");
}

int cert_put_chain(const struct cert *c, struct buf *out, struct err *err)
{
    BIO *text = BIO_new(BIO_s_mem());
    bool is_put = text != NULL && PEM_write_bio_X509(text, c->leaf) == 1;

    for (int i = 0; is_put && i < sk_X509_num(c->chain); i++)
        is_put = PEM_write_bio_X509(text, sk_X509_value(c->chain, i)) == 1;
    if (!is_put) {
        BIO_free(text);
        return err_ssl(err, ERR_SYSTEM, "write a certificate");
    }
    return take_text(text, out, err);
}

int cert_put_key(const struct cert *c, struct buf *out, struct err *err)
{
    BIO *text = BIO_new(BIO_s_secmem());

    if (text == NULL ||
        PEM_write_bio_PKCS8PrivateKey(text, c->key, NULL, NULL, 0, NULL, NULL) != 1) {
        BIO_free(text);
        return err_ssl(err, ERR_SYSTEM, "write a key");
    }
    return take_text(text, out, err);
}
