/* SPDX-License-Identifier: Apache-2.0 */
/* One line per event on stderr: logfmt for people, JSON lines for machines.
 *
 *   log_info("sandbox.started", "id=%s took_us=%u", id, took);
 *
 * The event name is stable and greppable; the rest is key=value pairs (quote text from outside with
 * %.*s inside \"…\": the writer escapes control bytes). One write(2) per line. Only edges log:
 * layers below api return errors. Never a secret. Level and format are the only global state. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/own.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
};

enum log_format {
    LOG_FORMAT_HUMAN,
    LOG_FORMAT_JSON,
};

/* `role` ("edge") is on every line; borrowed for ever. */
void log_setup(const char *role, enum log_level level, enum log_format format);

void log_debug(const char *event, const char *format, ...) printf_like(2, 3);
void log_info(const char *event, const char *format, ...) printf_like(2, 3);
void log_warn(const char *event, const char *format, ...) printf_like(2, 3);
void log_error(const char *event, const char *format, ...) printf_like(2, 3);

#endif
