/* SPDX-License-Identifier: Apache-2.0 */
/* Writing heads. What could break the framing is refused, whoever asked for it: names must be
 * tokens, values hold no controls. Used by answer.c and call.c. */
#include "http/parse_internal.h"

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {100, "Continue"                       },
    {101, "Switching Protocols"            },
    {103, "Early Hints"                    },
    {200, "OK"                             },
    {201, "Created"                        },
    {202, "Accepted"                       },
    {203, "Non-Authoritative Information"  },
    {204, "No Content"                     },
    {205, "Reset Content"                  },
    {206, "Partial Content"                },
    {207, "Multi-Status"                   },
    {300, "Multiple Choices"               },
    {301, "Moved Permanently"              },
    {302, "Found"                          },
    {303, "See Other"                      },
    {304, "Not Modified"                   },
    {307, "Temporary Redirect"             },
    {308, "Permanent Redirect"             },
    {400, "Bad Request"                    },
    {401, "Unauthorized"                   },
    {402, "Payment Required"               },
    {403, "Forbidden"                      },
    {404, "Not Found"                      },
    {405, "Method Not Allowed"             },
    {406, "Not Acceptable"                 },
    {408, "Request Timeout"                },
    {409, "Conflict"                       },
    {410, "Gone"                           },
    {411, "Length Required"                },
    {412, "Precondition Failed"            },
    {413, "Content Too Large"              },
    {414, "URI Too Long"                   },
    {415, "Unsupported Media Type"         },
    {416, "Range Not Satisfiable"          },
    {417, "Expectation Failed"             },
    {421, "Misdirected Request"            },
    {422, "Unprocessable Content"          },
    {424, "Failed Dependency"              },
    {425, "Too Early"                      },
    {426, "Upgrade Required"               },
    {428, "Precondition Required"          },
    {429, "Too Many Requests"              },
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"  },
    {499, "Client Closed Request"          },
    {500, "Internal Server Error"          },
    {501, "Not Implemented"                },
    {502, "Bad Gateway"                    },
    {503, "Service Unavailable"            },
    {504, "Gateway Timeout"                },
    {505, "HTTP Version Not Supported"     },
    {507, "Insufficient Storage"           },
    {511, "Network Authentication Required"},
};

const char *http_reason(unsigned status)
{
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}

void http_put_request_line(struct buf *out, struct str method, struct str target)
{
    if (!http_all_are(method, CHAR_TOKEN) || !http_all_are(target, CHAR_TARGET)) {
        out->failed = true;
        return;
    }
    buf_add_str(out, method);
    buf_add_byte(out, ' ');
    buf_add_str(out, target);
    buf_add_str(out, STR(" HTTP/1.1\r\n"));
}

void http_put_status_line(struct buf *out, unsigned status)
{
    if (status < 100 || status > 999) {
        out->failed = true;
        return;
    }
    buf_add_str(out, STR("HTTP/1.1 "));
    buf_add_u64(out, status);
    buf_add_byte(out, ' ');
    buf_add_text(out, http_reason(status));
    buf_add_str(out, STR("\r\n"));
}

void http_put_field(struct buf *out, struct str name, struct str value)
{
    char *room;

    if (!http_all_are(name, CHAR_TOKEN) || (value.len > 0 && !http_all_are(value, CHAR_VALUE))) {
        out->failed = true;
        return;
    }
    room = buf_room(out, name.len + value.len + 4);
    if (room == NULL)
        return;
    memcpy(room, name.at, name.len);
    room += name.len;
    *room++ = ':';
    *room++ = ' ';
    if (value.len > 0)
        memcpy(room, value.at, value.len);
    room += value.len;
    *room++ = '\r';
    *room = '\n';
    buf_fill(out, name.len + value.len + 4);
}

void http_put_field_text(struct buf *out, const char *name, const char *value)
{
    http_put_field(out, str_of(name), str_of(value));
}

void http_put_field_u64(struct buf *out, const char *name, uint64_t value)
{
    buf_add_text(out, name);
    buf_add_str(out, STR(": "));
    buf_add_u64(out, value);
    buf_add_str(out, STR("\r\n"));
}
