/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files: whatever is in them, the struct afterwards holds only legal values. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/config.h"

struct settings {
    const char *listen;
    bool is_quiet;
    uint64_t max;
    const char *overlay;
};

static const struct config_key keys[] = {
    {"listen",                  CONFIG_TEXT,              offsetof(struct settings, listen), ":3000",                 .help = "address" },
    {     "quiet",              CONFIG_BOOL, offsetof(struct settings,                is_quiet), "false",      .help = "say less"                  },
    { "max", CONFIG_NUMBER,                     offsetof(struct settings,                    max),       "100",                    1, 5000, .help = "how many"},
    {     "overlay",            CONFIG_CHOICE, offsetof(struct settings,                 overlay),  "auto", .choices = "auto|v1|v2",
     .help = "which"},
};

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct settings *s)
{
    expect(s->listen != NULL);
    expect(s->max >= 1 && s->max <= 5000);
    expect(strcmp(s->overlay, "auto") == 0 || strcmp(s->overlay, "v1") == 0 ||
           strcmp(s->overlay, "v2") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_table table = {keys, COUNT_OF(keys)};
    struct settings s = {0};
    struct err err = {0};
    char path[40];
    auto_fd int fd = memfd_create("config", MFD_CLOEXEC);

    expect(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    ignore(snprintf(path, sizeof(path), "/proc/self/fd/%d", fd));
    expect(config_defaults(&table, &s, &err) == 0);
    if (config_file(&table, &s, path, &err) != 0)
        expect(err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
    check(&s);
    return 0;
}
