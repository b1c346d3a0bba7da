/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz base: what is read as a reference to an image is the same when it is written out. */
#include <assert.h>
#include <stdint.h>

#include "base/image_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_name n, again;
    struct arena mem;
    struct buf out;
    struct err err;

    arena_init(&mem, 1 << 16);
    buf_init(&out, 4096);
    if (image_name_parse((struct str){(const char *)data, size}, &mem, &n, &err) == 0) {
        assert(image_path_is_good(n.path) && n.host.len > 0);
        assert(str_find(n.path, '.') != 0 && (n.tag.len > 0 || n.digest.len > 0));
        image_name_write(&n, &out);
        assert(buf_ok(&out) && image_name_parse(buf_str(&out), &mem, &again, &err) == 0);
        assert(str_eq(n.host, again.host) && str_eq(n.path, again.path));
        assert(str_eq(n.tag, again.tag) && str_eq(n.digest, again.digest));
    }
    buf_done(&out);
    arena_done(&mem);
    return 0;
}
