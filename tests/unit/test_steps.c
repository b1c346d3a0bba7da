/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/steps.c: order, failure, undo in reverse, going on later. */
#include <string.h>

#include "runtime/steps.h"
#include "test.h"

enum { TRACE_SIZE = 64 };

static char trace[TRACE_SIZE];
static char refuses; /* this step fails by itself */

static int note(char what, struct err *err)
{
    size_t len = strlen(trace);

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
        {"runs in order and undoes in reverse", runs_in_order_and_undoes_in_reverse},
        {"stops at a failure and names it",     stops_at_a_failure_and_names_it    },
        {"a step made to fail is undone too",   a_step_made_to_fail_is_undone_too  },
        {"goes on where it was",                goes_on_where_it_was               },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
