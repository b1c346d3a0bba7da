/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/tree_merge.c against the kernel's overlay: what a merge of layers shows over their
 * ground is what the layers show. The layers are written by random changes through overlays, each
 * over those before. Needs root. */
#include "runtime/linux/tree_merge.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "test.h"

enum {
    LAYERS = 12,
    CHANGES = 60,
    SEEDS = 5,
    PATH_SIZE = 256,
    OPTIONS_SIZE = 1024,
    NAMES = 5,
};

static char base[] = "/var/tmp/sandlot-merge-XXXXXX";
static unsigned long state;

static unsigned roll(unsigned below)
{
    state = state * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)(state >> 33) % below;
}

/* What it exits with. */
static int run(const char *command)
{
    int pid = fork(), status = -1;

    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A path of one to three names, which may be anything or nothing. */
static void any_path(char out[PATH_SIZE])
{
    unsigned depth = 1 + roll(3);
    int len = snprintf(out, PATH_SIZE, "%s/m", base);

    for (unsigned i = 0; i < depth; i++)
        len += snprintf(out + len, (size_t)(PATH_SIZE - len), "/%c", 'a' + (int)roll(NAMES));
}

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600 + roll(64));

    if (fd < 0)
        return; /* a directory is there, or none above it */
    dprintf(fd, "%u\n", roll(1000));
    close(fd);
}

/* Each may fail: it is there already, or not. */
static void change(void)
{
    char a[PATH_SIZE], b[PATH_SIZE], command[3 * PATH_SIZE];

    any_path(a);
    any_path(b);
    switch (roll(10)) {
    case 0:
    case 1: mkdir(a, 0700 + roll(64)); break;
    case 2:
    case 3: write_file(a); break;
    case 4: /* also over what is empty */
    case 5: rename(a, b); break;
    case 6: unlink(a); break;
    case 7:
        snprintf(command, sizeof(command), "rm -rf %s 2>/dev/null", a);
        ignore(run(command));
        break;
    case 8:
        if (link(a, b) != 0 && symlink("a/b", b) != 0)
            ignore(chown(b, roll(9), roll(9)));
        break;
    default: setxattr(a, "trusted.mine", b + strlen(base), 4, 0); break;
    }
}

/* Layers [0, count) over the ground, and what is named by `upper`, at m. */
static void mount_stack(size_t count, const char *single, const char *upper)
{
    char options[OPTIONS_SIZE], at[PATH_SIZE];
    int len =
        snprintf(options, sizeof(options), "redirect_dir=on,index=on,nfs_export=on,lowerdir=");

    if (single != NULL)
        len += snprintf(options + len, sizeof(options) - (size_t)len, "%s/%s:", base, single);
    for (size_t i = count; i > 0; i--)
        len += snprintf(options + len, sizeof(options) - (size_t)len, "%s/l%zu:", base, i - 1);
    len += snprintf(options + len, sizeof(options) - (size_t)len, "%s/ground", base);
    if (upper != NULL)
        snprintf(options + len, sizeof(options) - (size_t)len, ",upperdir=%s/%s,workdir=%s/w", base,
                 upper, base);
    snprintf(at, sizeof(at), "%s/m", base);
    CHECK(mount("overlay", at, "overlay", 0, options) == 0);
}

static void unmount(void)
{
    char at[PATH_SIZE];

    snprintf(at, sizeof(at), "%s/m", base);
    CHECK(umount(at) == 0);
}

static void make_dir(const char *name)
{
    char path[2 * PATH_SIZE];

    snprintf(path, sizeof(path), "%s/%s", base, name);
    CHECK(mkdir(path, 0755) == 0);
}

static void write_script(void)
{
    static const char text[] =
        "import os\nfor at, dirs, files in os.walk('.'):\n  for n in dirs + files:\n"
        "    p = os.path.join(at, n)\n    if 'trusted.mine' in os.listxattr(p, "
        "follow_symlinks=False):"
        "\n      print(p, os.getxattr(p, 'trusted.mine', follow_symlinks=False))\n";
    char path[PATH_SIZE];
    FILE *f;

    snprintf(path, sizeof(path), "%s/attributes", base);
    f = fopen(path, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* What there is to know of a tree, as sorted lines. */
static void describe(const char *to)
{
    char command[4 * PATH_SIZE];

    snprintf(command, sizeof(command),
             "cd %s/m && { find . -mindepth 1 -not -type d -printf '%%p %%y %%m %%U %%G %%n %%s "
             "%%T@ %%l\\n'; find . -type d -printf '%%p %%y %%m %%U %%G %%T@\\n'; find . -type f "
             "-exec sha1sum {} +; python3 %s/attributes; } | sort >%s/%s",
             base, base, base, to);
    CHECK(run(command) == 0);
}

static bool are_same(void)
{
    char command[4 * PATH_SIZE];

    snprintf(command, sizeof(command), "diff %s/one %s/two | sed 's/^/# /'; cmp -s %s/one %s/two",
             base, base, base, base);
    return run(command) == 0;
}

static void merge(size_t from, size_t to)
{
    static char paths[LAYERS][PATH_SIZE];
    const char *layers[LAYERS];
    atomic_bool is_over = false;
    struct err err = {0};
    int dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_good;

    for (size_t i = from; i < to; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/l%zu", base, i);
        layers[i - from] = paths[i];
    }
    is_good = tree_merge(layers, to - from, dir, "merged", &is_over, &err) == 0;
    close(dir);
    if (!is_good)
        test_note("%s", err.text);
    CHECK(is_good);
}

static void clear(void)
{
    char command[PATH_SIZE];

    snprintf(command, sizeof(command), "%s/m", base);
    ignore(umount2(command, MNT_DETACH)); /* of a case that failed */
    snprintf(command, sizeof(command), "rm -rf %s/*", base);
    CHECK(run(command) == 0);
}

static void one_seed(unsigned seed)
{
    char name[PATH_SIZE];

    state = seed;
    clear();
    write_script();
    make_dir("ground");
    make_dir("m");
    for (size_t i = 0; i <= LAYERS; i++) {
        snprintf(name, sizeof(name), "l%zu", i);
        if (i < LAYERS)
            make_dir(name);
        make_dir("w");
        if (i == 0) { /* the ground is written by itself */
            char at[PATH_SIZE], ground[PATH_SIZE];

            snprintf(at, sizeof(at), "%s/m", base);
            snprintf(ground, sizeof(ground), "%s/ground", base);
            CHECK(mount(ground, at, NULL, MS_BIND, NULL) == 0);
            for (size_t n = 0; n < 2 * CHANGES; n++)
                change();
            unmount();
        }
        if (i < LAYERS) {
            mount_stack(i, NULL, name);
            for (size_t n = 0; n < CHANGES; n++)
                change();
            unmount();
        }
        snprintf(name, sizeof(name), "rm -rf %s/w", base);
        CHECK(run(name) == 0);
    }
    mount_stack(LAYERS, NULL, NULL);
    describe("one");
    unmount();
    merge(0, LAYERS);
    mount_stack(0, "merged", NULL);
    describe("two");
    unmount();
    if (!are_same())
        test_note("seed %u", seed);
    CHECK(are_same());
}

static void merged_is_the_same(void)
{
    for (unsigned seed = 1; seed <= SEEDS; seed++)
        one_seed(seed);
}

/* As it is done: those in the middle, with others below and above. */
static void replace(size_t from, size_t to)
{
    char command[3 * PATH_SIZE];

    snprintf(command, sizeof(command), "rm -rf %s/merged", base);
    CHECK(run(command) == 0);
    merge(from, to);
    for (size_t i = from; i < to; i++) {
        snprintf(command, sizeof(command), "rm -rf %s/l%zu && mkdir %s/l%zu", base, i, base, i);
        CHECK(run(command) == 0);
    }
    snprintf(command, sizeof(command), "rmdir %s/l%zu && mv %s/merged %s/l%zu", base, from, base,
             base, from);
    CHECK(run(command) == 0);
}

static void a_part_of_a_stack(void)
{
    one_seed(99);
    replace(3, 9);
    mount_stack(LAYERS, NULL, NULL);
    describe("two");
    unmount();
    CHECK(are_same());
}

/* What each layer does: directories go to other ones and on from there, and those on their former
 * path are renamed, covered, filled anew or removed. Chance hardly ever makes this. */
static const char *const moves[] = {
    "mkdir -p a/x/deep/er b; echo f >a/x/f; echo g >a/x/deep/g; echo h >a/x/deep/er/h",
    "mv a/x b/y; echo new >b/y/new; mkdir a/x; echo other >a/x/f",
    "mv b/y z; mv a q; mkdir -p b/y a/x/deep; echo third >a/x/deep/g; rm z/f",
    "mv z/deep q/down; mkdir z/deep; echo fresh >z/deep/g; mv q b/q; echo late >b/q/down/late",
    "mv b/q/down/er er; mv b/q/down a/x/back; rm -r z; mv b/q z; chmod 711 er; echo i >er/i",
    "mv a/x/back/late er/late; mv er a/x/deep/er; mv a er; mkdir a; mv er/x a/x",
    "echo top >top", /* stays: what the top is like in itself is its highest layer's */
};

static void build_moves(void)
{
    char name[PATH_SIZE], command[4 * PATH_SIZE];

    clear();
    write_script();
    make_dir("ground");
    make_dir("m");
    for (size_t i = 0; i < COUNT_OF(moves); i++) {
        snprintf(name, sizeof(name), "l%zu", i);
        make_dir(name);
        make_dir("w");
        mount_stack(i, NULL, name);
        snprintf(command, sizeof(command), "cd %s/m && set -e && %s", base, moves[i]);
        CHECK(run(command) == 0);
        unmount();
        snprintf(command, sizeof(command), "rm -rf %s/w", base);
        CHECK(run(command) == 0);
    }
}

static void directories_that_move(void)
{
    static const struct {
        size_t from, to;
    } parts[] = {
        {0, 6},
        {1, 6},
        {1, 4},
        {2, 5},
        {3, 5},
    };

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        bool is_good;

        build_moves();
        mount_stack(COUNT_OF(moves), NULL, NULL);
        describe("one");
        unmount();
        replace(parts[i].from, parts[i].to);
        mount_stack(COUNT_OF(moves), NULL, NULL);
        describe("two");
        unmount();
        is_good = are_same();
        if (!is_good)
            test_note("layers %zu to %zu", parts[i].from, parts[i].to);
        CHECK(is_good);
    }
}

static void stops_when_told(void)
{
    const char *layers[] = {base};
    atomic_bool is_over = true;
    struct err err = {0};

    CHECK(tree_merge(layers, 1, AT_FDCWD, "/nowhere/at/all", &is_over, &err) == -1);
    clear();
    make_dir("l0");
    make_dir("l0/a");
    CHECK(chdir(base) == 0);
    layers[0] = "l0";
    CHECK(tree_merge(layers, 1, AT_FDCWD, "merged", &is_over, &err) == -1);
    CHECK(err.kind == ERR_UNAVAILABLE);
    CHECK(chdir("/") == 0);
}

int main(void)
{
    static const struct test tests[] = {
        {"what is merged is the same", merged_is_the_same   },
        {"a part of a stack",          a_part_of_a_stack    },
        {"directories that move",      directories_that_move},
        {"stops when told",            stops_when_told      },
    };
    int result;

    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        printf("1..0 # SKIP needs root\n");
        return 0;
    }
    umask(0);
    CHECK(mkdtemp(base) != NULL);
    result = test_main(tests, COUNT_OF(tests), 1, NULL);
    clear();
    rmdir(base);
    return result;
}
