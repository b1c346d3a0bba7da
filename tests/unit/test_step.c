/* SPDX-License-Identifier: Apache-2.0 */
/* What steps do to the state of a build (CT-20, wire.md 5.5). */
#include <stdio.h>
#include <stdlib.h>

#include "build/step.h"
#include "test.h"

static struct arena mem;
static struct step_state *state;

static void begin(void)
{
    arena_init(&mem, 1 << 20);
    state = calloc(1, sizeof(*state));
    state->user = STR("user");
}

static void end(void)
{
    free(state);
    arena_done(&mem);
}

static int apply(const char *type, const char *one, const char *two)
{
    struct str args[] = {str_of(one), str_of(two)};
    struct build_step s = {
        str_of(type), {args, two == NULL ? 1 : 2},
         {0   },
         false
    };

    return step_apply(&s, state, &mem, NULL);
}

static bool has(const char *name, const char *value)
{
    for (size_t i = 0; i < state->env_count; i++)
        if (str_is(state->env[i].key, name))
            return str_is(state->env[i].value, value);
    return false;
}

static void variables(void)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain",                     "plain"                    },
        {"$A",                        "1"                        },
        {"${A}2$A",                   "121"                      },
        {"$UNKNOWN.",                 "."                        },
        {"$(date) `id` $5 $ ${} ${A", "$(date) `id` $5 $ ${} ${A"},
        {"\"q\" 'q' \\n \\$",         "\"q\" 'q' \\n \\$"        },
        {"-----BEGIN\nKEY-----\n$A",  "-----BEGIN\nKEY-----\n1"  },
        {"/bin:$A",                   "/bin:1"                   },
    };

    begin();
    CHECK(apply("ENV", "A", "1") == 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        test_note("%s", cases[i].in);
        CHECK(apply("ENV", "B", cases[i].in) == 0);
        CHECK(has("B", cases[i].out));
    }
    CHECK(apply("ENV", "A", "$A$A") == 0 && has("A", "11"));
    CHECK(apply("ENV", "", "x") != 0 && apply("ENV", "a=b", "x") != 0);
    CHECK(apply("ARG", "C=arg", NULL) == 0 && apply("ENV", "D", "$C") == 0);
    CHECK(has("D", "arg") && !has("C", "arg"));
    end();
}

static void directories(void)
{
    begin();
    CHECK(apply("WORKDIR", "app", NULL) == 0 && str_is(state->workdir, "/app"));
    CHECK(apply("WORKDIR", "sub", NULL) == 0 && str_is(state->workdir, "/app/sub"));
    CHECK(apply("ENV", "BASE", "/srv") == 0 && apply("WORKDIR", "$BASE/x", NULL) == 0);
    CHECK(str_is(state->workdir, "/srv/x"));
    CHECK(apply("USER", "root", NULL) == 0 && str_is(state->user, "root"));
    CHECK(apply("USER", "app:staff", NULL) == 0 && str_is(state->user, "app"));
    end();
}

static void commands(void)
{
    struct str run[] = {STR("id"), STR("root")}, copy[] = {STR("a"), STR("b/"), {0}, {0}};
    struct build_step s = {
        STR("RUN"), {run, 1},
         {0  },
         false
    };
    struct step_command c;

    begin();
    CHECK(step_plan(&s, state, &mem, &c, NULL) == 0);
    CHECK(c.script == NULL && str_is(c.text, "id") && str_is(c.user, "user"));
    s.args.count = 2;
    CHECK(step_plan(&s, state, &mem, &c, NULL) == 0 && str_is(c.user, "root"));
    CHECK(str_is(step_text(&s, &mem), "RUN id root"));
    CHECK(apply("WORKDIR", "/w", NULL) == 0);
    s = (struct build_step){
        STR("COPY"), {copy, 4},
         {0   },
         false
    };
    CHECK(step_plan(&s, state, &mem, &c, NULL) == 0 && c.needs_files && c.script != NULL);
    for (size_t i = 0; i < c.env_count; i++) {
        CHECK(!str_is(c.env[i].key, "DEST") || str_is(c.env[i].value, "/w/b/"));
        CHECK(!str_is(c.env[i].key, "OWNER") || str_is(c.env[i].value, "user"));
    }
    copy[0] = STR("https://example.com/x");
    CHECK(step_plan(&s, state, &mem, &c, NULL) != 0);
    end();
}

static void ports(void)
{
    static const char *const bad[] = {"",  "0",   "65536", "x",        "80/icmp",   "80/",
                                      "-", "80-", "-80",   "80-0/tcp", "80/tcp/udp"};

    begin();
    CHECK(apply("ENV", "PORT", "8080") == 0 && apply("EXPOSE", "80", "$PORT") == 0);
    CHECK(apply("EXPOSE", "53/udp", "8000-8010") == 0 && apply("EXPOSE", "80/tcp", NULL) == 0);
    CHECK(state->port_count == 4 && str_is(state->ports[0], "80/tcp"));
    CHECK(str_is(state->ports[1], "8080/tcp") && str_is(state->ports[2], "53/udp"));
    CHECK(str_is(state->ports[3], "8000-8010/tcp"));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        test_note("%s", bad[i]);
        CHECK(apply("EXPOSE", bad[i], NULL) != 0 && state->port_count == 4);
    }
    for (int i = 1; i < 1000; i++) {
        char port[8];

        snprintf(port, sizeof(port), "%d", 1000 + i);
        if (apply("EXPOSE", port, NULL) != 0)
            break;
    }
    CHECK(state->port_count == STEP_PORTS_MAX);
    end();
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"variables: names expand, everything else is literal", variables  },
        {"WORKDIR and USER are relative to what was before",    directories},
        {"CT-20 what runs for a step",                          commands   },
        {"EXPOSE names ports, each once, and only ports",       ports      },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
