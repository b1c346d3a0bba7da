/* SPDX-License-Identifier: Apache-2.0 */
/* Looking things up in a parsed head. Used by every handler and by the edge. */
#include "http/parse_internal.h"

struct str http_field(const struct http_head *h, const char *name)
{
    struct str wanted = str_of(name);

    for (size_t i = 0; i < h->field_count; i++) {
        if (str_ieq(h->fields[i].name, wanted))
            return h->fields[i].value;
    }
    return (struct str){NULL, 0};
}

struct str http_request_id(const struct http_head *h)
{
    struct str id = http_field(h, "X-Request-Id");
    bool is_good = id.len > 0 && id.len <= HTTP_ID_MAX;

    for (size_t i = 0; i < id.len && is_good; i++)
        is_good = id.at[i] == '-' || id.at[i] == '_' || id.at[i] == '.' ||
                  (id.at[i] >= '0' && id.at[i] <= '9') || (id.at[i] >= 'a' && id.at[i] <= 'z') ||
                  (id.at[i] >= 'A' && id.at[i] <= 'Z');
    return is_good ? id : (struct str){0};
}

static bool list_has(struct str list, struct str token)
{
    struct str item;

    while (http_list_next(&list, &item)) {
        if (str_ieq(item, token))
            return true;
    }
    return false;
}

static bool lines_have(const struct http_head *h, struct str name, struct str token)
{
    for (size_t i = 0; i < h->field_count; i++) {
        if (str_ieq(h->fields[i].name, name) && list_has(h->fields[i].value, token))
            return true;
    }
    return false;
}

bool http_has_token(const struct http_head *h, const char *name, const char *token)
{
    return lines_have(h, str_of(name), str_of(token));
}

bool http_is_hop_field(const struct http_head *h, struct str name)
{
    static const struct str hop[] = {
        {"connection",        10},
        {"keep-alive",        10},
        {"te",                2 },
        {"trailer",           7 },
        {"transfer-encoding", 17},
        {"upgrade",           7 },
    };

    for (size_t i = 0; i < COUNT_OF(hop); i++) {
        if (str_ieq(name, hop[i]))
            return true;
    }
    if (str_ieq(str_upto(name, 6), STR("proxy-")))
        return true;
    return lines_have(h, STR("connection"), name);
}
