/* SPDX-License-Identifier: Apache-2.0 */
/* sandlot doctor: runs the tables of checks and prints what they found; see doctor.h. */
#include "main/doctor.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "codec/codec.h"
#include "main/envd_path.h"
#include "runtime/roundtrip.h"

enum {
    OPTION_JSON,
    REPORT_MAX = 1 << 20,
    NFTW_FDS = 16,
};

struct report {
    struct buf json;
    size_t counts[DOCTOR_FAIL + 1];
    bool is_json;
};

static const char *const verdicts[] = {"ok", "warn", "fail"};

void doctor_found(struct doctor_row *row, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    ignore(vsnprintf(row->found, sizeof row->found, format, args));
    va_end(args);
}

void doctor_advise(struct doctor_row *row, enum doctor_verdict verdict, const char *format, ...)
{
    va_list args;

    row->verdict = verdict;
    va_start(args, format);
    ignore(vsnprintf(row->advice, sizeof row->advice, format, args));
    va_end(args);
}

static void add_member(struct buf *out, const char *name, const char *value)
{
    json_quote(out, str_of(name));
    buf_add_byte(out, ':');
    json_quote(out, str_of(value));
}

static void print_row(struct report *r, const char *name, const struct doctor_row *row)
{
    size_t total = r->counts[0] + r->counts[1] + r->counts[2];

    r->counts[row->verdict]++;
    if (!r->is_json) {
        printf("%-5s %-32s %s\n", verdicts[row->verdict], name, row->found);
        if (row->advice[0] != '\0')
            printf("      %-32s -> %s\n", "", row->advice);
        ignore(fflush(stdout)); /* some checks take a moment */
        return;
    }
    buf_add_text(&r->json, total > 0 ? "," : "");
    buf_add_byte(&r->json, '{');
    add_member(&r->json, "check", name);
    buf_add_byte(&r->json, ',');
    add_member(&r->json, "verdict", verdicts[row->verdict]);
    buf_add_byte(&r->json, ',');
    add_member(&r->json, "found", row->found);
    buf_add_byte(&r->json, ',');
    add_member(&r->json, "advice", row->advice);
    buf_add_byte(&r->json, '}');
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    ignore(type + where->level + (long)st->st_size);
    ignore(remove(path)); /* a leftover below /tmp is all the harm */
    return 0;
}

static void on_exit_of(void *ctx, const char *id, enum exit_reason reason)
{
    ignore((long)reason + id[0] + (ctx != NULL));
}

static void print_features(struct report *r, struct runtime *runtime)
{
    const struct runtime_feature *features;
    size_t count = runtime_features(runtime, &features);

    for (size_t i = 0; i < count; i++) {
        struct doctor_row row = {.verdict = features[i].is_ok ? DOCTOR_OK : DOCTOR_WARN};

        doctor_found(&row, "%s", features[i].path);
        if (features[i].note[0] != '\0')
            doctor_advise(&row, row.verdict, "%s", features[i].note);
        print_row(r, features[i].name, &row);
    }
}

/* Pausing to the disk, done once. Where there is no CRIU its own row says so. */
static void check_roundtrip(struct report *r, struct loop *l, struct runtime *runtime,
                            const char *dir)
{
    struct doctor_row row = {0};
    struct runtime_capabilities can;
    auto_free char *rootfs = mem_zero(PATH_MAX);
    struct err err = {0};

    runtime_capabilities(runtime, &can);
    if (!can.can_checkpoint)
        return;
    config_path(rootfs, PATH_MAX, dir, "empty");
    if (mkdir(rootfs, 0755) != 0)
        ignore(err_sys(&err, errno, "make '%s'", rootfs));
    else if (roundtrip_run(l, runtime, rootfs, &err) == 0)
        err.kind = ERR_NONE;
    if (err.kind == ERR_NONE) {
        doctor_found(&row, "a sandbox was paused and restored");
    } else {
        doctor_found(&row, "%s", err.text);
        doctor_advise(&row, DOCTOR_WARN, "pauses keep files alone: run tools/criu, or see its log");
    }
    print_row(r, "pause to disk", &row);
}

/* A runtime of its own in a directory of its own, so that it adopts nothing of a running server.
 * Beside data_dir, for the file system is part of the question. */
static void check_runtime(struct report *r, const struct config *c)
{
    struct doctor_row row = {0};
    struct runtime_config config = c->runtime;
    char dir[PATH_MAX], envd[PATH_MAX];
    struct runtime *runtime = NULL;
    struct loop *l = NULL;
    struct err err;

    config_path(dir, sizeof dir, access(c->data_dir, W_OK) == 0 ? c->data_dir : "/tmp",
                ".doctor-XXXXXX");
    if (geteuid() != 0) {
        doctor_found(&row, "not looked at");
        doctor_advise(&row, DOCTOR_FAIL, "run doctor as root: namespaces and cgroups need it");
        print_row(r, "runtime", &row);
        return;
    }
    config.data_dir = config.run_dir = dir;
    config.envd_path = envd;
    config.pool_size = 0;
    config.hot_resume_s = 0;
    if (mkdtemp(dir) == NULL) {
        doctor_found(&row, "make '%s': %s", dir, strerror(errno));
        doctor_advise(&row, DOCTOR_FAIL, "data_dir, or else /tmp, must be writable");
        print_row(r, "runtime", &row);
        return;
    }
    if (envd_path(c->runtime.envd_path, envd, sizeof envd, &err) != 0 || loop_new(&l, &err) != 0 ||
        runtime_new(l, &config, on_exit_of, NULL, &runtime, &err) != 0) {
        doctor_found(&row, "%s", err.text);
        doctor_advise(&row, DOCTOR_FAIL, "the runtime cannot work on this machine as configured");
        print_row(r, "runtime", &row);
    } else {
        print_features(r, runtime);
        check_roundtrip(r, l, runtime, dir);
    }
    if (runtime != NULL)
        runtime_free(runtime);
    loop_free(l);
    ignore(nftw(dir, remove_one, NFTW_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT));
}

int doctor(const struct invocation *v)
{
    const struct program *program = v->ctx;
    struct report r = {.is_json = v->values[OPTION_JSON] != NULL};

    config_log(&program->config, "doctor");
    buf_init(&r.json, REPORT_MAX);
    for (size_t i = 0; i < doctor_host_check_count; i++) {
        struct doctor_row row = {0};

        doctor_host_checks[i].fn(&program->config, &row);
        print_row(&r, doctor_host_checks[i].name, &row);
    }
    check_runtime(&r, &program->config);
    if (r.is_json)
        printf("{\"ok\":%s,\"checks\":[%.*s]}\n", r.counts[DOCTOR_FAIL] == 0 ? "true" : "false",
               STR_ARG(buf_str(&r.json)));
    else
        printf("\n%zu ok, %zu warnings, %zu failures\n", r.counts[DOCTOR_OK], r.counts[DOCTOR_WARN],
               r.counts[DOCTOR_FAIL]);
    buf_done(&r.json);
    return r.counts[DOCTOR_FAIL] == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
