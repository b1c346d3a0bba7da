/* SPDX-License-Identifier: Apache-2.0 */
/* http/asked_name and base/host_name: what is told of all bytes must not have been told otherwise
 * of fewer; a name is a good one and stands in the input (of HTTP) letter for letter. */
#include <stdint.h>
#include <stdlib.h>

#include "http/asked_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* A copy of exactly that size, so that the sanitizer sees each look past it. */
static enum asked read_part(const uint8_t *data, size_t size, char *name)
{
    char *part = malloc(size == 0 ? 1 : size);
    const char *why = NULL;
    enum asked result;

    check(part != NULL);
    if (size > 0)
        memcpy(part, data, size);
    result = asked_name_read((struct str){part, size}, name, &why);
    check((result == ASKED_REFUSED) == (why != NULL));
    free(part);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char whole[HOST_NAME_MAX_LEN + 1] = "", part[HOST_NAME_MAX_LEN + 1] = "";
    enum asked a = read_part(data, size, whole), b;
    size_t cut = size == 0 ? 0 : data[size - 1] * size / 256;

    b = read_part(data, cut, part);
    check(b == ASKED_MORE || (a == b && strcmp(whole, part) == 0));
    check(a != ASKED_NAME || host_name_is_good(str_of(whole)));
    check(a != ASKED_NAME || (host_pattern_matches(STR("*"), str_of(whole)) &&
                              host_pattern_matches(str_of(whole), str_of(whole))));
    return 0;
}
