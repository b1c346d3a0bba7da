/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz image: WWW-Authenticate. */
#include <assert.h>
#include <stdint.h>

#include "image/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct challenge c;
    struct arena mem;

    arena_init(&mem, 1 << 20);
    challenge_read((struct str){(const char *)data, size}, &mem, &c);
    assert(c.scheme != CHALLENGE_BEARER || c.realm.len > 0);
    assert(c.realm.len <= size && c.service.len <= size && c.scope.len <= size);
    arena_done(&mem);
    return 0;
}
