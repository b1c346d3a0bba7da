/* SPDX-License-Identifier: Apache-2.0 */
/* Routing by head: every host and header form that clients, browsers and attackers send. */
#include <stdio.h>

#include "edge/target.h"
#include "test.h"

struct row {
    const char *domain;
    const char *host;   /* Host as sent */
    const char *id;     /* E2b-Sandbox-Id, or NULL */
    const char *port;   /* E2b-Sandbox-Port, or NULL */
    const char *target; /* request target */
    const char *expect; /* "control", "signed", "sandbox <id> <port>", or the 400 text */
};

/* Path routing and listeners of one plane. */
struct rule_row {
    struct target_rule rule;
    const char *host, *target, *expect;
    const char *behind; /* what the server in the sandbox sees; NULL: nobody asks */
};

#define LONG_ID "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123"

/* clang-format off */
static const struct row rows[] = {
    /* host routing */
    {"", "8000-iabc.localhost", NULL, NULL, "/", "sandbox iabc 8000"},
    {"", "8000-iabc.localhost:3000", NULL, NULL, "/", "sandbox iabc 8000"},
    {"", "8000-iabc.localhost.:3000", NULL, NULL, "/", "sandbox iabc 8000"},
    {"", "8000-iabc.localhost.", NULL, NULL, "/", "sandbox iabc 8000"},
    {"", "8000-IABC.LocalHost:3000", NULL, NULL, "/", "sandbox iabc 8000"},
    {"", "49983-iabc.e2b.example.com", NULL, NULL, "/health", "sandbox iabc 49983"},
    {"e2b.example.com", "49983-iabc.e2b.example.com", NULL, NULL, "/", "sandbox iabc 49983"},
    {"e2b.example.com", "8080-iabc.other.org", NULL, NULL, "/", "sandbox iabc 8080"},
    {"", "8000-iabc-6532622b.localhost", NULL, NULL, "/", "sandbox iabc 8000"},
    {"", "8000-iabc-.localhost", NULL, NULL, "/", "sandbox iabc 8000"},
    {"", "8000-iabc-x-y.localhost", NULL, NULL, "/", "sandbox iabc 8000"},
    {"", "1-a.b", NULL, NULL, "/", "sandbox a 1"},
    {"", "65535-a.b", NULL, NULL, "/", "sandbox a 65535"},
    {"", "08000-a.b", NULL, NULL, "/", "sandbox a 8000"},
    {"", "8000-0a1b.b", NULL, NULL, "/", "sandbox 0a1b 8000"},
    {"", "8000-" LONG_ID ".b", NULL, NULL, "/", "sandbox " LONG_ID " 8000"},
    {"", "8000-a.127.0.0.1.nip.io:8080", NULL, NULL, "/", "sandbox a 8000"},
    {"", "8000-iabc.localhost", NULL, NULL, "/files?signature=v1_x", "sandbox iabc 8000"},
    /* host routing wins over headers: the name says what is meant */
    {"", "8000-iabc.localhost", "iother", "9000", "/", "sandbox iabc 8000"},
    {"", "8000-iabc.localhost", "iother", NULL, "/", "sandbox iabc 8000"},
    /* broken host routing */
    {"", "0-a.b", NULL, NULL, "/", "Invalid sandbox port"},
    {"", "65536-a.b", NULL, NULL, "/", "Invalid sandbox port"},
    {"", "99999999999999999999999-a.b", NULL, NULL, "/", "Invalid sandbox port"},
    {"", "8000-.b", NULL, NULL, "/", "Invalid sandbox ID"},
    {"", "8000--x.b", NULL, NULL, "/", "Invalid sandbox ID"},
    {"", "8000-a_b.b", NULL, NULL, "/", "Invalid sandbox ID"},
    {"", "8000-" LONG_ID "4.b", NULL, NULL, "/", "Invalid sandbox ID"},
    {"", "8000-a", NULL, NULL, "/", "Invalid host"},
    {"", "8000-a:3000", NULL, NULL, "/", "Invalid host"},
    {"", "8000-a.", NULL, NULL, "/", "Invalid host"},
    /* names that only look a little like it */
    {"", "localhost:3000", NULL, NULL, "/sandboxes", "control"},
    {"", "my-server.lan", NULL, NULL, "/", "control"},
    {"", "a8000-x.lan", NULL, NULL, "/", "control"},
    {"", "8000.lan", NULL, NULL, "/", "control"},
    {"", "-8000-x.lan", NULL, NULL, "/", "control"},
    {"", "api.e2b.example.com", NULL, NULL, "/sandboxes", "control"},
    {"", "127.0.0.1:3000", NULL, NULL, "/health", "control"},
    {"", "[::1]:3000", NULL, NULL, "/health", "control"},
    {"", "localhost", NULL, NULL, "/files", "control"},
    {"", "localhost", NULL, NULL, "/volumecontent/x", "control"},
    /* header routing */
    {"", "localhost:3000", "iabc", "49983", "/health", "sandbox iabc 49983"},
    {"", "LOCALHOST", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"", "localhost.", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"", "127.0.0.1:3000", "iabc", "49999", "/execute", "sandbox iabc 49999"},
    {"", "192.168.1.20", "iabc", "80", "/", "sandbox iabc 80"},
    {"", "[::1]:3000", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"", "[fe80::1]", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"", "box.lan:8443", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"", "iabc", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"box.lan", "localhost", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"box.lan", "10.0.0.1", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"box.lan", "sandbox.box.lan", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"box.lan", "Sandbox.Box.LAN.:8443", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"box.lan:8443", "sandbox.box.lan:8443", "iabc", "49983", "/", "sandbox iabc 49983"},
    {"", "localhost", "iabc-6532622b", "49983", "/", "sandbox iabc 49983"},
    {"", "localhost", "iabc", "49983", "/files?signature=v1_x", "sandbox iabc 49983"},
    /* not on names that may be a sandbox's own page's */
    {"box.lan", "api.box.lan", "iabc", "49983", "/", "control"},
    {"box.lan", "box.lan", "iabc", "49983", "/", "control"},
    {"box.lan", "evil.org", "iabc", "49983", "/", "control"},
    {"box.lan", "sandbox.evil.org", "iabc", "49983", "/", "control"},
    {"box.lan", "xsandbox.box.lan", "iabc", "49983", "/", "control"},
    {"box.lan", "10.0.0.256", "iabc", "49983", "/", "control"},
    {"box.lan", "10.0.0", "iabc", "49983", "/", "control"},
    /* broken headers */
    {"", "localhost", "iabc", NULL, "/", "Missing header: E2b-Sandbox-Port"},
    {"", "localhost", NULL, "49983", "/", "Missing header: E2b-Sandbox-Id"},
    {"box.lan", "sandbox.box.lan", "iabc", NULL, "/", "Missing header: E2b-Sandbox-Port"},
    {"box.lan", "sandbox.box.lan", NULL, NULL, "/", "Missing header: E2b-Sandbox-Id"},
    {"", "localhost", "", "49983", "/", "Invalid sandbox ID"},
    {"", "localhost", "IABC", "49983", "/", "Invalid sandbox ID"},
    {"", "localhost", "i.abc", "49983", "/", "Invalid sandbox ID"},
    {"", "localhost", "../etc", "49983", "/", "Invalid sandbox ID"},
    {"", "localhost", "-abc", "49983", "/", "Invalid sandbox ID"},
    {"", "localhost", "iabc", "0", "/", "Invalid sandbox port"},
    {"", "localhost", "iabc", "70000", "/", "Invalid sandbox port"},
    {"", "localhost", "iabc", "http", "/", "Invalid sandbox port"},
    {"", "localhost", "iabc", "+80", "/", "Invalid sandbox port"},
    {"", "localhost", "iabc", "80 80", "/", "Invalid sandbox port"},
    {"", "localhost", "iabc", "", "/", "Invalid sandbox port"},
    /* signed file URLs that do not name their sandbox */
    {"", "localhost:3000", NULL, NULL, "/files?path=a&signature=v1_x", "signed"},
    {"", "127.0.0.1", NULL, NULL, "/files?signature=v1_x", "signed"},
    {"box.lan", "sandbox.box.lan", NULL, NULL, "/files?signature=v1_x", "signed"},
    {"", "localhost", NULL, NULL, "/files/x?signature=v1_x", "control"},
    {"", "localhost", NULL, NULL, "/files?signatures=v1_x", "control"},
};
/* clang-format on */

static void say(const struct target *t, char *out, size_t size)
{
    switch (t->kind) {
    case TARGET_CONTROL: ignore(snprintf(out, size, "control")); break;
    case TARGET_SIGNED: ignore(snprintf(out, size, "signed")); break;
    case TARGET_BAD: ignore(snprintf(out, size, "%s", t->why)); break;
    case TARGET_SANDBOX: ignore(snprintf(out, size, "sandbox %s %u", t->id, t->port)); break;
    }
}

static void routes_every_form(void)
{
    static struct http_head h;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct target t;
        struct buf text;
        const char *why;
        char got[128];

        buf_init(&text, 4096);
        buf_printf(&text, "GET %s HTTP/1.1\r\nHost: %s\r\n", r->target, r->host);
        if (r->id != NULL)
            buf_printf(&text, "e2b-sandbox-id: %s\r\n", r->id);
        if (r->port != NULL)
            buf_printf(&text, "E2B-Sandbox-Port: %s\r\n", r->port);
        buf_add_text(&text, "\r\n");
        CHECK(http_parse_request(buf_str(&text), &h, &why) == (int)text.len);
        target_of(&h, &(struct target_rule){.domain = str_of(r->domain)}, &t);
        say(&t, got, sizeof got);
        if (strcmp(got, r->expect) != 0)
            test_note("row %zu: '%s'", i, got);
        CHECK(strcmp(got, r->expect) == 0);
        CHECK(t.kind != TARGET_SANDBOX || strlen(t.id) == t.id_len);
        buf_done(&text);
    }
}

/* clang-format off */
static const struct rule_row rule_rows[] = {
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/iabc/8000/a/b?c=d", "sandbox iabc 8000", "/a/b?c=d"},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/iabc/8000/", "sandbox iabc 8000", "/"},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/iabc/8000", "sandbox iabc 8000", "/"},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/iabc/8000?x=1", "sandbox iabc 8000", "/?x=1"},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/iabc-6532622b/8000//x", "sandbox iabc 8000", "//x"},
    {{STR(""), true, TARGET_ANY}, "127.0.0.1", "/sandbox/iabc/49983/init", "sandbox iabc 49983", "/init"},
    {{STR("box.lan"), true, TARGET_ANY}, "sandbox.box.lan", "/sandbox/iabc/80/", "sandbox iabc 80", "/"},
    {{STR("box.lan"), true, TARGET_ANY}, "api.box.lan", "/sandbox/iabc/80/", "control", NULL},
    {{STR(""), true, TARGET_ANY}, "9000-iother.localhost", "/sandbox/iabc/80/", "sandbox iother 9000", "/sandbox/iabc/80/"},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/IABC/8000/", "Invalid sandbox ID", NULL},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox//8000/", "Invalid sandbox ID", NULL},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/", "Invalid sandbox ID", NULL},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/i%61bc/8000/", "Invalid sandbox ID", NULL},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/iabc", "Invalid sandbox port", NULL},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/iabc/0/", "Invalid sandbox port", NULL},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandbox/iabc/http/", "Invalid sandbox port", NULL},
    {{STR(""), true, TARGET_ANY}, "localhost", "/sandboxes", "control", NULL},
    {{STR(""), true, TARGET_ANY}, "localhost", "/Sandbox/iabc/8000/", "control", NULL},
    {{STR(""), false, TARGET_ANY}, "localhost", "/sandbox/iabc/8000/", "control", NULL},
    {{STR(""), true, TARGET_CONTROL_ONLY}, "8000-iabc.localhost", "/", "control", NULL},
    {{STR(""), true, TARGET_CONTROL_ONLY}, "localhost", "/sandbox/iabc/8000/", "control", NULL},
    {{STR(""), true, TARGET_CONTROL_ONLY}, "localhost", "/files?signature=x", "control", NULL},
    {{STR(""), true, TARGET_DATA_ONLY}, "8000-iabc.localhost", "/", "sandbox iabc 8000", "/"},
    {{STR(""), true, TARGET_DATA_ONLY}, "localhost", "/sandbox/iabc/8000/", "sandbox iabc 8000", "/"},
    {{STR(""), true, TARGET_DATA_ONLY}, "localhost", "/files?signature=x", "signed", NULL},
    {{STR(""), true, TARGET_DATA_ONLY}, "localhost", "/sandboxes", "Invalid host", NULL},
    {{STR("box.lan"), false, TARGET_DATA_ONLY}, "sandbox.box.lan", "/x", "Missing header: E2b-Sandbox-Id", NULL},
};
/* clang-format on */

static void follows_its_rule(void)
{
    static struct http_head h;

    for (size_t i = 0; i < COUNT_OF(rule_rows); i++) {
        const struct rule_row *r = &rule_rows[i];
        struct target t;
        struct arena a;
        struct buf text;
        const char *why;
        char got[128];

        arena_init(&a, 4096);
        buf_init(&text, 4096);
        buf_printf(&text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", r->target, r->host);
        CHECK(http_parse_request(buf_str(&text), &h, &why) == (int)text.len);
        target_of(&h, &r->rule, &t);
        say(&t, got, sizeof got);
        if (strcmp(got, r->expect) != 0)
            test_note("row %zu: '%s'", i, got);
        CHECK(strcmp(got, r->expect) == 0);
        CHECK(r->behind == NULL || str_is(target_behind(&t, &a, h.target), r->behind));
        buf_done(&text);
        arena_done(&a);
    }
}

static void knows_private_paths_in_any_spelling(void)
{
    static const char *const private[] = {
        "/init",
        "/prepare",
        "/freeze",
        "/unfreeze",
        "/collapse",
        "/fsfreeze",
        "/fsthaw",
        "/upgrade",
        "/init/",
        "//init",
        "///init//",
        "/./init",
        "/init/.",
        "/%69nit",
        "/%69%6e%69%74",
        "%2Finit",
        "/x/../init",
        "/../init",
        "/x/%2e%2e/init",
        "/init/x/..",
        "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/../init",
        "/init%2f",
        "////////////////////////////////////////////////////////////////////////init",
    };
    static const char *const public[] = {
        "/",
        "",
        "/health",
        "/initialise",
        "/ini",
        "/init/x",
        "/x/init",
        "/INIT",
        "/files",
        "/init.",
        "/process.Process/Init",
        "/%2569nit",
        "/upgradeupgradeupgrade",
    };

    for (size_t i = 0; i < COUNT_OF(private); i++) {
        if (!target_is_private(ENVD_PORT, str_of(private[i])))
            test_note("%.*s", STR_ARG(str_of(private[i])));
        CHECK(target_is_private(ENVD_PORT, str_of(private[i])));
        CHECK(!target_is_private(8000, str_of(private[i])));
    }
    for (size_t i = 0; i < COUNT_OF(public); i++) {
        if (target_is_private(ENVD_PORT, str_of(public[i])))
            test_note("%.*s", STR_ARG(str_of(public[i])));
        CHECK(!target_is_private(ENVD_PORT, str_of(public[i])));
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"routes every form",                   routes_every_form                  },
        {"follows its rule",                    follows_its_rule                   },
        {"knows private paths in any spelling", knows_private_paths_in_any_spelling},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
