/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets; see bucket.h. Used where requests are admitted. */
#include "base/bucket.h"

double bucket_level(const struct bucket *b, const struct bucket_rule *rule, uint64_t now_ms)
{
    double level;

    if (b->at_ms == 0)
        return rule->burst;
    level = b->left;
    if (now_ms > b->at_ms)
        level += (double)(now_ms - b->at_ms) * rule->rate / 1000.0;
    return level < rule->burst ? level : rule->burst;
}

/* Time 0 means "never", so the first millisecond of a clock counts as the second. */
static void settle(struct bucket *b, double level, uint64_t now_ms)
{
    b->left = level;
    b->at_ms = now_ms > 0 ? now_ms : 1;
}

bool bucket_take(struct bucket *b, const struct bucket_rule *rule, double cost, uint64_t now_ms)
{
    double level = bucket_level(b, rule, now_ms);
    bool is_enough = level >= cost;

    settle(b, is_enough ? level - cost : level, now_ms);
    return is_enough;
}

void bucket_drain(struct bucket *b, const struct bucket_rule *rule, double cost, uint64_t now_ms)
{
    double level = bucket_level(b, rule, now_ms);

    settle(b, level > cost ? level - cost : 0, now_ms);
}

unsigned bucket_wait_s(const struct bucket *b, const struct bucket_rule *rule, double cost)
{
    double missing = cost - b->left;
    unsigned seconds = missing > 0 ? (unsigned)(missing / rule->rate) : 0;

    return (double)seconds * rule->rate < missing || seconds == 0 ? seconds + 1 : seconds;
}
