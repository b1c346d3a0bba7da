/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/stat.h>

#include "crypto/seal.h"
#include "test.h"

static char folder[] = "/tmp/sandlot-seal-XXXXXX";
static char path[64];

static void write_file(const char *text, mode_t mode)
{
    FILE *f;

    ignore(unlink(path));
    f = fopen(path, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0 && chmod(path, mode) == 0);
}

static struct seal *open_file(void)
{
    struct seal *s = NULL;
    struct err err = {0};

    if (seal_new(path, &s, &err) != 0)
        test_note("%s", err.text);
    return s;
}

static bool opens(const struct seal *s, const char *about, struct str sealed, const char *plain)
{
    struct buf out;
    struct err err = {0};
    bool is_same;

    buf_init(&out, 1 << 16);
    is_same = seal_open(s, str_of(about), sealed, &out, &err) == 0 && str_is(buf_str(&out), plain);
    buf_done(&out);
    return is_same;
}

static void makes_its_file_and_reads_it_again(void)
{
    struct seal *s, *again;
    struct stat st;
    struct buf sealed, empty;
    struct err err = {0};

    ignore(unlink(path));
    s = open_file();
    CHECK(s != NULL && stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    buf_init(&sealed, 1 << 16);
    buf_init(&empty, 1 << 16);
    CHECK(seal_close(s, STR("it"), STR("a value"), &sealed, &err) == 0);
    CHECK(seal_close(s, STR("it"), STR(""), &empty, &err) == 0 && empty.len == SEAL_OVERHEAD);
    CHECK(seal_is_sealed(buf_str(&sealed)) && seal_is_fresh(s, buf_str(&sealed)));
    CHECK(memmem(sealed.at, sealed.len, "a value", 7) == NULL);
    again = open_file();
    CHECK(again != NULL && opens(again, "it", buf_str(&sealed), "a value"));
    CHECK(opens(again, "it", buf_str(&empty), ""));
    buf_done(&sealed);
    buf_done(&empty);
    seal_free(s);
    seal_free(again);
}

static void nothing_opens_that_was_changed_or_moved(void)
{
    struct seal *s = open_file();
    struct buf sealed;
    struct err err = {0};

    buf_init(&sealed, 1 << 16);
    CHECK(seal_close(s, STR("one"), STR("a value"), &sealed, &err) == 0);
    CHECK(opens(s, "one", buf_str(&sealed), "a value"));
    CHECK(!opens(s, "two", buf_str(&sealed), "a value"));
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.at[i] ^= 1;
        CHECK(!opens(s, "one", buf_str(&sealed), "a value"));
        sealed.at[i] ^= 1;
        CHECK(!opens(s, "one", (struct str){sealed.at, i}, "a value"));
    }
    buf_done(&sealed);
    seal_free(s);
}

static void a_new_key_in_front_seals_and_old_ones_open(void)
{
    static const char old[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
    char both[256];
    struct seal *s;
    struct buf sealed;
    struct err err = {0};

    write_file(old, 0600);
    s = open_file();
    buf_init(&sealed, 1 << 16);
    CHECK(seal_close(s, STR("it"), STR("a value"), &sealed, &err) == 0);
    seal_free(s);
    ignore(snprintf(both, sizeof(both), "# of March\n  %064d \n\n%s", 7, old));
    write_file(both, 0600);
    s = open_file();
    CHECK(s != NULL && opens(s, "it", buf_str(&sealed), "a value"));
    CHECK(!seal_is_fresh(s, buf_str(&sealed)));
    seal_free(s);
    ignore(snprintf(both, sizeof(both), "%064d\n", 7));
    write_file(both, 0600);
    s = open_file();
    CHECK(s != NULL && !opens(s, "it", buf_str(&sealed), "a value"));
    seal_free(s);
    buf_done(&sealed);
}

static void refuses_files_that_are_none(void)
{
    static const char *const rows[] = {"", "# no key\n", "0123\n", "xyz\n",
                                       "g123456789abcdef0123456789abcdef0123456789abcdef0123456789"
                                       "abcdef\n"};
    struct seal *s = NULL;
    struct err err = {0};
    char good[80];

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_file(rows[i], 0600);
        CHECK(seal_new(path, &s, &err) == -1 && s == NULL);
    }
    ignore(snprintf(good, sizeof(good), "%064d\n", 1));
    write_file(good, 0640);
    CHECK(seal_new(path, &s, &err) == -1 && err.kind == ERR_INVALID);
    ignore(snprintf(path, sizeof(path), "%s/none/key", folder));
    CHECK(seal_new(path, &s, &err) == -1);
    ignore(snprintf(path, sizeof(path), "%s/key", folder));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"makes its file and reads it again",           makes_its_file_and_reads_it_again         },
        {"nothing opens that was changed or moved",     nothing_opens_that_was_changed_or_moved   },
        {"a new key in front seals, and old ones open", a_new_key_in_front_seals_and_old_ones_open},
        {"refuses files that are none",                 refuses_files_that_are_none               },
    };
    int result;

    CHECK(mkdtemp(folder) != NULL);
    ignore(snprintf(path, sizeof(path), "%s/key", folder));
    result = test_main(tests, COUNT_OF(tests), argc, argv);
    ignore(unlink(path));
    ignore(rmdir(folder));
    return result;
}
