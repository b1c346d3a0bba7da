/* SPDX-License-Identifier: Apache-2.0 */
/* Template files: defaults, what is refused, finding by any name. */
#include <stdio.h>

#include "base/clock.h"
#include "domain/template.h"
#include "domain_help.h"
#include "test.h"

static void write_file(struct domain_help *h, const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", h->dir, name);
    f = fopen(path, "we");
    CHECK(f != NULL);
    CHECK(fputs(text, f) >= 0);
    CHECK(fclose(f) == 0);
}

static void remove_file(struct domain_help *h, const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", h->dir, name);
    CHECK(unlink(path) == 0);
}

static int resolve(struct domain_help *h, const char *name, const struct template **out,
                   struct err *err)
{
    clock_shift_ms(2 * TEMPLATES_RESCAN_MS); /* scans are bounded in rate */
    return template_resolve(h->domain, h->team, str_of(name), out, err);
}

static void defaults_are_filled_in(void)
{
    struct domain_help h;
    const struct template *t = NULL;
    struct err err = {0};

    domain_help_open(&h);
    write_file(
        &h, "a.json",
        "{\"templateID\":\"aid\",\"buildID\":\"b\",\"rootfs\":\"tree\",\"aliases\":[\"a\"]}");
    CHECK(resolve(&h, "a", &t, &err) == 0);
    CHECK(t->r.cpu_count == 2 && t->r.memory_mb == 1024 && t->r.disk_mb == 10240);
    CHECK(str_is(t->r.user, "user") && str_is(t->r.workdir, "/home/user"));
    CHECK(str_is(template_alias(t), "a"));
    CHECK(resolve(&h, "aid", &t, &err) == 0);
    remove_file(&h, "a.json");
    domain_help_close(&h);
}

static void bad_files_are_reported_and_skipped(void)
{
    static const char *const texts[] = {
        "",
        "{",
        "{\"templateID\":\"x\"}",
        "{\"templateID\":\"x\",\"buildID\":\"b\",\"rootfs\":\"../etc\"}",
        "{\"templateID\":\"x\",\"buildID\":\"b\",\"rootfs\":\"a\",\"memoryMB\":-5}",
    };
    struct domain_help h;
    const struct template *t = NULL;
    struct err err = {0};

    domain_help_open(&h);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        size_t before = h.events[EVENT_TEMPLATE_BAD];

        test_note("%s", texts[i]);
        write_file(&h, "x.json", texts[i]);
        CHECK(resolve(&h, "x", &t, &err) == -1);
        CHECK(err.kind == ERR_NOT_FOUND);
        CHECK(str_is(str_of(err.text), "template 'x' not found"));
        CHECK(h.events[EVENT_TEMPLATE_BAD] > before);
    }
    remove_file(&h, "x.json");
    domain_help_close(&h);
}

static void misses_do_not_scan_without_bound(void)
{
    struct domain_help h;
    const struct template *t = NULL;
    struct err err = {0};

    domain_help_open(&h);
    write_file(&h, "x.json", "{");
    clock_shift_ms(2 * TEMPLATES_RESCAN_MS);
    for (int i = 0; i < 100; i++)
        CHECK(template_resolve(h.domain, h.team, STR("nothing"), &t, &err) == -1);
    CHECK(h.events[EVENT_TEMPLATE_BAD] == 1);
    remove_file(&h, "x.json");
    domain_help_close(&h);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"defaults are filled in",             defaults_are_filled_in            },
        {"bad files are reported and skipped", bad_files_are_reported_and_skipped},
        {"misses do not scan without bound",   misses_do_not_scan_without_bound  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
