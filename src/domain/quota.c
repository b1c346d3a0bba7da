/* SPDX-License-Identifier: Apache-2.0 */
/* Reservation of what a team may have. Used by create, kill and start-up. */
#include "domain/quota.h"

#include <assert.h>

#include "domain/domain_internal.h"
#include "domain/key.h"

/* clang-format off */
static const char *const names[TEAM_LIMIT_COUNT] = {
    [TEAM_SANDBOXES] = "sandboxes",
    [TEAM_VCPUS] = "vcpus",
    [TEAM_MEMORY_MB] = "memoryMB",
    [TEAM_DISK_MB] = "diskMB",
    [TEAM_BUILDS] = "builds",
    [TEAM_KEYS] = "keys",
    [TEAM_TIMEOUT_S] = "timeout",
    [TEAM_SANDBOX_VCPUS] = "sandboxVcpus",
    [TEAM_SANDBOX_MEMORY_MB] = "sandboxMemoryMB",
    [TEAM_SANDBOX_DISK_MB] = "sandboxDiskMB",
    [TEAM_EGRESS_KB_S] = "egressKBps",
    [TEAM_EGRESS_CONNECTIONS] = "egressConnections",
    [TEAM_EGRESS_AUDIT] = "egressAuditPercent",
};

/* Where 0 stands, the server's configuration counts. Figures of the hosted service: semantics.md
 * 2.4; its disk and time for paying teams. */
static const struct {
    const char *name;
    uint64_t limits[TEAM_LIMIT_COUNT];
} tiers[] = {
    {"standard", {0}},
    {"base_v1",  {[TEAM_SANDBOXES] = 20, [TEAM_BUILDS] = 20, [TEAM_TIMEOUT_S] = 3600, [TEAM_SANDBOX_VCPUS] = 8,
                  [TEAM_SANDBOX_MEMORY_MB] = 8192, [TEAM_SANDBOX_DISK_MB] = 25600}},
    {"pro_v1",   {[TEAM_SANDBOXES] = 100, [TEAM_BUILDS] = 20, [TEAM_TIMEOUT_S] = 86400, [TEAM_SANDBOX_VCPUS] = 8,
                  [TEAM_SANDBOX_MEMORY_MB] = 8192, [TEAM_SANDBOX_DISK_MB] = 51200}},
};
/* clang-format on */

/* What a sandbox takes of each limit that is shared, and what is said when it is too much. The
 * first row is the text that clients look for (semantics.md 2.9). */
static const struct {
    enum team_limit limit;
    const char *text;
} shared[] = {
    {TEAM_SANDBOXES, "you have reached the maximum number of concurrent E2B sandboxes (%llu). If "
                     "you need more, please visit 'https://e2b.dev/docs/billing'"},
    {TEAM_VCPUS,     "you have reached the maximum number of vCPUs of all sandboxes (%llu)"          },
    {TEAM_MEMORY_MB, "you have reached the maximum memory of all sandboxes (%llu MiB)"               },
    {TEAM_DISK_MB,   "you have reached the maximum disk space of all sandboxes (%llu MiB)"           },
};

static const struct {
    enum team_limit limit;
    const char *text;
} single[] = {
    {TEAM_SANDBOX_VCPUS,     "CPU count can't be higher than %llu (if you need to increase this "
                         "limit, please contact support)"         },
    {TEAM_SANDBOX_MEMORY_MB, "Memory can't be higher than %llu MiB (if you need to increase this "
                             "limit, please contact support)" },
    {TEAM_SANDBOX_DISK_MB,   "Disk size can't be higher than %llu MiB (if you need to increase "
                           "this limit, please contact support)"},
};

const char *quota_name(enum team_limit limit)
{
    return names[limit];
}

bool quota_is_shared(enum team_limit limit)
{
    return limit <= TEAM_KEYS;
}

static size_t tier_of(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(tiers); i++)
        if (str_is(name, tiers[i].name))
            return i;
    return COUNT_OF(tiers);
}

bool quota_is_tier(struct str name)
{
    return tier_of(name) < COUNT_OF(tiers);
}

static uint64_t server_limit(const struct domain *d, enum team_limit limit)
{
    const struct domain_config *c = &d->config;
    const uint64_t values[TEAM_LIMIT_COUNT] = {
        [TEAM_SANDBOXES] = c->team_sandboxes_max, [TEAM_VCPUS] = c->team_vcpus_max,
        [TEAM_MEMORY_MB] = c->team_memory_mb_max, [TEAM_DISK_MB] = c->team_disk_mb_max,
        [TEAM_BUILDS] = c->team_builds_max,       [TEAM_KEYS] = c->team_keys_max,
        [TEAM_TIMEOUT_S] = c->timeout_max_s,      [TEAM_EGRESS_AUDIT] = c->audit_percent,
    };

    return values[limit];
}

uint64_t quota_limit(const struct domain *d, const struct team *t, enum team_limit limit)
{
    size_t tier = tier_of(t->r.tier);

    if (t->r.limits[limit] > 0)
        return (uint64_t)t->r.limits[limit];
    if (tier < COUNT_OF(tiers) && tiers[tier].limits[limit] > 0)
        return tiers[tier].limits[limit];
    return server_limit(d, limit);
}

uint64_t quota_max(const struct domain *d, const struct team *t)
{
    return quota_limit(d, t, TEAM_SANDBOXES);
}

uint64_t quota_used(const struct team *t, enum team_limit limit)
{
    switch (limit) {
    case TEAM_SANDBOXES: return t->slots_used;
    case TEAM_VCPUS: return t->vcpus_used;
    case TEAM_MEMORY_MB: return t->memory_mb_used;
    case TEAM_DISK_MB: return t->disk_mb_used;
    case TEAM_BUILDS: return t->builds_used;
    case TEAM_KEYS: return key_count_valid(t) + t->keys_pending;
    case TEAM_TIMEOUT_S:
    case TEAM_SANDBOX_VCPUS:
    case TEAM_SANDBOX_MEMORY_MB:
    case TEAM_SANDBOX_DISK_MB:
    case TEAM_EGRESS_KB_S:
    case TEAM_EGRESS_CONNECTIONS:
    case TEAM_EGRESS_AUDIT:
    case TEAM_LIMIT_COUNT: break;
    }
    return 0;
}

/* Negative sizes are none: no record that was checked has them. */
static uint64_t need_of(const struct quota_size *size, enum team_limit limit)
{
    int32_t value = 1;

    if (limit == TEAM_VCPUS || limit == TEAM_SANDBOX_VCPUS)
        value = size->cpu_count;
    else if (limit == TEAM_MEMORY_MB || limit == TEAM_SANDBOX_MEMORY_MB)
        value = size->memory_mb;
    else if (limit == TEAM_DISK_MB || limit == TEAM_SANDBOX_DISK_MB)
        value = size->disk_mb;
    return value > 0 ? (uint64_t)value : 0;
}

static struct quota_size size_of(const struct sandbox *s)
{
    return (struct quota_size){s->r.cpu_count, s->r.memory_mb, s->r.disk_mb};
}

static uint64_t need(const struct sandbox *s, enum team_limit limit)
{
    struct quota_size size = size_of(s);

    return need_of(&size, limit);
}

int quota_check_size(const struct domain *d, const struct team *t, const struct quota_size *size,
                     struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(single); i++) {
        uint64_t max = quota_limit(d, t, single[i].limit);

        if (max > 0 && need_of(size, single[i].limit) > max)
            return err_set(err, ERR_INVALID, single[i].text, (unsigned long long)max);
    }
    return 0;
}

static int check_shared(const struct domain *d, const struct sandbox *s, struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(shared); i++) {
        enum team_limit limit = shared[i].limit;
        uint64_t max = quota_limit(d, s->team, limit);
        bool is_held = limit == TEAM_DISK_MB && s->has_disk;

        if (max > 0 && !is_held && quota_used(s->team, limit) + need(s, limit) > max)
            return err_set(err, ERR_LIMIT, shared[i].text, (unsigned long long)max);
    }
    return 0;
}

int quota_take(struct domain *d, struct sandbox *s, struct err *err)
{
    struct quota_size size = size_of(s);

    if (quota_check_size(d, s->team, &size, err) != 0 || check_shared(d, s, err) != 0)
        return -1;
    quota_force(s);
    return 0;
}

int quota_resume(struct domain *d, struct sandbox *s, struct err *err)
{
    if (s->has_slot)
        return 0;
    if (check_shared(d, s, err) != 0)
        return -1;
    quota_force(s);
    return 0;
}

void quota_force_paused(struct sandbox *s)
{
    if (s->has_disk)
        return;
    s->team->disk_mb_used += need(s, TEAM_DISK_MB);
    s->has_disk = true;
}

void quota_force(struct sandbox *s)
{
    assert(!s->has_slot);
    s->team->slots_used++;
    s->team->vcpus_used += need(s, TEAM_VCPUS);
    s->team->memory_mb_used += need(s, TEAM_MEMORY_MB);
    s->has_slot = true;
    quota_force_paused(s);
}

void quota_pause(struct sandbox *s)
{
    if (!s->has_slot)
        return;
    assert(s->team->slots_used > 0);
    s->team->slots_used--;
    s->team->vcpus_used -= need(s, TEAM_VCPUS);
    s->team->memory_mb_used -= need(s, TEAM_MEMORY_MB);
    s->has_slot = false;
}

void quota_give_back(struct sandbox *s)
{
    quota_pause(s);
    if (s->has_disk)
        s->team->disk_mb_used -= need(s, TEAM_DISK_MB);
    s->has_disk = false;
}

int quota_take_build(const struct domain *d, struct team *t, struct err *err)
{
    uint64_t max = quota_limit(d, t, TEAM_BUILDS);

    if (max > 0 && t->builds_used >= max)
        return err_set(err, ERR_LIMIT,
                       "you have reached the maximum number of concurrent template builds (%llu). "
                       "Please wait for existing builds to complete or contact support if you "
                       "need more concurrent builds.",
                       (unsigned long long)max);
    t->builds_used++;
    return 0;
}

void quota_give_back_build(struct team *t)
{
    assert(t->builds_used > 0);
    t->builds_used--;
}
