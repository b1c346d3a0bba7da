/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz runtime: files that a crash may have cut or a host writes in its own way: what is remembered
 * of a running sandbox, of a kept one, and mountinfo. The first byte chooses. */
#include <assert.h>

#include "runtime/linux/kept.h"
#include "runtime/linux/mountinfo.h"
#include "runtime/linux/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void state(struct str in)
{
    struct state s = {0}, again = {0};
    char first[STATE_SIZE], second[STATE_SIZE];
    struct err err = {0};

    if (state_parse(in, &s, &err) != 0)
        return;
    assert(state_format(&s, first) < STATE_SIZE);
    assert(state_parse(str_of(first), &again, &err) == 0);
    state_format(&again, second);
    assert(strcmp(first, second) == 0);
}

static void kept(struct str in)
{
    struct err err = {0};
    struct kept k;

    if (kept_parse(in, &k, &err) != 0)
        return;
    assert(k.id[0] != '\0' && k.rootfs != NULL && strlen(k.id) < KEPT_ID_SIZE);
    kept_done(&k);
}

static void mounts(struct str in)
{
    char *text = mem_zero(in.len + 1), *rest = text;
    struct mountinfo m;

    memcpy(text, in.at, in.len);
    while (mountinfo_next(&rest, &m)) {
        const char *end = text + in.len;

        assert(m.root.at >= text && m.root.at + m.root.len <= end);
        assert(m.point.at >= text && m.point.at + m.point.len <= end);
        assert(m.type.at + m.type.len <= end && m.options.at + m.options.len <= end);
        mountinfo_has(&m, STR("cpu"));
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data + 1, size - 1};

    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0: state(in); break;
    case 1: kept(in); break;
    default: mounts(in); break;
    }
    return 0;
}
