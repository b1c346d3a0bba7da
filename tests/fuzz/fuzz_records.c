/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz domain: rows of the store, as they come back from it. */
#include "domain/build_record.h"
#include "domain/record.h"
#include "domain/webhook_internal.h"
#include "tables.h"

static const struct codec_message *const tables[] = {
    &creation_record_message, &sandbox_record_message,  &snapshot_record_message,
    &team_record_message,     &key_record_message,      &template_use_record_message,
    &team_template_message,   &build_message,           &build_plan_message,
    &build_log_message,       &delivery_record_message,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tables_check(tables, COUNT_OF(tables), (struct str){(const char *)data, size});
    return 0;
}
