/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/steps.c: order, failure, undo in reverse, going on later. */
#include <errno.h>
#include <string.h>

#include "runtime/steps.h"
#include "test.h"

enum { TRACE_SIZE = 64 };

static char trace[TRACE_SIZE];
static char refuses; /* this step fails by itself */
static int meets;    /* with this errno, if not 0 */

static int note(char what, struct err *err)
{
    size_t len = strlen(trace);

    if (what == refuses && meets != 0)
        return err_sys(err, meets, "a name");
    if (what == refuses)
        return err_set(err, ERR_NO_SPACE, "no room");
    trace[len] = what;
    trace[len + 1] = '\0';
    return 0;
}

static int run_a(void *ctx, struct err *err)
{
    (void)ctx;
    return note('a', err);
}

static int run_b(void *ctx, struct err *err)
{
    (void)ctx;
    return note('b', err);
}

static int run_c(void *ctx, struct err *err)
{
    (void)ctx;
    return note('c', err);
}

static void undo_a(void *ctx)
{
    (void)ctx;
    CHECK(note('A', NULL) == 0);
}

static void undo_c(void *ctx)
{
    (void)ctx;
    CHECK(note('C', NULL) == 0);
}

static const struct step rows[] = {
    {"first",  run_a, undo_a},
    {"second", run_b, NULL  },
    {"third",  run_c, undo_c},
};

static struct steps begin(const char *fail_at)
{
    trace[0] = '\0';
    refuses = '\0';
    meets = 0;
    return (struct steps){.rows = rows, .count = COUNT_OF(rows), .fail_at = fail_at};
}

static void runs_in_order_and_undoes_in_reverse(void)
{
    struct steps s = begin(NULL);
    struct err err = {0};

    CHECK(steps_run(&s, s.count, &err) == 0);
    CHECK(strcmp(trace, "abc") == 0 && s.done == 3 && err.kind == ERR_NONE);
    steps_undo(&s);
    CHECK(strcmp(trace, "abcCA") == 0 && s.done == 0);
    steps_undo(&s); /* once is enough */
    CHECK(strcmp(trace, "abcCA") == 0);
}

static void stops_at_a_failure_and_names_it(void)
{
    struct steps s = begin(NULL);
    struct err err = {0};

    refuses = 'b';
    CHECK(steps_run(&s, s.count, &err) == -1);
    CHECK(s.done == 1 && err.kind == ERR_NO_SPACE);
    CHECK(strcmp(err.text, "second: no room") == 0);
    steps_undo(&s);
    CHECK(strcmp(trace, "aA") == 0);
}

static void blames_nobody_for_what_the_system_says(void)
{
    static const struct {
        int sys;
        enum err_kind kind;
    } rows_of[] = {
        {EEXIST, ERR_SYSTEM  },
        {EBUSY,  ERR_SYSTEM  },
        {EMFILE, ERR_SYSTEM  },
        {ENOSPC, ERR_NO_SPACE},
    };

    for (size_t i = 0; i < COUNT_OF(rows_of); i++) {
        struct steps s = begin(NULL);
        struct err err = {0};

        refuses = 'b';
        meets = rows_of[i].sys;
        CHECK(steps_run(&s, s.count, &err) == -1 && err.kind == rows_of[i].kind);
        steps_undo(&s);
    }
}

static void a_step_made_to_fail_is_undone_too(void)
{
    struct steps s = begin("third");
    struct err err = {0};

    CHECK(steps_run(&s, s.count, &err) == -1);
    CHECK(s.done == 3 && strcmp(err.text, "third: made to fail") == 0);
    steps_undo(&s);
    CHECK(strcmp(trace, "abcCA") == 0);
}

static void goes_on_where_it_was(void)
{
    struct steps s = begin(NULL);
    struct err err = {0};

    CHECK(steps_run(&s, 1, &err) == 0 && strcmp(trace, "a") == 0);
    CHECK(steps_run(&s, 1, &err) == 0 && strcmp(trace, "a") == 0);
    CHECK(steps_run(&s, 3, &err) == 0 && strcmp(trace, "abc") == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"runs in order and undoes in reverse",    runs_in_order_and_undoes_in_reverse   },
        {"stops at a failure and names it",        stops_at_a_failure_and_names_it       },
        {"blames nobody for what the system says", blames_nobody_for_what_the_system_says},
        {"a step made to fail is undone too",      a_step_made_to_fail_is_undone_too     },
        {"goes on where it was",                   goes_on_where_it_was                  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
