/* SPDX-License-Identifier: Apache-2.0 */
/* What every driver must do: runtime_contract DRIVER [key=value …]. What only real sandboxes can
 * show is in runtime_linux.c. */
#include <stdio.h>

#include "runtime_fixture.h"
#include "runtime_remains.h"
#include "test.h"

enum {
    WAIT_MS = 20000,
    MANY = 20,
    ID_SIZE = 32,
};

static void opens(void)
{
    rig_dirs_make();
    rig_open();
}

static void starts_and_stops(void)
{
    CHECK(rig_start("one") == ERR_NONE);
    CHECK(rig_lists("one"));
    CHECK(runtime_count(rig.runtime) == 1);
    CHECK(rig_stop("one") == ERR_NONE);
    CHECK(!rig_lists("one"));
    CHECK(runtime_count(rig.runtime) == 0);
}

static void an_id_can_be_used_again_at_once(void)
{
    for (size_t i = 0; i < 5; i++) {
        CHECK(rig_start("again") == ERR_NONE);
        CHECK(rig_stop("again") == ERR_NONE);
    }
}

static void refuses_a_second_of_the_same_id(void)
{
    CHECK(rig_start("twin") == ERR_NONE);
    CHECK(rig_start("twin") == ERR_EXISTS);
    CHECK(rig_lists("twin")); /* the first one is not harmed */
    CHECK(rig_stop("twin") == ERR_NONE);
}

static void does_not_know_other_ids(void)
{
    struct sandbox_stats stats;
    struct err err = {0};
    int fd = -1;

    CHECK(rig_stop("nobody") == ERR_NOT_FOUND);
    CHECK(rig_stop("../../etc") == ERR_NOT_FOUND);
    CHECK(runtime_stats(rig.runtime, "nobody", &stats, &err) != 0 && err.kind == ERR_NOT_FOUND);
    CHECK(runtime_connect(rig.runtime, "nobody", 80, &fd, &err) != 0 && fd == -1);
    CHECK(err.kind == ERR_NOT_FOUND);
}

/* A driver that cannot pause says so, by name; one that can lets what runs go on. */
static void resumes_or_says_that_it_cannot(void)
{
    CHECK(rig_resume("../../etc") == ERR_NOT_FOUND);
    CHECK(rig_start("sleeper") == ERR_NONE);
    if (rig_resume("sleeper") == ERR_UNSUPPORTED) {
        CHECK(strstr(rig.err.text, rig.config.driver) != NULL);
        CHECK(!rig_can_pause(false) && !rig_can_pause(true));
        CHECK(rig_pause("sleeper", false) == ERR_UNSUPPORTED);
        CHECK(rig_snapshot("sleeper", "s1", false) == ERR_UNSUPPORTED);
    } else {
        CHECK(rig.err.kind == ERR_NONE);
        CHECK(rig_resume("nobody") == ERR_NOT_FOUND);
        CHECK(rig_pause("nobody", false) == ERR_NOT_FOUND);
        CHECK(rig_snapshot("nobody", "s1", false) == ERR_NOT_FOUND);
    }
    CHECK(rig_snapshot_remove("nothing") == ERR_NOT_FOUND);
    CHECK(rig_start_from("copy", "nothing") != ERR_NONE);
    CHECK(rig_lists("sleeper"));
    CHECK(rig_stop("sleeper") == ERR_NONE);
}

static void pauses_and_resumes(bool keeps_memory)
{
    struct sandbox_stats stats;
    struct err err = {0};
    int fd = -1;

    if (!rig_can_pause(keeps_memory))
        return;
    CHECK(rig_start("napper") == ERR_NONE);
    for (size_t i = 0; i < 3; i++) {
        CHECK(rig_pause("napper", keeps_memory) == ERR_NONE);
        CHECK(rig_lists_paused("napper") && runtime_count(rig.runtime) == 0);
        CHECK(rig_pause("napper", keeps_memory) == ERR_NONE); /* it is already */
        CHECK(runtime_connect(rig.runtime, "napper", 1, &fd, &err) != 0 &&
              err.kind == ERR_CONFLICT);
        CHECK(runtime_stats(rig.runtime, "napper", &stats, &err) != 0 && err.kind == ERR_CONFLICT);
        CHECK(rig_start("napper") == ERR_EXISTS);
        CHECK(rig_resume("napper") == ERR_NONE);
        CHECK(rig_lists("napper") && !rig_lists_paused("napper"));
        CHECK(runtime_count(rig.runtime) == 1);
        CHECK(runtime_stats(rig.runtime, "napper", &stats, &err) == 0);
    }
    CHECK(rig_stop("napper") == ERR_NONE);
    CHECK(rig_listed() == 0);
}

static void pauses_with_memory(void)
{
    pauses_and_resumes(true);
}

static void pauses_files_alone(void)
{
    pauses_and_resumes(false);
}

static void stops_what_is_paused(void)
{
    if (!rig_can_pause(false))
        return;
    CHECK(rig_start("napper") == ERR_NONE);
    CHECK(rig_pause("napper", false) == ERR_NONE);
    CHECK(rig_stop("napper") == ERR_NONE);
    CHECK(rig_listed() == 0);
    CHECK(rig_resume("napper") == ERR_NOT_FOUND);
}

/* Whichever of them is first: both are answered, and nothing is left. */
static void stops_what_is_being_paused(void)
{
    size_t before;

    if (!rig_can_pause(false))
        return;
    CHECK(rig_start("napper") == ERR_NONE);
    before = rig.answers;
    rig_begin_pause("napper", false);
    rig_begin_stop("napper");
    CHECK(rig_pump(&rig.answers, before + 2, WAIT_MS));
    CHECK(rig_listed() == 0);
    CHECK(rig_stop("napper") == ERR_NOT_FOUND);
}

static void another_process_finds_what_is_paused(void)
{
    bool has_memory = rig_can_pause(true);

    if (!rig_can_pause(false))
        return;
    CHECK(rig_start("napper") == ERR_NONE);
    CHECK(rig_pause("napper", has_memory) == ERR_NONE);
    rig_close();
    rig_open();
    CHECK(rig_lists_paused("napper") && runtime_count(rig.runtime) == 0);
    CHECK(rig_resume("napper") == ERR_NONE);
    CHECK(rig_stop("napper") == ERR_NONE);
}

static void starts_from_snapshots(bool keeps_memory)
{
    if (!rig_can_pause(keeps_memory))
        return;
    CHECK(rig_start("origin") == ERR_NONE);
    CHECK(rig_snapshot("origin", "Not A Name", keeps_memory) == ERR_INVALID);
    CHECK(rig_snapshot("origin", "s1", keeps_memory) == ERR_NONE);
    CHECK(rig_lists_snapshot("s1") && rig_lists("origin"));
    CHECK(rig_snapshot("origin", "s1", keeps_memory) == ERR_EXISTS);
    CHECK(rig_stop("origin") == ERR_NONE); /* a snapshot survives its sandbox */
    CHECK(rig_start_from("copy1", "s1") == ERR_NONE);
    CHECK(rig_start_from("copy2", "s1") == ERR_NONE);
    CHECK(runtime_count(rig.runtime) == 2);
    CHECK(rig_snapshot_remove("s1") == ERR_NONE);
    CHECK(!rig_lists_snapshot("s1"));
    CHECK(rig_start_from("copy3", "s1") == ERR_NOT_FOUND);
    CHECK(rig_pause("copy1", keeps_memory) == ERR_NONE); /* what they share is still there */
    CHECK(rig_snapshot("copy1", "s2", keeps_memory) == ERR_NONE);
    CHECK(rig_lists_paused("copy1"));
    if (rig_resume("copy1") != ERR_NONE)
        test_note("resume: %s", rig.err.text);
    CHECK(rig_lists("copy1"));
    CHECK(rig_stop("copy1") == ERR_NONE && rig_stop("copy2") == ERR_NONE);
    CHECK(rig_snapshot_remove("s2") == ERR_NONE);
    CHECK(rig_listed() == 0);
}

static void snapshots_with_memory(void)
{
    starts_from_snapshots(true);
}

static void snapshots_of_files_alone(void)
{
    starts_from_snapshots(false);
}

static struct {
    size_t count, failed;
} meanwhile;

static void on_meanwhile(void *ctx, const char *id, uint64_t took_us, const struct err *err)
{
    (void)ctx;
    (void)took_us;
    meanwhile.count++;
    meanwhile.failed += err != NULL;
    if (err != NULL)
        test_note("%s: %s", id, err->text);
}

static bool has_three_answers(void)
{
    return meanwhile.count == 3;
}

static bool three_succeed(void)
{
    bool result = rig_until(has_three_answers, 60000) && meanwhile.failed == 0;

    meanwhile.count = meanwhile.failed = 0;
    return result;
}

/* As an api does that was started again meanwhile. */
static void what_is_asked_meanwhile_waits(void)
{
    if (!rig_can_pause(false))
        return;
    CHECK(rig_start("busy") == ERR_NONE);
    for (int i = 0; i < 3; i++)
        runtime_pause(rig.runtime, "busy", false, on_meanwhile, NULL);
    CHECK(three_succeed() && rig_lists_paused("busy"));
    CHECK(rig_resume("busy") == ERR_NONE);
    runtime_snapshot(rig.runtime, "busy", "s1", false, on_meanwhile, NULL);
    runtime_pause(rig.runtime, "busy", false, on_meanwhile, NULL);
    runtime_snapshot(rig.runtime, "busy", "s2", false, on_meanwhile, NULL);
    CHECK(three_succeed() && rig_lists_paused("busy"));
    CHECK(rig_lists_snapshot("s1") && rig_lists_snapshot("s2"));
    CHECK(rig_snapshot_remove("s1") == ERR_NONE && rig_snapshot_remove("s2") == ERR_NONE);
    CHECK(rig_stop("busy") == ERR_NONE);
}

static enum err_kind do_work(enum runtime_work work, bool has_memory)
{
    if (work == RUNTIME_PAUSE)
        return rig_pause("unlucky", has_memory);
    if (work == RUNTIME_SNAPSHOT)
        return rig_snapshot("unlucky", "s1", has_memory);
    return rig_resume("unlucky");
}

static void fail_each_step(enum runtime_work work, bool has_memory)
{
    const char *const *names = runtime_work_step_names(rig.runtime, work);

    CHECK(names[0] != NULL);
    for (size_t i = 0; names[i] != NULL; i++) {
        enum err_kind kind;

        if (work == RUNTIME_RESUME)
            CHECK(rig_pause("unlucky", has_memory) == ERR_NONE);
        runtime_fail_step(rig.runtime, names[i]);
        kind = do_work(work, has_memory);
        runtime_fail_step(rig.runtime, "");
        CHECK(kind != ERR_NONE && strstr(rig.err.text, names[i]) != NULL);
        CHECK(rig_lists_paused("unlucky") == (work == RUNTIME_RESUME));
        CHECK(!rig_lists_snapshot("s1"));
        if (work == RUNTIME_RESUME)
            CHECK(rig_resume("unlucky") == ERR_NONE);
    }
}

/* A fork is starts from a snapshot. Without memory they have the steps of all starts. */
static void fail_each_step_of_a_fork(void)
{
    const char *const *names = runtime_work_step_names(rig.runtime, RUNTIME_RESUME);

    CHECK(rig_snapshot("unlucky", "s1", true) == ERR_NONE);
    for (size_t i = 0; names[i] != NULL; i++) {
        enum err_kind kind;

        runtime_fail_step(rig.runtime, names[i]);
        kind = rig_start_from("copy", "s1");
        runtime_fail_step(rig.runtime, "");
        CHECK(kind != ERR_NONE && strstr(rig.err.text, names[i]) != NULL);
        CHECK(!rig_lists("copy") && rig_lists("unlucky") && rig_lists_snapshot("s1"));
    }
    CHECK(rig_start_from("copy", "s1") == ERR_NONE && rig_stop("copy") == ERR_NONE);
    CHECK(rig_snapshot_remove("s1") == ERR_NONE);
}

/* RX-29, and "a failed pause leaves it running": whatever step fails, and nothing is left. */
static void every_step_of_lasting_work_can_fail(void)
{
    static const enum runtime_work works[] = {RUNTIME_PAUSE, RUNTIME_SNAPSHOT, RUNTIME_RESUME};
    bool has_memory = rig_can_pause(true);

    if (!rig_can_pause(false))
        return;
    CHECK(rig_start("unlucky") == ERR_NONE);
    if (rig_is_linux()) {
        learn_prefix("unlucky");
        CHECK(rig_stop("unlucky") == ERR_NONE);
        remember_remains();
        CHECK(rig_start("unlucky") == ERR_NONE);
    }
    for (size_t w = 0; w < COUNT_OF(works); w++)
        fail_each_step(works[w], has_memory);
    if (rig_is_linux() && has_memory)
        fail_each_step_of_a_fork();
    CHECK(rig_stop("unlucky") == ERR_NONE);
    if (rig_is_linux())
        check_clean("work that failed");
}

static void refuses_bad_specs(void)
{
    const struct sandbox_limits none = {0};
    const struct sandbox_limits small = {.memory_bytes = 1000};
    static const char *const ids[] = {"", "UPPER", "a/b", "..", "a b"};
    char longest[80];

    for (size_t i = 0; i < COUNT_OF(ids); i++)
        CHECK(rig_start_with(ids[i], &none, "{}") == ERR_INVALID);
    memset(longest, 'a', sizeof(longest));
    longest[64] = '\0';
    CHECK(rig_start_with(longest, &none, "{}") == ERR_INVALID);
    CHECK(rig_start_with("small", &small, "{}") == ERR_INVALID);
    CHECK(runtime_count(rig.runtime) == 0);
}

static void nobody_listens(void)
{
    struct err err = {0};
    int fd = -1;

    CHECK(rig_start("quiet") == ERR_NONE);
    CHECK(runtime_connect(rig.runtime, "quiet", 2, &fd, &err) != 0);
    CHECK(err.kind == ERR_UNAVAILABLE);
    CHECK(runtime_connect(rig.runtime, "quiet", 0, &fd, &err) != 0);
    CHECK(err.kind == ERR_INVALID);
    CHECK(rig_stop("quiet") == ERR_NONE);
}

static void counts(void)
{
    struct sandbox_stats stats = {.pids = 77};
    struct err err = {0};

    CHECK(rig_start("counted") == ERR_NONE);
    CHECK(runtime_stats(rig.runtime, "counted", &stats, &err) == 0);
    CHECK(stats.pids != 77);
    CHECK(rig_stop("counted") == ERR_NONE);
}

static void stops_what_is_still_starting(void)
{
    size_t before = rig.answers;

    rig_begin_start("hasty");
    rig_begin_stop("hasty");
    rig_begin_stop("hasty");
    CHECK(rig_pump(&rig.answers, before + 3, WAIT_MS));
    CHECK(rig_stop("hasty") == ERR_NOT_FOUND);
    CHECK(runtime_count(rig.runtime) == 0);
}

static void starts_many_at_once(void)
{
    size_t before = rig.answers;
    char id[ID_SIZE];

    for (size_t i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "m%zu", i);
        rig_begin_start(id);
    }
    CHECK(rig_pump(&rig.answers, before + MANY, WAIT_MS));
    CHECK(rig_listed() == MANY);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "m%zu", i);
        rig_begin_stop(id);
    }
    CHECK(rig_pump(&rig.answers, before + 2 * (size_t)MANY, WAIT_MS));
    CHECK(runtime_count(rig.runtime) == 0);
}

static void stops_at_the_most(void)
{
    size_t before = rig.answers, most = (size_t)rig.config.sandboxes_max;
    char id[ID_SIZE];

    for (size_t i = 0; i < most; i++) {
        snprintf(id, sizeof(id), "f%zu", i);
        rig_begin_start(id);
    }
    CHECK(rig_start("toomany") == ERR_LIMIT);
    CHECK(rig_pump(&rig.answers, before + most + 1, WAIT_MS));
    CHECK(rig_listed() == most);
    for (size_t i = 0; i < most; i++) {
        snprintf(id, sizeof(id), "f%zu", i);
        CHECK(rig_stop(id) == ERR_NONE);
    }
}

static void says_what_it_uses(void)
{
    const struct runtime_feature *rows;
    size_t count = runtime_features(rig.runtime, &rows);

    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        test_note("%s: %s%s%s", rows[i].name, rows[i].path, rows[i].is_ok ? "" : ": ",
                  rows[i].note);
        CHECK(rows[i].name[0] != '\0' && rows[i].path[0] != '\0');
        CHECK(rows[i].is_ok || rows[i].note[0] != '\0'); /* a problem comes with advice */
    }
}

static void every_step_can_fail(void)
{
    const char *const *names = runtime_step_names(rig.runtime);

    CHECK(names[0] != NULL);
    for (size_t i = 0; names[i] != NULL; i++) {
        runtime_fail_step(rig.runtime, names[i]);
        CHECK(rig_start("unlucky") != ERR_NONE);
        CHECK(strstr(rig.err.text, names[i]) != NULL);
        CHECK(runtime_count(rig.runtime) == 0);
    }
    runtime_fail_step(rig.runtime, "");
    CHECK(rig_start("unlucky") == ERR_NONE);
    CHECK(rig_stop("unlucky") == ERR_NONE);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"opens",                                 opens                               },
        {"starts and stops",                      starts_and_stops                    },
        {"an id can be used again at once",       an_id_can_be_used_again_at_once     },
        {"refuses a second of the same id",       refuses_a_second_of_the_same_id     },
        {"does not know other ids",               does_not_know_other_ids             },
        {"resumes, or says that it cannot",       resumes_or_says_that_it_cannot      },
        {"pauses and resumes with memory",        pauses_with_memory                  },
        {"pauses and resumes files alone",        pauses_files_alone                  },
        {"stops what is paused",                  stops_what_is_paused                },
        {"stops what is being paused",            stops_what_is_being_paused          },
        {"another process finds what is paused",  another_process_finds_what_is_paused},
        {"starts from snapshots with memory",     snapshots_with_memory               },
        {"starts from snapshots of files alone",  snapshots_of_files_alone            },
        {"what is asked while it is saved waits", what_is_asked_meanwhile_waits       },
        {"every step of lasting work can fail",   every_step_of_lasting_work_can_fail },
        {"refuses bad specs",                     refuses_bad_specs                   },
        {"connecting: nobody listens",            nobody_listens                      },
        {"statistics",                            counts                              },
        {"stops what is still starting",          stops_what_is_still_starting        },
        {"starts many at once",                   starts_many_at_once                 },
        {"no more than the most",                 stops_at_the_most                   },
        {"says what it uses",                     says_what_it_uses                   },
        {"every step can fail",                   every_step_can_fail                 },
        {"closes",                                rig_close                           },
    };
    int result;

    rig_may_use_envd = true;
    if (!rig_configure(argc, argv)) {
        fprintf(stderr, "usage: runtime_contract linux|fake [key=value …]\n");
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
