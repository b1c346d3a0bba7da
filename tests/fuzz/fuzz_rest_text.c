/* SPDX-License-Identifier: Apache-2.0 */
/* The small parsers behind the REST API: metadata filter, template reference, page token, network
 * options. The first byte chooses. */
#include <assert.h>

#include "api/cursor.h"
#include "domain/creation.h"
#include "domain/metadata.h"
#include "domain/network.h"
#include "domain/template_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void metadata(struct str in, struct arena *a)
{
    struct codec_list list = {0};
    struct err err = {0};

    if (metadata_parse(in, a, &list, &err) == 0)
        assert(list.count <= METADATA_FILTER_MAX &&
               metadata_matches(&list, &(struct codec_list){0}));
}

static void name(struct str in, struct arena *a)
{
    struct template_name n = {0};
    struct err err = {0};
    struct str tag;

    if (template_name_parse(in, a, &n, &err) == 0)
        assert(n.name.len > 0 && n.tag.len > 0 && str_find(n.name, '/') < 0);
    if (template_ref_parse(in, a, &n, &err) == 0)
        assert(n.name.len > 0 && n.tag.len > 0 && str_find(n.name, ':') < 0);
    if (template_tag_parse(in, a, &tag, &err) == 0)
        assert(tag.len > 0 && str_find(tag, ':') < 0);
}

static void cursor(struct str in, struct arena *a)
{
    struct sandbox_query q = {0};

    if (cursor_parse(in, a, &q) == 0)
        assert(q.cursor_id.len > 0);
}

static void network(struct str in)
{
    struct codec_list one = {&in, 1};
    struct err err = {0};

    ignore(network_check_deny(&one, &err));
    if (network_check_allow(&one, &(struct codec_list){0}, &err) == 0) /* then it is no domain */
        assert(network_check_deny(&one, &err) == 0);
    if (creation_check(in, &err) == 0)
        assert(in.len > 0 && in.len <= CREATION_REPEAT_KEY_MAX && memchr(in.at, 0, in.len) == NULL);
    ignore(network_check_mask(in, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data + 1, size - 1};
    struct arena a;

    if (size == 0)
        return 0;
    arena_init(&a, 1 << 20);
    switch (data[0] % 4) {
    case 0: metadata(in, &a); break;
    case 1: name(in, &a); break;
    case 2: cursor(in, &a); break;
    default: network(in); break;
    }
    arena_done(&a);
    return 0;
}
