/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that were given before; see dns_internal.h. */
#include "egress/dns_internal.h"

struct cached {
    struct list_node node; /* in dns->aging */
    uint64_t since_ms;
    uint32_t life_s;
    size_t key_len, len;
    char bytes[]; /* the key, then the answer */
};

static struct str key_of(struct cached *c)
{
    return (struct str){c->bytes, c->key_len};
}

/* All from the flags on; `out` has room for it. */
static struct str make_key(struct str question, size_t question_end, char *out)
{
    const size_t number = 2;

    for (size_t i = number; i < question.len; i++) {
        char c = question.at[i];
        bool is_name = i >= DNS_HEAD && i < question_end;

        out[i - number] = is_name && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return (struct str){out, question.len - number};
}

static void cached_free(struct dns *d, struct cached *c)
{
    ignore(map_remove(&d->cache, key_of(c)) != NULL); /* it is c */
    list_remove(&c->node);
    free(c);
}

void dns_cache_put(struct dns *d, struct str question, size_t question_end, struct str answer)
{
    struct cached *c, *old;
    uint32_t life_s;

    if (question.len > DNS_UDP_LEAST || answer.len > CACHED_ANSWER_MAX ||
        !dns_answer_life(answer, &life_s))
        return;
    c = mem_zero(sizeof(*c) + question.len + answer.len);
    c->since_ms = loop_now_ms(d->loop);
    c->life_s = life_s;
    c->key_len = make_key(question, question_end, c->bytes).len;
    c->len = answer.len;
    memcpy(c->bytes + c->key_len, answer.at, answer.len);
    old = map_get(&d->cache, key_of(c));
    if (old != NULL)
        cached_free(d, old);
    if (d->cache.count >= DNS_CACHE_MAX)
        cached_free(d, container_of(list_first(&d->aging), struct cached, node));
    ignore(map_put(&d->cache, key_of(c), c) != NULL); /* it was removed */
    list_push(&d->aging, &c->node);
}

bool dns_cache_get(struct dns *d, struct str question, size_t question_end, struct buf *out)
{
    char key[DNS_UDP_LEAST];
    struct cached *c;
    uint64_t age_s;

    if (question.len > sizeof(key))
        return false;
    c = map_get(&d->cache, make_key(question, question_end, key));
    if (c == NULL)
        return false;
    age_s = (loop_now_ms(d->loop) - c->since_ms) / 1000;
    if (age_s >= c->life_s) {
        cached_free(d, c);
        return false;
    }
    buf_add(out, c->bytes + c->key_len, c->len);
    if (!buf_ok(out))
        return false;
    dns_answer_age(out->at, out->len, (uint32_t)age_s);
    return true;
}

void dns_cache_done(struct dns *d)
{
    struct list_node *i;

    while ((i = list_first(&d->aging)) != NULL)
        cached_free(d, container_of(i, struct cached, node));
    map_done(&d->cache);
}
