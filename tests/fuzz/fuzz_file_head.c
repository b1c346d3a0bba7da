/* SPDX-License-Identifier: Apache-2.0 */
/* envd: what it reads in the head of a request for files: codings, conditions, ranges, metadata,
 * names; and the bytes as each of their values alone. */
#include <assert.h>
#include <stdint.h>

#include "envd/conditions.h"
#include "envd/encoding.h"
#include "envd/file_fields.h"
#include "envd/metadata.h"
#include "envd/signature.h"

enum {
    FILE_SIZE = 1000,
    MEMORY_MAX = 1 << 20,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(struct str value)
{
    uint64_t start = 0, len = 0;

    if (range_parse(value, FILE_SIZE, &start, &len) == RANGE_PART)
        assert(len > 0 && start < FILE_SIZE && len <= FILE_SIZE - start);
}

static void check_date(struct str value)
{
    char again[HTTP_DATE_MAX];
    int64_t when_s;

    if (!http_date_parse(value, &when_s))
        return;
    http_date(when_s, again);
    assert(str_is(value, again));
}

/* A field value may hold no line break, or a name could add fields of its own. */
static void check_name(struct str name)
{
    struct buf out;

    buf_init(&out, MEMORY_MAX);
    content_disposition(&out, name);
    for (size_t i = 0; i < out.len; i++)
        assert((unsigned char)out.at[i] >= ' ' && out.at[i] != 0x7f);
    assert(content_type_of(name)[0] != '\0');
    buf_done(&out);
}

static void check_metadata(const struct http_head *h)
{
    struct codec_list pairs = {0};
    const struct codec_pair *pair;
    struct arena a;
    struct err err;
    size_t total = 0;

    arena_init(&a, MEMORY_MAX);
    if (metadata_parse(h, &a, &pairs, &err) == 0) {
        pair = pairs.items;
        for (size_t i = 0; i < pairs.count; i++) {
            assert(pair[i].key.len > 0 && pair[i].key.len <= METADATA_KEY_MAX);
            total += pair[i].key.len + pair[i].value.len;
        }
        assert(pairs.count <= METADATA_KEYS_MAX && total <= METADATA_TOTAL_MAX);
    }
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct signature_input in = {.operation = "read", .token = STR("t")};
    struct str text = {(const char *)data, size};
    struct stat st = {
        .st_size = FILE_SIZE, .st_ino = 1, .st_mtim = {1700000000, 0}
    };
    struct validators v;
    struct http_head h;
    const char *why;

    check_range(text);
    check_date(text);
    check_name(text);
    assert(signature_check(text, &in, 0) != NULL); /* nobody guesses it */
    if (http_parse_request(text, &h, &why) <= 0)
        return 0;
    validators_init(&v, &st);
    assert(condition_check(&h, &v) <= CONDITION_FAILED);
    if (condition_allows_range(&h, &v))
        check_range(http_field(&h, "Range"));
    assert(encoding_of_body(&h) <= CODING_NONE);
    assert(encoding_for_answer(&h, condition_is_asked(&h)) <= CODING_NONE);
    check_metadata(&h);
    return 0;
}
