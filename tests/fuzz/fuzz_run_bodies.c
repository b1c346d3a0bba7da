/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz interpreter: bodies of its requests, and lines of a kernel behind pipes. */
#include "interpreter/bodies.h"
#include "tables.h"

static const struct codec_message *const tables[] = {
    &execute_message,
    &context_message,
    &kernel_event_message,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tables_check(tables, COUNT_OF(tables), (struct str){(const char *)data, size});
    return 0;
}
