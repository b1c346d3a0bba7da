/* SPDX-License-Identifier: Apache-2.0 */
/* See local.h: files of a sandbox. What envd's filesystem calls do not have is done by the programs
 * that every image has (mkdir, rm, mv, grep, sed), and their words become S-codes. */
#include <stdio.h>

#include "worker/conduit.h"
#include "worker/local.h"

enum {
    RESULT_MAX = 60 << 20,
    BODY_MAX = 1 << 20, /* of fs::read, as text in the answer */
    FILE_MAX = 64 << 20,
};

/* In the order of local.c's tables. */
enum { ID, PATH };
enum { MKDIR_PARENTS = 2, MKDIR_MODE };
enum { WRITE_CONTENT = 2, WRITE_B64, WRITE_MODE, WRITE_PARENTS };
enum { RM_RECURSIVE = 2 };
enum { CHMOD_MODE = 2, CHMOD_RECURSIVE };
enum { MV_SRC = 1, MV_DST, MV_OVERWRITE };

struct entry {
    struct str name, type, modified, symlink;
    int64_t size;
    uint32_t mode;
    bool has_symlink;
};
struct entries {
    struct codec_list entries;
};
struct one_entry {
    struct entry *entry;
};

/* clang-format off */
static const struct codec_field entry_fields[] = {
    {1, "name", CODEC_STRING, 0, offsetof(struct entry, name)},
    {2, "type", CODEC_STRING, 0, offsetof(struct entry, type)},
    {3, "modifiedTime", CODEC_STRING, 0, offsetof(struct entry, modified)},
    {4, "symlinkTarget", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct entry, symlink), offsetof(struct entry, has_symlink)},
    {5, "size", CODEC_INT64, 0, offsetof(struct entry, size)},
    {6, "mode", CODEC_UINT32, 0, offsetof(struct entry, mode)},
};
static const struct codec_message entry_table =
    {NULL, sizeof(struct entry), entry_fields, COUNT_OF(entry_fields)};
static const struct codec_field entries_fields[] = {
    {1, "entries", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct entries, entries), 0, &entry_table},
};
static const struct codec_message entries_table =
    {NULL, sizeof(struct entries), entries_fields, COUNT_OF(entries_fields)};
static const struct codec_field one_fields[] = {
    {1, "entry", CODEC_MESSAGE, 0, offsetof(struct one_entry, entry), 0, &entry_table},
};
static const struct codec_message one_table =
    {NULL, sizeof(struct one_entry), one_fields, COUNT_OF(one_fields)};

/* clang-format on */

static void done_with(struct job *j, const char *json)
{
    struct buf out;

    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, json);
    job_done(j, &out);
}

static void on_plain_end(struct job *j, const struct process_end *end)
{
    if (local_tool_is_ok(end))
        done_with(j, "{}");
    else
        local_tool_fault(j, end, false);
}

static void ask_rpc(struct job *j, const char *method, struct str path, job_answer_fn *then)
{
    struct upstream_ask ask = guest_ask(j, "POST", method);
    struct buf body;

    buf_init(&body, 6 * path.len + 64);
    buf_add_text(&body, "{\"path\":");
    json_quote(&body, path);
    buf_add_text(&body, "}");
    api_add_json(&ask, &body);
    job_ask(j, &ask, then);
}

/* What envd says of a path: 404 missing, 400 of another type. */
static void rpc_fault(struct job *j, const struct upstream_answer *a)
{
    struct buf text;

    if (a->status != 400 && a->status != 404 && a->status != 403) {
        files_fault(j, a);
        return;
    }
    buf_init(&text, 1024);
    upstream_text(j->worker, a, &text);
    job_fault(j,
              a->status == 404 ? FAULT_FS_MISSING
                               : (a->status == 403 ? FAULT_FS_DENIED : FAULT_FS_TYPE),
              "%.*s", STR_ARG(buf_str(&text)));
    buf_done(&text);
}

static long long seconds_of(const struct entry *e)
{
    int64_t seconds = 0;
    uint32_t nanos;

    ignore(rfc3339_parse(e->modified, &seconds, &nanos)); /* none: 0 */
    return (long long)seconds;
}

static void put_entry(const struct entry *e, struct buf *out)
{
    buf_add_text(out, "{\"name\":");
    json_quote(out, e->name);
    buf_printf(out,
               ",\"is_dir\":%s,\"size\":%lld,\"mode\":\"%04o\",\"mtime\":%lld,\"is_symlink\":%s}",
               str_is(e->type, "FILE_TYPE_DIRECTORY") ? "true" : "false", (long long)e->size,
               e->mode & 07777, seconds_of(e), e->has_symlink ? "true" : "false");
}

static void on_ls(struct job *j, const struct upstream_answer *a)
{
    struct entries all = {0};
    struct buf out;

    if (a->status != 200 || a->is_cut ||
        json_decode(&entries_table, a->body, &j->arena, &all, NULL) != 0) {
        rpc_fault(j, a);
        return;
    }
    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, "{\"entries\":[");
    for (size_t i = 0; i < all.entries.count; i++) {
        buf_add_text(&out, i == 0 ? "" : ",");
        put_entry((const struct entry *)all.entries.items + i, &out);
    }
    buf_add_text(&out, "]}");
    job_done(j, &out);
}

static void begin_ls(struct job *j)
{
    ask_rpc(j, "/filesystem.Filesystem/ListDir", j->args[PATH].text, on_ls);
}

void run_fs_ls(struct job *j)
{
    api_with_box(j, j->args[ID].text, begin_ls);
}

/* NULL: the job has ended. */
static struct entry *read_entry(struct job *j, const struct upstream_answer *a)
{
    struct one_entry one = {0};

    if (a->status == 200 && !a->is_cut &&
        json_decode(&one_table, a->body, &j->arena, &one, NULL) == 0 && one.entry != NULL)
        return one.entry;
    rpc_fault(j, a);
    return NULL;
}

static void on_stat(struct job *j, const struct upstream_answer *a)
{
    const struct entry *e = read_entry(j, a);
    struct buf out;

    if (e == NULL)
        return;
    buf_init(&out, RESULT_MAX);
    put_entry(e, &out);
    job_done(j, &out);
}

static void begin_stat(struct job *j)
{
    ask_rpc(j, "/filesystem.Filesystem/Stat", j->args[PATH].text, on_stat);
}

void run_fs_stat(struct job *j)
{
    api_with_box(j, j->args[ID].text, begin_stat);
}

static void on_mkdir(struct job *j, const struct process_end *end)
{
    if (local_tool_is_ok(end))
        done_with(j, "{}");
    else
        local_tool_fault(j, end, true);
}

static void begin_mkdir(struct job *j)
{
    const struct arg *mode = &j->args[MKDIR_MODE];
    const char *text =
        arena_printf(&j->arena, "%04o", mode->is_set ? (unsigned)mode->number : 0755U);
    const char *const argv[] = {
        "mkdir", "-m", text == NULL ? "0755" : text, j->args[MKDIR_PARENTS].flag ? "-p" : "--",
        "--",    NULL};
    const char *const plain[] = {"mkdir", "-m", text == NULL ? "0755" : text, "--", NULL};

    local_tool_on_path(j, j->args[MKDIR_PARENTS].flag ? argv : plain, on_mkdir);
}

void run_fs_mkdir(struct job *j)
{
    api_with_box(j, j->args[ID].text, begin_mkdir);
}

static void begin_rm(struct job *j)
{
    const char *const argv[] = {"rm", j->args[RM_RECURSIVE].flag ? "-r" : "-d", "--", NULL};

    local_tool_on_path(j, argv, on_plain_end);
}

void run_fs_rm(struct job *j)
{
    api_with_box(j, j->args[ID].text, begin_rm);
}

static void begin_chmod(struct job *j)
{
    char *mode = arena_printf(&j->arena, "%04o", (unsigned)j->args[CHMOD_MODE].number);
    const char *const all[] = {"chmod", "-R", mode, "--", NULL};
    const char *const one[] = {"chmod", mode, "--", NULL};

    local_tool_on_path(j, j->args[CHMOD_RECURSIVE].flag ? all : one, on_plain_end);
}

void run_fs_chmod(struct job *j)
{
    api_with_box(j, j->args[ID].text, begin_chmod);
}

static void begin_mv(struct job *j)
{
    static const char script[] =
        "if [ \"$3\" = 0 ] && { [ -e \"$2\" ] || [ -L \"$2\" ]; }; then\n"
        "echo \"$2: File exists\" >&2; exit 1; fi\nexec mv -T -- \"$1\" \"$2\"";
    const char *const argv[] = {"sh", "-c", script, "mv", NULL};
    struct str *words = arena_array(&j->arena, 3, sizeof(*words));
    struct codec_list more = {words, 3};

    if (words == NULL) {
        job_fault(j, FAULT_CAPACITY, "too little memory for this call");
        return;
    }
    words[0] = j->args[MV_SRC].text;
    words[1] = j->args[MV_DST].text;
    words[2] = j->args[MV_OVERWRITE].flag ? STR("1") : STR("0");
    local_tool(j, argv, &more, on_plain_end);
}

void run_fs_mv(struct job *j)
{
    api_with_box(j, j->args[ID].text, begin_mv);
}

static void written(struct job *j)
{
    const struct str *bytes = j->state;
    struct buf out;

    buf_init(&out, RESULT_MAX);
    buf_printf(&out, "{\"bytes_written\":%zu,\"path\":", bytes->len);
    json_quote(&out, j->args[PATH].text);
    buf_add_byte(&out, '}');
    job_done(j, &out);
}

static void on_mode(struct job *j, const struct process_end *end)
{
    if (local_tool_is_ok(end))
        written(j);
    else
        local_tool_fault(j, end, false);
}

static void on_put(struct job *j, const struct upstream_answer *a)
{
    const struct arg *mode = &j->args[WRITE_MODE];

    if (a->status < 200 || a->status > 299 || a->is_cut)
        files_fault(j, a);
    else if (mode->is_set)
        files_chmod(j, j->args[PATH].text, mode->number, on_mode);
    else
        written(j);
}

static void on_parent(struct job *j, const struct process_end *end)
{
    if (local_tool_is_ok(end))
        files_put(j, j->args[PATH].text, *(const struct str *)j->state, on_put);
    else if (end->refused_code.len > 0)
        exec_refuse(j, end);
    else
        job_fault_fix(j, FAULT_FS_MISSING, "{\"parents\":true}",
                      "the directory of this path is not there");
}

static void put_file(struct job *j)
{
    static const char script[] = "d=$(dirname -- \"$1\") && [ -d \"$d\" ]";
    const char *const argv[] = {"sh", "-c", script, "parent", NULL};

    if (j->args[WRITE_PARENTS].flag) /* envd makes them */
        files_put(j, j->args[PATH].text, *(const struct str *)j->state, on_put);
    else
        local_tool_on_path(j, argv, on_parent);
}

static void on_channel_bytes(struct job *j, struct str bytes)
{
    *(struct str *)j->state = bytes;
    put_file(j);
}

static void begin_write(struct job *j)
{
    const struct arg *content = &j->args[WRITE_CONTENT], *b64 = &j->args[WRITE_B64];
    struct str *bytes = job_state(j, sizeof(*bytes));

    if (content->is_set && content->is_channel) {
        j->arena.max += FILE_MAX;
        conduit_read(j, content->text, FILE_MAX, on_channel_bytes);
        return;
    }
    *bytes = content->is_set ? content->text : b64->text;
    put_file(j);
}

void run_fs_write(struct job *j)
{
    if (j->args[WRITE_CONTENT].is_set == j->args[WRITE_B64].is_set)
        job_fault(j, FAULT_FS_REQUEST, "either 'content' or 'content_b64' is needed");
    else
        api_with_box(j, j->args[ID].text, begin_write);
}

/* What is known of a file before its bytes come. */
struct reading {
    struct entry entry;
    struct str text; /* its text, when it is one and short */
    bool has_text;
    size_t size;
};

static void on_ref(struct job *j, struct str ref)
{
    const struct reading *r = j->state;
    struct buf out;

    buf_init(&out, RESULT_MAX);
    buf_printf(&out, "{\"content\":%.*s", STR_ARG(ref));
    if (r->has_text) {
        buf_add_text(&out, ",\"body\":");
        json_quote(&out, r->text);
    }
    buf_printf(&out, ",\"size\":%zu,\"mode\":\"%04o\",\"mtime\":%lld}", r->size,
               r->entry.mode & 07777, seconds_of(&r->entry));
    job_done(j, &out);
}

static void on_got(struct job *j, const struct upstream_answer *a)
{
    struct reading *r = j->state;
    struct buf bytes;

    if (!files_came(j, a, FILE_MAX))
        return;
    r->size = a->body.len;
    r->has_text = a->body.len <= BODY_MAX && utf8_valid(a->body);
    if (r->has_text)
        r->text = arena_str(&j->arena, a->body);
    buf_init(&bytes, FILE_MAX);
    buf_add_str(&bytes, a->body);
    conduit_give(j, &bytes, on_ref);
}

static void on_read_stat(struct job *j, const struct upstream_answer *a)
{
    const struct entry *e = read_entry(j, a);
    struct reading *r;
    struct upstream_ask ask;
    char *target;

    if (e == NULL)
        return;
    r = job_state(j, sizeof(*r));
    r->entry = *e;
    target = guest_file_target(j, "/files", j->args[PATH].text);
    if (target == NULL || str_is(e->type, "FILE_TYPE_DIRECTORY")) {
        job_fault(j, FAULT_FS_TYPE, "it is a directory");
        return;
    }
    ask = guest_ask(j, "GET", target);
    ask.answer_max = FILE_MAX;
    job_ask(j, &ask, on_got);
}

static void begin_read(struct job *j)
{
    ask_rpc(j, "/filesystem.Filesystem/Stat", j->args[PATH].text, on_read_stat);
}

void run_fs_read(struct job *j)
{
    api_with_box(j, j->args[ID].text, begin_read);
}
