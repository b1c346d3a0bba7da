/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz interpreter: variables as a request's body or envd tells them, and the word for a language.
 * What passes for variables is an object of texts, and reads as one. */
#include <assert.h>

#include "interpreter/globals.h"
#include "interpreter/language.h"
#include "interpreter/variables.h"

enum { TEXT_MAX = 2 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    const struct language *l = language_find(in);
    struct variables v;
    bool is_valid = globals_are_valid(in);
    bool is_read = variables_read(&v, in, TEXT_MAX);

    if (is_valid) {
        const struct codec_pair *pairs = v.all.items;

        assert(is_read && json_valid(in));
        for (size_t i = 0; i < v.all.count; i++)
            assert(pairs[i].key.len <= size && pairs[i].value.len <= size);
    }
    variables_done(&v);
    assert(l == NULL || l == language_find(str_of(l->name)));
    return 0;
}
