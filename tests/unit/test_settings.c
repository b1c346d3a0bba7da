/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration keys: sane rows, and the way a configuration is handed to the roles.
 */
#include "main/config.h"
#include "test.h"

static void has_sane_rows(void)
{
    struct config c = {0};
    struct err err;

    CHECK(config_defaults(&config_table, &c, &err) == 0);
    for (size_t i = 0; i < config_table.count; i++) {
        const struct config_key *k = &config_table.keys[i];

        CHECK(k->help != NULL && strlen(k->help) > 10);
        CHECK(k->offset < sizeof c);
        CHECK((k->type == CONFIG_CHOICE) == (k->choices != NULL));
        CHECK(k->type != CONFIG_NUMBER || k->min < k->max);
        CHECK(strcmp(k->name, "config") != 0 && strcmp(k->name, "json") != 0);
        for (size_t j = 0; j < i; j++) {
            CHECK(strcmp(k->name, config_table.keys[j].name) != 0);
            CHECK(k->offset != config_table.keys[j].offset);
        }
    }
    CHECK(strcmp(c.listen, "127.0.0.1:3000") == 0);
    CHECK(c.timeout_default_s == 300 && c.timeout_max_s == 86400);
}

static void takes_flags_and_leaves_words(void)
{
    char words[][32] = {"sandlot", "key", "--data_dir=/x", "create", "--on_exit", "kill", "me"};
    char *argv[8] = {words[0], words[1], words[2], words[3], words[4], words[5], words[6], NULL};
    int argc = 7;
    struct config c = {0};
    struct err err;

    CHECK(config_load(&c, &argc, argv, true, &err) == 0);
    CHECK(argc == 4);
    CHECK(strcmp(argv[1], "key") == 0 && strcmp(argv[3], "me") == 0);
    CHECK(strcmp(c.data_dir, "/x") == 0 && strcmp(c.runtime.data_dir, "/x") == 0);
    CHECK(strcmp(c.on_exit, "kill") == 0);
}

static void refuses_what_cannot_work(void)
{
    static const char *const flags[] = {
        "--data_dir=relative",
        "--run_dir=x",
        "--edge.loops=99",
        "--on_exit=maybe",
        "--config",
        "--config=/nonexistent",
        "--sandbox.timeout_default=86401",
    };

    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        char program[] = "sandlot", flag[64];
        char *argv[] = {program, flag, NULL};
        int argc = 2;
        struct config c = {0};
        struct err err;

        CHECK(str_to_c(str_of(flags[i]), flag, sizeof flag));
        CHECK(config_load(&c, &argc, argv, true, &err) != 0);
        CHECK(err.text[0] != '\0');
    }
}

/* What the supervisor puts into the environment is what a role reads out of it. */
static void survives_the_environment(void)
{
    char program[] = "sandlot", a[] = "--domain=box.lan:8443", b[] = "--edge.loops=3",
         d[] = "--runtime.overlay=path", e[] = "--api_user=a b=c";
    char *argv[] = {program, a, b, d, e, NULL};
    int argc = 5;
    struct config c = {0}, copy = {0};
    struct buf text;
    struct err err;
    char **vars;
    size_t count = 0;

    CHECK(config_load(&c, &argc, argv, true, &err) == 0);
    buf_init(&text, 1 << 20);
    vars = config_environment(&c, &text);
    for (; vars[count] != NULL; count++)
        CHECK(putenv(vars[count]) == 0);
    CHECK(count == config_table.count);
    argc = 1;
    CHECK(config_load(&copy, &argc, argv, true, &err) == 0);
    CHECK(strcmp(copy.domain, "box.lan:8443") == 0 && copy.edge_loops == 3);
    CHECK(strcmp(copy.runtime.overlay, "path") == 0 && strcmp(copy.api_user, "a b=c") == 0);
    CHECK(copy.runtime.disk_reserve_bytes == c.runtime.disk_reserve_bytes);
    CHECK(clearenv() == 0);
    free(vars);
    buf_done(&text);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"has sane rows",                has_sane_rows               },
        {"takes flags and leaves words", takes_flags_and_leaves_words},
        {"refuses what cannot work",     refuses_what_cannot_work    },
        {"survives the environment",     survives_the_environment    },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
