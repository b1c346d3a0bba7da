/* SPDX-License-Identifier: Apache-2.0 */
/* See fault.h. */
#include "worker/fault.h"

#include "codec/codec.h"

static const struct {
    const char *code, *type;
    bool is_retryable;
} faults[] = {
    [FAULT_INPUT] = {"S001", "validation", false},
    [FAULT_NO_SANDBOX] = {"S002", "validation", false},
    [FAULT_EXEC_CAP] = {"S003", "transient",  true },
    [FAULT_STOPPED] = {"S004", "validation", false},
    [FAULT_IMAGE] = {"S100", "config",     false},
    [FAULT_FS_REQUEST] = {"S210", "filesystem", false},
    [FAULT_FS_MISSING] = {"S211", "filesystem", false},
    [FAULT_FS_TYPE] = {"S212", "filesystem", false},
    [FAULT_FS_EXISTS] = {"S213", "filesystem", false},
    [FAULT_FS_NOT_EMPTY] = {"S214", "filesystem", false},
    [FAULT_FS_DENIED] = {"S215", "filesystem", false},
    [FAULT_FS_IO] = {"S216", "filesystem", false},
    [FAULT_FS_REGEX] = {"S217", "filesystem", false},
    [FAULT_FS_CHANNEL] = {"S218", "transient",  true },
    [FAULT_FS_UNSUPPORTED] = {"S219", "filesystem", false},
    [FAULT_BOOT] = {"S300", "platform",   true },
    [FAULT_CAPACITY] = {"S400", "transient",  true },
    [FAULT_CAPABILITY] = {"S404", "config",     false},
    [FAULT_RATE] = {"S500", "transient",  true },
    [FAULT_PAYMENT] = {"S501", "config",     false},
    [FAULT_UPSTREAM] = {"S502", "transient",  true },
    [FAULT_KEY] = {"S503", "config",     false},
    [FAULT_PROVIDER] = {"S600", "config",     false},
};

const char *fault_code(enum fault f)
{
    return faults[f].code;
}

void fault_write(struct buf *out, enum fault f, enum fault_format format, struct str text,
                 struct str fix)
{
    if (format == FAULT_BRACKET) {
        buf_printf(out, "[%s] %.*s", faults[f].code, STR_ARG(text));
        return;
    }
    buf_printf(out, "{\"type\":\"%s\",\"code\":\"%s\",\"message\":", faults[f].type,
               faults[f].code);
    json_quote(out, text);
    buf_printf(out, ",\"docs_url\":null,\"retryable\":%s",
               faults[f].is_retryable ? "true" : "false");
    if (fix.len > 0)
        buf_printf(out, ",\"fix\":%.*s", STR_ARG(fix));
    buf_add_byte(out, '}');
}

enum fault fault_of_status(unsigned status, enum fault missing)
{
    switch (status) {
    case 401:
    case 403: return FAULT_KEY;
    case 402: return FAULT_PAYMENT;
    case 404: return missing;
    case 409: return FAULT_STOPPED;
    case 413: return FAULT_CAPACITY;
    case 429: return FAULT_RATE;
    default: return status >= 400 && status < 500 ? FAULT_INPUT : FAULT_UPSTREAM;
    }
}
