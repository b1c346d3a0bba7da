/* SPDX-License-Identifier: Apache-2.0 */
/* base/config: defaults, file, environment, flags, and what each refuses. */
#include <fcntl.h>
#include <stdio.h>

#include "base/config.h"
#include "test.h"

struct settings {
    const char *listen;
    bool is_quiet;
    uint64_t max_sandboxes;
    const char *overlay;
};

/* clang-format would align the columns beyond any screen */
/* clang-format off */
static const struct config_key keys[] = {
    {.name = "listen", CONFIG_TEXT, offsetof(struct settings, listen), "127.0.0.1:3000",
     .help = "address and port"},
    {.name = "log.quiet", CONFIG_BOOL, offsetof(struct settings, is_quiet), "false",
     .help = "say less"},
    {.name = "sandboxes_max", CONFIG_NUMBER, offsetof(struct settings, max_sandboxes), "100",
     .min = 1, .max = 5000, .help = "how many"},
    {.name = "runtime.overlay", CONFIG_CHOICE, offsetof(struct settings, overlay), "auto",
     .choices = "auto|v1|v2", .help = "which"},
};
/* clang-format on */

static const struct config_table table = {keys, COUNT_OF(keys)};

static struct settings defaults(void)
{
    struct settings s = {0};
    struct err err = {0};

    CHECK(config_defaults(&table, &s, &err) == 0);
    return s;
}

/* Reads `text` as a file; returns what config_file() did. */
static int read_text(struct str text, struct settings *s, struct err *err)
{
    char path[] = "/tmp/sandlot-config-XXXXXX";
    auto_fd int fd = mkostemp(path, O_CLOEXEC);
    int result;

    CHECK(fd >= 0);
    CHECK(write(fd, text.at, text.len) == (ssize_t)text.len);
    result = config_file(&table, s, path, err);
    CHECK(unlink(path) == 0);
    return result;
}

static void has_defaults(void)
{
    struct settings s = defaults();

    CHECK(strcmp(s.listen, "127.0.0.1:3000") == 0);
    CHECK(!s.is_quiet && s.max_sandboxes == 100);
    CHECK(strcmp(s.overlay, "auto") == 0);
}

static void reads_a_file(void)
{
    struct settings s = defaults();
    struct err err = {0};

    CHECK(
        read_text(STR("# comment\n\n  listen =  a # b=c \r\nlog.quiet=yes\n\tsandboxes_max\t=\t7\n"
                      "runtime.overlay = v1\nruntime.overlay = v2"),
                  &s, &err) == 0);
    CHECK(strcmp(s.listen, "a # b=c") == 0);
    CHECK(s.is_quiet && s.max_sandboxes == 7 && strcmp(s.overlay, "v2") == 0);
    CHECK(read_text(STR("listen =\n"), &s, &err) == 0);
    CHECK(strcmp(s.listen, "") == 0);
    CHECK(read_text(STR(""), &s, &err) == 0);
}

static void says_what_is_wrong_and_where(void)
{
    static const struct {
        struct str text;
        const char *says;
    } rows[] = {
        {STR("\nlisten\n"),                ":2: expected 'key = value'"                        },
        {STR("# x\n\nnope = 1\n"),         ":3: no configuration key 'nope'"                   },
        {STR("log.quiet = maybe\n"),       ":1: log.quiet: 'maybe' is not true or false"       },
        {STR("sandboxes_max = 0"),         "sandboxes_max: '0' is not a number from 1 to 5000" },
        {STR("sandboxes_max = 5001"),      "'5001' is not a number from 1 to 5000"             },
        {STR("sandboxes_max = -1"),        "'-1' is not a number from 1 to 5000"               },
        {STR("sandboxes_max = "),          "'' is not a number from 1 to 5000"                 },
        {STR("runtime.overlay = v3"),      ":1: runtime.overlay: 'v3' is not one of auto|v1|v2"},
        {STR("runtime.overlay = auto|v1"), " is not one of auto|v1|v2"                         },
        {STR("runtime.overlay ="),         " is not one of auto|v1|v2"                         },
        {STR("listen = a\0b"),             ":1: listen: the value has a zero byte"             },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct settings s = defaults();
        struct err err = {0};

        test_note("%s", rows[i].says);
        CHECK(read_text(rows[i].text, &s, &err) == -1);
        CHECK(err.kind == ERR_INVALID);
        CHECK(str_has_suffix(str_of(err.text), rows[i].says));
    }
}

static void refuses_files_it_cannot_read(void)
{
    static char large[CONFIG_FILE_MAX + 1];
    struct settings s = defaults();
    struct err err = {0};

    CHECK(config_file(&table, &s, "/nowhere/at/all", &err) == -1);
    CHECK(err.kind == ERR_NOT_FOUND);
    CHECK(config_file(&table, &s, "/", &err) == -1);
    memset(large, '#', sizeof(large));
    CHECK(read_text((struct str){large, sizeof(large)}, &s, &err) == -1);
    CHECK(err.kind == ERR_LIMIT);
    CHECK(read_text((struct str){large, CONFIG_FILE_MAX}, &s, &err) == 0);
}

static void reads_the_environment(void)
{
    struct settings s = defaults();
    struct err err = {0};

    CHECK(setenv("SANDLOT_RUNTIME_OVERLAY", "v1", 1) == 0);
    CHECK(setenv("SANDLOT_SANDBOXES_MAX", "9", 1) == 0);
    CHECK(config_env(&table, &s, &err) == 0);
    CHECK(strcmp(s.overlay, "v1") == 0 && s.max_sandboxes == 9);
    CHECK(setenv("SANDLOT_SANDBOXES_MAX", "many", 1) == 0);
    CHECK(config_env(&table, &s, &err) == -1);
    CHECK(str_has_prefix(str_of(err.text), "environment SANDLOT_SANDBOXES_MAX: sandboxes_max: "));
    CHECK(unsetenv("SANDLOT_RUNTIME_OVERLAY") == 0 && unsetenv("SANDLOT_SANDBOXES_MAX") == 0);
}

static void takes_flags_out(void)
{
    char words[][24] = {
        "prog", "serve",       "--listen=x=y", "--other", "v",         "--sandboxes_max",
        "12",   "--log.quiet", "-q",           "--",      "--listen=z"};
    char *argv[COUNT_OF(words) + 1] = {NULL};
    static const char *const left[] = {"prog", "serve", "--other", "v", "-q", "--", "--listen=z"};
    int argc = COUNT_OF(words);
    struct settings s = defaults();
    struct err err = {0};

    for (size_t i = 0; i < COUNT_OF(words); i++)
        argv[i] = words[i];
    CHECK(config_flags(&table, &s, &argc, argv, &err) == 0);
    CHECK(argc == (int)COUNT_OF(left));
    for (size_t i = 0; i < COUNT_OF(left); i++)
        CHECK(strcmp(argv[i], left[i]) == 0);
    CHECK(argv[argc] == NULL);
    CHECK(strcmp(s.listen, "x=y") == 0 && s.max_sandboxes == 12 && s.is_quiet);
}

static void reads_bools_with_and_without_value(void)
{
    static const struct {
        const char *flag, *next;
        int argc_after;
        bool is_quiet;
    } rows[] = {
        {"--log.quiet",    "off",   1, false},
        {"--log.quiet",    "TRUE",  1, true },
        {"--log.quiet",    "other", 2, true },
        {"--log.quiet=no", "other", 2, false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char name[] = "prog", flag[24], next[24];
        char *argv[] = {name, flag, next, NULL};
        int argc = 3;
        struct settings s = defaults();
        struct err err = {0};

        CHECK(str_to_c(str_of(rows[i].flag), flag, sizeof(flag)));
        CHECK(str_to_c(str_of(rows[i].next), next, sizeof(next)));
        s.is_quiet = !rows[i].is_quiet;
        CHECK(config_flags(&table, &s, &argc, argv, &err) == 0);
        CHECK(argc == rows[i].argc_after && s.is_quiet == rows[i].is_quiet);
    }
}

static void refuses_bad_flags(void)
{
    char name[] = "prog", alone[] = "--listen", bad[] = "--sandboxes_max=x";
    char *argv[] = {name, alone, NULL};
    int argc = 2;
    struct settings s = defaults();
    struct err err = {0};

    CHECK(config_flags(&table, &s, &argc, argv, &err) == -1);
    CHECK(strcmp(err.text, "--listen needs a value") == 0);
    argv[1] = bad;
    CHECK(config_flags(&table, &s, &argc, argv, &err) == -1);
    CHECK(err.kind == ERR_INVALID);
    argc = 0;
    argv[0] = NULL;
    CHECK(config_flags(&table, &s, &argc, argv, &err) == 0 && argc == 0);
}

static void writes_a_sample(void)
{
    struct settings s = defaults();
    struct err err = {0};
    struct buf out;
    char line[100];

    buf_init(&out, 4096);
    config_sample(&table, &out);
    CHECK(buf_ok(&out));
    buf_add_byte(&out, '\0');
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        ignore(snprintf(line, sizeof(line), "#%s = %s\n", keys[i].name, keys[i].fallback));
        CHECK(strstr(out.at, line) != NULL && strstr(out.at, keys[i].help) != NULL);
    }
    CHECK(strstr(out.at, "# (number from 1 to 5000)\n") != NULL);
    for (char *c = out.at; (c = strstr(c, "\n#")) != NULL; c++) /* switch every key on */
        if (c[2] != ' ')
            c[1] = ' ';
    CHECK(read_text((struct str){out.at, out.len - 1}, &s, &err) == 0);
    buf_done(&out);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"has defaults",                       has_defaults                      },
        {"reads a file",                       reads_a_file                      },
        {"says what is wrong and where",       says_what_is_wrong_and_where      },
        {"refuses files it cannot read",       refuses_files_it_cannot_read      },
        {"reads the environment",              reads_the_environment             },
        {"takes flags out",                    takes_flags_out                   },
        {"reads bools with and without value", reads_bools_with_and_without_value},
        {"refuses bad flags",                  refuses_bad_flags                 },
        {"writes a sample",                    writes_a_sample                   },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
