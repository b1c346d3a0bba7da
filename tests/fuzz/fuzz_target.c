/* SPDX-License-Identifier: Apache-2.0 */
/* Routing by head. Input: lines of host, sandbox id, port, path, query; what comes out must be a
 * well-formed target, and a path that leads to a private name must be found out. */
#include <assert.h>

#include "edge/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct target *t, const struct http_head *h)
{
    if (t->kind == TARGET_BAD) {
        assert(t->why != NULL);
        return;
    }
    if (t->kind != TARGET_SANDBOX)
        return;
    assert(t->id_len > 0 && t->id_len <= TARGET_ID_MAX && t->id[t->id_len] == '\0' && t->port > 0);
    assert(t->prefix_len <= h->path.len);
    assert(t->prefix_len == 0 || t->prefix_len == h->path.len || h->path.at[t->prefix_len] == '/');
    for (size_t i = 0; i < t->id_len; i++)
        assert((t->id[i] >= 'a' && t->id[i] <= 'z') || (t->id[i] >= '0' && t->id[i] <= '9'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head h;
    static const struct target_rule rules[] = {
        {STR(""),        false, TARGET_ANY         },
        {STR(""),        true,  TARGET_ANY         },
        {STR("box.lan"), false, TARGET_ANY         },
        {STR("box.lan"), true,  TARGET_DATA_ONLY   },
        {STR("box.lan"), true,  TARGET_CONTROL_ONLY},
    };
    struct str rest = {(const char *)data, size};
    struct target t;
    char path[512];
    size_t used = 0;

    h = (struct http_head){0};
    h.host = str_cut(rest, '\n', &rest);
    h.fields[0] = (struct http_field){STR("E2b-Sandbox-Id"), str_cut(rest, '\n', &rest)};
    h.fields[1] = (struct http_field){STR("E2b-Sandbox-Port"), str_cut(rest, '\n', &rest)};
    h.path = str_cut(rest, '\n', &rest);
    h.query = rest;
    h.field_count = 2;
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        h.field_count = i % 2 == 0 ? 2 : 0;
        target_of(&h, &rules[i], &t);
        check(&t, &h);
    }

    ignore(target_is_private(ENVD_PORT, h.path));
    /* anything above the root changes nothing */
    for (size_t i = 0; i < h.path.len && used < sizeof path - 16; i++) {
        if (h.path.at[i] != '%')
            path[used++] = h.path.at[i];
    }
    memcpy(path + used, "/../../init", 11);
    if (memchr(path, '/', used) == NULL)
        assert(target_is_private(ENVD_PORT, (struct str){path, used + 11}));
    return 0;
}
