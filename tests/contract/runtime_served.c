/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes launched ahead in which the image's service runs: runtime_served linux [key=value …].
 * Who claims one finds it running, under its own limits and name, and whatever becomes of services
 * on the way, a start gets a sandbox that has one. Needs root. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime_fixture.h"
#include "runtime_remains.h"
#include "test.h"

enum {
    SIZE = 3,
    SETTLE_MS = 20000,
    WATCH_MS = 3000,
    LOSSES_MAX = 3, /* warm_service.c */
    PATH_SIZE = 300,
};

/* Its process is found by its argument. What the sandbox is called tells when it was started. */
static const char lasting[] = "#!/bin/sh\\nhostname >> /begun\\necho $$ > /pid\\necho up\\n"
                              "exec sleep 9876543\\n";
static const char brief[] = "#!/bin/sh\\necho up\\nsleep 0.2\\nexit 1\\n";
static const char once[] = "#!/bin/sh\\nhostname >> /begun\\n";

static struct runtime_ahead ahead(void)
{
    struct runtime_ahead now;

    runtime_ahead(rig.runtime, &now);
    return now;
}

static bool is_full(void)
{
    return ahead().ready == SIZE;
}

static bool one_serves(void)
{
    return is_full() && ahead().serving >= 1;
}

static bool all_serve(void)
{
    return is_full() && ahead().serving == SIZE;
}

static bool says(const char *id, const char *command, const char *expected)
{
    const char *text = rig_sh(id, command);

    if (strcmp(text, expected) == 0)
        return true;
    test_note("%s: '%s', not '%s'", command, text, expected);
    return false;
}

/* A snapshot with this service, in a runtime that knows of nothing else. */
static void make_image(const char *name, const char *service)
{
    char command[1024];

    CHECK(rig_start("source") == ERR_NONE);
    snprintf(command, sizeof(command),
             "mkdir /etc/sandlot; printf '%s' > /etc/sandlot/start; chmod +x /etc/sandlot/start",
             service);
    rig_sh("source", command);
    CHECK(rig_snapshot("source", name, false) == ERR_NONE);
    CHECK(rig_stop("source") == ERR_NONE);
    rig_close();
    rig_open();
}

static void remove_image(const char *name)
{
    CHECK(rig_snapshot_remove(name) == ERR_NONE);
    rig_close();
    rig_open();
    check_clean(name);
}

/* The services' processes, each of which gets the signal (0: none). */
static size_t each_service(int signal)
{
    static const char argument[] = "sleep\0009876543";
    DIR *dir = opendir("/proc");
    struct dirent *e;
    size_t count = 0;

    CHECK(dir != NULL);
    while ((e = readdir(dir)) != NULL) {
        char path[PATH_SIZE], text[sizeof(argument)] = "";
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
        f = fopen(path, "r");
        if (f == NULL)
            continue;
        if (fread(text, 1, sizeof(text), f) == sizeof(text) &&
            memcmp(text, argument, sizeof(text)) == 0) {
            count++;
            if (signal != 0)
                CHECK(kill((pid_t)strtol(e->d_name, NULL, 10), signal) == 0);
        }
        fclose(f);
    }
    closedir(dir);
    return count;
}

static void opens(void)
{
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    rig_dirs_make();
    rig_open();
    CHECK(rig_start("first") == ERR_NONE);
    learn_prefix("first");
    CHECK(rig_stop("first") == ERR_NONE);
    CHECK(rig_until(is_full, SETTLE_MS));
    remember_remains();
}

static void it_runs_when_claimed(void)
{
    uint64_t claimed;

    make_image("image", lasting);
    CHECK(rig_start_from("cold", "image") == ERR_NONE);
    CHECK(says("cold", "cat /begun", "inside\n")); /* nothing was ahead */
    CHECK(rig_stop("cold") == ERR_NONE);
    CHECK(rig_until(one_serves, SETTLE_MS));
    claimed = ahead().claimed;
    CHECK(rig_start_from("box", "image") == ERR_NONE);
    test_note("claimed in %llu us", (unsigned long long)rig.took_us);
    CHECK(ahead().claimed == claimed + 1);
    CHECK(says("box", "cat /begun; hostname", "localhost\ninside\n")); /* once, and before */
    CHECK(says("box", "kill -0 $(cat /pid) && echo runs", "runs\n"));
    CHECK(says("box", "awk '/Max file size/ {print $4, $5}' /proc/$(cat /pid)/limits",
               "67108864 67108864\n"));
    CHECK(says("box", "cat /proc/1/oom_score_adj", "50\n"));
    if (rig_has("memory limit"))
        CHECK(says("box", "head -c 67108864 /dev/zero > /dev/shm/a; stat -c %s /dev/shm/a",
                   "67108864\n"));
    CHECK(rig_stop("box") == ERR_NONE);
}

/* All of them, once it is known what one takes; each is a sandbox of its own. */
static void each_is_its_own(void)
{
    static const char *const ids[] = {"a", "b", "c"};

    if (!rig_has("memory limit"))
        test_skip("nobody can tell what one takes");
    CHECK(rig_until(all_serve, SETTLE_MS));
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        CHECK(rig_start_from(ids[i], "image") == ERR_NONE);
        CHECK(says(ids[i], "cat /begun; ls /mine 2>/dev/null; touch /mine", "localhost\n"));
    }
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        CHECK(rig_stop(ids[i]) == ERR_NONE);
}

/* Its processes have the limits they began with, so they are for nobody else. */
static void other_limits_are_launched(void)
{
    const struct sandbox_limits little = {128 << 20, 100, 50, 8 << 20};

    CHECK(rig_until(one_serves, SETTLE_MS));
    CHECK(rig_start_from_with("little", "image", &little) == ERR_NONE);
    CHECK(says("little", "cat /begun", "inside\n"));
    CHECK(says("little", "awk '/Max file size/ {print $4, $5}' /proc/$(cat /pid)/limits",
               "8388608 8388608\n"));
    CHECK(rig_until(one_serves, SETTLE_MS)); /* under these, then */
    CHECK(rig_stop("little") == ERR_NONE);
    CHECK(rig_start_from_with("little", "image", &little) == ERR_NONE);
    CHECK(says("little", "cat /begun", "localhost\n"));
    CHECK(rig_stop("little") == ERR_NONE);
}

/* Whose service is gone is not given to anybody. */
static void the_lost_are_replaced(void)
{
    uint64_t spoiled;
    size_t never = 0;

    CHECK(rig_start_from("one", "image") == ERR_NONE && rig_stop("one") == ERR_NONE);
    CHECK(rig_until(one_serves, SETTLE_MS));
    CHECK(!rig_pump(&never, 1, WATCH_MS + 500)); /* they have lasted for a while */
    spoiled = ahead().spoiled;
    CHECK(each_service(SIGKILL) >= 1);
    for (size_t i = 0; i < 1000 && each_service(0) > 0; i++)
        usleep(1000);
    usleep(50000); /* the runtime has not looked since: this is asked of it first */
    CHECK(rig_start_from("box", "image") == ERR_NONE);
    CHECK(says("box", "kill -0 $(cat /pid) && echo runs", "runs\n"));
    CHECK(rig_stop("box") == ERR_NONE);
    CHECK(rig_until(one_serves, SETTLE_MS));
    CHECK(ahead().spoiled > spoiled);
    CHECK(rig_start_from("box", "image") == ERR_NONE);
    CHECK(says("box", "cat /begun; kill -0 $(cat /pid) && echo runs", "localhost\nruns\n"));
    CHECK(rig_stop("box") == ERR_NONE);
}

static void a_claim_that_fails_is_launched(void)
{
    const char *const *names = runtime_claim_step_names(rig.runtime);

    for (size_t i = 0; names[i] != NULL; i++) {
        CHECK(rig_until(one_serves, SETTLE_MS));
        runtime_fail_step(rig.runtime, names[i]);
        CHECK(rig_start_from("lucky", "image") == ERR_NONE);
        runtime_fail_step(rig.runtime, "");
        CHECK(says("lucky", "cat /begun; kill -0 $(cat /pid) && echo runs", "inside\nruns\n"));
        CHECK(rig_stop("lucky") == ERR_NONE);
    }
}

static bool no_service_is_left(void)
{
    return each_service(0) == 0;
}

static void they_go_with_the_image(void)
{
    CHECK(rig_until(one_serves, SETTLE_MS));
    CHECK(rig_snapshot_remove("image") == ERR_NONE);
    CHECK(rig_until(no_service_is_left, SETTLE_MS));
    rig_close();
    rig_open();
    check_clean("image");
}

/* It is not tried for ever. */
static void one_that_does_not_last_is_left_alone(void)
{
    size_t never = 0;
    uint64_t spoiled;

    make_image("image", brief);
    CHECK(rig_start_from("one", "image") == ERR_NONE && rig_stop("one") == ERR_NONE);
    CHECK(!rig_pump(&never, 1, 2 * WATCH_MS));
    spoiled = ahead().spoiled;
    CHECK(spoiled == LOSSES_MAX);
    CHECK(!rig_pump(&never, 1, WATCH_MS));
    CHECK(ahead().spoiled == spoiled && is_full() && ahead().serving == 0);
    CHECK(rig_start_from("two", "image") == ERR_NONE && rig_stop("two") == ERR_NONE);
    remove_image("image");
}

/* What a service does that ends at once is done. */
static void one_that_ends_is_done(void)
{
    make_image("image", once);
    CHECK(rig_start_from("one", "image") == ERR_NONE && rig_stop("one") == ERR_NONE);
    CHECK(rig_until(one_serves, SETTLE_MS));
    CHECK(rig_start_from("two", "image") == ERR_NONE);
    CHECK(says("two", "cat /begun", "localhost\n"));
    CHECK(rig_stop("two") == ERR_NONE);
    remove_image("image");
}

static void without_memory_none_serves(void)
{
    size_t never = 0;
    uint64_t bytes = rig.config.warm_service_bytes;

    rig_close();
    rig.config.warm_service_bytes = 0;
    rig_open();
    make_image("image", lasting);
    CHECK(rig_start_from("one", "image") == ERR_NONE && rig_stop("one") == ERR_NONE);
    CHECK(rig_until(is_full, SETTLE_MS));
    CHECK(!rig_pump(&never, 1, WATCH_MS));
    CHECK(is_full() && ahead().serving == 0 && each_service(0) == 0);
    CHECK(rig_start_from("two", "image") == ERR_NONE);
    CHECK(says("two", "cat /begun; kill -0 $(cat /pid) && echo runs", "inside\nruns\n"));
    CHECK(rig_stop("two") == ERR_NONE);
    rig.config.warm_service_bytes = bytes;
    remove_image("image");
}

static void closes(void)
{
    rig_close();
    CHECK(remains_groups() == 0);
    CHECK(remains_children() == 0);
    CHECK(each_service(0) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"opens",                                opens                               },
        {"it runs when claimed",                 it_runs_when_claimed                },
        {"each is its own",                      each_is_its_own                     },
        {"other limits are launched",            other_limits_are_launched           },
        {"the lost are replaced",                the_lost_are_replaced               },
        {"a claim that fails is launched",       a_claim_that_fails_is_launched      },
        {"they go with the image",               they_go_with_the_image              },
        {"one that does not last is left alone", one_that_does_not_last_is_left_alone},
        {"one that ends is done",                one_that_ends_is_done               },
        {"without memory none serves",           without_memory_none_serves          },
        {"closes",                               closes                              },
    };
    int result;

    if (!rig_configure(argc, argv)) {
        fprintf(stderr, "usage: runtime_served linux [key=value …]\n");
        return 2;
    }
    if (rig_reason_to_skip() != NULL) {
        printf("1..0 # SKIP %s\n", rig_reason_to_skip());
        return 0;
    }
    rig.config.warm_size = SIZE;
    result = test_main(tests, COUNT_OF(tests), 1, argv);
    rig_dirs_remove();
    return result;
}
