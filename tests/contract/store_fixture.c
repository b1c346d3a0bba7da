/* SPDX-License-Identifier: Apache-2.0 */
/* Behind store_fixture.h. */
#include "store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "test.h"

static struct fixture fixture;
static bool is_begun;

static void remove_folder(const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL)
        ignore(unlinkat(dirfd(d), e->d_name, 0)); /* "." and ".." refuse */
    if (d != NULL)
        closedir(d);
    ignore(rmdir(folder));
}

void fixture_end(void)
{
    if (!is_begun)
        return;
    is_begun = false;
    store_close(fixture.store);
    loop_free(fixture.loop);
    remove_folder(fixture.folder);
}

void fixture_open(void)
{
    struct err err = {0};

    if (store_open_engine(fixture.loop, fixture.engine, fixture.path, &fixture.store, &err) != 0)
        test_note("%s", err.text);
    CHECK(fixture.store != NULL);
}

void fixture_close(void)
{
    store_close(fixture.store);
    fixture.store = NULL;
}

struct fixture *fixture_begin(const struct store_engine *engine)
{
    static bool is_registered;
    struct err err = {0};

    fixture_end();
    if (!is_registered)
        CHECK(atexit(fixture_end) == 0);
    is_registered = true;
    fixture = (struct fixture){.engine = engine, .folder = "/tmp/sandlot-store-XXXXXX"};
    CHECK(mkdtemp(fixture.folder) != NULL);
    ignore(snprintf(fixture.path, sizeof(fixture.path), "%s/db", fixture.folder));
    is_begun = true;
    CHECK(loop_new(&fixture.loop, &err) == 0);
    fixture_open();
    return &fixture;
}

struct wait {
    size_t called;
    bool is_late;
    struct timer deadline;
};

static struct wait *waiting;

static void stop_late(void *ctx)
{
    struct wait *w = ctx;

    w->is_late = true;
    loop_stop(fixture.loop);
}

void fixture_called(void *ctx, const struct err *err)
{
    (void)ctx;
    fixture.called++;
    fixture.err = err == NULL ? (struct err){0} : *err;
    if (waiting != NULL && fixture.called >= waiting->called)
        loop_stop(fixture.loop);
}

void fixture_wait(size_t called)
{
    struct wait w = {.called = called};
    struct err err = {0};

    if (fixture.called >= called)
        return;
    waiting = &w;
    timer_start(fixture.loop, &w.deadline, FIXTURE_WAIT_MS, stop_late, &w);
    CHECK(loop_run(fixture.loop, &err) == 0);
    timer_stop(&w.deadline);
    waiting = NULL;
    CHECK(!w.is_late);
}

enum err_kind fixture_commit(void)
{
    store_commit(fixture.store, fixture_called, NULL);
    fixture_wait(fixture.called + 1);
    return fixture.err.kind;
}

void fixture_put(enum store_kind kind, const char *key, const char *value)
{
    struct err err = {0};

    CHECK(store_put(fixture.store, kind, str_of(key), str_of(value), &err) == 0);
}

void fixture_remove(enum store_kind kind, const char *key)
{
    struct err err = {0};

    CHECK(store_remove(fixture.store, kind, str_of(key), &err) == 0);
}

bool fixture_has(enum store_kind kind, const char *key, const char *value)
{
    struct buf out;
    struct err err = {0};
    bool is_same;

    buf_init(&out, STORE_VALUE_MAX);
    is_same = store_get(fixture.store, kind, str_of(key), &out, &err) == 0 &&
              str_is(buf_str(&out), value);
    buf_done(&out);
    return is_same;
}

bool fixture_lacks(enum store_kind kind, const char *key)
{
    struct buf out;
    struct err err = {0};
    int result;

    buf_init(&out, STORE_VALUE_MAX);
    result = store_get(fixture.store, kind, str_of(key), &out, &err);
    buf_done(&out);
    return result == -1 && err.kind == ERR_NOT_FOUND;
}
