/* SPDX-License-Identifier: Apache-2.0 */
/* Conditional requests for files_get.c. */
#include "envd/conditions.h"

#include "base/clock.h"

static const char days[][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; /* since 1970 */
static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

enum { DAY_S = 86400, DATE_LEN = 29 };

static const int64_t first_s = -62135596800; /* 0001-01-01 */
static const int64_t last_s = 253402300799;  /* 9999-12-31 23:59:59 */

void http_date(int64_t when_s, char out[HTTP_DATE_MAX])
{
    char text[RFC3339_MAX]; /* 1994-11-06T08:49:37Z */
    int64_t day = when_s / DAY_S - (when_s % DAY_S < 0);
    char *at = out;

    out[0] = '\0';
    if (when_s < first_s || when_s > last_s)
        return;
    ignore((long)rfc3339_format_ns(when_s, 0, text)); /* its length is known */
    memcpy(at, days[(day % 7 + 7) % 7], 3);
    memcpy(at + 3, ", DD MMM YYYY HH:MM:SS GMT", DATE_LEN - 3);
    memcpy(at + 5, text + 8, 2);
    memcpy(at + 8, months[(text[5] - '0') * 10 + text[6] - '0' - 1], 3);
    memcpy(at + 12, text, 4);
    memcpy(at + 17, text + 11, 8);
    at[DATE_LEN] = '\0';
}

bool http_date_parse(struct str text, int64_t *out_s)
{
    char wanted[HTTP_DATE_MAX], iso[] = "YYYY-MM-DDTHH:MM:SSZ";
    uint32_t nanos;
    int64_t when;

    if (text.len != DATE_LEN)
        return false;
    for (unsigned i = 0; i < COUNT_OF(months); i++) {
        if (memcmp(text.at + 8, months[i], 3) != 0)
            continue;
        memcpy(iso, text.at + 12, 4);
        iso[5] = (char)('0' + (i + 1) / 10);
        iso[6] = (char)('0' + (i + 1) % 10);
        memcpy(iso + 8, text.at + 5, 2);
        memcpy(iso + 11, text.at + 17, 8);
        if (!rfc3339_parse(str_of(iso), &when, &nanos))
            return false;
        http_date(when, wanted); /* weekday and punctuation */
        *out_s = when;
        return str_is(text, wanted);
    }
    return false;
}

static char *put_hex(char *to, uint64_t value)
{
    unsigned shift = 60;

    while (shift > 0 && value >> shift == 0)
        shift -= 4;
    for (;; shift -= 4) {
        *to++ = "0123456789abcdef"[value >> shift & 15];
        if (shift == 0)
            return to;
    }
}

void validators_init(struct validators *v, const struct stat *st)
{
    const uint64_t parts[] = {(uint64_t)st->st_ino, (uint64_t)st->st_size,
                              (uint64_t)st->st_mtim.tv_sec * 1000000000 +
                                  (uint64_t)st->st_mtim.tv_nsec};
    char *at = v->etag;

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        *at++ = i == 0 ? '"' : '-';
        at = put_hex(at, parts[i]);
    }
    *at++ = '"';
    *at = '\0';
    v->modified_s = st->st_mtim.tv_sec;
    http_date(v->modified_s, v->date);
}

/* One entity tag at the front of the list; false: nothing that is one. */
static bool next_tag(struct str *list, bool *out_weak, struct str *out_tag)
{
    ssize_t end;

    while (list->len > 0 && (list->at[0] == ',' || list->at[0] == ' ' || list->at[0] == '\t'))
        *list = str_from(*list, 1);
    *out_weak = str_has_prefix(*list, "W/");
    if (*out_weak)
        *list = str_from(*list, 2);
    end = str_has_prefix(*list, "\"") ? str_find(str_from(*list, 1), '"') : -1;
    if (end < 0)
        return false;
    *out_tag = str_upto(*list, (size_t)end + 2);
    *list = str_from(*list, (size_t)end + 2);
    return true;
}

/* Is our tag in one of the field's lines? A weak comparison takes no notice of W/. */
static bool names_tag(const struct http_head *h, const char *name, const char *etag, bool is_weak)
{
    for (size_t i = 0; i < h->field_count; i++) {
        struct str list = h->fields[i].value, tag;
        bool has_weak;

        if (!str_ieq(h->fields[i].name, str_of(name)))
            continue;
        if (str_is(list, "*"))
            return true;
        while (next_tag(&list, &has_weak, &tag)) {
            if (str_is(tag, etag) && (is_weak || !has_weak))
                return true;
        }
    }
    return false;
}

enum condition condition_check(const struct http_head *h, const struct validators *v)
{
    struct str not_since = http_field(h, "If-Unmodified-Since");
    struct str since = http_field(h, "If-Modified-Since");
    int64_t when_s;

    if (http_field(h, "If-Match").at != NULL) {
        if (!names_tag(h, "If-Match", v->etag, false))
            return CONDITION_FAILED;
    } else if (not_since.at != NULL && http_date_parse(not_since, &when_s) &&
               v->modified_s > when_s) {
        return CONDITION_FAILED;
    }
    if (http_field(h, "If-None-Match").at != NULL)
        return names_tag(h, "If-None-Match", v->etag, true) ? CONDITION_NOT_MODIFIED
                                                            : CONDITION_HOLDS;
    if (since.at != NULL && http_date_parse(since, &when_s) && v->modified_s <= when_s)
        return CONDITION_NOT_MODIFIED;
    return CONDITION_HOLDS;
}

bool condition_allows_range(const struct http_head *h, const struct validators *v)
{
    struct str wanted = http_field(h, "If-Range");

    return wanted.at == NULL || str_is(wanted, v->etag) ||
           (v->date[0] != '\0' && str_is(wanted, v->date));
}

bool condition_is_asked(const struct http_head *h)
{
    static const char *const names[] = {"Range", "If-Match", "If-None-Match", "If-Modified-Since",
                                        "If-Unmodified-Since"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (http_field(h, names[i]).at != NULL)
            return true;
    }
    return false;
}
