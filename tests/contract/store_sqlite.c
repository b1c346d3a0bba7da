/* SPDX-License-Identifier: Apache-2.0 */
/* What SQLite must show beyond the contract: death in the middle, syncs, full disks, versions. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "store_fixture.h"
#include "test.h"

enum {
    KILLS = 30,
    IN_FLIGHT = 8, /* commits of the child that wait at once */
    ACKS_MAX = 200000,
};

/* The library's calls land here: the program comes first in the search order. */
static _Atomic size_t syncs;
static _Atomic bool may_sync = true;

static int sync_file(int fd)
{
    atomic_fetch_add(&syncs, 1);
    if (!atomic_load(&may_sync)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

int fsync(int fd)
{
    return sync_file(fd);
}

int fdatasync(int fd)
{
    return sync_file(fd);
}

/* ---- a child that commits until it is killed ---- */

struct writer {
    struct loop *loop;
    struct store *store;
    int report_fd;
    uint64_t next;
    struct slot {
        struct writer *writer;
        uint64_t number;
    } slots[IN_FLIGHT];
};

/* Each commit has two records, which must appear together. */
static void commit_next(struct slot *slot);

static void report(void *ctx, const struct err *err)
{
    struct slot *slot = ctx;

    if (err != NULL ||
        write(slot->writer->report_fd, &slot->number, sizeof(slot->number)) != sizeof(slot->number))
        _exit(3);
    commit_next(slot);
}

static void commit_next(struct slot *slot)
{
    struct writer *w = slot->writer;
    char key[32];

    slot->number = w->next++;
    for (int half = 0; half < 2; half++) {
        ignore(snprintf(key, sizeof(key), "%012llu-%d", (unsigned long long)slot->number, half));
        if (store_put(w->store, STORE_EVENT, str_of(key), str_of(key), NULL) != 0)
            _exit(4);
    }
    store_commit(w->store, report, slot);
}

static _Noreturn void run_child(const char *path, int report_fd, uint64_t first)
{
    static struct writer w;
    struct err err = {0};

    w.report_fd = report_fd;
    w.next = first;
    if (loop_new(&w.loop, &err) != 0 ||
        store_open_engine(w.loop, &store_sqlite, path, &w.store, &err) != 0)
        _exit(2);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        w.slots[i].writer = &w;
        commit_next(&w.slots[i]);
    }
    ignore(loop_run(w.loop, &err)); /* does not return */
    _exit(5);
}

static void pause_us(long us)
{
    const struct timespec time = {.tv_nsec = us * 1000};

    ignore(nanosleep(&time, NULL));
}

/* Kills a writer after a while; returns how many numbers it had acknowledged, in `acked`. */
static size_t kill_writer(const char *path, uint64_t first, long after_us, uint64_t *acked)
{
    int fds[2], status = 0;
    size_t count = 0;
    pid_t child;

    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    ignore(fcntl(fds[0], F_SETPIPE_SZ, 1 << 20)); /* so that it seldom waits for us */
    child = fork();
    CHECK(child >= 0);
    if (child == 0)
        run_child(path, fds[1], first);
    own_close_fd(&fds[1]);
    CHECK(read(fds[0], &acked[count++], sizeof(*acked)) == sizeof(*acked)); /* it is at work */
    pause_us(after_us);
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (count < ACKS_MAX && read(fds[0], &acked[count], sizeof(*acked)) == sizeof(*acked))
        count++;
    own_close_fd(&fds[0]);
    return count;
}

struct halves {
    uint64_t pairs, last;
    uint64_t waiting; /* number + 1 of a first half without its second */
    bool is_broken;
};

static bool check_half(void *ctx, struct str key, struct str value)
{
    struct halves *h = ctx;
    uint64_t number = 0, half = 0;

    if (!str_eq(key, value) || !str_to_u64(str_upto(key, 12), &number) ||
        !str_to_u64(str_from(key, 13), &half) || half != (h->waiting == 0 ? 0 : 1) ||
        (half == 1 && h->waiting != number + 1))
        h->is_broken = true;
    h->waiting = half == 0 ? number + 1 : 0;
    h->pairs += half;
    h->last = number;
    return !h->is_broken;
}

static void keeps_what_it_acknowledged_when_killed(void)
{
    const struct fixture *f = fixture_begin(&store_sqlite);
    static uint64_t acked[ACKS_MAX];
    uint64_t first = 0, total = 0;

    for (int round = 0; round < KILLS; round++) {
        struct halves h = {0};
        struct err err = {0};
        size_t count;

        fixture_close();
        count = kill_writer(f->path, first, 200 + round * 997L, acked);
        fixture_open(); /* recovers */
        for (size_t i = 0; i < count; i++) {
            char key[32];

            ignore(snprintf(key, sizeof(key), "%012llu-1", (unsigned long long)acked[i]));
            CHECK(fixture_has(STORE_EVENT, key, key));
        }
        CHECK(store_each(f->store, STORE_EVENT, check_half, &h, &err) == 0);
        CHECK(!h.is_broken && h.waiting == 0);
        total += count;
        CHECK(h.pairs >= total && h.last >= acked[count - 1]);
        first = h.last + 1;
    }
    test_note("%llu commits acknowledged by %d killed writers", (unsigned long long)total, KILLS);
    fixture_end();
}

static void syncs_before_it_calls_back(void)
{
    ignore(fixture_begin(&store_sqlite) != NULL);
    for (int i = 0; i < 20; i++) {
        size_t before = atomic_load(&syncs);
        char value[8];

        /* a new one each time: SQLite writes nothing when nothing changes */
        ignore(snprintf(value, sizeof(value), "%d", i));
        fixture_put(STORE_TEAM, "a", value);
        CHECK(fixture_commit() == ERR_NONE);
        CHECK(atomic_load(&syncs) > before);
    }
    fixture_end();
}

static void fails_when_the_disk_does(void)
{
    const struct fixture *f = fixture_begin(&store_sqlite);

    fixture_put(STORE_TEAM, "before", "v");
    CHECK(fixture_commit() == ERR_NONE);
    atomic_store(&may_sync, false);
    fixture_put(STORE_TEAM, "during", "v");
    CHECK(fixture_commit() == ERR_SYSTEM);
    test_note("%s", f->err.text);
    CHECK(fixture_has(STORE_TEAM, "before", "v") && fixture_lacks(STORE_TEAM, "during"));
    atomic_store(&may_sync, true);
    fixture_put(STORE_TEAM, "after", "v");
    CHECK(fixture_commit() == ERR_NONE);
    fixture_close();
    fixture_open();
    CHECK(fixture_has(STORE_TEAM, "before", "v") && fixture_has(STORE_TEAM, "after", "v"));
    CHECK(fixture_lacks(STORE_TEAM, "during"));
    fixture_end();
}

static void set_file_limit(rlim_t bytes)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void fails_when_there_is_no_room(void)
{
    const struct fixture *f = fixture_begin(&store_sqlite);
    struct str value = {mem_zero(STORE_VALUE_MAX), STORE_VALUE_MAX};
    struct err err = {0};
    enum err_kind kind;

    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    fixture_put(STORE_TEAM, "before", "v");
    CHECK(fixture_commit() == ERR_NONE);
    fixture_put(STORE_TEAM, "small", "v");
    CHECK(store_put(f->store, STORE_TEAM, STR("large"), value, &err) == 0);
    set_file_limit(STORE_VALUE_MAX / 2);
    kind = fixture_commit();
    set_file_limit(RLIM_INFINITY);
    test_note("%s", f->err.text);
    CHECK(kind != ERR_NONE);
    CHECK(fixture_lacks(STORE_TEAM, "small") && fixture_lacks(STORE_TEAM, "large"));
    fixture_put(STORE_TEAM, "after", "v");
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(fixture_has(STORE_TEAM, "before", "v") && fixture_has(STORE_TEAM, "after", "v"));
    free((char *)(uintptr_t)value.at);
    fixture_end();
}

/* ---- files that are not as they should be ---- */

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;

    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

/* Opening must fail; the error is handed back. */
static struct err refused(const struct fixture *f)
{
    struct store *s = NULL;
    struct err err = {0};

    CHECK(store_open_engine(f->loop, &store_sqlite, f->path, &s, &err) == -1 && s == NULL);
    test_note("%s", err.text);
    return err;
}

static void refuses_other_versions(void)
{
    const struct fixture *f = fixture_begin(&store_sqlite);

    fixture_close();
    run_sql(f->path, "INSERT INTO migration VALUES (1000, 'x', 0)");
    CHECK(refused(f).kind == ERR_UNSUPPORTED);
    run_sql(f->path, "DELETE FROM migration WHERE version = 1000");
    fixture_open();
    fixture_close();
    run_sql(f->path, "UPDATE migration SET checksum = 'x'");
    CHECK(refused(f).kind == ERR_INVALID);
    fixture_end();
}

static void refuses_files_of_others(void)
{
    const struct fixture *f = fixture_begin(&store_sqlite);
    auto_fd int fd = -1;

    fixture_close();
    CHECK(unlink(f->path) == 0);
    run_sql(f->path, "CREATE TABLE photo (id INTEGER)");
    CHECK(refused(f).kind == ERR_INVALID);
    CHECK(unlink(f->path) == 0);
    run_sql(f->path, "PRAGMA application_id = 7; CREATE TABLE photo (id INTEGER)");
    CHECK(refused(f).kind == ERR_INVALID);
    CHECK(unlink(f->path) == 0);
    fd = open(f->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, "this is a letter, not a database", 32) == 32);
    CHECK(refused(f).kind == ERR_INVALID);
    fixture_end();
}

static void admits_one_process(void)
{
    const struct fixture *f = fixture_begin(&store_sqlite);

    CHECK(refused(f).kind == ERR_CONFLICT);
    fixture_put(STORE_TEAM, "a", "v"); /* the first is not disturbed */
    CHECK(fixture_commit() == ERR_NONE);
    fixture_end();
}

static void is_private(void)
{
    const struct fixture *f = fixture_begin(&store_sqlite);
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};

    fixture_put(STORE_TEAM, "a", "v");
    CHECK(fixture_commit() == ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        char path[FIXTURE_PATH_MAX + 8];
        struct stat st;

        ignore(snprintf(path, sizeof(path), "%s%s", f->path, ends[i]));
        CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    }
    fixture_end();
}

/* What the store's own reading gives, and what lies in the file. */
static void check_sealed(struct fixture *f, const char *keys, const char *value)
{
    struct store_config config = {"sqlite", f->path, keys};
    struct buf found;
    struct err err = {0};

    fixture_close();
    CHECK(store_open(f->loop, &config, &f->store, &err) == 0);
    CHECK(fixture_has(STORE_SECRET, "a", value) && fixture_has(STORE_TEAM, "b", "shown"));
    fixture_put(STORE_SECRET, "c", "hidden");
    CHECK(fixture_commit() == ERR_NONE);
    fixture_close();
    fixture_open(); /* without a key file: as it lies there */
    buf_init(&found, STORE_VALUE_MAX);
    CHECK(store_get(f->store, STORE_SECRET, STR("a"), &found, &err) == 0);
    CHECK(found.len > strlen(value) && memmem(found.at, found.len, value, strlen(value)) == NULL);
    buf_done(&found);
    CHECK(!fixture_has(STORE_SECRET, "c", "hidden") && fixture_has(STORE_TEAM, "b", "shown"));
}

static void seals_what_holds_secrets(void)
{
    struct fixture *f = fixture_begin(&store_sqlite);
    char keys[FIXTURE_PATH_MAX + 8], text[200];
    struct store_config config = {"sqlite", f->path, keys};
    FILE *file;
    struct err err = {0};

    ignore(snprintf(keys, sizeof(keys), "%s.key", f->path));
    fixture_put(STORE_SECRET, "a", "open until now");
    fixture_put(STORE_TEAM, "b", "shown");
    CHECK(fixture_commit() == ERR_NONE);
    check_sealed(f, keys, "open until now");

    /* another key in front, then without the old one: all was sealed anew meanwhile */
    file = fopen(keys, "r+");
    CHECK(file != NULL && fread(text + 65, 1, 65, file) == 65);
    ignore(snprintf(text, sizeof(text), "%064d", 5));
    text[64] = '\n';
    rewind(file);
    CHECK(fwrite(text, 1, 130, file) == 130 && fclose(file) == 0);
    check_sealed(f, keys, "open until now");
    CHECK(truncate(keys, 65) == 0);
    check_sealed(f, keys, "open until now");

    /* and with another file altogether */
    CHECK(unlink(keys) == 0);
    fixture_close();
    CHECK(store_open(f->loop, &config, &f->store, &err) == 0);
    CHECK(!fixture_has(STORE_SECRET, "a", "open until now"));
    fixture_end();
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"keeps what it acknowledged when killed", keeps_what_it_acknowledged_when_killed},
        {"syncs before it calls back",             syncs_before_it_calls_back            },
        {"fails when the disk does",               fails_when_the_disk_does              },
        {"fails when there is no room",            fails_when_there_is_no_room           },
        {"refuses other versions",                 refuses_other_versions                },
        {"refuses files of others",                refuses_files_of_others               },
        {"admits one process",                     admits_one_process                    },
        {"is private",                             is_private                            },
        {"seals what holds secrets",               seals_what_holds_secrets              },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
