/* SPDX-License-Identifier: Apache-2.0 */
/* See export.h. The layers are seen as a sandbox sees them, through an overlay that nobody writes,
 * in a mount namespace that ends with this process. */
#include "image/export.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "image/layout_file.h"
#include "image/oci.h"
#include "runtime/linux/files.h"
#include "runtime/linux/kept.h"

extern char **environ;

enum {
    PIECE = 256 << 10,
    LOWERS_MAX = STACK_MAX + 1,
    OPTIONS_SIZE = 4096,
    DOCUMENT_MAX = OCI_DOCUMENT_MAX,
};

/* A directory that is always there and that nothing of ours is below: it is covered for ourselves.
 */
static const char place[] = "/sys";

struct lowers {
    char *paths[LOWERS_MAX]; /* lowest first */
    size_t count;
};

static void lowers_done(struct lowers *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->paths[i]);
    l->count = 0;
}

static int add_lower(struct lowers *l, const char *path, struct err *err)
{
    if (l->count == LOWERS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d layers", LOWERS_MAX);
    l->paths[l->count++] = mem_text(path);
    return 0;
}

static int add_named(struct lowers *l, const struct export_spec *s, const char *below,
                     struct str name, struct err *err)
{
    char path[LAYER_PATH_MAX];

    if (name.len == 0 || name.at[0] == '.' || str_find(name, '/') >= 0 ||
        (size_t)snprintf(path, sizeof path, "%s/%s/%.*s", s->data_dir, below, STR_ARG(name)) >=
            sizeof path)
        return err_set(err, ERR_INVALID, "bad name of a tree");
    return add_lower(l, path, err);
}

static int add_kept(struct lowers *l, const struct kept *k, struct err *err)
{
    if (add_lower(l, k->rootfs, err) != 0)
        return -1;
    for (size_t i = 0; i < k->layers.count; i++)
        if (add_lower(l, k->layers.paths[i], err) != 0)
            return -1;
    return 0;
}

/* Directories of snapshots have the name and something that is never used again. */
static int add_snapshot(struct lowers *l, const struct export_spec *s, struct err *err)
{
    char path[LAYER_PATH_MAX];
    auto_fd int all = -1;
    struct names names = {0};
    int result = err_set(err, ERR_NOT_FOUND, "its snapshot is not on this machine");

    if ((size_t)snprintf(path, sizeof path, "%s/snapshots", s->data_dir) >= sizeof path)
        return err_set(err, ERR_INVALID, "data_dir is too long");
    if (dir_open(AT_FDCWD, path, &all, err) != 0 || names_read(all, &names, err) != 0)
        return -1;
    for (size_t i = 0; i < names.count && result != 0; i++) {
        auto_fd int dir = -1;
        struct err unused;
        struct kept k;

        if (dir_open(all, names.at[i], &dir, &unused) != 0 || kept_read(dir, &k, &unused) != 0)
            continue;
        if (str_is(s->snapshot, k.id))
            result = add_kept(l, &k, err);
        kept_done(&k);
    }
    names_done(&names);
    return result;
}

static int find_lowers(struct lowers *l, const struct export_spec *s, struct err *err)
{
    const struct str *layers = s->layers.items;

    if (s->snapshot.len > 0)
        return add_snapshot(l, s, err);
    if (add_named(l, s, "rootfs", s->rootfs, err) != 0)
        return -1;
    for (size_t i = 0; i < s->layers.count; i++)
        if (add_named(l, s, "layers", layers[i], err) != 0)
            return -1;
    return 0;
}

/* By links with short names: what a mount can be told is limited. "none": an overlay that is not
 * written has two layers at least. */
static int show(const struct lowers *l, struct err *err)
{
    char options[OPTIONS_SIZE], name[24];
    size_t len = (size_t)snprintf(options, sizeof options, "redirect_dir=follow,lowerdir=");

    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0 ||
        chdir(place) != 0 || mkdir("none", 0700) != 0 || mkdir("all", 0700) != 0)
        return err_sys(err, errno, "make a place to mount at");
    for (size_t i = l->count; i-- > 0;) {
        struct stat st;

        if (stat(l->paths[i], &st) != 0)
            return err_sys(err, errno, "a layer of the template");
        ignore(snprintf(name, sizeof name, "%zu", i));
        if (symlink(l->paths[i], name) != 0)
            return err_sys(err, errno, "name a layer");
        len += (size_t)snprintf(options + len, sizeof options - len, "%s:", name);
    }
    ignore(snprintf(options + len, sizeof options - len, "none")); /* it fits: names are short */
    if (mount("overlay", "all", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, options) != 0)
        return err_sys(err, errno, "mount the layers of the template");
    return 0;
}

static int start_tar(int *out_fd, pid_t *out_pid, struct err *err)
{
    static const char *const argv[] = {"tar",
                                       "--create",
                                       "--format=pax",
                                       "--pax-option=delete=atime,delete=ctime",
                                       "--xattrs",
                                       "--xattrs-include=*",
                                       "--sparse",
                                       "--numeric-owner",
                                       "--sort=name",
                                       "--directory=all",
                                       ".",
                                       NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_sys(err, errno, "make a pipe");
    ignore(posix_spawn_file_actions_init(&actions));
    ignore(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO));
    error = posix_spawnp(out_pid, "tar", &actions, NULL, (char *const *)(uintptr_t)argv,
                         environ); /* which changes none of them */
    ignore(posix_spawn_file_actions_destroy(&actions));
    own_close_fd(&ends[1]);
    if (error != 0) {
        own_close_fd(&ends[0]);
        return err_sys(err, error, "start tar");
    }
    *out_fd = ends[0];
    return 0;
}

static int copy_all(struct layout_file *f, int from, struct err *err)
{
    auto_free char *piece = mem_zero(PIECE);

    for (;;) {
        ssize_t n = read(from, piece, PIECE);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, errno, "read from tar");
        if (n == 0)
            return 0;
        if (layout_add(f, (struct str){piece, (size_t)n}, err) != 0)
            return -1;
    }
}

static int put_layer(struct layout_file *f, struct digest *out, uint64_t *out_size, struct err *err)
{
    int from, status = 0, result;
    pid_t pid;

    if (start_tar(&from, &pid, err) != 0)
        return -1;
    layout_begin(f);
    result = copy_all(f, from, err);
    own_close_fd(&from); /* should we have given up, it ends by a signal */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (result != 0)
        return -1;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_SYSTEM, "tar failed: see what it said");
    return layout_end(f, out, out_size, err);
}

static void put_pairs(struct buf *json, const struct codec_list *list)
{
    const struct codec_pair *pairs = list->items;

    for (size_t i = 0; i < list->count; i++) {
        buf_add_text(json, i > 0 ? "," : "");
        json_quote(json, pairs[i].key);
        buf_add_byte(json, ':');
        json_quote(json, pairs[i].value);
    }
}

static void put_env(struct buf *json, const struct codec_list *list)
{
    const struct codec_pair *pairs = list->items;
    struct buf one;

    for (size_t i = 0; i < list->count; i++) {
        buf_init(&one, DOCUMENT_MAX);
        buf_printf(&one, "%.*s=%.*s", STR_ARG(pairs[i].key), STR_ARG(pairs[i].value));
        buf_add_text(json, i > 0 ? "," : "");
        json_quote(json, buf_str(&one));
        buf_done(&one);
    }
}

static void put_config(struct buf *json, const struct export_spec *s, const struct digest *layer)
{
    const struct str *ports = s->ports.items;
    char text[IMAGE_DIGEST_LEN + 1];

    digest_text(layer, text);
    buf_printf(json,
               "{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{\"User\":", oci_architecture);
    json_quote(json, s->user);
    buf_add_text(json, ",\"WorkingDir\":");
    json_quote(json, s->workdir);
    buf_add_text(json, ",\"Env\":[");
    put_env(json, &s->env);
    buf_add_text(json, "],\"ExposedPorts\":{");
    for (size_t i = 0; i < s->ports.count; i++) {
        buf_add_text(json, i > 0 ? "," : "");
        json_quote(json, ports[i]);
        buf_add_text(json, ":{}");
    }
    buf_add_text(json, "},\"Labels\":{");
    put_pairs(json, &s->labels);
    buf_printf(json, "}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}", text);
}

struct blob {
    struct digest digest;
    uint64_t size;
};

static void put_descriptor(struct buf *json, const char *type, const struct blob *b)
{
    char text[IMAGE_DIGEST_LEN + 1];

    digest_text(&b->digest, text);
    buf_printf(json,
               "{\"mediaType\":\"application/vnd.oci.image.%s\",\"digest\":\"%s\",\"size\":%llu",
               type, text, (unsigned long long)b->size);
}

static int put_document(struct layout_file *f, const struct buf *json, struct blob *out,
                        struct err *err)
{
    if (!buf_ok(json))
        return err_set(err, ERR_LIMIT, "what is known of the template is too large");
    out->size = json->len;
    return layout_blob(f, buf_str(json), &out->digest, err);
}

static int put_documents(struct layout_file *f, const struct export_spec *s,
                         const struct blob *layer, struct exported *out, struct err *err)
{
    static const char head[] = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.";
    struct blob config = {.size = 0}, manifest = {.size = 0};
    struct buf json;
    int result;

    buf_init(&json, DOCUMENT_MAX);
    put_config(&json, s, &layer->digest);
    result = put_document(f, &json, &config, err);
    buf_clear(&json);
    buf_printf(&json, "%smanifest.v1+json\",\"config\":", head);
    put_descriptor(&json, "config.v1+json", &config);
    buf_add_text(&json, "},\"layers\":[");
    put_descriptor(&json, "layer.v1.tar", layer);
    buf_add_text(&json, "}]}");
    if (result == 0)
        result = put_document(f, &json, &manifest, err);
    buf_clear(&json);
    buf_printf(&json, "%sindex.v1+json\",\"manifests\":[", head);
    put_descriptor(&json, "manifest.v1+json", &manifest);
    buf_printf(&json, ",\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
               oci_architecture);
    if (result == 0)
        result = layout_put(f, "index.json", buf_str(&json), err);
    buf_done(&json);
    out->manifest = manifest.digest;
    return result;
}

int export_write(const struct export_spec *s, int fd, struct exported *out, struct err *err)
{
    struct layout_file f = {.fd = fd};
    struct lowers lowers = {.count = 0};
    struct blob layer;
    int result = find_lowers(&lowers, s, err);

    if (result == 0)
        result = show(&lowers, err);
    lowers_done(&lowers);
    if (result != 0 ||
        layout_put(&f, "oci-layout", STR("{\"imageLayoutVersion\":\"1.0.0\"}"), err) != 0 ||
        put_layer(&f, &layer.digest, &layer.size, err) != 0 ||
        put_documents(&f, s, &layer, out, err) != 0 || layout_close(&f, err) != 0)
        return -1;
    out->bytes = f.at;
    return 0;
}
