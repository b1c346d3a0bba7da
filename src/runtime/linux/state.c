/* SPDX-License-Identifier: Apache-2.0 */
/* See state.h. Written in one write(2) when a launch is complete: a file that is not whole belongs
 * to a launch that nobody was told of. */
#include "runtime/linux/state.h"

#include <fcntl.h>
#include <stdio.h>

#include "runtime/linux/driver_internal.h"
#include "runtime/linux/files.h"

static const char end_mark[] = "end 1\n";

size_t state_format(const struct state *s, char out[STATE_SIZE])
{
    int len = snprintf(
        out, STATE_SIZE,
        "pid %llu\nstart_time %llu\nslot %llu\nuid %llu\ndir %s\ncgroup %s\n"
        "memory_bytes %llu\ncpu_percent %u\npids_max %u\ndisk_bytes %llu\n"
        "below_bytes %llu\nrootfs %s\nenvd %s\nboot_id %s\n%s",
        (unsigned long long)s->pid, (unsigned long long)s->start_time, (unsigned long long)s->slot,
        (unsigned long long)s->uid, s->dir, s->cgroup, (unsigned long long)s->limits.memory_bytes,
        s->limits.cpu_percent, s->limits.pids_max, (unsigned long long)s->limits.disk_bytes,
        (unsigned long long)s->below_bytes, s->rootfs, s->envd, s->boot_id, end_mark);

    return (size_t)len;
}

static bool text_value(struct str text, const char *key, char *out, size_t size)
{
    while (text.len > 0) {
        struct str value, line = str_cut(text, '\n', &text);

        if (str_is(str_cut(line, ' ', &value), key))
            return value.len > 0 && str_to_c(value, out, size);
    }
    return false;
}

static bool text_word(struct str text, const char *key, char *out, size_t size)
{
    return text_value(text, key, out, size) && strchr(out, '/') == NULL;
}

int state_parse(struct str text, struct state *out, struct err *err)
{
    struct state s = {0};
    uint64_t cpu = 0, pids = 0;

    if (!str_has_suffix(text, end_mark))
        return err_set(err, ERR_INVALID, "state file is not whole");
    if (!text_field(text, "pid", &s.pid) || !text_field(text, "start_time", &s.start_time) ||
        !text_field(text, "slot", &s.slot) || !text_field(text, "uid", &s.uid) ||
        !text_word(text, "dir", s.dir, sizeof(s.dir)) ||
        !text_word(text, "cgroup", s.cgroup, sizeof(s.cgroup)) ||
        !text_field(text, "memory_bytes", &s.limits.memory_bytes) ||
        !text_field(text, "cpu_percent", &cpu) || !text_field(text, "pids_max", &pids) ||
        !text_field(text, "disk_bytes", &s.limits.disk_bytes) || s.pid == 0 || s.pid > INT32_MAX ||
        cpu > UINT32_MAX || pids > UINT32_MAX)
        return err_set(err, ERR_INVALID, "state file does not make sense");
    if (!text_value(text, "rootfs", s.rootfs, sizeof(s.rootfs)) ||
        !text_value(text, "envd", s.envd, sizeof(s.envd)) ||
        !text_field(text, "below_bytes", &s.below_bytes))
        s.rootfs[0] = s.envd[0] = '\0';
    if (!text_word(text, "boot_id", s.boot_id, sizeof(s.boot_id)))
        s.boot_id[0] = '\0';
    s.limits.cpu_percent = (uint32_t)cpu;
    s.limits.pids_max = (uint32_t)pids;
    *out = s;
    return 0;
}

int state_write(struct guest *s, struct err *err)
{
    struct state state = {.pid = (uint64_t)s->pid,
                          .start_time = s->start_time,
                          .slot = slot_index(&s->driver->slots, s->slot),
                          .uid = s->slot->uid,
                          .limits = s->limits,
                          .below_bytes = s->disk.below};
    char text[STATE_SIZE];
    size_t len;

    ignore(snprintf(state.dir, sizeof(state.dir), "%s", s->dir));
    ignore(snprintf(state.cgroup, sizeof(state.cgroup), "%s", s->cell.cgroup));
    ignore(snprintf(state.rootfs, sizeof(state.rootfs), "%s", s->rootfs));
    memcpy(state.boot_id, s->boot_id, sizeof(state.boot_id));
    ignore(snprintf(state.envd, sizeof(state.envd), "%s", s->envd));
    len = state_format(&state, text);
    if (file_create(s->driver->state_fd, s->id, (struct str){text, len}, err) != 0)
        return -1;
    s->has_state = true;
    return 0;
}

/* Once: the reaper comes after the id may be in use again. */
void state_remove(struct guest *s)
{
    if (s->has_state)
        ignore(unlinkat(s->driver->state_fd, s->id, 0)); /* gone already is fine */
    s->has_state = false;
}
