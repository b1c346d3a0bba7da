/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz domain: a Dockerfile becomes a plan with a source and whole steps, or an error with a text;
 * and the same one every time. */
#include <assert.h>
#include <stdint.h>

#include "domain/dockerfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(struct str text, struct str hash, struct buf *out)
{
    struct build_plan plan = {0};
    const struct build_step *steps;
    struct err err = {0};
    struct arena mem;

    arena_init(&mem, 32 << 20);
    if (dockerfile_read(text, hash, &mem, &plan, &err) == 0) {
        assert(plan.from_image.len > 0 && plan.steps.count >= 2 && plan.from_template.len == 0);
        steps = plan.steps.items;
        for (size_t i = 0; i < plan.steps.count; i++) {
            assert(steps[i].type.len > 0 && steps[i].args.count > 0);
            assert(steps[i].files_hash.len == 0 || str_eq(steps[i].files_hash, hash));
            for (size_t k = 0; k < steps[i].args.count; k++)
                assert(((const struct str *)steps[i].args.items)[k].len <= DOCKERFILE_MAX * 8);
        }
        proto_encode(&build_plan_message, &plan, out);
    } else {
        assert(err.kind != ERR_NONE && err.text[0] != '\0' && plan.steps.count == 0);
    }
    arena_done(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct buf first, second;

    buf_init(&first, 16 << 20);
    buf_init(&second, 16 << 20);
    read_one(text, STR("hash"), &first);
    read_one(text, STR("hash"), &second);
    assert(str_eq(buf_str(&first), buf_str(&second)));
    read_one(text, (struct str){0}, &first);
    buf_done(&first);
    buf_done(&second);
    return 0;
}
