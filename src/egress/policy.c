/* SPDX-License-Identifier: Apache-2.0 */
/* See policy.h. */
#include "egress/policy.h"

#include "base/host_name.h"

enum {
    RANGES_MAX = 4096,        /* of one list */
    POLICY_MEM_MAX = 1 << 20, /* while it is decoded */
    RANGE_TEXT_MAX = 64,      /* of one in an error */
};

static int range_add(struct ranges *to, struct str text, struct err *err)
{
    if (to->count >= RANGES_MAX)
        return err_set(err, ERR_LIMIT, "more than %d ranges", RANGES_MAX);
    if (!range_read(text, &to->rows[to->count]))
        return err_set(err, ERR_INVALID, "'%.*s' is neither an address nor a CIDR",
                       STR_ARG(str_upto(text, RANGE_TEXT_MAX)));
    to->count++;
    return 0;
}

static int ranges_split(const char *text, struct ranges *out, struct err *err)
{
    struct str rest = str_of(text);

    *out = (struct ranges){mem_array(rest.len / 2 + 1, sizeof(struct range)), 0};
    while (rest.len > 0) {
        struct str part = str_cut(rest, ',', &rest);

        part = str_trim(part);
        if (part.len > 0 && range_add(out, part, err) != 0)
            return -1;
    }
    return 0;
}

int site_read(const char *allow, const char *deny, struct site *out, struct err *err)
{
    struct site s = {0};

    if (ranges_split(allow, &s.allow, err) != 0 || ranges_split(deny, &s.deny, err) != 0) {
        site_done(&s);
        return -1;
    }
    *out = s;
    return 0;
}

void site_done(struct site *s)
{
    free(s->allow.rows);
    free(s->deny.rows);
    *s = (struct site){0};
}

/* What clients call ALL_TRAFFIC is written as if there were IPv4 only. */
static void widen(struct range *r)
{
    static const struct range all_v4 = {
        {[10] = 0xff, [11] = 0xff},
        96
    };

    if (memcmp(r, &all_v4, sizeof(all_v4)) == 0)
        *r = (struct range){0};
}

static void name_add(struct names *to, struct str name)
{
    char *at = to->text + to->used;

    memcpy(at, name.at, name.len);
    to->used += name.len;
    to->rows[to->count++] = (struct str){at, name.len};
}

/* Names are put aside where they may stand (`names` is not NULL). */
static int ranges_copy(const struct codec_list *from, struct ranges *out, struct names *names,
                       struct err *err)
{
    const struct str *texts = from->items;

    if (from->count > RANGES_MAX)
        return err_set(err, ERR_LIMIT, "more than %d ranges", RANGES_MAX);
    out->rows = mem_array(from->count + 1, sizeof(*out->rows));
    for (size_t i = 0; i < from->count; i++) {
        if (names != NULL && host_pattern_is_good(texts[i])) {
            name_add(names, texts[i]);
            continue;
        }
        if (range_add(out, texts[i], err) != 0)
            return -1;
        widen(&out->rows[out->count - 1]);
    }
    return 0;
}

static void names_init(struct names *n, const struct codec_list *from)
{
    const struct str *texts = from->items;
    size_t size = 1;

    for (size_t i = 0; i < from->count; i++)
        size += texts[i].len;
    n->rows = mem_array(from->count + 1, sizeof(*n->rows));
    n->text = mem_zero(size);
}

int policy_read(struct str encoded, const struct policy *defaults, struct policy *out,
                struct err *err)
{
    struct policy p = {.bytes_per_s = defaults->bytes_per_s,
                       .connections_max = defaults->connections_max};
    struct egress_policy m = {0};
    int result;

    arena_init(&p.mem, POLICY_MEM_MAX);
    result = proto_decode(&egress_policy_message, encoded, &p.mem, &m, err);
    if (result == 0) {
        p.is_offline = m.is_offline;
        if (m.bytes_per_s != 0)
            p.bytes_per_s = m.bytes_per_s;
        if (m.connections_max != 0)
            p.connections_max = m.connections_max;
        p.audit_percent = m.audit_percent < 100 ? m.audit_percent : 100;
        names_init(&p.names, &m.allow_out);
        result = ranges_copy(&m.allow_out, &p.allow, &p.names, err);
    }
    if (result == 0)
        result = ranges_copy(&m.deny_out, &p.deny, NULL, err);
    p.rules = m.rules;
    p.proxy = m.proxy;
    if (m.rules.count == 0 && m.proxy == NULL)
        arena_done(&p.mem); /* nothing of it is used */
    if (result != 0) {
        policy_done(&p);
        return err_wrap(err, "policy");
    }
    *out = p;
    return 0;
}

void policy_done(struct policy *p)
{
    free(p->allow.rows);
    free(p->deny.rows);
    free(p->names.rows);
    free(p->names.text);
    arena_done(&p->mem);
    *p = (struct policy){0};
}
