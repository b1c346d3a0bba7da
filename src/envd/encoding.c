/* SPDX-License-Identifier: Apache-2.0 */
/* Negotiates content codings for files_get.c and files_post.c. */
#include "envd/encoding.h"

enum {
    WEIGHT_FULL = 1000, /* q=1 */
    WEIGHT_UNSET = -1,
};

/* What Accept-Encoding says, all of its lines together. */
struct accepted {
    int identity, gzip, any;
    bool has_others; /* codings that we do not speak */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "0.125" in thousandths; at most three decimals. False: malformed. */
static bool parse_weight(struct str text, int *out)
{
    int value, scale = 100;

    if (text.len == 0 || text.len > 5 || (text.at[0] != '0' && text.at[0] != '1') ||
        (text.len > 1 && text.at[1] != '.'))
        return false;
    value = (text.at[0] - '0') * WEIGHT_FULL;
    for (size_t i = 2; i < text.len; i++, scale /= 10) {
        if (!is_digit(text.at[i]))
            return false;
        value += (text.at[i] - '0') * scale;
    }
    *out = value;
    return value <= WEIGHT_FULL;
}

/* Of the parameters behind a coding; full without one. */
static bool weight_of(struct str parameters, int *out)
{
    *out = WEIGHT_FULL;
    while (parameters.len > 0) {
        struct str value, one = str_cut(parameters, ';', &parameters);
        struct str name = str_trim(str_cut(one, '=', &value));

        if (str_ieq(name, STR("q")))
            return parse_weight(str_trim(value), out);
    }
    return true;
}

static bool is_gzip(struct str coding)
{
    return str_ieq(coding, STR("gzip")) || str_ieq(coding, STR("x-gzip"));
}

static void add_list(struct accepted *a, struct str list)
{
    while (list.len > 0) {
        struct str parameters, item = str_cut(list, ',', &list);
        struct str coding = str_trim(str_cut(item, ';', &parameters));
        int weight;

        if (coding.len == 0 || !weight_of(parameters, &weight))
            continue; /* malformed: as if it were not there */
        if (str_ieq(coding, STR("identity")))
            a->identity = weight;
        else if (is_gzip(coding))
            a->gzip = weight;
        else if (str_is(coding, "*"))
            a->any = weight;
        else
            a->has_others |= weight > 0;
    }
}

static enum coding choose(const struct accepted *a, bool is_partial)
{
    int identity = a->identity != WEIGHT_UNSET ? a->identity : a->any;
    int gzip = a->gzip != WEIGHT_UNSET ? a->gzip : a->any;

    if (identity == 0)
        return gzip > 0 ? CODING_GZIP : CODING_NONE;
    if (is_partial || a->gzip <= 0)
        return CODING_IDENTITY;
    if (identity != WEIGHT_UNSET)
        return gzip > identity ? CODING_GZIP : CODING_IDENTITY;
    return a->has_others ? CODING_IDENTITY : CODING_GZIP;
}

enum coding encoding_for_answer(const struct http_head *h, bool is_partial)
{
    struct accepted a = {WEIGHT_UNSET, WEIGHT_UNSET, WEIGHT_UNSET, false};

    for (size_t i = 0; i < h->field_count; i++) {
        if (str_ieq(h->fields[i].name, STR("Accept-Encoding")))
            add_list(&a, h->fields[i].value);
    }
    return choose(&a, is_partial);
}

enum coding encoding_of_body(const struct http_head *h)
{
    enum coding found = CODING_IDENTITY;

    for (size_t i = 0; i < h->field_count; i++) {
        struct str list = h->fields[i].value;

        while (str_ieq(h->fields[i].name, STR("Content-Encoding")) && list.len > 0) {
            struct str coding = str_trim(str_cut(list, ',', &list));

            if (coding.len == 0 || str_ieq(coding, STR("identity")))
                continue;
            if (!is_gzip(coding) || found != CODING_IDENTITY)
                return CODING_NONE;
            found = CODING_GZIP;
        }
    }
    return found;
}
