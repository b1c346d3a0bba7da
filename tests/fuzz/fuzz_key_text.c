/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that are given as text: every entry ends, and what is accepted is well-formed. */
#include <assert.h>

#include "domain/key_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct key_entry *e)
{
    assert(strlen(e->hash) == KEY_HASH_LEN);
    assert(strspn(e->hash, "0123456789abcdef") == KEY_HASH_LEN);
    assert(e->text.len == 0 || (e->text.len >= KEY_TEXT_MIN && e->text.len <= KEY_TEXT_MAX));
    assert(e->team.len == 0 || team_name_is_good(e->team));
    assert((e->scopes & ~(uint32_t)KEY_SCOPES_ALL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, entry;
    size_t left = size + 1;

    while (key_text_next(&rest, &entry)) {
        struct key_entry e;
        struct err err = {0};

        assert(rest.len < left && entry.len > 0);
        left = rest.len;
        if (key_text_parse(entry, &e, &err) == 0)
            check(&e);
        else
            assert(err.text[0] != '\0');
    }
    assert(rest.len == 0);
    return 0;
}
