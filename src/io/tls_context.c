/* SPDX-License-Identifier: Apache-2.0 */
/* What connections share: versions, ciphers, roots, the choice of protocol and certificate. */
#include <errno.h>

#include "io/tls_internal.h"

/* Of TLS 1.2: forward secrecy and authenticated encryption only. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const unsigned char session_id_context[] = "sandlot";

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *ctx)
{
    const struct tls_context *c = ctx;
    unsigned char *chosen = NULL;

    ignore(SSL_is_server(ssl));
    if (SSL_select_next_proto(&chosen, out_len, c->protocols, c->protocols_len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Called when the hello was read; 0 ends the handshake with an alert. */
static int choose_certificate(SSL *ssl, void *arg)
{
    struct tls_context *c = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct cert *cert = c->choose == NULL ? NULL : c->choose(c->choose_ctx, str_of(name));

    return cert != NULL && SSL_use_cert_and_key(ssl, cert->leaf, cert->key, cert->chain, 1) == 1;
}

static int set_protocols(struct tls_context *c, const char *const *names, struct err *err)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        size_t len = strlen(names[i]);

        if (len == 0 || len > UINT8_MAX || c->protocols_len + len + 1 > sizeof(c->protocols))
            return err_set(err, ERR_INVALID, "protocol '%s' has no room", names[i]);
        c->protocols[c->protocols_len++] = (unsigned char)len;
        memcpy(c->protocols + c->protocols_len, names[i], len);
        c->protocols_len += (unsigned)len;
    }
    return 0;
}

static int context_new(const SSL_METHOD *method, int min_version, const char *const *protocols,
                       struct tls_context **out, struct err *err)
{
    struct tls_context *c = mem_zero(sizeof(*c));

    c->uses = 1;
    c->ssl = SSL_CTX_new(method);
    if (c->ssl == NULL || SSL_CTX_set_min_proto_version(c->ssl, min_version) != 1 ||
        SSL_CTX_set_cipher_list(c->ssl, ciphers) != 1) {
        tls_context_free(c);
        ignore(err_ssl(err, ERR_SYSTEM, "set up TLS")); /* -1 */
        return -1;
    }
    if (set_protocols(c, protocols, err) != 0) {
        tls_context_free(c);
        return -1;
    }
    SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(c->ssl, 1);
    *out = c;
    return 0;
}

void tls_set_ticket_keys(struct tls_context *c, const uint8_t keys[TLS_TICKET_KEYS])
{
    uint8_t copy[TLS_TICKET_KEYS]; /* the call has no const */

    memcpy(copy, keys, sizeof(copy));
    ignore(SSL_CTX_set_tlsext_ticket_keys(c->ssl, copy, sizeof(copy))); /* wrong sizes only */
    explicit_bzero(copy, sizeof(copy));
}

int tls_server_context(const struct tls_server_spec *spec, struct tls_context **out,
                       struct err *err)
{
    struct tls_context *c;

    if (context_new(TLS_server_method(), spec->is_1_3_only ? TLS1_3_VERSION : TLS1_2_VERSION,
                    spec->protocols, &c, err) != 0)
        return -1;
    c->choose = spec->choose;
    c->choose_ctx = spec->ctx;
    SSL_CTX_set_cert_cb(c->ssl, choose_certificate, c);
    if (c->protocols_len > 0)
        SSL_CTX_set_alpn_select_cb(c->ssl, choose_protocol, c);
    SSL_CTX_set_max_early_data(c->ssl, 0);
    SSL_CTX_set_session_id_context(c->ssl, session_id_context, sizeof(session_id_context) - 1);
    if (spec->ticket_keys != NULL) {
        tls_set_ticket_keys(c, spec->ticket_keys);
        SSL_CTX_set_num_tickets(c->ssl, 1);
    } else {
        SSL_CTX_set_options(c->ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(c->ssl, 0);
    }
    *out = c;
    return 0;
}

static int add_roots(struct tls_context *c, struct str pem, struct err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
    BIO *in = pem.len > CERT_PEM_MAX ? NULL : BIO_new_mem_buf(pem.at, (int)pem.len);
    unsigned count = 0;
    X509 *root;

    while (in != NULL && (root = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_cert(store, root) == 1;
        X509_free(root);
    }
    ERR_clear_error(); /* the end of the text is one */
    BIO_free(in);
    return count > 0 ? 0 : err_set(err, ERR_INVALID, "no certificate among the roots");
}

int tls_client_context(const struct tls_client_spec *spec, struct tls_context **out,
                       struct err *err)
{
    struct tls_context *c;
    int status = 0;

    if (context_new(TLS_client_method(), TLS1_2_VERSION, spec->protocols, &c, err) != 0)
        return -1;
    c->is_client = true;
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
    if (c->protocols_len > 0)
        SSL_CTX_set_alpn_protos(c->ssl, c->protocols, c->protocols_len);
    if (spec->roots_pem.len > 0)
        status = add_roots(c, spec->roots_pem, err);
    else if (spec->roots_file != NULL) {
        if (SSL_CTX_load_verify_file(c->ssl, spec->roots_file) != 1) {
            status = err_ssl(err, ERR_INVALID, "read roots");
            ignore(err_wrap(err, "'%s'", spec->roots_file)); /* always -1 */
        }
    } else if (SSL_CTX_set_default_verify_paths(c->ssl) != 1) {
        status = err_ssl(err, ERR_SYSTEM, "read this machine's roots");
    }
    if (status != 0) {
        tls_context_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void tls_context_leave(struct tls_context *c)
{
    if (--c->uses > 0)
        return;
    SSL_CTX_free(c->ssl);
    free(c);
}

void tls_context_free(struct tls_context *c)
{
    if (c == NULL)
        return;
    c->choose = NULL;
    tls_context_leave(c);
}
