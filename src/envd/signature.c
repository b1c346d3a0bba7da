/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and checks URL signatures for files_gate(). */
#include "envd/signature.h"

#include "base/buf.h"
#include "base/digest.h"

void signature_make(const struct signature_input *in, char out[SIGNATURE_LEN + 1])
{
    const struct str parts[] = {in->path, str_of(in->operation), in->user, in->token,
                                in->expiration};
    uint8_t digest[SHA256_SIZE];
    struct sha256 hash;
    struct buf text;

    sha256_init(&hash);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (i == COUNT_OF(parts) - 1 && parts[i].at == NULL)
            break;
        if (i > 0)
            sha256_add(&hash, ":", 1);
        sha256_add(&hash, parts[i].at, parts[i].len);
    }
    sha256_end(&hash, digest);
    buf_init(&text, 64);
    buf_add_text(&text, "v1_");
    base64_encode(&text, digest, sizeof(digest));
    if (!buf_ok(&text) ||
        !str_to_c(str_upto(buf_str(&text), SIGNATURE_LEN), out, SIGNATURE_LEN + 1))
        out[0] = '\0'; /* no memory: equals no signature of that length */
    buf_done(&text);
}

const char *signature_check(struct str given, const struct signature_input *in, int64_t now_s)
{
    char wanted[SIGNATURE_LEN + 1];
    int64_t expires;

    if (given.len == 0)
        return "missing signature query parameter";
    signature_make(in, wanted);
    if (wanted[0] == '\0' || !str_eq_secret(given, str_of(wanted)))
        return "invalid signature";
    if (in->expiration.at == NULL)
        return NULL;
    if (!str_to_i64(in->expiration, &expires))
        return "invalid signature expiration format";
    return expires < now_s ? "signature is already expired" : NULL;
}
