/* SPDX-License-Identifier: Apache-2.0 */
/* template build: a Dockerfile and what stands beside it, sent to the server, which reads it and
 * tells how it goes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "cli/template_call.h"
#include "cli/words.h"

extern char **environ;

enum {
    DOCKERFILE_MAX = 64 << 10,
    IGNORED_MAX = 200, /* lines of .dockerignore */
    ARGS_MAX = IGNORED_MAX + 24,
    UPLOAD_TIMEOUT_MS = 15 * 60 * 1000,
};

struct link {
    struct str url;
    bool present;
};

/* clang-format off */
static const struct codec_field link_fields[] = {
    {1, "url", CODEC_STRING, CODEC_REQUIRED, offsetof(struct link, url)},
    {2, "present", CODEC_BOOL, 0, offsetof(struct link, present)},
};
static const struct codec_message link_message =
    {"link", sizeof(struct link), link_fields, COUNT_OF(link_fields)};
/* clang-format on */

struct building {
    struct template_call call;
    char context[PATH_MAX]; /* directory whose files are sent */
    char *dockerfile;
    size_t dockerfile_len;
    char *ignored[IGNORED_MAX + 1]; /* tar's options */
    size_t ignored_count;
    char hash[2 * SHA256_SIZE + 1]; /* of the files; empty: none are sent */
    struct template_build_ids ids;
};

/* What is built */

static int read_text(const char *path, char **out, size_t *out_len, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text;
    size_t len = 0;
    ssize_t got;

    if (fd < 0)
        return err_sys(err, errno, "open '%s'", path);
    text = mem_zero(DOCKERFILE_MAX + 2);
    while (len <= DOCKERFILE_MAX && (got = read(fd, text + len, DOCKERFILE_MAX + 1 - len)) > 0)
        len += (size_t)got;
    if (len > DOCKERFILE_MAX) {
        free(text);
        return err_set(err, ERR_LIMIT, "'%s' has more than %d bytes", path, DOCKERFILE_MAX);
    }
    *out = text;
    *out_len = len;
    return 0;
}

/* A directory with a Dockerfile in it, or a Dockerfile in the directory of its files. */
static int find_files(struct building *b, const char *path, const char *file, struct err *err)
{
    char dockerfile[PATH_MAX];
    struct stat st;
    char *slash;
    int len;

    if (stat(path, &st) != 0)
        return err_sys(err, errno, "'%s'", path);
    if (S_ISDIR(st.st_mode)) {
        ignore(str_to_c(str_of(path), b->context, sizeof b->context)); /* stat() took it */
        len = file != NULL ? snprintf(dockerfile, sizeof dockerfile, "%s", file)
                           : snprintf(dockerfile, sizeof dockerfile, "%s/Dockerfile", path);
    } else {
        len = snprintf(dockerfile, sizeof dockerfile, "%s", path);
        memcpy(b->context, dockerfile, sizeof b->context);
        slash = strrchr(b->context, '/');
        if (slash == NULL)
            memcpy(b->context, ".", 2);
        else
            slash[slash == b->context] = '\0'; /* "/" stays */
    }
    if (len < 0 || (size_t)len >= sizeof dockerfile)
        return err_set(err, ERR_INVALID, "the path of the Dockerfile is too long");
    return read_text(dockerfile, &b->dockerfile, &b->dockerfile_len, err);
}

/* Is there anything that files are needed for? */
static bool needs_files(const struct building *b)
{
    struct str rest = {b->dockerfile, b->dockerfile_len}, more;

    while (rest.len > 0) {
        struct str word = str_cut(str_trim(str_cut(rest, '\n', &rest)), ' ', &more);

        if (str_ieq(word, STR("COPY")) || str_ieq(word, STR("ADD")))
            return true;
    }
    return false;
}

/* .dockerignore as options of tar. Exceptions ("!") have none. */
static int read_ignored(struct building *b, struct err *err)
{
    char path[PATH_MAX + 16];
    char *text = NULL;
    struct str rest;
    size_t len = 0;
    int result = 0;

    ignore(snprintf(path, sizeof path, "%s/.dockerignore", b->context));
    if (access(path, F_OK) != 0)
        return 0;
    if (read_text(path, &text, &len, err) != 0)
        return -1;
    rest = (struct str){text, len};
    while (rest.len > 0 && result == 0) {
        struct str line = str_trim(str_cut(rest, '\n', &rest));
        struct buf option;

        while (line.len > 1 && (str_has_suffix(line, "/") || str_has_suffix(line, "\r")))
            line.len--;
        if (line.len == 0 || line.at[0] == '#')
            continue;
        if (line.at[0] == '!' || b->ignored_count == IGNORED_MAX) {
            result = err_set(err, ERR_UNSUPPORTED,
                             line.at[0] == '!' ? ".dockerignore: exceptions with '!' are not "
                                                 "supported"
                                               : ".dockerignore has too many lines");
            continue;
        }
        buf_init(&option, PATH_MAX);
        buf_add_text(&option, "--exclude=./");
        if (str_has_prefix(line, "**/"))
            buf_printf(&option, "*%.*s", STR_ARG(str_from(line, 3)));
        else
            buf_add_str(&option, line.at[0] == '/' ? str_from(line, 1) : line);
        buf_add_byte(&option, '\0');
        if (buf_ok(&option))
            b->ignored[b->ignored_count++] = mem_text(option.at);
        buf_done(&option);
    }
    free(text);
    return result;
}

/* Files */

static int spawn_tar(const char *const *argv, int out_fd, struct err *err)
{
    posix_spawn_file_actions_t actions;
    int status = 0, error;
    pid_t pid;

    ignore(posix_spawn_file_actions_init(&actions));
    ignore(posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO));
    error = posix_spawnp(&pid, "tar", &actions, NULL, (char *const *)(uintptr_t)argv,
                         environ); /* which changes none of them */
    ignore(posix_spawn_file_actions_destroy(&actions));
    if (error != 0)
        return err_sys(err, error, "start tar");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? 0
               : err_set(err, ERR_SYSTEM, "tar failed: see what it said");
}

/* The files in an archive that has no name; `has_times` false: the same files are the same bytes.
 */
static int pack(struct building *b, bool has_times, int *out_fd, struct err *err)
{
    const char *dir = getenv("TMPDIR");
    const char *argv[ARGS_MAX] = {"tar",        "-C",         b->context,        "--sort=name",
                                  "--owner=0",  "--group=0",  "--numeric-owner", "--format=gnu",
                                  "--anchored", "--wildcards"};
    size_t count = 10;
    auto_fd int fd =
        open(dir != NULL && dir[0] != '\0' ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_sys(err, errno, "make a temporary file");
    for (size_t i = 0; i < b->ignored_count; i++)
        argv[count++] = b->ignored[i];
    if (!has_times)
        argv[count++] = "--mtime=@0";
    argv[count++] = "-cf";
    argv[count++] = "-";
    argv[count++] = ".";
    if (spawn_tar(argv, fd, err) != 0)
        return -1;
    *out_fd = take_fd(&fd);
    return 0;
}

static int map(int fd, struct str *out, struct err *err)
{
    struct stat st;
    void *at;

    if (fstat(fd, &st) != 0)
        return err_sys(err, errno, "look at the archive");
    at =
        mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0); /* tar never writes nothing */
    if (at == MAP_FAILED)
        return err_sys(err, errno, "map the archive");
    *out = (struct str){at, (size_t)st.st_size};
    return 0;
}

static int hash_files(struct building *b, struct err *err)
{
    uint8_t digest[SHA256_SIZE];
    struct str data = {0};
    auto_fd int fd = -1;

    if (pack(b, false, &fd, err) != 0 || map(fd, &data, err) != 0)
        return -1;
    sha256_of(data, digest);
    hex_encode(digest, sizeof digest, b->hash);
    ignore(munmap((void *)(uintptr_t)data.at, data.len)); /* it was mapped */
    return 0;
}

static int upload(struct building *b, const struct invocation *v, struct str url, struct err *err)
{
    struct str path = url, data = {0};
    auto_fd int fd = -1;
    int result;

    for (int slashes = 0; path.len > 0 && slashes < 3; slashes += path.at[0] == '/')
        path = str_from(path, 1);
    if (pack(b, true, &fd, err) != 0 || map(fd, &data, err) != 0)
        return -1;
    template_call_set(&b->call, "PUT", 200, "%.*s", STR_ARG(path));
    b->call.call.body = data;
    b->call.call.timeout_ms = UPLOAD_TIMEOUT_MS;
    result = template_call_run(&b->call, v, NULL, NULL, err);
    b->call.call.timeout_ms = 0;
    ignore(munmap((void *)(uintptr_t)data.at, data.len)); /* it was mapped */
    return result;
}

static int send_files(struct building *b, const struct invocation *v, struct err *err)
{
    struct link link = {0};

    if (!needs_files(b))
        return 0;
    if (read_ignored(b, err) != 0 || hash_files(b, err) != 0)
        return -1;
    template_call_set(&b->call, "GET", 201, "/templates/%s/files/%s", b->ids.template_id, b->hash);
    if (template_call_run(&b->call, v, &link_message, &link, err) != 0)
        return -1;
    return link.present ? 0 : upload(b, v, link.url, err);
}

/* The build */

static int put_number(struct buf *json, const struct invocation *v, const char *flag,
                      const char *name, struct err *err)
{
    const char *value = command_value(v, flag);
    uint64_t number;

    if (value == NULL)
        return 0;
    if (!str_to_u64(str_of(value), &number) || number > INT32_MAX)
        return err_set(err, ERR_INVALID, "%s=%s is not a number", flag, value);
    buf_printf(json, ",\"%s\":%llu", name, (unsigned long long)number);
    return 0;
}

static int request(struct building *b, const struct invocation *v, struct err *err)
{
    struct buf *json = &b->call.body;

    template_call_set(&b->call, "POST", 202, "/v3/templates");
    buf_add_text(json, "{\"name\":");
    json_quote(json, str_of(v->words[0]));
    if (put_number(json, v, "--cpu", "cpuCount", err) != 0 ||
        put_number(json, v, "--memory", "memoryMB", err) != 0)
        return -1;
    buf_add_byte(json, '}');
    return template_call_request(&b->call, v, &b->ids, err);
}

static struct str given(const struct invocation *v, const char *flag)
{
    const char *value = command_value(v, flag);

    return value == NULL ? (struct str){0} : str_of(value);
}

static int start(struct building *b, const struct invocation *v, struct err *err)
{
    struct buf *json = &b->call.body;

    template_call_set(&b->call, "POST", 202, "/v2/templates/%s/builds/%s", b->ids.template_id,
                      b->ids.build_id);
    buf_add_text(json, "{\"dockerfile\":");
    json_quote(json, (struct str){b->dockerfile, b->dockerfile_len});
    template_call_text(json, "filesHash", str_of(b->hash));
    template_call_text(json, "startCmd", given(v, "--start"));
    template_call_text(json, "readyCmd", given(v, "--ready"));
    buf_add_text(json, command_value(v, "--no-cache") != NULL ? ",\"force\":true}" : "}");
    return template_call_run(&b->call, v, NULL, NULL, err);
}

static int build(struct building *b, const struct invocation *v, struct err *err)
{
    bool is_json = command_value(v, "--json") != NULL;
    uint64_t began_ms = clock_mono_ms();

    if (find_files(b, v->count > 1 ? v->words[1] : ".", command_value(v, "--file"), err) != 0 ||
        request(b, v, err) != 0 || send_files(b, v, err) != 0 || start(b, v, err) != 0 ||
        template_call_follow(&b->call, v, &b->ids, is_json, err) != 0)
        return -1;
    if (is_json)
        printf("{\"templateID\":\"%s\",\"buildID\":\"%s\",\"status\":\"ready\",\"ms\":%llu}\n",
               b->ids.template_id, b->ids.build_id,
               (unsigned long long)(clock_mono_ms() - began_ms));
    else
        printf("built %s (%s) in %.1f s\n", v->words[0], b->ids.template_id,
               (double)(clock_mono_ms() - began_ms) / 1000);
    return 0;
}

int cli_template_build(const struct invocation *v)
{
    struct building *b = mem_zero(sizeof *b);
    int result = EXIT_USAGE;
    struct err err = {0};

    if (template_call_begin(&b->call, v) == 0)
        result = build(b, v, &err) == 0 ? EXIT_SUCCESS : cli_fail(v, &err);
    template_call_end(&b->call);
    for (size_t i = 0; i < b->ignored_count; i++)
        free(b->ignored[i]);
    free(b->dockerfile);
    free(b);
    return result;
}
