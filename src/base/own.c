/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is never NULL and the close of auto_fd. Used everywhere. */
#include "base/own.h"

#include <errno.h>
#include <string.h>

void own_close_fd(const int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        ignore(close(*fd)); /* nothing sensible can be done; Linux has released the number */
    errno = saved;
}

void *mem_zero(size_t size)
{
    return mem_array(1, size);
}

void *mem_array(size_t count, size_t size)
{
    /* calloc checks the product; one byte for nothing, so that NULL always means "no memory" */
    void *p = count == 0 || size == 0 ? calloc(1, 1) : calloc(count, size);

    if (p == NULL)
        abort();
    return p;
}

char *mem_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_zero(size);

    memcpy(copy, text, size);
    return copy;
}
