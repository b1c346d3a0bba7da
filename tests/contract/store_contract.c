/* SPDX-License-Identifier: Apache-2.0 */
/* What every store engine must do: store_contract ENGINE. What only SQLite can show is in
 * store_sqlite.c. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store_fixture.h"
#include "test.h"

static const struct store_engine *engine; /* under test */

/* An engine in front of the one under test, whose write() can be held, failed and counted. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_held, is_failing;
    size_t begun, rows;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int gated_write(void *db, const struct store_write *first, struct err *err)
{
    bool is_failing;

    pthread_mutex_lock(&gate.lock);
    gate.begun++;
    for (const struct store_write *w = first; w != NULL; w = w->next)
        gate.rows++;
    pthread_cond_broadcast(&gate.changed);
    while (gate.is_held)
        pthread_cond_wait(&gate.changed, &gate.lock);
    is_failing = gate.is_failing;
    pthread_mutex_unlock(&gate.lock);
    if (is_failing)
        return err_set(err, ERR_NO_SPACE, "the disk is full");
    return engine->write(db, first, err);
}

static struct store_engine gated;

static void set_gate(bool is_held, bool is_failing)
{
    pthread_mutex_lock(&gate.lock);
    gate.is_held = is_held;
    gate.is_failing = is_failing;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void wait_for_begun(size_t begun)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.begun < begun)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static struct fixture *begin_gated(void)
{
    set_gate(false, false); /* what a failed case left */
    gate.begun = gate.rows = 0;
    gated = *engine;
    gated.write = gated_write;
    return fixture_begin(&gated);
}

static void puts_gets_and_removes(void)
{
    ignore(fixture_begin(engine) != NULL);
    fixture_put(STORE_TEAM, "a", "one");
    CHECK(fixture_lacks(STORE_TEAM, "a")); /* not committed */
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(fixture_has(STORE_TEAM, "a", "one"));
    CHECK(fixture_lacks(STORE_KEY, "a")); /* another kind */
    CHECK(fixture_lacks(STORE_TEAM, "A") && fixture_lacks(STORE_TEAM, ""));

    fixture_put(STORE_TEAM, "a", "two");
    fixture_put(STORE_TEAM, "a", ""); /* the last one counts */
    fixture_put(STORE_TEAM, "b", "x");
    fixture_put(STORE_KEY, "a", "key");
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(fixture_has(STORE_TEAM, "a", "") && fixture_has(STORE_TEAM, "b", "x"));
    CHECK(fixture_has(STORE_KEY, "a", "key"));

    fixture_remove(STORE_TEAM, "a");
    fixture_remove(STORE_TEAM, "never there");
    fixture_remove(STORE_TEAM, "b");
    fixture_put(STORE_TEAM, "b", "again");
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(fixture_lacks(STORE_TEAM, "a") && fixture_has(STORE_TEAM, "b", "again"));
    CHECK(fixture_has(STORE_KEY, "a", "key"));
    fixture_end();
}

static void keeps_any_bytes(void)
{
    const struct fixture *f = fixture_begin(engine);
    char key[STORE_KEY_MAX], value[512];
    struct str k = {key, sizeof(key)}, v = {value, sizeof(value)};
    struct err err = {0};
    struct buf out;

    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (char)i;
    memcpy(key, value, sizeof(key)); /* a zero in front */
    CHECK(store_put(f->store, STORE_EVENT, k, v, &err) == 0);
    memset(key, 'x', sizeof(key)); /* it was copied */
    CHECK(fixture_commit() == ERR_NONE);
    memcpy(key, value, sizeof(key));
    buf_init(&out, sizeof(value) + 3);
    buf_add_text(&out, "abc");
    CHECK(store_get(f->store, STORE_EVENT, k, &out, &err) == 0);
    CHECK(str_has_prefix(buf_str(&out), "abc") && str_eq(str_from(buf_str(&out), 3), v));
    CHECK(store_get(f->store, STORE_EVENT, k, &out, &err) == -1 && err.kind == ERR_LIMIT);
    buf_done(&out);
    fixture_end();
}

struct walk {
    char text[200];
    size_t left; /* rows to take */
    struct store *store;
    bool is_inner;
};

static bool add_row(void *ctx, struct str key, struct str value)
{
    struct walk *w = ctx;
    size_t len = strlen(w->text);

    ignore(
        snprintf(w->text + len, sizeof(w->text) - len, "%.*s=%.*s,", STR_ARG(key), STR_ARG(value)));
    return --w->left > 0;
}

static void walks_in_key_order(void)
{
    static const char *const keys[] = {"b", "a", "B", "aa", "\xc3\xa4", "10", "9", "ab", "a\x01"};
    const struct fixture *f = fixture_begin(engine);
    struct walk w = {.left = 100};
    struct err err = {0};

    CHECK(store_each(f->store, STORE_EVENT, add_row, &w, &err) == 0);
    CHECK(strcmp(w.text, "") == 0);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        fixture_put(STORE_EVENT, keys[i], "v");
    fixture_put(STORE_TEMPLATE, "a0", "other");
    fixture_put(STORE_SANDBOX, "a0", "other");
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(store_each(f->store, STORE_EVENT, add_row, &w, &err) == 0);
    CHECK(strcmp(w.text, "10=v,9=v,B=v,a=v,a\x01=v,aa=v,ab=v,b=v,\xc3\xa4=v,") == 0);
    w = (struct walk){.left = 2};
    CHECK(store_each(f->store, STORE_EVENT, add_row, &w, &err) == 0);
    CHECK(strcmp(w.text, "10=v,9=v,") == 0);
    fixture_end();
}

static bool walk_inside(void *ctx, struct str key, struct str value)
{
    struct walk *w = ctx;
    struct walk inner = {.left = 100};
    struct err err = {0};

    CHECK(str_is(value, "v"));
    CHECK(store_each(w->store, STORE_EVENT, add_row, &inner, &err) == 0);
    CHECK(strcmp(inner.text, "a=v,b=v,") == 0);
    CHECK(fixture_has(STORE_EVENT, "b", "v"));
    CHECK(store_put(w->store, STORE_SETTING, key, value, &err) == 0);
    return true;
}

static void may_read_and_put_while_walking(void)
{
    const struct fixture *f = fixture_begin(engine);
    struct walk w = {.store = f->store};
    struct err err = {0};

    fixture_put(STORE_EVENT, "a", "v");
    fixture_put(STORE_EVENT, "b", "v");
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(store_each(f->store, STORE_EVENT, walk_inside, &w, &err) == 0);
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(fixture_has(STORE_SETTING, "a", "v") && fixture_has(STORE_SETTING, "b", "v"));
    fixture_end();
}

static int order[64];
static size_t order_count;

static void note_order(void *ctx, const struct err *err)
{
    order[order_count++] = (int)(ctx == NULL ? -1 : *(const int *)ctx);
    fixture_called(ctx, err);
}

static void calls_back_in_order_from_the_loop(void)
{
    const struct fixture *f = fixture_begin(engine);
    int numbers[20];

    order_count = 0;
    for (int i = 0; i < 20; i++) {
        char key[8];

        numbers[i] = i;
        ignore(snprintf(key, sizeof(key), "%d", i));
        if (i % 5 != 4) /* now and then nothing is in it */
            fixture_put(STORE_EVENT, key, "v");
        store_commit(f->store, i % 7 == 6 ? NULL : note_order, &numbers[i]);
        CHECK(f->called == 0); /* never from inside */
    }
    fixture_wait(18);
    CHECK(order_count == 18);
    for (size_t i = 1; i < order_count; i++)
        CHECK(order[i] > order[i - 1]);
    CHECK(fixture_has(STORE_EVENT, "6", "v")); /* without a callback */
    fixture_end();
}

static void commits_from_a_callback(void *ctx, const struct err *err)
{
    const struct fixture *f = ctx;

    CHECK(err == NULL);
    CHECK(fixture_has(STORE_TEAM, "first", "v"));
    fixture_put(STORE_TEAM, "second", "v");
    store_commit(f->store, fixture_called, NULL);
}

static void may_commit_from_a_callback(void)
{
    struct fixture *f = fixture_begin(engine);

    fixture_put(STORE_TEAM, "first", "v");
    store_commit(f->store, commits_from_a_callback, f);
    fixture_wait(1);
    CHECK(fixture_has(STORE_TEAM, "second", "v"));
    fixture_end();
}

static void writes_what_waits_together(void)
{
    const struct fixture *f = begin_gated();

    set_gate(true, false);
    fixture_put(STORE_EVENT, "first", "v");
    store_commit(f->store, fixture_called, NULL);
    wait_for_begun(1);
    for (int i = 0; i < 50; i++) {
        char key[8];

        ignore(snprintf(key, sizeof(key), "%d", i));
        fixture_put(STORE_EVENT, key, "v");
        store_commit(f->store, fixture_called, NULL);
    }
    CHECK(fixture_lacks(STORE_EVENT, "first") && fixture_lacks(STORE_EVENT, "0"));
    set_gate(false, false);
    fixture_wait(51);
    CHECK(gate.begun == 2 && gate.rows == 51);
    CHECK(fixture_has(STORE_EVENT, "49", "v"));
    fixture_end();
}

static size_t failures;

static void count_failure(void *ctx, const struct err *err)
{
    failures += err != NULL && err->kind == ERR_NO_SPACE;
    fixture_called(ctx, err);
}

static void tells_every_waiter_of_a_failure(void)
{
    const struct fixture *f = begin_gated();

    failures = 0;
    fixture_put(STORE_EVENT, "kept", "old");
    CHECK(fixture_commit() == ERR_NONE);
    set_gate(true, true);
    for (int i = 0; i < 10; i++) {
        fixture_put(STORE_EVENT, "kept", "new");
        fixture_put(STORE_EVENT, i % 2 == 0 ? "even" : "odd", "new");
        store_commit(f->store, count_failure, NULL);
    }
    set_gate(false, true);
    fixture_wait(11);
    CHECK(failures == 10);
    CHECK(str_is(str_of(f->err.text), "write to the store: the disk is full"));
    CHECK(fixture_has(STORE_EVENT, "kept", "old"));
    CHECK(fixture_lacks(STORE_EVENT, "even") && fixture_lacks(STORE_EVENT, "odd"));

    set_gate(false, false); /* space again: what failed is gone, what is new is kept */
    fixture_put(STORE_EVENT, "after", "v");
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(fixture_has(STORE_EVENT, "after", "v") && fixture_lacks(STORE_EVENT, "even"));
    fixture_end();
}

static void refuses_what_is_too_large(void)
{
    const struct fixture *f = fixture_begin(engine);
    struct str key = {mem_zero(STORE_KEY_MAX + 1), STORE_KEY_MAX};
    struct str value = {mem_zero(STORE_VALUE_MAX + 1), STORE_VALUE_MAX};
    struct err err = {0};
    struct buf out;

    CHECK(store_put(f->store, STORE_TEAM, key, value, &err) == 0); /* just right */
    key.len++;
    CHECK(store_put(f->store, STORE_TEAM, key, value, &err) == -1 && err.kind == ERR_LIMIT);
    CHECK(store_remove(f->store, STORE_TEAM, key, &err) == -1 && err.kind == ERR_LIMIT);
    buf_init(&out, STORE_VALUE_MAX);
    CHECK(store_get(f->store, STORE_TEAM, key, &out, &err) == -1 && err.kind == ERR_NOT_FOUND);
    key.len--;
    value.len++;
    CHECK(store_put(f->store, STORE_TEAM, key, value, &err) == -1 && err.kind == ERR_LIMIT);
    CHECK(store_put(f->store, STORE_TEAM, STR(""), STR("x"), &err) == -1);
    CHECK(err.kind == ERR_INVALID);
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(store_get(f->store, STORE_TEAM, key, &out, &err) == 0 && out.len == STORE_VALUE_MAX);
    buf_done(&out);
    free((char *)(uintptr_t)key.at);
    free((char *)(uintptr_t)value.at);
    fixture_end();
}

static void bounds_the_queue(void)
{
    const struct fixture *f = begin_gated();
    struct err err = {0};
    char key[16];

    for (int i = 0; i < STORE_QUEUE_MAX; i++) {
        ignore(snprintf(key, sizeof(key), "%07d", i));
        CHECK(store_put(f->store, STORE_EVENT, str_of(key), STR("v"), &err) == 0);
    }
    CHECK(store_put(f->store, STORE_EVENT, STR("x"), STR("v"), &err) == -1);
    CHECK(err.kind == ERR_LIMIT);
    CHECK(store_remove(f->store, STORE_EVENT, STR("x"), &err) == -1 && err.kind == ERR_LIMIT);
    set_gate(true, false);
    store_commit(f->store, fixture_called, NULL);
    wait_for_begun(1); /* taken by the writer is still not called back */
    CHECK(store_put(f->store, STORE_EVENT, STR("x"), STR("v"), &err) == -1);
    set_gate(false, false);
    fixture_wait(1);
    CHECK(f->err.kind == ERR_NONE);
    CHECK(store_put(f->store, STORE_EVENT, STR("x"), STR("v"), &err) == 0);
    CHECK(fixture_commit() == ERR_NONE);
    CHECK(fixture_has(STORE_EVENT, key, "v"));
    fixture_end();
}

static void bounds_the_bytes_of_the_queue(void)
{
    const struct fixture *f = begin_gated();
    struct str value = {mem_zero(STORE_VALUE_MAX), STORE_VALUE_MAX};
    struct err err = {0};
    size_t taken = 0;

    while (store_put(f->store, STORE_EVENT, STR("same"), value, &err) == 0)
        taken++;
    CHECK(err.kind == ERR_LIMIT);
    CHECK(taken == STORE_QUEUE_BYTES_MAX / (STORE_VALUE_MAX + 4));
    set_gate(false, true); /* refused, so that the disk is spared */
    CHECK(fixture_commit() == ERR_NO_SPACE);
    CHECK(store_put(f->store, STORE_EVENT, STR("same"), value, &err) == 0);
    free((char *)(uintptr_t)value.at);
    fixture_end();
}

static struct fixture *closing;
static int late_kinds[2];

static void put_while_closing(void *ctx, const struct err *err)
{
    struct err late = {0};

    fixture_called(ctx, err);
    late_kinds[0] = store_put(closing->store, STORE_TEAM, STR("late"), STR("v"), &late);
    late_kinds[1] = (int)late.kind;
    store_commit(closing->store, fixture_called, NULL);
}

static void waits_when_closing(void)
{
    struct fixture *f = closing = fixture_begin(engine);

    fixture_put(STORE_TEAM, "a", "v");
    store_commit(f->store, fixture_called, NULL);
    fixture_put(STORE_TEAM, "b", "v");
    store_commit(f->store, put_while_closing, NULL);
    fixture_put(STORE_TEAM, "dropped", "v"); /* never committed */
    fixture_close();
    CHECK(f->called == 3 && f->err.kind == ERR_UNAVAILABLE); /* the last from inside the second */
    CHECK(late_kinds[0] == -1 && late_kinds[1] == ERR_UNAVAILABLE);
    fixture_open();
    CHECK(fixture_lacks(STORE_TEAM, "dropped") && fixture_lacks(STORE_TEAM, "late"));
    if (engine != &store_memory)
        CHECK(fixture_has(STORE_TEAM, "a", "v") && fixture_has(STORE_TEAM, "b", "v"));
    fixture_close();
    store_close(NULL);
    fixture_end();
}

static void keeps_what_was_committed(void)
{
    const struct fixture *f = fixture_begin(engine);
    struct walk w = {.left = 100};
    struct err err = {0};

    if (engine == &store_memory)
        test_skip("memory keeps nothing");
    for (int round = 0; round < 5; round++) {
        char key[8];

        ignore(snprintf(key, sizeof(key), "%d", round));
        fixture_put(STORE_TEAM, key, "v");
        fixture_remove(STORE_TEAM, "0");
        CHECK(fixture_commit() == ERR_NONE);
        fixture_close();
        fixture_open();
    }
    CHECK(store_each(f->store, STORE_TEAM, add_row, &w, &err) == 0);
    CHECK(strcmp(w.text, "1=v,2=v,3=v,4=v,") == 0);
    fixture_end();
}

/* Opens the copy as a store of its own. */
static void check_copy(struct fixture *f, const char *path)
{
    struct store *copy = NULL, *original = f->store;
    struct err err = {0};
    struct stat st;

    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(store_open_engine(f->loop, engine, path, &copy, &err) == 0);
    f->store = copy;
    CHECK(fixture_has(STORE_TEAM, "a", "v") && fixture_lacks(STORE_TEAM, "later"));
    fixture_put(STORE_TEAM, "copy", "v");
    CHECK(fixture_commit() == ERR_NONE);
    store_close(copy);
    f->store = original;
    CHECK(fixture_lacks(STORE_TEAM, "copy"));
}

static void backs_up_while_in_use(void)
{
    struct fixture *f = fixture_begin(engine);
    char path[FIXTURE_PATH_MAX];
    struct err err = {0};

    ignore(snprintf(path, sizeof(path), "%s/copy", f->folder));
    fixture_put(STORE_TEAM, "a", "v");
    CHECK(fixture_commit() == ERR_NONE);
    fixture_put(STORE_TEAM, "later", "v");
    if (engine == &store_memory) {
        CHECK(store_backup(f->store, path, &err) == -1 && err.kind == ERR_UNSUPPORTED);
        fixture_end();
        return;
    }
    CHECK(store_backup(f->store, path, &err) == 0);
    CHECK(fixture_commit() == ERR_NONE);
    check_copy(f, path);
    CHECK(fixture_has(STORE_TEAM, "later", "v"));
    CHECK(store_backup(f->store, path, &err) == -1 && err.kind == ERR_EXISTS);
    CHECK(store_backup(f->store, "/nowhere/at/all", &err) == -1 && err.kind == ERR_NOT_FOUND);
    fixture_end();
}

static void refuses_unknown_engines(void)
{
    const struct fixture *f = fixture_begin(engine);
    struct store_config config = {"papyrus", f->path};
    struct store *s = NULL;
    struct err err = {0};

    CHECK(store_open(f->loop, &config, &s, &err) == -1 && s == NULL);
    CHECK(err.kind == ERR_INVALID);
    config = (struct store_config){engine->name, NULL};
    CHECK(store_open(f->loop, &config, &s, &err) == (engine == &store_memory ? 0 : -1));
    store_close(s);
    fixture_end();
}

static void leaves_signals_to_the_loop(void)
{
    const struct fixture *f = fixture_begin(engine);
    sigset_t pending, term, before;
    siginfo_t info;
    struct timespec soon = {.tv_sec = 2};

    /* blocked here: if the writer did not block it too, it would die of it */
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    CHECK(f->store != NULL && pthread_sigmask(SIG_BLOCK, &term, &before) == 0);
    CHECK(kill(getpid(), SIGTERM) == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1);
    CHECK(sigtimedwait(&term, &info, &soon) == SIGTERM);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    fixture_end();
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"puts, gets and removes",             puts_gets_and_removes            },
        {"keeps any bytes",                    keeps_any_bytes                  },
        {"walks in key order",                 walks_in_key_order               },
        {"may read and put while walking",     may_read_and_put_while_walking   },
        {"calls back in order, from the loop", calls_back_in_order_from_the_loop},
        {"may commit from a callback",         may_commit_from_a_callback       },
        {"writes what waits together",         writes_what_waits_together       },
        {"tells every waiter of a failure",    tells_every_waiter_of_a_failure  },
        {"refuses what is too large",          refuses_what_is_too_large        },
        {"bounds the queue",                   bounds_the_queue                 },
        {"bounds the bytes of the queue",      bounds_the_bytes_of_the_queue    },
        {"waits when closing",                 waits_when_closing               },
        {"keeps what was committed",           keeps_what_was_committed         },
        {"backs up while in use",              backs_up_while_in_use            },
        {"refuses unknown engines",            refuses_unknown_engines          },
        {"leaves signals to the loop",         leaves_signals_to_the_loop       },
    };

    if (argc > 1 && strcmp(argv[1], "sqlite") == 0)
        engine = &store_sqlite;
    else if (argc > 1 && strcmp(argv[1], "memory") == 0)
        engine = &store_memory;
    if (engine == NULL) {
        fprintf(stderr, "usage: store_contract sqlite|memory [part of a name]\n");
        return 2;
    }
    return test_main(tests, COUNT_OF(tests), argc - 1, argv + 1);
}
