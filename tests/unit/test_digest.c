/* SPDX-License-Identifier: Apache-2.0 */
/* base/digest: the vectors of FIPS 180, RFC 4231 and RFC 4648. */
#include "base/digest.h"
#include "base/id.h"
#include "test.h"

static const char million_a_digest[] =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static bool is_hex(const uint8_t digest[SHA256_SIZE], const char *expected)
{
    char hex[2 * SHA256_SIZE + 1];

    hex_encode(digest, SHA256_SIZE, hex);
    return strcmp(hex, expected) == 0;
}

static void check_hash(struct str text, const char *expected)
{
    uint8_t out[SHA256_SIZE];

    sha256_of(text, out);
    CHECK(is_hex(out, expected));
}

static void hashes_the_standard_vectors(void)
{
    check_hash(STR(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_hash(STR("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_hash(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_hash(STR("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmn"
                   "opqklmnopqrlmnopqrsmnopqrstnopqrstu"),
               "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void hashes_in_parts_of_any_size(void)
{
    static const size_t sizes[] = {1, 7, 55, 56, 63, 64, 65, 127, 128, 1000};
    char part[1000];
    uint8_t out[SHA256_SIZE];

    memset(part, 'a', sizeof(part));
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct sha256 h;

        sha256_init(&h);
        for (size_t left = 1000000, size; left > 0; left -= size) {
            size = left < sizes[i] ? left : sizes[i];
            sha256_add(&h, part, size);
        }
        sha256_add(&h, NULL, 0);
        sha256_end(&h, out);
        CHECK(is_hex(out, million_a_digest));
    }
}

static void pads_every_length(void)
{
    /* all lengths around a block must differ from each other and agree with adding in two parts */
    char text[200] = {0};
    uint8_t whole[SHA256_SIZE], parts[SHA256_SIZE];

    for (size_t len = 0; len <= sizeof(text); len++) {
        struct sha256 h;

        sha256_of((struct str){text, len}, whole);
        sha256_init(&h);
        sha256_add(&h, text, len / 3);
        sha256_add(&h, text + len / 3, len - len / 3);
        sha256_end(&h, parts);
        CHECK(memcmp(whole, parts, SHA256_SIZE) == 0);
    }
}

static struct str repeat(char *to, char byte, size_t len)
{
    memset(to, byte, len);
    return (struct str){to, len};
}

static void signs_the_standard_vectors(void)
{
    char key[131], data[50], counting[25];
    uint8_t out[SHA256_SIZE];

    hmac_sha256(repeat(key, 0x0b, 20), STR("Hi There"), out);
    CHECK(is_hex(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
    hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out);
    CHECK(is_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    hmac_sha256(repeat(key, (char)0xaa, 20), repeat(data, (char)0xdd, 50), out);
    CHECK(is_hex(out, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"));
    for (size_t i = 0; i < sizeof(counting); i++)
        counting[i] = (char)(i + 1);
    hmac_sha256((struct str){counting, 25}, repeat(data, (char)0xcd, 50), out);
    CHECK(is_hex(out, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"));
    hmac_sha256(repeat(key, (char)0xaa, 131),
                STR("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    CHECK(is_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
    hmac_sha256(repeat(key, (char)0xaa, 131),
                STR("This is a test using a larger than block-size key and a larger than "
                    "block-size data. The key needs to be hashed before being used by the HMAC "
                    "algorithm."),
                out);
    CHECK(is_hex(out, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"));
}

static const struct {
    const char *plain, *coded;
} vectors[] = {
    {"",             ""        },
    {"f",            "Zg=="    },
    {"fo",           "Zm8="    },
    {"foo",          "Zm9v"    },
    {"foob",         "Zm9vYg=="},
    {"fooba",        "Zm9vYmE="},
    {"foobar",       "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"    },
};

static void codes_base64(void)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct str coded = str_of(vectors[i].coded);
        size_t plain_len = strlen(vectors[i].plain);
        uint8_t plain[16];
        struct buf out;

        buf_init(&out, 100);
        base64_encode(&out, vectors[i].plain, plain_len);
        CHECK(buf_ok(&out) && str_eq(buf_str(&out), coded));
        CHECK(base64_encoded_len(plain_len) == coded.len);
        buf_done(&out);
        CHECK(base64_decode(coded, plain) == (ssize_t)plain_len);
        CHECK(memcmp(plain, vectors[i].plain, plain_len) == 0);
        CHECK(base64_decoded_max(coded.len) >= plain_len);
        while (str_has_suffix(coded, "=")) /* and without padding */
            coded.len--;
        CHECK(base64_decode(coded, plain) == (ssize_t)plain_len);
        CHECK(base64_decoded_max(coded.len) >= plain_len);
    }
}

static void refuses_bad_base64(void)
{
    static const char *const rows[] = {"Z",      "Zg=",  "Zh==", "Zm9=", "Zm8==",    "Zm9v=",
                                       "=",      "==",   "====", "Z===", "Zg==Zg==", "Zm 9v",
                                       "Zm9v\n", "Zm9*", "Zh",   "Zm9",  "Zg=v",     "Zm9vZ"};
    uint8_t out[32];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        test_note("%s", rows[i]);
        CHECK(base64_decode(str_of(rows[i]), out) == -1);
    }
    CHECK(base64_decode(STR("-_-_"), out) == 3); /* URL-safe */
    CHECK(memcmp(out, "\xfb\xff\xbf", 3) == 0);
}

static void codes_random_bytes_both_ways(void)
{
    for (size_t len = 0; len < 300; len++) {
        uint8_t plain[300], back[300];
        struct buf out;

        id_random(plain, len);
        buf_init(&out, base64_encoded_len(len));
        base64_encode(&out, plain, len);
        CHECK(buf_ok(&out) && out.len == base64_encoded_len(len));
        CHECK(base64_decode(buf_str(&out), back) == (ssize_t)len);
        CHECK(memcmp(plain, back, len) == 0);
        buf_done(&out);
    }
}

static void stops_at_the_maximum(void)
{
    struct buf out;

    buf_init(&out, 7);
    base64_encode(&out, "abcd", 4);
    CHECK(!buf_ok(&out) && out.len == 0);
    buf_done(&out);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"hashes the standard vectors",  hashes_the_standard_vectors },
        {"hashes in parts of any size",  hashes_in_parts_of_any_size },
        {"pads every length",            pads_every_length           },
        {"signs the standard vectors",   signs_the_standard_vectors  },
        {"codes base64",                 codes_base64                },
        {"refuses bad base64",           refuses_bad_base64          },
        {"codes random bytes both ways", codes_random_bytes_both_ways},
        {"stops at the maximum",         stops_at_the_maximum        },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
