/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the host: kernel, limits, disk, users, programs; see doctor.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "io/child.h"
#include "io/socket.h"
#include "main/doctor.h"
#include "main/layout.h"
#include "main/program_path.h"
#include "runtime/linux/criu.h"
#include "runtime/linux/pager.h"

enum {
    KERNEL_MAJOR_MIN = 5,
    KERNEL_MINOR_MIN = 12,
    KERNEL_MAJOR_GOOD = 6,
    INOTIFY_INSTANCES_MIN = 1024,
    FILES_MIN = 16384,
    CRIU_CHECK_MS = 10000,
};

static const uint64_t disk_free_min = 2ULL << 30;

/* The first number in a file of /proc; 0 when there is none. */
static uint64_t read_number(const char *path)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32] = "";
    struct str rest;
    uint64_t number = 0;

    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return 0;
    return str_to_u64(str_cut(str_of(text), '\n', &rest), &number) ? number : 0;
}

static void check_kernel(const struct config *c, struct doctor_row *row)
{
    struct utsname name;
    unsigned major = 0, minor = 0;

    ignore(c->runtime.uid_base != 0);
    /* NOLINTNEXTLINE(cert-err34-c): no kernel has a number beyond an unsigned */
    if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2) {
        doctor_advise(row, DOCTOR_FAIL, "the kernel does not tell its version");
        return;
    }
    doctor_found(row, "%s", name.release);
    if (major < KERNEL_MAJOR_MIN || (major == KERNEL_MAJOR_MIN && minor < KERNEL_MINOR_MIN))
        doctor_advise(row, DOCTOR_FAIL, "Linux %d.%d or newer is needed", KERNEL_MAJOR_MIN,
                      KERNEL_MINOR_MIN);
    else if (major < KERNEL_MAJOR_GOOD)
        doctor_advise(row, DOCTOR_WARN, "works with fallbacks; Linux %d.1 or newer is better",
                      KERNEL_MAJOR_GOOD);
}

static bool is_shared(const struct config *c, uid_t uid)
{
    const char *const names[] = {c->api_user, c->edge_user, c->egress_user};
    size_t count = 0;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct user user;
        struct err unused;

        count += user_find(names[i], &user, &unused) == 0 && user.uid == uid;
    }
    return count > 1;
}

static void check_user(const struct config *c, const char *name, struct doctor_row *row)
{
    struct user user;
    struct err err;

    if (user_find(name, &user, &err) != 0) {
        doctor_found(row, "missing");
        doctor_advise(row, DOCTOR_FAIL, "%s", err.text);
        return;
    }
    doctor_found(row, "%s, uid %u", name, user.uid);
    if (user.uid == 0)
        doctor_advise(row, DOCTOR_WARN, "a role that parses what strangers send runs as root");
    else if (is_shared(c, user.uid))
        doctor_advise(row, DOCTOR_WARN,
                      "another role has this user: who takes one over has the files of both");
}

static void check_api_user(const struct config *c, struct doctor_row *row)
{
    check_user(c, c->api_user, row);
}

static void check_egress_user(const struct config *c, struct doctor_row *row)
{
    check_user(c, c->egress_user, row);
}

/* Egress asks again what ping asks inside, by sockets that the kernel gives to some groups alone.
 */
static void check_ping(const struct config *c, struct doctor_row *row)
{
    unsigned long long low = 1, high = 0;
    struct user user;
    struct err err;
    FILE *f = fopen("/proc/sys/net/ipv4/ping_group_range", "re");

    /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote them */
    if (f == NULL || fscanf(f, "%llu %llu", &low, &high) != 2)
        high = 0; /* the kernel's own word for nobody */
    if (f != NULL)
        fclose(f);
    if (user_find(c->egress_user, &user, &err) != 0) {
        doctor_found(row, "no user");
        return; /* its own row says more */
    }
    if (low <= user.gid && user.gid <= high) {
        doctor_found(row, "relayed");
        return;
    }
    doctor_found(row, "refused");
    doctor_advise(row, DOCTOR_WARN,
                  "ping inside sandboxes is refused: sysctl net.ipv4.ping_group_range must include "
                  "group %u of the egress role",
                  user.gid);
}

static void check_edge_user(const struct config *c, struct doctor_row *row)
{
    check_user(c, c->edge_user, row);
}

static void check_disk(const struct config *c, struct doctor_row *row)
{
    char path[PATH_MAX];
    struct statfs st;
    uint64_t free_bytes;

    if (!str_to_c(str_of(c->data_dir), path, sizeof path))
        return;
    while (statfs(path, &st) != 0) { /* data_dir is made by serve: look at what it will be in */
        char *slash = strrchr(path, '/');

        if (errno != ENOENT || slash == NULL || slash == path) {
            doctor_found(row, "%s: %s", path, strerror(errno));
            doctor_advise(row, DOCTOR_FAIL, "data_dir must be on a disk");
            return;
        }
        *slash = '\0';
    }
    free_bytes = (uint64_t)st.f_bavail * (uint64_t)st.f_bsize;
    doctor_found(row, "%llu MiB free at %s, type 0x%lx", (unsigned long long)(free_bytes >> 20),
                 path, (unsigned long)st.f_type);
    if (st.f_type == OVERLAYFS_SUPER_MAGIC)
        doctor_advise(row, DOCTOR_FAIL,
                      "data_dir is on overlayfs, which cannot carry another one; choose a disk");
    else if (st.f_type == TMPFS_MAGIC)
        doctor_advise(row, DOCTOR_WARN, "data_dir is in memory: it is gone after a reboot");
    else if (free_bytes < c->runtime.disk_reserve_bytes)
        doctor_advise(row, DOCTOR_FAIL,
                      "less than runtime.disk_reserve_mb is free: no sandbox would start");
    else if (free_bytes < disk_free_min)
        doctor_advise(row, DOCTOR_WARN, "sandboxes and templates need space");
}

static void check_inotify(const struct config *c, struct doctor_row *row)
{
    uint64_t instances = read_number("/proc/sys/fs/inotify/max_user_instances");
    uint64_t watches = read_number("/proc/sys/fs/inotify/max_user_watches");

    ignore(c->runtime.uid_base != 0);
    doctor_found(row, "%llu instances, %llu watches for each user", (unsigned long long)instances,
                 (unsigned long long)watches);
    if (instances < INOTIFY_INSTANCES_MIN)
        doctor_advise(row, DOCTOR_WARN,
                      "many file watchers will fail; sysctl fs.inotify.max_user_instances=%d",
                      8 * INOTIFY_INSTANCES_MIN);
}

static void check_files(const struct config *c, struct doctor_row *row)
{
    struct rlimit limit = {0};

    ignore(c->runtime.uid_base != 0);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    /* what a role raises itself to; the system's own limit is never below it */
    doctor_found(row, "%llu descriptors for a process", (unsigned long long)limit.rlim_max);
    if (limit.rlim_max < FILES_MIN)
        doctor_advise(row, DOCTOR_WARN,
                      "few clients fit; raise it where serve is started (ulimit -Hn, LimitNOFILE)");
}

static void check_port(const struct config *c, struct doctor_row *row)
{
    struct err err;
    int fd;

    if (socket_listen_tcp(c->listen, false, &fd, &err) == 0) {
        close(fd);
        doctor_found(row, "%s is free", c->listen);
        return;
    }
    doctor_found(row, "%s: %s", c->listen, err.sys == 0 ? err.text : strerror(err.sys));
    if (err.sys == EADDRINUSE)
        doctor_advise(row, DOCTOR_WARN,
                      "in use: fine when this is the running server, else choose another 'listen'");
    else
        doctor_advise(row, DOCTOR_FAIL, "choose another address for 'listen'");
}

static bool is_record(const struct dirent *e)
{
    return str_has_suffix(str_of(e->d_name), ".json");
}

static void check_templates(const struct config *c, struct doctor_row *row)
{
    char path[PATH_MAX];
    const struct dirent *e;
    size_t count = 0;
    DIR *dir;

    config_path(path, sizeof path, c->data_dir, "templates");
    dir = opendir(path);
    while (dir != NULL && (e = readdir(dir)) != NULL)
        count += is_record(e);
    if (dir != NULL)
        ignore(closedir(dir)); /* only read */
    config_path(path, sizeof path, c->data_dir, "templates/base.json");
    doctor_found(row, "%zu templates", count);
    if (access(path, R_OK) != 0)
        doctor_advise(row, DOCTOR_WARN,
                      "there is no template 'base', the one clients ask for by default; "
                      "'sandlot template make base' makes it");
}

struct criu {
    struct loop *loop;
    struct child child;
    struct timer deadline;
};

static void on_criu_exit(void *ctx)
{
    struct criu *k = ctx;

    loop_stop(k->loop);
}

static void on_criu_deadline(void *ctx)
{
    struct criu *k = ctx;

    child_signal(&k->child, SIGKILL);
}

/* -1: could not be asked. */
static int ask_criu(const char *path)
{
    char name[] = "criu", check[] = "check";
    char *argv[] = {name, check, NULL};
    auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const struct child_fd fds[] = {
        {null, 0},
        {null, 1},
        {null, 2}
    };
    struct child_spec spec = {.path = path, .argv = argv, .fds = fds, .fd_count = 3};
    struct criu k = {0};
    struct err err;
    int result = -1;

    if (null < 0 || loop_new(&k.loop, &err) != 0)
        return -1;
    if (child_start(&k.child, k.loop, &spec, on_criu_exit, &k, &err) == 0) {
        timer_start(k.loop, &k.deadline, CRIU_CHECK_MS, on_criu_deadline, &k);
        if (loop_run(k.loop, &err) == 0)
            result = WIFEXITED(k.child.status) ? WEXITSTATUS(k.child.status) : -1;
        timer_stop(&k.deadline);
    }
    loop_free(k.loop);
    return result;
}

/* The one that node would take. */
static void check_criu(const struct config *c, struct doctor_row *row)
{
    auto_free char *path = NULL;
    char tool[PROGRAM_PATH_MAX];
    struct err why = {0}, unused;

    criu_find(c->runtime.criu, &path, &why);
    if (path == NULL) {
        bool has_tool = tool_path("criu", tool, sizeof tool, &unused) == 0;

        doctor_found(row, "none");
        doctor_advise(row, DOCTOR_WARN, "%s%s%s", why.text, has_tool ? "; it is " : "",
                      has_tool ? tool : "");
        return;
    }
    doctor_found(row, "%s%s", path,
                 geteuid() != 0 || pager_is_possible(path) ? "" : ", resumes wait for all memory");
    if (geteuid() == 0 && ask_criu(path) != 0)
        doctor_advise(row, DOCTOR_WARN, "'criu check' fails: pausing to disk will not work here");
}

static void check_role_filter(const struct config *c, struct doctor_row *row)
{
    doctor_found(row, "%s", c->has_role_filter ? "on" : "off");
    if (!c->has_role_filter)
        doctor_advise(row, DOCTOR_WARN,
                      "roles.seccomp is off: a role that was taken over may make any system call");
}

static size_t check_key_file(const char *path, struct doctor_row *row)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return 0;
    if ((st.st_mode & (S_IWGRP | S_IRWXO)) != 0)
        doctor_advise(row, DOCTOR_WARN, "others can read or change '%s': chmod o= it, g-w", path);
    return 1;
}

/* Files with keys, of which only their owners may know. */
static void check_key_files(const struct config *c, struct doctor_row *row)
{
    static const char *const files[] = {"admin.token", "api/store.key", "tls/ca.key",
                                        "tls/cert.key", "first.key"};
    struct str rest = str_of(c->tls_certificates);
    char path[PATH_MAX];
    size_t count = 0;

    for (size_t i = 0; i < COUNT_OF(files); i++) {
        config_path(path, sizeof path, c->data_dir, files[i]);
        count += check_key_file(path, row);
    }
    while (rest.len > 0) { /* CERT:KEY; those that `sandlot cert` made count twice, which is fine */
        struct str key, pair = str_cut(rest, ',', &rest);

        ignore(str_cut(pair, ':', &key).len);
        if (str_to_c(str_trim(key), path, sizeof path))
            count += check_key_file(path, row);
    }
    doctor_found(row, "%zu", count);
}

/* serve makes them so, and leaves them as it finds them. Programs in the trees of templates may be
 * somebody's else (set-user-ID) once a user of this machine can execute them. */
static void check_private_dirs(const struct config *c, struct doctor_row *row)
{
    static const char *const dirs[] = {"api", "rootfs", "layers", "registry", "images"};
    char path[PATH_MAX];
    struct stat st;
    size_t count = 0;

    for (size_t i = 0; i < COUNT_OF(dirs); i++) {
        config_path(path, sizeof path, c->data_dir, dirs[i]);
        if (stat(path, &st) != 0)
            continue;
        count++;
        if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
            doctor_advise(row, DOCTOR_WARN, "others may enter '%s': chmod 0700 it", path);
    }
    doctor_found(row, "%zu", count);
}

static void check_clear_text(const struct config *c, struct doctor_row *row)
{
    bool has_tls = c->tls_certificates[0] != '\0';

    doctor_found(row, "%s", has_tls ? "TLS" : "clear text");
    if (config_is_in_the_clear(c))
        doctor_advise(row, DOCTOR_WARN,
                      "keys pass in clear text to '%s': set tls.certificates ('sandlot cert'), or "
                      "listen on this machine alone",
                      c->listen);
}

const struct doctor_check doctor_host_checks[] = {
    {"kernel",              check_kernel      },
    {"disk",                check_disk        },
    {"user of api",         check_api_user    },
    {"user of edge",        check_edge_user   },
    {"user of egress",      check_egress_user },
    {"filter of roles",     check_role_filter },
    {"files with keys",     check_key_files   },
    {"private directories", check_private_dirs},
    {"ping out",            check_ping        },
    {"listen address",      check_port        },
    {"encryption",          check_clear_text  },
    {"base template",       check_templates   },
    {"inotify limits",      check_inotify     },
    {"open files",          check_files       },
    {"checkpoint (CRIU)",   check_criu        },
};
const size_t doctor_host_check_count = COUNT_OF(doctor_host_checks);
