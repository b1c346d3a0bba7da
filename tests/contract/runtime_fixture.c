/* SPDX-License-Identifier: Apache-2.0 */
/* See runtime_fixture.h. */
#include "runtime_fixture.h"

#include <ftw.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

enum {
    ANSWER_MS = 120000, /* a template may have to be copied first */
    READ_MS = 30000,
    TICK_MS = 10,
    OPEN_DIRS = 32,
};

struct rig rig;
bool rig_may_use_envd;

static const char shell_name[] = "/bin/sh";
static const char guest_beside[] = "runtime_guest";
const char *rig_guest = guest_beside;

/* Behind the key; NULL: the text is not of it. */
static const char *value_of(const char *text, const char *key)
{
    size_t len = strlen(key);

    return strncmp(text, key, len) == 0 ? text + len : NULL;
}

static bool set_key(const char *text)
{
    static const struct {
        const char *key;
        size_t offset;
    } keys[] = {
        {"cgroup=",  offsetof(struct runtime_config, cgroup) },
        {"userns=",  offsetof(struct runtime_config, userns) },
        {"idmap=",   offsetof(struct runtime_config, idmap)  },
        {"overlay=", offsetof(struct runtime_config, overlay)},
        {"seccomp=", offsetof(struct runtime_config, seccomp)},
        {"criu=",    offsetof(struct runtime_config, criu)   },
    };
    static const struct {
        const char *key;
        uint64_t *to;
    } numbers[] = {
        {"warm=",     &rig.config.warm_size        },
        {"uid_base=", &rig.config.uid_base         },
        {"lazy=",     &rig.config.lazy_memory_bytes},
    };
    const char *value;

    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        value = value_of(text, numbers[i].key);
        if (value != NULL) {
            *numbers[i].to = strtoul(value, NULL, 10);
            return true;
        }
    }
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        value = value_of(text, keys[i].key);
        if (value != NULL) {
            *(const char **)(void *)((char *)&rig.config + keys[i].offset) = value;
            return true;
        }
    }
    return false;
}

/* The first tree with a shell that the pattern matches. */
static const char *match_rootfs(const char *pattern)
{
    static char path[RIG_TEXT_SIZE];
    glob_t found;
    bool has_one = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0;

    if (has_one)
        snprintf(path, sizeof(path), "%.*s", (int)(strlen(found.gl_pathv[0]) - strlen(shell_name)),
                 found.gl_pathv[0]);
    globfree(&found);
    return has_one ? path : NULL;
}

static const char *find_rootfs(void)
{
    const char *given = getenv("SANDLOT_TEST_ROOTFS");
    const char *data = getenv("SANDLOT_TEST_DATA");
    char pattern[RIG_TEXT_SIZE];

    if (given != NULL)
        return given;
    snprintf(pattern, sizeof(pattern), "%s/rootfs/*%s", data == NULL ? "/var/lib/sandlot" : data,
             shell_name);
    given = match_rootfs(pattern);
    return given != NULL ? given : match_rootfs("/var/tmp/sandlot-dev-rootfs/bin/sh");
}

/* The stand-in is built next to the test program. Only what asks nothing of it but to start may be
 * run with the real envd. */
static const char *find_guest(const char *program)
{
    static char path[RIG_TEXT_SIZE];
    const char *given = rig_may_use_envd ? getenv("SANDLOT_TEST_ENVD") : NULL;
    const char *slash = strrchr(program, '/');

    if (given != NULL)
        return given;
    snprintf(path, sizeof(path), "%.*s%s", slash == NULL ? 0 : (int)(slash - program) + 1, program,
             rig_guest);
    return path;
}

bool rig_configure(int argc, char **argv)
{
    if (argc < 2)
        return false;
    rig.config = (struct runtime_config){
        .driver = argv[1],
        .cgroup = "auto",
        .userns = "auto",
        .idmap = "auto",
        .overlay = "auto",
        .seccomp = "auto",
        .egress = "auto",
        .pool_size = 4,
        .warm_max = 4,
        .warm_idle_s = 600,
        .warm_service_bytes = 64 << 20,
        .uid_base = 400000,
        .sandboxes_max = 40,
        .disk_reserve_bytes = 1 << 20,
        .hot_resume_s = 30,
        .hot_memory_bytes = 256 << 20,
        .criu = "auto",
        .on_uncheckpointable = "fail",
        .envd_path = find_guest(argv[0]),
        .data_dir = rig.dir,
        .run_dir = rig.run_dir,
    };
    rig.rootfs = find_rootfs();
    for (int i = 2; i < argc; i++) {
        if (!set_key(argv[i]))
            return false;
    }
    return true;
}

bool rig_is_linux(void)
{
    return strcmp(rig.config.driver, "linux") == 0;
}

const char *rig_reason_to_skip(void)
{
    if (!rig_is_linux())
        return NULL;
    if (geteuid() != 0)
        return "needs root";
    if (rig.rootfs == NULL)
        return "needs a template's tree: set SANDLOT_TEST_ROOTFS";
    if (access(rig.config.envd_path, X_OK) != 0)
        return "needs the stand-in guest: is musl-gcc installed?";
    return NULL;
}

/* What keeps a node small is nothing to its sandboxes: runtime_linux and runtime_warm look. */
static void limit_ourselves(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = (rlim_t)1 << 60; /* no bound to a sanitizer, which takes all that there is */
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    limit.rlim_cur = 7 << 20;
    CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
}

void rig_dirs_make(void)
{
    limit_ourselves();
    snprintf(rig.dir, sizeof(rig.dir), "/var/tmp/sandlot-contract-XXXXXX");
    CHECK(mkdtemp(rig.dir) != NULL);
    snprintf(rig.run_dir, sizeof(rig.run_dir), "%s/run", rig.dir);
    if (rig.rootfs == NULL)
        rig.rootfs = "/"; /* the fake driver only checks that it is a path */
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void rig_dirs_remove(void)
{
    nftw(rig.dir, remove_one, OPEN_DIRS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void on_exit_unasked(void *ctx, const char *id, enum exit_reason reason)
{
    (void)ctx;
    rig.exits++;
    rig.exit_reason = reason;
    snprintf(rig.exit_id, sizeof(rig.exit_id), "%s", id);
}

void rig_open(void)
{
    struct err err = {0};
    bool is_open;

    CHECK(loop_new(&rig.loop, &err) == 0);
    is_open = runtime_new(rig.loop, &rig.config, on_exit_unasked, NULL, &rig.runtime, &err) == 0;
    if (!is_open)
        test_note("%s", err.text);
    CHECK(is_open);
}

void rig_close(void)
{
    runtime_free(rig.runtime);
    loop_free(rig.loop);
    rig.runtime = NULL;
    rig.loop = NULL;
}

static void on_tick(void *ctx)
{
    (void)ctx;
    loop_stop(rig.loop);
}

static void turn(void)
{
    struct timer tick = {0};
    struct err err = {0};

    timer_start(rig.loop, &tick, TICK_MS, on_tick, NULL);
    CHECK(loop_run(rig.loop, &err) == 0);
    timer_stop(&tick);
}

bool rig_pump(const size_t *counter, size_t wanted, uint64_t ms)
{
    for (uint64_t passed = 0; *counter < wanted && passed < ms; passed += TICK_MS)
        turn();
    return *counter >= wanted;
}

bool rig_has_file(const char *pattern)
{
    char path[RIG_TEXT_SIZE];
    glob_t found;
    int result;

    snprintf(path, sizeof(path), "%s/%s", rig.dir, pattern);
    result = glob(path, 0, NULL, &found);
    globfree(&found);
    CHECK(result == 0 || result == GLOB_NOMATCH);
    return result == 0;
}

bool rig_until(bool (*holds)(void), uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += TICK_MS) {
        if (holds())
            return true;
        turn();
    }
    return holds();
}

static void answered(const struct err *err)
{
    rig.err = err == NULL ? (struct err){0} : *err;
    rig.answers++;
    rig.refusals += err != NULL ? 1 : 0;
    if (err != NULL && getenv("SANDLOT_TEST_SAY") != NULL)
        test_note("%s", err->text);
    loop_stop(rig.loop);
}

static void on_started(void *ctx, const char *id, uint64_t took_us, const struct err *err)
{
    (void)ctx;
    (void)id;
    rig.took_us = took_us;
    answered(err);
}

static void on_stopped(void *ctx, const char *id, const struct err *err)
{
    (void)ctx;
    (void)id;
    answered(err);
}

static const struct sandbox_limits usual = {256 << 20, 100, 100, 64 << 20};

static struct sandbox_spec spec_of(const char *id, const struct sandbox_limits *limits,
                                   const char *init)
{
    return (struct sandbox_spec){.id = id,
                                 .rootfs = rig.rootfs,
                                 .hostname = "inside",
                                 .limits = *limits,
                                 .init = str_of(init)};
}

static void begin_start(const char *id, const struct sandbox_limits *limits, const char *init)
{
    const struct sandbox_spec spec = spec_of(id, limits, init);

    runtime_start(rig.runtime, &spec, on_started, NULL);
}

/* Calls that have no answer yet when they return. */
static enum err_kind await(size_t before)
{
    CHECK(rig.answers == before);
    CHECK(rig_pump(&rig.answers, before + 1, ANSWER_MS));
    return rig.err.kind;
}

enum err_kind rig_start_with(const char *id, const struct sandbox_limits *limits, const char *init)
{
    size_t before = rig.answers;

    begin_start(id, limits, init);
    CHECK(rig.answers == before); /* no answer from inside the call */
    CHECK(rig_pump(&rig.answers, before + 1, ANSWER_MS));
    return rig.err.kind;
}

enum err_kind rig_start(const char *id)
{
    return rig_start_with(id, &usual, "{}");
}

enum err_kind rig_stop(const char *id)
{
    size_t before = rig.answers;

    runtime_stop(rig.runtime, id, on_stopped, NULL);
    CHECK(rig.answers == before);
    CHECK(rig_pump(&rig.answers, before + 1, ANSWER_MS));
    return rig.err.kind;
}

enum err_kind rig_start_from(const char *id, const char *snapshot)
{
    return rig_start_from_with(id, snapshot, &usual);
}

enum err_kind rig_start_from_with(const char *id, const char *snapshot,
                                  const struct sandbox_limits *limits)
{
    struct sandbox_spec spec = spec_of(id, limits, "{}");
    size_t before = rig.answers;

    spec.snapshot = snapshot;
    runtime_start(rig.runtime, &spec, on_started, NULL);
    return await(before);
}

enum err_kind rig_resume(const char *id)
{
    const struct sandbox_spec spec = spec_of(id, &usual, "{}");
    size_t before = rig.answers;

    runtime_resume(rig.runtime, &spec, on_started, NULL);
    return await(before);
}

enum err_kind rig_pause(const char *id, bool keeps_memory)
{
    size_t before = rig.answers;

    runtime_pause(rig.runtime, id, keeps_memory, on_started, NULL);
    return await(before);
}

void rig_begin_pause(const char *id, bool keeps_memory)
{
    runtime_pause(rig.runtime, id, keeps_memory, on_started, NULL);
}

void rig_begin_resume(const char *id)
{
    const struct sandbox_spec spec = spec_of(id, &usual, "{}");

    runtime_resume(rig.runtime, &spec, on_started, NULL);
}

enum err_kind rig_snapshot(const char *id, const char *name, bool keeps_memory)
{
    size_t before = rig.answers;

    runtime_snapshot(rig.runtime, id, name, keeps_memory, on_started, NULL);
    return await(before);
}

enum err_kind rig_snapshot_remove(const char *name)
{
    size_t before = rig.answers;

    runtime_snapshot_remove(rig.runtime, name, on_stopped, NULL);
    return await(before);
}

bool rig_can_pause(bool keeps_memory)
{
    struct runtime_capabilities can;
    bool may;

    runtime_capabilities(rig.runtime, &can);
    may = keeps_memory ? can.can_checkpoint : can.can_snapshot_files;
    if (!may)
        test_note("not here: %s", can.reason);
    return may;
}

void rig_begin_start(const char *id)
{
    begin_start(id, &usual, "{}");
}

void rig_begin_stop(const char *id)
{
    runtime_stop(rig.runtime, id, on_stopped, NULL);
}

struct search {
    const char *id;
    size_t count, paused;
};

static void compare(void *ctx, const char *id, enum runtime_state state)
{
    struct search *s = ctx;

    if (s->id != NULL && strcmp(id, s->id) != 0)
        return;
    s->count++;
    s->paused += state == RUNTIME_PAUSED;
}

static void compare_name(void *ctx, const char *name)
{
    compare(ctx, name, RUNTIME_RUNNING);
}

bool rig_lists(const char *id)
{
    struct search s = {.id = id};

    runtime_each(rig.runtime, compare, &s);
    return s.count == 1;
}

bool rig_lists_paused(const char *id)
{
    struct search s = {.id = id};

    runtime_each(rig.runtime, compare, &s);
    return s.paused == 1;
}

bool rig_lists_snapshot(const char *name)
{
    struct search s = {.id = name};

    runtime_each_snapshot(rig.runtime, compare_name, &s);
    return s.count == 1;
}

size_t rig_listed(void)
{
    struct search s = {0};

    runtime_each(rig.runtime, compare, &s);
    return s.count;
}

const char *rig_read_all(int fd)
{
    static char text[RIG_TEXT_SIZE];
    size_t len = 0;

    while (len + 1 < sizeof(text)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t n;

        CHECK(poll(&ready, 1, READ_MS) == 1);
        n = read(fd, text + len, sizeof(text) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

static int send_command(const char *id, const char *text)
{
    struct err err = {0};
    int fd = -1;
    bool is_connected = runtime_connect(rig.runtime, id, RIG_PORT, &fd, &err) == 0;

    if (!is_connected)
        test_note("%s", err.text);
    CHECK(is_connected);
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
    CHECK(shutdown(fd, SHUT_WR) == 0);
    return fd;
}

const char *rig_sh(const char *id, const char *command)
{
    char text[RIG_TEXT_SIZE];
    auto_fd int fd = -1;

    snprintf(text, sizeof(text), "s%s", command);
    fd = send_command(id, text);
    return rig_read_all(fd);
}

const char *rig_hostile(const char *id, const char *part)
{
    char text[RIG_TEXT_SIZE];
    auto_fd int fd = -1;

    snprintf(text, sizeof(text), "h%s", part);
    fd = send_command(id, text);
    return rig_read_all(fd);
}

void rig_poke(const char *id, char command)
{
    const char text[] = {command, '\0'};
    int fd = send_command(id, text);

    own_close_fd(&fd);
}

size_t rig_ahead(void)
{
    struct runtime_ahead ahead;

    runtime_ahead(rig.runtime, &ahead);
    return ahead.ready;
}

bool rig_has(const char *feature)
{
    const struct runtime_feature *rows;
    size_t count = runtime_features(rig.runtime, &rows);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, feature) == 0)
            return rows[i].is_ok;
    }
    return false;
}
