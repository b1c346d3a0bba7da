/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's tables under the names of tests/data/envd.proto: codec_tool, linked with this instead
 * of the samples, shows what envd itself makes of a message. */
#include <string.h>

#include "envd/messages.h"
#include "messages.h"

static const struct {
    const char *name;
    const struct codec_message *message;
} names[] = {
    {"Empty",                    &empty_message               },
    {"ListResponse",             &process_list_message        },
    {"StartRequest",             &start_request_message       },
    {"StartResponse",            &event_response_message      },
    {"ConnectRequest",           &selector_request_message    },
    {"ConnectResponse",          &event_response_message      },
    {"UpdateRequest",            &update_request_message      },
    {"StreamInputRequest",       &stream_input_request_message},
    {"SendInputRequest",         &send_input_request_message  },
    {"SendSignalRequest",        &send_signal_request_message },
    {"CloseStdinRequest",        &selector_request_message    },
    {"StatRequest",              &path_request_message        },
    {"StatResponse",             &entry_response_message      },
    {"MakeDirRequest",           &path_request_message        },
    {"MakeDirResponse",          &entry_response_message      },
    {"MoveRequest",              &move_request_message        },
    {"MoveResponse",             &entry_response_message      },
    {"ListDirRequest",           &list_dir_request_message    },
    {"ListDirResponse",          &list_dir_response_message   },
    {"RemoveRequest",            &path_request_message        },
    {"WatchDirRequest",          &watch_request_message       },
    {"WatchDirResponse",         &watch_response_message      },
    {"CreateWatcherRequest",     &watch_request_message       },
    {"CreateWatcherResponse",    &watcher_request_message     },
    {"GetWatcherEventsRequest",  &watcher_request_message     },
    {"GetWatcherEventsResponse", &watcher_events_message      },
    {"RemoveWatcherRequest",     &watcher_request_message     },
};

const struct codec_message *sample_message(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(names[i].name, name) == 0)
            return names[i].message;
    }
    return NULL;
}
