/* SPDX-License-Identifier: Apache-2.0 */
/* io/cert: what is read, what is refused, what is made. */
#include <fcntl.h>
#include <stdio.h>

#include "io/cert.h"
#include "test.h"

enum { DAY_S = 24 * 60 * 60 };

static struct cert *authority, *leaf;

static void make(void)
{
    const struct str names[] = {STR("localhost"), STR("*.box.localhost"), STR("::1"),
                                STR("192.0.2.7")};
    struct err err;

    CHECK(cert_make_authority("Test authority", 30, &authority, &err) == 0);
    CHECK(cert_issue(authority, names, COUNT_OF(names), 7, &leaf, &err) == 0);
}

static void unmake(void)
{
    cert_free(leaf);
    cert_free(authority);
}

static void names_decide(void)
{
    static const struct {
        const char *host;
        bool is_for;
    } cases[] = {
        {"localhost",              true },
        {"LOCALHOST",              true },
        {"5173-abc.box.localhost", true },
        {"a.b.box.localhost",      false},
        {"::1",                    true },
        {"192.0.2.7",              true },
        {"192.0.2.8",              false},
        {"example.test",           false},
        {"",                       false},
        {"localhost.example.test", false},
    };

    make();
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        CHECK(cert_is_for(leaf, str_of(cases[i].host)) == cases[i].is_for);
    CHECK(!cert_is_for(leaf, (struct str){"localhost\0.evil", 15}));
    CHECK(cert_seconds_left(leaf) > 7 * DAY_S - 100 && cert_seconds_left(leaf) <= 7 * DAY_S);
    unmake();
}

static void what_is_written_is_read(void)
{
    struct buf chain, key, other_key;
    struct cert *again = NULL;
    struct err err;

    make();
    buf_init(&chain, CERT_PEM_MAX);
    buf_init(&key, CERT_PEM_MAX);
    buf_init(&other_key, CERT_PEM_MAX);
    CHECK(cert_put_chain(leaf, &chain, &err) == 0 && cert_put_key(leaf, &key, &err) == 0);
    CHECK(cert_put_key(authority, &other_key, &err) == 0);
    CHECK(cert_parse(buf_str(&chain), buf_str(&key), &again, &err) == 0);
    CHECK(cert_is_for(again, STR("x.box.localhost")));
    cert_free(again);
    CHECK(cert_parse(buf_str(&chain), buf_str(&other_key), &again, &err) != 0);
    CHECK(err.kind == ERR_INVALID && strstr(err.text, "another certificate") != NULL);
    CHECK(cert_parse(buf_str(&key), buf_str(&key), &again, &err) != 0);
    CHECK(cert_parse(buf_str(&chain), buf_str(&chain), &again, &err) != 0);
    CHECK(cert_parse(STR(""), STR(""), &again, &err) != 0);
    buf_add_str(&chain, buf_str(&key)); /* one file for both, as HAProxy has it */
    CHECK(cert_parse(buf_str(&chain), buf_str(&chain), &again, &err) == 0);
    cert_free(again);
    buf_done(&chain);
    buf_done(&key);
    buf_done(&other_key);
    unmake();
}

static void broken_text_is_refused(void)
{
    struct buf chain, key;
    struct cert *again;
    struct err err;

    make();
    buf_init(&chain, CERT_PEM_MAX);
    buf_init(&key, CERT_PEM_MAX);
    CHECK(cert_put_chain(leaf, &chain, &err) == 0 && cert_put_key(leaf, &key, &err) == 0);
    for (size_t at = 0; at + 2 < key.len; at += 3) {
        char kept = key.at[at];

        key.at[at] = kept == '\n' ? '!' : '\n';
        again = NULL;
        if (cert_parse(buf_str(&chain), buf_str(&key), &again, &err) == 0)
            CHECK(again != NULL); /* a line broken elsewhere is still the same key */
        cert_free(again);
        CHECK(cert_parse(buf_str(&chain), str_upto(buf_str(&key), at), &again, &err) != 0);
        key.at[at] = kept;
    }
    buf_done(&chain);
    buf_done(&key);
    unmake();
}

static void files_that_cannot_be_read_are_named(void)
{
    struct cert *c;
    struct err err;

    CHECK(cert_read("/nonexistent/a.pem", "/nonexistent/a.key", &c, &err) != 0);
    CHECK(err.kind == ERR_NOT_FOUND && strstr(err.text, "/nonexistent/a.pem") != NULL);
    CHECK(cert_read("/dev/null", "/dev/null", &c, &err) != 0 && err.kind == ERR_INVALID);
}

static void bad_names_make_no_certificate(void)
{
    const struct str bad[] = {
        STR(""), {"a\0b", 3}
    };
    struct cert *c;
    struct err err;

    make();
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(cert_issue(authority, &bad[i], 1, 7, &c, &err) != 0);
    CHECK(cert_issue(authority, NULL, 0, 7, &c, &err) != 0);
    unmake();
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"names and addresses decide",          names_decide                       },
        {"what is written is read",             what_is_written_is_read            },
        {"broken text is refused",              broken_text_is_refused             },
        {"files that cannot be read are named", files_that_cannot_be_read_are_named},
        {"bad names make no certificate",       bad_names_make_no_certificate      },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
