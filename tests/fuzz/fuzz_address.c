/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz worker: addresses of engines and APIs. The first byte chooses the kind. */
#include <assert.h>

#include "worker/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address a = {0};
    struct err err = {0};

    if (size > 0 && address_parse((struct str){(const char *)data + 1, size - 1},
                                  (enum address_kind)(data[0] % 2), &a, &err) == 0)
        assert(a.host[0] != '\0' && a.port != 0);
    return 0;
}
