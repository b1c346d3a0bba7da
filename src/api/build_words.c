/* SPDX-License-Identifier: Apache-2.0 */
/* The table of build_words.h. */
#include "api/build_words.h"

static const struct build_words words[BUILD_STATE_COUNT] = {
    [BUILD_WAITING] = {"waiting",  "pending",   "pending" },
    [BUILD_BUILDING] = {"building", "building",  "building"},
    [BUILD_READY] = {"ready",    "completed", "ready"   },
    [BUILD_FAILED] = {"error",    "failed",    "failed"  },
    [BUILD_CANCELLED] = {"error",    "cancelled", "failed"  },
};

static const char *const levels[] = {
    [BUILD_DEBUG] = "debug",
    [BUILD_INFO] = "info",
    [BUILD_WARN] = "warn",
    [BUILD_ERROR] = "error",
};

const struct build_words *build_words(enum build_state state)
{
    return &words[state];
}

const char *build_level_name(enum build_level level)
{
    return levels[level];
}

bool build_level_parse(struct str name, enum build_level *out)
{
    for (size_t i = 0; i < COUNT_OF(levels); i++)
        if (str_is(name, levels[i])) {
            *out = (enum build_level)i;
            return true;
        }
    return false;
}
