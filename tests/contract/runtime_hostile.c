/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile guests: runtime_hostile linux [key=value …]. Attacks from inside (hostile*.c) end where
 * they began, what one sandbox takes is not missed by another, what one leaves is not found by the
 * next, and no name in a sandbox's files leads a pause, a snapshot or a launch out of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "hostile.h"
#include "runtime_fixture.h"
#include "runtime_remains.h"
#include "test.h"

enum {
    PATH_SIZE = 512,
    RACES = 3,
    SEQUENCE = 8,
    IDENTITY_SIZE = 64,
    SLACK = 4 << 20, /* what a kernel counts in batches */
};

static void opens(void)
{
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    rig_dirs_make();
    rig_open();
    CHECK(rig_start("first") == ERR_NONE);
    learn_prefix("first");
    CHECK(rig_stop("first") == ERR_NONE);
    remember_remains();
}

static void note_lines(const char *text, const char *with)
{
    for (struct str rest = str_of(text); rest.len > 0;) {
        struct str line = str_cut(rest, '\n', &rest);

        if (line.len > 0 && strncmp(line.at, with, strlen(with)) == 0)
            test_note("%.*s", (int)line.len, line.at);
    }
}

static void note_first(const char *what, const char *text)
{
    struct str rest, line = str_cut(str_of(text), '\n', &rest);

    test_note("%s: %.*s", what, (int)line.len, line.at == NULL ? "" : line.at);
}

/* ---- attacks ---- */

static bool holds(const char *part)
{
    const char *text = rig_hostile("target", part);

    note_lines(text, "BROKE");
    if (getenv("SANDLOT_TEST_SAY") != NULL)
        note_lines(text, "held");
    return strstr(text, "BROKE") == NULL && strstr(text, "held") != NULL &&
           strstr(text, "\nend\n") != NULL;
}

static void attack(const char *part)
{
    bool did_hold, is_there;

    CHECK(rig_start("target") == ERR_NONE);
    did_hold = holds(part);
    is_there = rig_lists("target");
    CHECK(rig_stop("target") == ERR_NONE);
    CHECK(is_there);
    CHECK(did_hold);
}

static void attacks(const char *part)
{
    attack(part);
    check_clean(part);
}

static void calls_hold(void)
{
    if (strcmp(rig.config.seccomp, "off") == 0)
        test_skip("without the filter");
    attacks("calls");
}

static void namespaces_hold(void)
{
    attacks("namespaces");
}

static void the_first_process_holds(void)
{
    attacks("first");
}

static void the_kernels_files_hold(void)
{
    attacks("kernel");
}

static void devices_hold(void)
{
    attacks("devices");
}

static void mounts_hold(void)
{
    attacks("mounts");
}

static void sockets_hold(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path + 1, HOSTILE_NAME, strlen(HOSTILE_NAME));
    CHECK(bind(fd, (struct sockaddr *)&at,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(HOSTILE_NAME))) ==
          0);
    CHECK(listen(fd, 1) == 0);
    attack("sockets");
    own_close_fd(&fd);
    check_clean("sockets");
}

/* By each way until it is refused or killed: never more than the sandbox may have. The kernel may
 * take the whole sandbox for it. */
static void memory_holds(void)
{
    static const char *const ways[] = {
        "own pages",      "shared pages", "memory file",   "/dev/shm",       "segments",
        "message queues", "pipes",        "unread stream", "unread packets", "unread TCP",
        "unread UDP",     "huge pages",   "huge file",     "huge segment"};
    const struct sandbox_limits little = {HOSTILE_MEMORY_MAX, 100, 100, 0};

    bool has_held = true;

    if (!rig_has("memory limit"))
        test_skip("no memory controller in this mode");
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        char part[PATH_SIZE];
        const char *text;
        struct sandbox_stats stats = {0};
        struct err err = {0};

        snprintf(part, sizeof(part), "memory/%s", ways[i]);
        CHECK(rig_start_with("target", &little, "{}") == ERR_NONE);
        text = rig_hostile("target", part);
        note_first(ways[i], text);
        has_held &= strstr(text, "BROKE") == NULL;
        if (runtime_stats(rig.runtime, "target", &stats, &err) == 0)
            CHECK(stats.memory_bytes <= HOSTILE_MEMORY_MAX + SLACK);
        CHECK(rig_stop("target") == ERR_NONE || rig.err.kind == ERR_NOT_FOUND);
    }
    CHECK(has_held);
    check_clean("eating memory");
}

/* ---- what is counted for the whole machine ---- */

static unsigned long took(const char *id, const char *part)
{
    const char *text = rig_hostile(id, part);
    unsigned long count = 0;

    note_first(id, text);
    return sscanf(text, "took %lu", &count) == 1 ? count : 0;
}

/* One takes what it can get and holds it; another, and this process, get theirs nevertheless. */
static void neighbours_get_theirs(void)
{
    static const char *const things[] = {"queues", "signals", "memory in place", "inotify",
                                         "terminals"};
    bool got_theirs = true;

    for (size_t i = 0; i < COUNT_OF(things); i++) {
        char part[PATH_SIZE];

        snprintf(part, sizeof(part), "take/%s", things[i]);
        CHECK(rig_start("greedy") == ERR_NONE);
        CHECK(rig_start("modest") == ERR_NONE);

        unsigned long first = took("greedy", part), second = took("modest", part);

        got_theirs &= first > 0 && second >= first / 2;
        CHECK(rig_stop("greedy") == ERR_NONE);
        CHECK(rig_stop("modest") == ERR_NONE);
    }
    CHECK(got_theirs);
    check_clean("taking all");
}

/* ---- one after the other ---- */

/* What tells sandboxes apart from inside, a line each. */
static const char identity[] =
    "cd /proc/self/ns; for n in mnt pid uts net ipc user; do readlink $n; "
    "done; cat /proc/sys/kernel/random/boot_id";
static const char leave_marks[] =
    "for d in /tmp /var/tmp /dev/shm /root; do echo mark > $d/mark; done";
static const char find_marks[] = "cat /tmp/mark /var/tmp/mark /dev/shm/mark /root/mark 2>/dev/null";

static void read_group(const char *id, char out[IDENTITY_SIZE])
{
    char path[PATH_SIZE], line[PATH_SIZE];
    FILE *f;

    snprintf(path, sizeof(path), "%s/sandboxes/%s", rig.config.run_dir, id);
    f = fopen(path, "r");
    CHECK(f != NULL);
    out[0] = '\0';
    while (fgets(line, sizeof(line), f) != NULL && sscanf(line, "cgroup %63s", out) != 1) {
    }
    fclose(f);
    CHECK(out[0] != '\0');
}

/* The last line. */
static const char *boot_of(const char *text)
{
    const char *at = strstr(text, "user:[");

    at = at == NULL ? NULL : strchr(at, '\n');
    CHECK(at != NULL && strlen(at) > 36);
    return at;
}

static size_t count_same_lines(const char *a, const char *b)
{
    struct str one = str_of(a), other = str_of(b);
    size_t count = 0;

    while (one.len > 0 && other.len > 0) {
        struct str x = str_cut(one, '\n', &one), y = str_cut(other, '\n', &other);

        count += str_eq(x, y);
    }
    return count;
}

/* What benchmarks look for to find sandboxes that are used again: none has a mark, a group or a
 * boot of another, or a namespace of one that lives. (The kernel gives the number of a namespace
 * that is gone to a new one: of those that are gone numbers say nothing.) */
static void none_is_used_again(void)
{
    static char identities[SEQUENCE][RIG_TEXT_SIZE / 8];
    char groups[SEQUENCE][IDENTITY_SIZE], id[IDENTITY_SIZE];

    for (size_t i = 0; i < SEQUENCE; i++) {
        snprintf(id, sizeof(id), "seq%zu", i);
        CHECK(rig_start(id) == ERR_NONE);
        CHECK(strcmp(rig_sh(id, find_marks), "") == 0);
        CHECK(strcmp(rig_sh(id, leave_marks), "") == 0);
        CHECK(strcmp(rig_sh(id, find_marks), "mark\nmark\nmark\nmark\n") == 0);
        snprintf(identities[i], sizeof(identities[i]), "%s", rig_sh(id, identity));
        read_group(id, groups[i]);
        for (size_t k = 0; k < i; k++) {
            CHECK(strcmp(groups[i], groups[k]) != 0);
            CHECK(strcmp(boot_of(identities[i]), boot_of(identities[k])) != 0);
        }
        if (i == 0)
            continue;
        CHECK(count_same_lines(identities[i], identities[i - 1]) == 0);
        snprintf(id, sizeof(id), "seq%zu", i - 1);
        CHECK(rig_stop(id) == ERR_NONE);
    }
    snprintf(id, sizeof(id), "seq%u", SEQUENCE - 1);
    CHECK(rig_stop(id) == ERR_NONE);
    check_clean("a sequence");
}

/* ---- files that root goes through ---- */

static char canary_dir[PATH_SIZE], canary[PATH_SIZE + 8];

static void canary_make(void)
{
    auto_fd int fd = -1;

    snprintf(canary_dir, sizeof(canary_dir), "%s/outside", rig.dir);
    snprintf(canary, sizeof(canary), "%s/canary", canary_dir);
    CHECK(mkdir(canary_dir, 0777) == 0 || errno == EEXIST);
    fd = open(canary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    CHECK(fd >= 0 && write(fd, "alive", 5) == 5);
}

/* Nothing was written to it or made beside it. */
static bool canary_lives(void)
{
    char text[IDENTITY_SIZE] = "";
    auto_fd int fd = open(canary, O_RDONLY | O_CLOEXEC);
    struct stat st;

    return fd >= 0 && read(fd, text, sizeof(text) - 1) == 5 && strcmp(text, "alive") == 0 &&
           fstat(fd, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) != 0 && st.st_uid == 0 &&
           unlink(canary) == 0 && rmdir(canary_dir) == 0;
}

/* Names that lead to the canary where a host's root writes or reads for a sandbox, and names that
 * no list should take apart wrongly. */
static void plant(const char *id)
{
    char script[RIG_TEXT_SIZE / 4];

    snprintf(script, sizeof(script),
             "exec 2>/dev/null; c=%s; for f in machine-id hostname resolv.conf hosts; do "
             "rm -f /etc/$f; ln -s $c /etc/$f; done; mkdir -p /etc/sandlot /s /w/work; "
             "ln -s $c /etc/sandlot/start; ln -s %s /w/u; ln -s %s /kept; mkfifo /pipe; "
             "ln /pipe /pipe2; ln -s / /all; ln /all /all2; ln -s /proc/1/root /up; "
             "echo x > '/a\nkept'; mkdir -p '/b\n..' /images; ln -s $c /images/core-1.img; "
             "cp /etc/passwd /one; ln /one /two; chmod 6755 /one; mkdir /shut; chmod 0 /shut; "
             "python3 -c \"import os; os.setxattr('/two', 'user.big', b'x' * 3000); "
             "s = __import__('socket').socket(1); s.bind('/sock')\"; cd /tmp; i=0; "
             "while [ $i -lt 150 ]; do mkdir d; cd d; i=$((i+1)); done; echo planted",
             canary, canary_dir, canary_dir);
    CHECK(strcmp(rig_sh(id, script), "planted\n") == 0);
}

/* A directory becomes a link out of the sandbox, and a directory again, without end. */
static void swap(const char *id)
{
    char script[RIG_TEXT_SIZE / 8];

    snprintf(script, sizeof(script),
             "exec 2>/dev/null; for l in /s /l /s/a; do test -L $l && rm $l; done; "
             "test -d /t && mv -T /t /s; mkdir -p /s/a/b; (while :; do mv -T /s /t; ln -s %s /s; "
             "mv -T /s /l; mv -T /t /s; "
             "rm /l; mv -T /s/a /s/c; ln -s %s /s/a; rm /s/a; mv -T /s/c /s/a; done) "
             "</dev/null >/dev/null 2>&1 & echo swapping",
             canary_dir, canary_dir);
    CHECK(strcmp(rig_sh(id, script), "swapping\n") == 0);
}

static void snapshot_and_begin(void)
{
    CHECK(rig_snapshot("racer", "shot", false) == ERR_NONE);
    CHECK(rig_start_from("copy", "shot") == ERR_NONE);
    /* what root made there is a file, not what was behind the name */
    CHECK(strcmp(rig_sh("copy", "test -L /etc/machine-id || wc -c < /etc/machine-id"), "33\n") ==
          0);
    CHECK(strcmp(rig_sh("copy", "stat -c '%h %a %F' /one /pipe"),
                 "2 6755 regular file\n2 644 fifo\n") == 0);
    CHECK(rig_stop("copy") == ERR_NONE);
    CHECK(rig_snapshot_remove("shot") == ERR_NONE);
}

/* Snapshots and pauses of files that change their kind meanwhile. */
static void names_lead_nowhere(void)
{
    if (!rig_can_pause(false))
        test_skip("no layers of files here");
    canary_make();
    CHECK(rig_start("racer") == ERR_NONE);
    plant("racer");
    for (unsigned i = 0; i < RACES; i++) {
        swap("racer");
        snapshot_and_begin();
        CHECK(rig_pause("racer", i == 0 && rig_can_pause(true)) == ERR_NONE);
        CHECK(rig_resume("racer") == ERR_NONE);
        CHECK(strcmp(rig_sh("racer", "readlink /etc/hostname"), "") != 0);
    }
    CHECK(rig_stop("racer") == ERR_NONE);
    CHECK(canary_lives());
    check_clean("races");
}

/* An image may have links where its launch mounts and writes. */
static void an_images_links_lead_nowhere(void)
{
    static const char *const names[] = {"proc", "sys", "dev", "etc", "tmp", "root", "run"};
    const char *rootfs = rig.rootfs;
    char tree[PATH_SIZE], path[PATH_SIZE + 16];
    enum err_kind kind;

    canary_make();
    snprintf(tree, sizeof(tree), "%s/evil", rig.dir);
    CHECK(mkdir(tree, 0755) == 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", tree, names[i]);
        CHECK(symlink(canary_dir, path) == 0);
    }
    rig.rootfs = tree;
    kind = rig_start("evil");
    rig.rootfs = rootfs;
    test_note("%s", kind == ERR_NONE ? "it runs" : rig.err.text);
    if (kind == ERR_NONE)
        CHECK(rig_stop("evil") == ERR_NONE);
    CHECK(canary_lives());
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", tree, names[i]);
        CHECK(unlink(path) == 0);
    }
    CHECK(rmdir(tree) == 0);
    check_clean("an image's links");
}

static void closes(void)
{
    rig_close();
    CHECK(remains_groups() == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"opens",                         opens                       },
        {"system calls hold",             calls_hold                  },
        {"namespaces hold",               namespaces_hold             },
        {"the first process holds",       the_first_process_holds     },
        {"the kernel's files hold",       the_kernels_files_hold      },
        {"devices hold",                  devices_hold                },
        {"mounts hold",                   mounts_hold                 },
        {"sockets hold",                  sockets_hold                },
        {"memory holds",                  memory_holds                },
        {"neighbours get theirs",         neighbours_get_theirs       },
        {"none is used again",            none_is_used_again          },
        {"names lead nowhere",            names_lead_nowhere          },
        {"an image's links lead nowhere", an_images_links_lead_nowhere},
        {"closes",                        closes                      },
    };
    int result;

    rig_guest = "runtime_hostile_guest";
    if (!rig_configure(argc, argv)) {
        fprintf(stderr, "usage: runtime_hostile linux [key=value …]\n");
        return 2;
    }
    if (rig_reason_to_skip() != NULL) {
        printf("1..0 # SKIP %s\n", rig_reason_to_skip());
        return 0;
    }
    result = test_main(tests, COUNT_OF(tests), 1, argv);
    rig_dirs_remove();
    return result;
}
