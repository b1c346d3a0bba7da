/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-alone, deterministic driver for fuzz targets, so that `meson test` can run them with any
 * compiler. It replays the corpus, then mutates it for a bounded number of rounds; TAP out.
 *
 *   fuzz_x CORPUS_DIR [ITERATIONS [SECONDS [SEED]]]
 *   fuzz_x FILE                   run this input once; FILE - reads hex digits from stdin
 *
 * An input that crashes, fails an assertion or hangs is printed in hex as a "# input" line:
 * `echo 7b22… | fuzz_x -` runs it again. With clang and -Dfuzzer=true libFuzzer takes its place. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/own.h"

enum {
    SEEDS_MAX = 1024,
    INPUT_MAX = 16 << 10,
    ROUND_DEFAULT = 20000,
    SECONDS_DEFAULT = 3,
    HANG_SECONDS = 10, /* one input may not take longer */
    STACK_MAX = 6,     /* mutations on top of each other */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* The sanitizers' hook, when there is one. */
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

struct seed {
    uint8_t *at;
    size_t len;
};

/* What the death callback needs; the one place where a global cannot be avoided. */
static struct {
    const uint8_t *at;
    size_t len;
    bool is_dying;
} current;

static void put_text(const char *text)
{
    ignore(write(STDOUT_FILENO, text, strlen(text)));
}

/* Async-signal-safe: runs while the process dies. */
static void print_input(void)
{
    static const char digits[] = "0123456789abcdef";
    char line[128];
    size_t used = 0;

    if (current.at == NULL || current.is_dying)
        return;
    current.is_dying = true;
    put_text("\n# input ");
    for (size_t i = 0; i < current.len; i++) {
        line[used++] = digits[current.at[i] >> 4];
        line[used++] = digits[current.at[i] & 15];
        if (used == sizeof(line)) {
            ignore(write(STDOUT_FILENO, line, used));
            used = 0;
        }
    }
    ignore(write(STDOUT_FILENO, line, used));
    put_text("\nBail out! the input above crashed the target\n");
}

static void on_signal(int number)
{
    print_input();
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_for_death(void)
{
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(print_input);
        return;
    }
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
    signal(SIGILL, on_signal);
}

/* A copy of exactly its size, so that ASan sees the first byte read behind it. */
static void run_one(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    if (copy == NULL)
        abort();
    memcpy(copy, data, len);
    current.at = copy;
    current.len = len;
    alarm(HANG_SECONDS);
    LLVMFuzzerTestOneInput(copy, len);
    alarm(0);
    current.at = NULL;
    free(copy);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dull;
}

static size_t below(uint64_t *state, size_t bound)
{
    return bound == 0 ? 0 : (size_t)((next_random(state) >> 11) % bound);
}

static void change_byte(uint8_t *at, size_t len, uint64_t *random)
{
    static const uint8_t special[] = {0,   1,   9,   10,  13,  ' ',  '"',  '\\', '{',
                                      '}', '[', ']', ':', ',', 0x7f, 0x80, 0xc0, 0xff};
    size_t place = below(random, len);

    switch (below(random, 4)) {
    case 0: at[place] ^= (uint8_t)(1 << below(random, 8)); break;
    case 1: at[place] = (uint8_t)next_random(random); break;
    case 2: at[place] = special[below(random, sizeof(special))]; break;
    default: at[place] = (uint8_t)(at[place] + (below(random, 2) == 0 ? 1 : 255)); break;
    }
}

static size_t remove_part(uint8_t *at, size_t len, uint64_t *random)
{
    size_t from = below(random, len);
    size_t count = 1 + below(random, below(random, 4) == 0 ? len - from : 4);

    if (count > len - from)
        count = len - from;
    memmove(at + from, at + from + count, len - from - count);
    return len - count;
}

static size_t insert_part(uint8_t *at, size_t len, const uint8_t *part, size_t count,
                          uint64_t *random)
{
    size_t place = below(random, len + 1);

    if (count > INPUT_MAX - len)
        return len;
    memmove(at + place + count, at + place, len - place);
    memcpy(at + place, part, count);
    return len + count;
}

/* A piece of another seed, of this input itself, or a run of one byte. */
static size_t insert_some(uint8_t *at, size_t len, const struct seed *other, uint64_t *random)
{
    uint8_t part[256];
    struct seed from = below(random, 2) == 0 ? *other : (struct seed){at, len};
    size_t start = below(random, from.len);
    size_t count = 1 + below(random, below(random, 3) == 0 ? sizeof(part) : 16);

    if (from.len == 0 || below(random, 4) == 0) {
        memset(part, (int)below(random, 256), count);
        return insert_part(at, len, part, count, random);
    }
    if (count > from.len - start)
        count = from.len - start;
    memcpy(part, from.at + start, count);
    return insert_part(at, len, part, count, random);
}

static size_t mutate(uint8_t *at, size_t len, const struct seed *other, uint64_t *random)
{
    for (size_t i = 1 + below(random, STACK_MAX); i > 0; i--) {
        size_t kind = below(random, 8);

        if (len == 0 || kind >= 5)
            len = insert_some(at, len, other, random);
        else if (kind >= 3)
            len = remove_part(at, len, random);
        else
            change_byte(at, len, random);
    }
    return len;
}

static int load_file(const char *path, struct seed *out)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    auto_free uint8_t *data = malloc(INPUT_MAX);
    ssize_t len;

    if (fd < 0 || data == NULL)
        return -1;
    len = read(fd, data, INPUT_MAX);
    if (len < 0)
        return -1;
    out->len = (size_t)len;
    out->at = take_ptr(&data);
    return 0;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In the order of their names: the same corpus gives the same run everywhere. */
static size_t load_corpus(const char *path, struct seed *seeds)
{
    struct dirent **names = NULL;
    int found = scandir(path, &names, visible, alphasort);
    size_t count = 0;

    for (int i = 0; i < found; i++) {
        char file[4096];
        int len = snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);

        if (count < SEEDS_MAX && len > 0 && (size_t)len < sizeof(file) &&
            load_file(file, &seeds[count]) == 0)
            count++;
        free(names[i]);
    }
    free(names);
    return count;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct plan {
    uint64_t rounds, seconds, seed;
};

static uint64_t run_mutations(const struct seed *seeds, size_t count, const struct plan *plan)
{
    static uint8_t work[INPUT_MAX];
    uint64_t random = 0x9e3779b97f4a7c15ull ^ plan->seed;
    uint64_t end = now_ms() + plan->seconds * 1000;
    uint64_t done = 0;

    for (; done < plan->rounds && now_ms() < end; done++) {
        const struct seed *from = &seeds[below(&random, count)];
        const struct seed *other = &seeds[below(&random, count)];

        memcpy(work, from->at, from->len);
        run_one(work, mutate(work, from->len, other, &random));
    }
    return done;
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static int run_hex(void)
{
    static uint8_t data[INPUT_MAX];
    size_t len = 0;
    int high, low;

    while (len < sizeof(data) && (high = hex_digit(getchar())) >= 0 &&
           (low = hex_digit(getchar())) >= 0)
        data[len++] = (uint8_t)(high << 4 | low);
    run_one(data, len);
    return 0;
}

static int run_file(const char *path)
{
    struct seed input;

    if (load_file(path, &input) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 2;
    }
    run_one(input.at, input.len);
    free(input.at);
    return 0;
}

static int run_corpus(const char *path, const struct plan *plan)
{
    static struct seed seeds[SEEDS_MAX];
    size_t count = load_corpus(path, seeds);
    uint64_t done;

    printf("1..2\n");
    fflush(stdout);
    for (size_t i = 0; i < count; i++)
        run_one(seeds[i].at, seeds[i].len);
    run_one((const uint8_t *)"", 0);
    printf("%s 1 - corpus of %zu inputs\n", count == 0 ? "not ok" : "ok", count);
    fflush(stdout);
    if (count == 0)
        return 1;
    done = run_mutations(seeds, count, plan);
    printf("ok 2 - %llu mutations, seed %llu\n", (unsigned long long)done,
           (unsigned long long)plan->seed);
    for (size_t i = 0; i < count; i++)
        free(seeds[i].at);
    return 0;
}

int main(int argc, char **argv)
{
    struct plan plan = {ROUND_DEFAULT, SECONDS_DEFAULT, 1};
    struct stat st;

    if (argc < 2) {
        fprintf(stderr, "usage: %s CORPUS_DIR [ITERATIONS [SECONDS [SEED]]] | FILE | -\n", argv[0]);
        return 2;
    }
    watch_for_death();
    if (strcmp(argv[1], "-") == 0)
        return run_hex();
    if (stat(argv[1], &st) == 0 && !S_ISDIR(st.st_mode))
        return run_file(argv[1]);
    if (argc > 2)
        plan.rounds = strtoull(argv[2], NULL, 10);
    if (argc > 3)
        plan.seconds = strtoull(argv[3], NULL, 10);
    if (argc > 4)
        plan.seed = strtoull(argv[4], NULL, 10);
    return run_corpus(argv[1], &plan);
}
