/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz api: bodies of its requests. */
#include "api/fields.h"
#include "api/key_fields.h"
#include "tables.h"

static const struct codec_message *const tables[] = {
    &create_v1_message,  &create_v2_message,      &time_required_message, &time_optional_message,
    &pause_message,      &snapshot_message,       &fork_message,          &rollback_message,
    &refresh_message,    &network_update_message, &key_message,           &key_patch_message,
    &key_rotate_message, &team_message,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tables_check(tables, COUNT_OF(tables), (struct str){(const char *)data, size});
    return 0;
}
