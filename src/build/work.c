/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a build; see work.h. A unit is a step of the plan, or what an image gets first. It
 * is cached by what it starts from, what it says and the files it takes; its sandbox is stopped
 * when its files are kept, so nothing that a step left running reaches the next one. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "build/upload_store.h"
#include "build/work_internal.h"

enum {
    REASON_MAX = 4 * WORK_TAIL_MAX,
};

static const struct build_step *step_of(const struct work *w)
{
    return &((const struct build_step *)w->plan->steps.items)[w->step];
}

void work_say(struct work *w, enum build_level level, const char *format, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, BUILD_LINE_MAX);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    build_say(w->host.domain, str_of(w->build_id), level, str_of(w->label), buf_str(&text));
    buf_done(&text);
}

void work_fail(struct work *w, const char *format, ...)
{
    struct buf reason;
    va_list args;

    buf_init(&reason, REASON_MAX);
    va_start(args, format);
    buf_vprintf(&reason, format, args);
    va_end(args);
    buf_add_byte(&reason, '\0');
    w->stage = WORK_ENDED;
    build_fail(w->host.domain, str_of(w->build_id), str_of(w->label),
               buf_ok(&reason) ? reason.at : "the build failed");
    buf_done(&reason);
}

static void put_line(struct work *w, bool is_stderr, struct line_cutter *cut)
{
    build_say(w->host.domain, str_of(w->build_id), is_stderr ? BUILD_WARN : BUILD_INFO,
              str_of(w->label), (struct str){cut->bytes, cut->len});
    cut->len = 0;
}

static void keep_tail(struct work *w, struct str data)
{
    size_t have = strlen(w->tail), room = WORK_TAIL_MAX;

    data = data.len > room ? str_from(data, data.len - room) : data;
    if (have + data.len > room) {
        size_t drop = have + data.len - room;

        memmove(w->tail, w->tail + drop, have - drop);
        have -= drop;
    }
    for (size_t i = 0; i < data.len; i++)
        w->tail[have + i] = data.at[i] == '\0' ? ' ' : data.at[i];
    w->tail[have + data.len] = '\0';
}

void work_output(struct work *w, bool is_stderr, struct str data)
{
    struct line_cutter *cut = is_stderr ? &w->err : &w->out;

    keep_tail(w, data);
    for (size_t i = 0; i < data.len; i++) {
        if (data.at[i] == '\n' || cut->len == sizeof(cut->bytes))
            put_line(w, is_stderr, cut);
        if (data.at[i] != '\n' && data.at[i] != '\r')
            cut->bytes[cut->len++] = data.at[i];
    }
}

void work_end_lines(struct work *w)
{
    if (w->out.len > 0)
        put_line(w, false, &w->out);
    if (w->err.len > 0)
        put_line(w, true, &w->err);
}

void work_key_add(struct work *w, struct str type, const struct str *parts, size_t count)
{
    struct sha256 h;

    sha256_init(&h);
    sha256_add(&h, w->key, sizeof(w->key));
    sha256_add(&h, type.at, type.len);
    for (size_t i = 0; i < count; i++) {
        uint64_t len = parts[i].len; /* "ab" "c" is not "a" "bc" */

        sha256_add(&h, &len, sizeof(len));
        sha256_add(&h, parts[i].at, parts[i].len);
    }
    sha256_end(&h, w->key);
}

struct codec_list work_env(struct work *w, bool with_args)
{
    const struct step_state *s = w->state;
    size_t count = s->env_count + (with_args ? s->arg_count : 0);
    struct codec_pair *all = arena_array(&w->mem, count + 1, sizeof(*all));

    if (all == NULL)
        return (struct codec_list){0};
    memcpy(all, s->env, s->env_count * sizeof(*all));
    count = s->env_count;
    for (size_t i = 0; with_args && i < s->arg_count; i++) {
        bool is_hidden = false;

        for (size_t k = 0; k < s->env_count; k++)
            is_hidden = is_hidden || str_eq(s->env[k].key, s->arg[i].key);
        if (!is_hidden)
            all[count++] = s->arg[i];
    }
    return (struct codec_list){all, count};
}

static struct codec_list args_of(struct work *w, const char *script, struct str text)
{
    struct str *args = arena_array(&w->mem, 3, sizeof(*args));

    if (args == NULL)
        return (struct codec_list){0};
    args[0] = STR("-c");
    args[1] = str_of(script);
    args[2] = text;
    return (struct codec_list){args, text.at == NULL ? 2 : 3};
}

/* As the reference runs it, with bash as a login shell; images without bash have sh. */
struct guest_command work_shell(struct work *w, struct str text, struct str user)
{
    static const char pick[] =
        "[ -x /bin/bash ] && exec /bin/bash -l -c \"$0\"; exec /bin/sh -l -c \"$0\"";

    return (struct guest_command){.program = STR("/bin/sh"),
                                  .args = args_of(w, pick, text),
                                  .env = work_env(w, true),
                                  .cwd = w->state->workdir,
                                  .user = user,
                                  .timeout_ms = COMMAND_TIMEOUT_MS};
}

struct guest_command work_script(struct work *w, const struct step_command *c)
{
    struct codec_pair *env = arena_array(&w->mem, c->env_count + 2, sizeof(*env));
    struct guest_command out = {.program = STR("/bin/sh"),
                                .args = args_of(w, c->script, (struct str){0}),
                                .cwd = STR("/"),
                                .user = STR("root"),
                                .timeout_ms = COMMAND_TIMEOUT_MS};

    if (env != NULL) {
        memcpy(env, c->env, c->env_count * sizeof(*env));
        env[c->env_count] = (struct codec_pair){
            STR("PATH"), STR("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")};
        out.env = (struct codec_list){env, c->env_count + 1};
    }
    return out;
}

static void on_exit_of_guest(void *ctx, const char *why)
{
    work_fail(ctx, "the sandbox of the build ended: %s", why);
}

int work_start_guest(struct work *w, build_guest_fn *fn)
{
    struct build_guest_spec spec = {
        .build_id = str_of(w->build_id),
        .rootfs = w->rootfs,
        .snapshot = w->snapshot,
        .layers = w->layers,
        .cpu_count = w->cpu_count,
        .memory_mb = w->memory_mb,
        .disk_mb = w->disk_mb,
        .on_exit = on_exit_of_guest,
        .ctx = w,
    };
    struct err err = {0};

    if (build_guest_start(w->host.domain, &spec, fn, &w->guest, &err) == 0)
        return 0;
    work_fail(w, "a sandbox for the build could not be started: %s", err.text);
    return -1;
}

void work_stop_guest(struct work *w)
{
    guest_call_free(w->call);
    guest_call_free(w->start_call);
    build_guest_stop(w->guest);
    w->call = w->start_call = NULL;
    w->guest = NULL;
}

int work_snapshot(struct work *w, bool keeps_memory, build_guest_fn *fn)
{
    struct err err = {0};

    build_name_reserve(w->host.domain, w->name);
    if (build_guest_snapshot(w->guest, str_of(w->name), keeps_memory, fn, &err) == 0)
        return 0;
    work_fail(w, "the files of the step could not be kept: %s", err.text);
    return -1;
}

void work_release_name(struct work *w)
{
    if (w->name[0] != '\0')
        build_name_release(w->host.domain, w->name);
    w->name[0] = '\0';
}

/* Units */

static void prefix(const struct work *w, char out[48])
{
    if (w->is_provision)
        ignore(snprintf(out, 48, "[base]"));
    else
        ignore(snprintf(out, 48, "[builder %zu/%zu]", w->step + 1, w->plan->steps.count));
}

static struct str unit_text(struct work *w)
{
    return w->is_provision ? STR("PROVISION") : step_text(step_of(w), &w->mem);
}

static void unit_key(struct work *w)
{
    const struct build_step *s;

    if (w->is_provision) {
        struct str script = str_of(step_provision);

        work_key_add(w, STR("PROVISION"), &script, 1);
        return;
    }
    s = step_of(w);
    work_key_add(w, s->type, s->args.items, s->args.count);
    if (s->files_hash.len > 0)
        work_key_add(w, STR("files"), &s->files_hash, 1);
}

static enum work_stage unit_cached(struct work *w)
{
    struct err err = {0};
    struct str name, text;
    char at[48];

    if (!w->is_provision && w->step >= w->plan->steps.count)
        return WORK_FINISH;
    ignore(snprintf(w->label, sizeof(w->label), w->is_provision ? "base" : "%zu", w->step + 1));
    w->tail[0] = '\0';
    w->began_ms = clock_mono_ms();
    w->command = (struct step_command){.script = step_provision, .user = STR("root")};
    if (!w->is_provision && step_plan(step_of(w), w->state, &w->mem, &w->command, &err) != 0) {
        work_fail(w, "%s", err.text);
        return WORK_ENDED;
    }
    w->is_forced = w->is_forced || (!w->is_provision && step_of(w)->is_forced);
    unit_key(w);
    prefix(w, at);
    text = unit_text(w);
    name = w->command.is_nothing || w->is_forced
               ? (struct str){0}
               : build_layer_find(w->host.domain, str_of(w->team_id), w->key);
    work_say(w, BUILD_INFO, "%s%s %.*s", name.len > 0 ? "CACHED " : "", at, STR_ARG(text));
    if (w->command.is_nothing)
        return WORK_NEXT;
    if (name.len == 0)
        return WORK_START;
    w->snapshot = arena_str(&w->mem, name);
    return WORK_NEXT;
}

static void on_started(void *ctx, const struct err *err)
{
    struct work *w = ctx;

    if (err != NULL) {
        work_fail(w, "a sandbox for the build could not be started: %s", err->text);
        return;
    }
    w->stage = w->command.needs_files ? WORK_FILES : WORK_RUN;
    work_advance(w);
}

static enum work_stage unit_start(struct work *w)
{
    return work_start_guest(w, on_started) == 0 ? WORK_WAIT : WORK_ENDED;
}

static void on_put(void *ctx, int code, const struct err *err)
{
    struct work *w = ctx;

    w->call = NULL;
    if (err != NULL || code >= 300) {
        work_fail(w, "%s", err != NULL ? err->text : "files could not be copied into the sandbox");
        return;
    }
    w->stage = WORK_RUN;
    work_advance(w);
}

static enum work_stage unit_files(struct work *w)
{
    static const struct guest_events events = {NULL, on_put};
    struct upload_name name = {w->host.uploads_dir, str_of(w->team_id), step_of(w)->files_hash};
    struct err err = {0};
    uint64_t size;
    int fd;

    if (upload_open(&name, &fd, &size, &err) != 0) {
        work_fail(w, "the files of this step were not uploaded");
        return WORK_ENDED;
    }
    if (guest_put(w->host.loop, w->guest, str_of(step_archive), fd, &events, w, &w->call, &err) ==
        0)
        return WORK_WAIT;
    work_fail(w, "%s", err.text);
    return WORK_ENDED;
}

static void on_run_output(void *ctx, bool is_stderr, struct str data)
{
    work_output(ctx, is_stderr, data);
}

static void on_run_end(void *ctx, int code, const struct err *err)
{
    struct work *w = ctx;
    struct str text;

    w->call = NULL;
    work_end_lines(w);
    if (err == NULL && code == 0) {
        w->stage = WORK_KEEP;
        work_advance(w);
        return;
    }
    text = unit_text(w);
    if (err != NULL)
        work_fail(w, "'%.*s' could not be run: %s", STR_ARG(text), err->text);
    else
        work_fail(w, "'%.*s' failed with exit code %d: %s", STR_ARG(text), code, w->tail);
}

static enum work_stage unit_run(struct work *w)
{
    static const struct guest_events events = {on_run_output, on_run_end};
    struct guest_command c = w->command.script != NULL
                                 ? work_script(w, &w->command)
                                 : work_shell(w, w->command.text, w->command.user);
    struct err err = {0};

    if (guest_run(w->host.loop, w->guest, &c, &events, w, &w->call, &err) == 0)
        return WORK_WAIT;
    work_fail(w, "%s", err.text);
    return WORK_ENDED;
}

static void on_kept(void *ctx, const struct err *err)
{
    struct work *w = ctx;

    if (err != NULL) {
        work_fail(w, "the files of the step could not be kept: %s", err->text);
        return;
    }
    work_stop_guest(w);
    w->snapshot = arena_str(&w->mem, str_of(w->name));
    build_layer_keep(w->host.domain, str_of(w->team_id), w->key, w->snapshot);
    work_release_name(w);
    work_say(w, BUILD_DEBUG, "took %llu ms", (unsigned long long)(clock_mono_ms() - w->began_ms));
    w->stage = WORK_NEXT;
    work_advance(w);
}

static enum work_stage unit_keep(struct work *w)
{
    return work_snapshot(w, false, on_kept) == 0 ? WORK_WAIT : WORK_ENDED;
}

static enum work_stage unit_next(struct work *w)
{
    struct err err = {0};

    if (w->is_provision) {
        w->is_provision = false;
        return WORK_CACHED;
    }
    if (step_apply(step_of(w), w->state, &w->mem, &err) != 0) {
        work_fail(w, "%s", err.text);
        return WORK_ENDED;
    }
    w->step++;
    return WORK_CACHED;
}

typedef enum work_stage stage_fn(struct work *w);

static stage_fn *const stages[WORK_STAGE_COUNT] = {
    [WORK_BASE] = work_base,   [WORK_CACHED] = unit_cached, [WORK_START] = unit_start,
    [WORK_FILES] = unit_files, [WORK_RUN] = unit_run,       [WORK_KEEP] = unit_keep,
    [WORK_NEXT] = unit_next,   [WORK_FINISH] = work_finish,
};

void work_advance(struct work *w)
{
    enum work_stage next;

    while ((next = stages[w->stage](w)) < WORK_STAGE_COUNT)
        w->stage = next;
}

static void on_begin(void *ctx)
{
    work_advance(ctx);
}

struct work *work_new(const struct work_host *host, const struct build *b)
{
    struct work *w = mem_zero(sizeof(*w));

    w->host = *host;
    w->plan = b->plan;
    w->cpu_count = b->r.cpu_count;
    w->memory_mb = b->r.memory_mb;
    w->disk_mb = b->r.disk_mb;
    w->is_forced = b->plan->is_forced;
    w->state = mem_zero(sizeof(*w->state));
    ignore(str_to_c(b->r.id, w->build_id, sizeof(w->build_id))); /* ids of records fit */
    ignore(str_to_c(b->r.template_id, w->template_id, sizeof(w->template_id)));
    ignore(str_to_c(b->r.team_id, w->team_id, sizeof(w->team_id)));
    ignore(str_to_c(STR("base"), w->label, sizeof(w->label)));
    arena_init(&w->mem, WORK_MEM_MAX);
    task_defer(host->loop, &w->begin, on_begin, w);
    return w;
}

void work_halt(struct work *w)
{
    task_cancel(&w->begin);
    timer_stop(&w->timer);
    image_fetch_cancel(w->fetch);
    w->fetch = NULL;
    work_stop_guest(w);
    work_release_name(w);
}

void work_free(struct work *w)
{
    if (w == NULL)
        return;
    work_halt(w);
    arena_done(&w->mem);
    free(w->state);
    free(w);
}
