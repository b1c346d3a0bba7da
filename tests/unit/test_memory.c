/* SPDX-License-Identifier: Apache-2.0 */
/* envd/memory: what is allocated keeps its bytes and its neighbours theirs, and what is freed is
 * the kernel's again. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "envd/memory.h"
#include "test.h"

enum {
    SLOTS = 2000,
    ROUNDS = 300000,
    LARGE = 3 << 20,
#ifdef __SANITIZE_ADDRESS__
    GROWTH_MAX_KB = 64 << 10, /* its notes about the memory count, and stay */
#else
    GROWTH_MAX_KB = 2 << 10,
#endif
};

struct slot {
    unsigned char *at;
    size_t size;
    unsigned char mark;
};

static uint32_t next_random(void)
{
    static uint32_t state = 2463534242;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* Mostly small, as envd's are, and all the borders now and then. */
static size_t some_size(void)
{
    uint32_t r = next_random();

    switch (r % 16) {
    case 0: return next_random() % LARGE;
    case 1: return MEMORY_BLOCK_MAX - 40 + next_random() % 80;
    case 2:
    case 3: return next_random() % MEMORY_BLOCK_MAX;
    default: return next_random() % (1u << r / 16 % 12);
    }
}

static void fill(struct slot *s)
{
    s->mark = (unsigned char)next_random();
    if (s->size <= 4096) {
        memset(s->at, s->mark, s->size);
        return;
    }
    memset(s->at, s->mark, 2048); /* a large one by its ends, to be quick */
    memset(s->at + s->size - 2048, s->mark, 2048);
}

static bool is_whole(const struct slot *s, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (i == 2048 && s->size > 4096 && size > 2048)
            i = s->size - 2048; /* what lies between was not written */
        if (i < size && s->at[i] != s->mark)
            return false;
    }
    return true;
}

static bool change(struct slot *s)
{
    size_t size = some_size();
    bool good = is_whole(s, s->size);

    if (s->at != NULL && next_random() % 3 == 0) {
        memory_free(s->at);
        *s = (struct slot){0};
        return good;
    }
    s->at = memory_resize(s->at, size);
    if (s->at == NULL || (uintptr_t)s->at % 16 != 0)
        return false;
    good = good && is_whole(s, size < s->size && size < 2048 ? size : 0);
    if (s->size > 0 && s->size <= 4096 && size > s->size)
        good = good && is_whole(s, s->size);
    s->size = size;
    fill(s);
    return good;
}

static size_t resident_kb(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    CHECK(f != NULL && fscanf(f, "%lu %lu", &pages, &resident) == 2);
    fclose(f);
    return resident * 4;
}

static void bytes_stay(void)
{
    static struct slot slots[SLOTS];
    size_t before = resident_kb();

    for (size_t i = 0; i < ROUNDS; i++)
        CHECK(change(&slots[next_random() % SLOTS]));
    for (size_t i = 0; i < SLOTS; i++) {
        CHECK(is_whole(&slots[i], slots[i].size));
        memory_free(slots[i].at);
    }
    test_note("%zu KB more than before", resident_kb() - before);
    CHECK(resident_kb() < before + GROWTH_MAX_KB);
}

static void peaks_are_given_back(void)
{
    static void *at[100000];
    size_t before = resident_kb();

    for (size_t size = 16; size < MEMORY_BLOCK_MAX; size *= 3) {
        size_t count = (16u << 20) / size < COUNT_OF(at) ? (16u << 20) / size : COUNT_OF(at);

        for (size_t i = 0; i < count; i++) {
            at[i] = memory_get(size);
            CHECK(at[i] != NULL);
            memset(at[i], 1, size);
        }
        for (size_t i = 0; i < count; i++)
            memory_free(at[(i * 7919) % count]);
        CHECK(resident_kb() < before + 2048);
    }
}

static void sizes_at_their_limits(void)
{
    void *a = memory_get(0), *b = memory_get(0);

    CHECK(a != NULL && b != NULL && a != b);
    a = memory_resize(a, 100);
    CHECK(a != NULL);
    CHECK(memory_get(SIZE_MAX) == NULL && memory_get(SIZE_MAX - 16) == NULL);
    CHECK(memory_get(PTRDIFF_MAX) == NULL);
    CHECK(memory_resize(a, SIZE_MAX) == NULL);
    memset(a, 7, 100);
    memory_free(a); /* what could not grow is as it was */
    memory_free(b);
    memory_free(NULL);
}

static void freed_twice_is_noticed(void)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        void *at = memory_get(50);

        signal(SIGABRT, SIG_DFL);
        ignore(close(STDERR_FILENO)); /* what assert() says is expected */
        memory_free(at);
        memory_free(at);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"bytes stay",             bytes_stay            },
        {"peaks are given back",   peaks_are_given_back  },
        {"sizes at their limits",  sizes_at_their_limits },
        {"freed twice is noticed", freed_twice_is_noticed},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
