/* SPDX-License-Identifier: Apache-2.0 */
/* Reads kernel files for metrics.c and process.c. */
#include "envd/kernel.h"

#include <fcntl.h>

#include "base/own.h"

struct str kernel_text(const char *path, char out[KERNEL_TEXT_MAX])
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, out, KERNEL_TEXT_MAX);

    return (struct str){out, got > 0 ? (size_t)got : 0};
}

bool kernel_labelled(struct str text, const char *label, uint64_t *out)
{
    while (text.len > 0) {
        struct str line = str_cut(text, '\n', &text), rest;

        if (!str_has_prefix(line, label))
            continue;
        line = str_trim(str_from(line, strlen(label)));
        return str_to_u64(str_cut(line, ' ', &rest), out);
    }
    return false;
}

bool kernel_number(const char *path, uint64_t *out)
{
    char text[KERNEL_TEXT_MAX];
    struct str rest;

    return str_to_u64(str_cut(kernel_text(path, text), '\n', &rest), out);
}

bool kernel_oom_kills(uint64_t *out)
{
    static const char *const paths[] = {"/sys/fs/cgroup/memory.oom_control",
                                        "/sys/fs/cgroup/memory.events"};
    char text[KERNEL_TEXT_MAX];

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (kernel_labelled(kernel_text(paths[i], text), "oom_kill ", out))
            return true;
    }
    return false;
}
