/* SPDX-License-Identifier: Apache-2.0 */
/* http/router: which row a request finds. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "http/router.h"
#include "test.h"

struct row {
    struct route_key key;
    int other; /* a caller's table has more in its rows */
};

static const struct row rows[] = {
    {{"GET", "/"},                                0 },
    {{"GET", "/sandboxes"},                       1 },
    {{"POST", "/sandboxes"},                      2 },
    {{"GET", "/sandboxes/:id"},                   3 },
    {{"DELETE", "/sandboxes/:id"},                4 },
    {{"GET", "/sandboxes/metrics"},               5 },
    {{"POST", "/sandboxes/:id/timeout"},          6 },
    {{"GET", "/templates/aliases/:alias"},        7 },
    {{"GET", "/templates/:id/files"},             8 },
    {{"POST", "/v2/templates/:id/builds/:build"}, 9 },
    {{"HEAD", "/templates/:id/files"},            10},
};

struct want {
    const char *method, *path;
    enum route_result result;
    size_t row;
    const char *first; /* parameter, or NULL */
};

static void check(const struct router *r, const struct want *w)
{
    struct arena a;
    struct route_match m;
    enum route_result result;

    test_note("%s %s", w->method, w->path);
    arena_init(&a, 10000);
    result = router_find(r, &a, str_of(w->method), str_of(w->path), &m);
    CHECK(result == w->result);
    if (result == ROUTE_FOUND) {
        CHECK(m.row == w->row);
        CHECK(w->first == NULL ? m.param_count == 0 : str_is(m.params[0], w->first));
    }
    arena_done(&a);
}

static void finds_rows(void)
{
    static const struct want cases[] = {
        {"GET",     "/",                            ROUTE_FOUND,      0,  NULL     },
        {"GET",     "/sandboxes",                   ROUTE_FOUND,      1,  NULL     },
        {"POST",    "/sandboxes",                   ROUTE_FOUND,      2,  NULL     },
        {"GET",     "/sandboxes/abc",               ROUTE_FOUND,      3,  "abc"    },
        {"DELETE",  "/sandboxes/abc",               ROUTE_FOUND,      4,  "abc"    },
        {"GET",     "/sandboxes/metrics",           ROUTE_FOUND,      5,  NULL     },
        {"DELETE",  "/sandboxes/metrics",           ROUTE_FOUND,      4,  "metrics"},
        {"POST",    "/sandboxes/a%2Fb%3Ac/timeout", ROUTE_FOUND,      6,  "a/b:c"  },
        {"GET",     "/templates/aliases/x",         ROUTE_FOUND,      7,  "x"      },
        {"GET",     "/templates/aliases/files",     ROUTE_FOUND,      7,  "files"  },
        {"GET",     "/templates/t/files",           ROUTE_FOUND,      8,  "t"      },
        {"HEAD",    "/templates/t/files",           ROUTE_FOUND,      10, "t"      },
        {"HEAD",    "/sandboxes/abc",               ROUTE_FOUND,      3,  "abc"    },
        {"GET",     "/sandbox%65s",                 ROUTE_FOUND,      1,  NULL     },
        {"PUT",     "/sandboxes",                   ROUTE_NOT_METHOD, 0,  NULL     },
        {"HEAD",    "/sandboxes/x/timeout",         ROUTE_NOT_METHOD, 0,  NULL     },
        {"get",     "/sandboxes",                   ROUTE_NOT_METHOD, 0,  NULL     },
        {"GET",     "/sandboxes/",                  ROUTE_UNKNOWN,    0,  NULL     },
        {"GET",     "//sandboxes",                  ROUTE_UNKNOWN,    0,  NULL     },
        {"GET",     "/sandboxes//timeout",          ROUTE_UNKNOWN,    0,  NULL     },
        {"POST",    "/sandboxes//timeout",          ROUTE_UNKNOWN,    0,  NULL     },
        {"GET",     "/Sandboxes",                   ROUTE_UNKNOWN,    0,  NULL     },
        {"GET",     "/nope",                        ROUTE_UNKNOWN,    0,  NULL     },
        {"GET",     "",                             ROUTE_UNKNOWN,    0,  NULL     },
        {"OPTIONS", "*",                            ROUTE_UNKNOWN,    0,  NULL     },
        {"GET",     "/1/2/3/4/5/6/7/8/9/a/b/c/d/e", ROUTE_UNKNOWN,    0,  NULL     },
        {"GET",     "/sandboxes/%zz",               ROUTE_MALFORMED,  0,  NULL     },
        {"GET",     "/sandboxes/%00",               ROUTE_MALFORMED,  0,  NULL     },
    };
    struct router *r = router_new(rows, COUNT_OF(rows), sizeof(rows[0]));

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check(r, &cases[i]);
    router_free(r);
}

static void keeps_parameters_in_order(void)
{
    struct router *r = router_new(rows, COUNT_OF(rows), sizeof(rows[0]));
    char path[] = "/v2/templates/t%20x/builds/b";
    struct arena a;
    struct route_match m;

    arena_init(&a, 10000);
    CHECK(router_find(r, &a, STR("POST"), str_of(path), &m) == ROUTE_FOUND);
    memset(path, 'x', sizeof(path) - 1); /* they are copies */
    CHECK(m.row == 9 && m.param_count == 2);
    CHECK(str_is(m.params[0], "t x") && str_is(m.params[1], "b"));
    arena_done(&a);
    router_free(r);
    router_free(NULL);
}

static void refuses_equal_rows(void)
{
    static const struct route_key twice[] = {
        {"GET",  "/a/:x"},
        {"POST", "/a/:x"},
        {"GET",  "/b"   },
        {"GET",  "/a/:y"},
    };
    int status = 0;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        fclose(stderr);
        router_free(router_new(twice, COUNT_OF(twice), sizeof(twice[0])));
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"finds rows",                finds_rows               },
        {"keeps parameters in order", keeps_parameters_in_order},
        {"refuses equal rows",        refuses_equal_rows       },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
