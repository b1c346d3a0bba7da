/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz envd: messages of its calls, in both forms. */
#include "envd/messages.h"
#include "tables.h"

static const struct codec_message *const tables[] = {
    &empty_message,
    &pty_size_message,
    &start_request_message,
    &process_list_message,
    &selector_request_message,
    &update_request_message,
    &send_input_request_message,
    &stream_input_request_message,
    &send_signal_request_message,
    &path_request_message,
    &move_request_message,
    &list_dir_request_message,
    &watch_request_message,
    &watcher_request_message,
    &init_request_message,
    &event_response_message,
    &entry_info_message,
    &list_dir_response_message,
    &filesystem_event_message,
    &watcher_events_message,
    &watch_response_message,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tables_check(tables, COUNT_OF(tables), (struct str){(const char *)data, size});
    return 0;
}
