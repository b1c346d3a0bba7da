/* SPDX-License-Identifier: Apache-2.0 */
/* See verdict.h. */
#include "egress/verdict.h"

#include "base/host_name.h"

struct named_range {
    const char *name;
    struct range range;
};

/* An IPv4 network among the 128 bits. */
/* clang-format off */
static const struct named_range never[] = {
    {"this network", {{[10] = 0xff, [11] = 0xff, 0}, 96 + 8}},
    {"loopback", {{[10] = 0xff, [11] = 0xff, 127}, 96 + 8}},
    {"link-local", {{[10] = 0xff, [11] = 0xff, 169, 254}, 96 + 16}}, /* metadata services, too */
    {"protocol assignments", {{[10] = 0xff, [11] = 0xff, 192, 0, 0}, 96 + 24}}, /* our own, too */
    {"6to4 relay", {{[10] = 0xff, [11] = 0xff, 192, 88, 99}, 96 + 24}},
    {"multicast", {{[10] = 0xff, [11] = 0xff, 224}, 96 + 4}},
    {"reserved", {{[10] = 0xff, [11] = 0xff, 240}, 96 + 4}}, /* and broadcast */
    {"unspecified, loopback or compatible", {{0}, 96}}, /* ::, ::1, ::a.b.c.d */
    {"translated", {{[8] = 0xff, [9] = 0xff}, 96}},          /* ::ffff:0:a.b.c.d */
    {"local NAT64", {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48}},
    {"discard", {{0x01, 0x00}, 64}},
    {"Teredo", {{0x20, 0x01, 0x00, 0x00}, 32}},
    {"ORCHID", {{0x20, 0x01, 0x00, 0x10}, 28}},
    {"segment routing", {{0x5f, 0x00}, 16}},
    {"link-local", {{0xfe, 0x80}, 10}},
    {"site-local", {{0xfe, 0xc0}, 10}},
    {"multicast", {{0xff}, 8}},
};

static const struct named_range private_networks[] = {
    {"private network", {{[10] = 0xff, [11] = 0xff, 10}, 96 + 8}},
    {"private network", {{[10] = 0xff, [11] = 0xff, 100, 64}, 96 + 10}}, /* carriers' */
    {"private network", {{[10] = 0xff, [11] = 0xff, 172, 16}, 96 + 12}},
    {"private network", {{[10] = 0xff, [11] = 0xff, 192, 168}, 96 + 16}},
    {"private network", {{[10] = 0xff, [11] = 0xff, 198, 18}, 96 + 15}}, /* benchmarks */
    {"private network", {{0xfc}, 7}},
    {"documentation", {{[10] = 0xff, [11] = 0xff, 192, 0, 2}, 96 + 24}}, /* laboratories use them */
    {"documentation", {{[10] = 0xff, [11] = 0xff, 198, 51, 100}, 96 + 24}},
    {"documentation", {{[10] = 0xff, [11] = 0xff, 203, 0, 113}, 96 + 24}},
    {"documentation", {{0x20, 0x01, 0x0d, 0xb8}, 32}},
    {"documentation", {{0x3f, 0xff}, 20}},
};
/* clang-format on */

static const struct named_range *find(const struct named_range *rows, size_t count,
                                      const struct place *to)
{
    for (size_t i = 0; i < count; i++) {
        if (range_has(&rows[i].range, to))
            return &rows[i];
    }
    return NULL;
}

static bool is_in(const struct ranges *r, const struct place *to)
{
    for (size_t i = 0; i < r->count; i++) {
        if (range_has(&r->rows[i], to))
            return true;
    }
    return false;
}

/* IPv6 addresses that a router on the way turns into the IPv4 address inside: NAT64 and 6to4. */
static bool has_inner(const struct place *to, struct place *inner)
{
    static const struct {
        struct range range;
        size_t offset;
    } rows[] = {
        {{{0x00, 0x64, 0xff, 0x9b}, 96}, 12},
        {{{0x20, 0x02}, 16},             2 },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (range_has(&rows[i].range, to)) {
            *inner = place_v4(to->address + rows[i].offset, to->port);
            return true;
        }
    }
    return false;
}

/* Of a place that is denied by its address. */
static enum verdict judge_name(const struct policy *policy, struct str name, const char **rule)
{
    if (policy->names.count > 0 && name.len == 0) {
        *rule = "allowOut by name";
        return VERDICT_BY_NAME;
    }
    for (size_t i = 0; i < policy->names.count; i++) {
        if (host_pattern_matches(policy->names.rows[i], name)) {
            *rule = "allowOut by name";
            return VERDICT_ALLOW;
        }
    }
    *rule = policy->is_offline ? "no internet access" : "denyOut";
    return VERDICT_DENY;
}

static enum verdict judge(const struct site *site, const struct policy *policy,
                          const struct place *to, struct str name, const char **rule)
{
    const struct named_range *row = find(never, COUNT_OF(never), to);

    if (row == NULL && !is_in(&site->allow, to))
        row = find(private_networks, COUNT_OF(private_networks), to);
    if (is_in(&site->deny, to)) {
        *rule = "denied by the operator";
        return VERDICT_DENY;
    }
    if (row != NULL) {
        *rule = row->name;
        return VERDICT_DENY;
    }
    if (is_in(&policy->allow, to)) {
        *rule = "allowOut";
        return VERDICT_ALLOW;
    }
    if (is_in(&policy->deny, to) || policy->is_offline)
        return judge_name(policy, name, rule);
    *rule = "default";
    return VERDICT_ALLOW;
}

enum verdict verdict(const struct site *site, const struct policy *policy, const struct place *to,
                     struct str name, const char **out_rule)
{
    const char *rule = NULL;
    struct place inner;
    enum verdict v = judge(site, policy, to, name, &rule);

    if (v != VERDICT_DENY && has_inner(to, &inner))
        v = judge(site, policy, &inner, name, &rule);
    if (out_rule != NULL)
        *out_rule = rule;
    return v;
}
