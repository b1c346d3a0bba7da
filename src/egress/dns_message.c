/* SPDX-License-Identifier: Apache-2.0 */
/* See dns_message.h. */
#include "egress/dns_message.h"

enum {
    FLAGS = 2, /* offsets in the head */
    QUESTIONS = 4,
    ANSWERS = 6,
    AUTHORITY = 8,
    ADDITIONAL = 10,
    IS_ANSWER = 0x8000, /* bits of the flags */
    OPERATION = 0x7800,
    IS_CUT = 0x0200,
    WANTS_RECURSION = 0x0100,
    HAS_RECURSION = 0x0080,
    CODE = 0x000f,
    CLASS_IN = 1,
    OUR_ROOM = 4096, /* bytes of an answer over UDP to our own questions */
    TYPE_SOA = 6,
    TYPE_OPT = 41,
    TYPE_IXFR = 251, /* transfers of zones are for servers */
    TYPE_AXFR = 252,
    LABEL_MAX = 63,
    RECORD_HEAD = 10,   /* behind its name: type, class, life, length */
    RECORDS_MAX = 4096, /* looked at in one message */
    LIFE_MAX_S = 3600,
    CACHE_MISS_MAX_S = 60, /* for what is not there (RFC 2308 would allow more) */
};

static unsigned get16(struct str m, size_t at)
{
    return (unsigned)(uint8_t)m.at[at] << 8 | (uint8_t)m.at[at + 1];
}

static uint32_t get32(struct str m, size_t at)
{
    return (uint32_t)get16(m, at) << 16 | get16(m, at + 2);
}

static void put16(char *at, unsigned value)
{
    at[0] = (char)(value >> 8);
    at[1] = (char)value;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* A name without pointers, as questions have it. Returns the offset behind it, 0: it is broken. */
static size_t read_name(struct str m, size_t at, char name[DNS_NAME_MAX + 1])
{
    size_t len = 0;

    while (at < m.len && m.at[at] != 0) {
        size_t label = (uint8_t)m.at[at++];

        if (label > LABEL_MAX || label > m.len - at || len + label + 1 > DNS_NAME_MAX - 1)
            return 0;
        if (len > 0)
            name[len++] = '.';
        for (size_t i = 0; i < label; i++)
            name[len++] = lower(m.at[at++]);
    }
    name[len] = '\0';
    return at < m.len ? at + 1 : 0;
}

/* Past a name that may end in a pointer; 0: it is broken. */
static size_t skip_name(struct str m, size_t at)
{
    while (at < m.len) {
        size_t label = (uint8_t)m.at[at];

        if (label == 0)
            return at + 1;
        if (label >= 0xc0)
            return at + 2 <= m.len ? at + 2 : 0;
        if (label > LABEL_MAX)
            return 0;
        at += label + 1;
    }
    return 0;
}

struct record {
    unsigned type;
    size_t life; /* offset */
    size_t end;
};

static bool read_record(struct str m, size_t at, struct record *out)
{
    size_t head = skip_name(m, at), data;

    if (head == 0 || m.len - head < RECORD_HEAD)
        return false;
    data = get16(m, head + 8);
    if (data > m.len - head - RECORD_HEAD)
        return false;
    *out = (struct record){get16(m, head), head + 4, head + RECORD_HEAD + data};
    return true;
}

/* What EDNS says the asker takes; 0: broken. */
static size_t read_room(struct str m, size_t at)
{
    unsigned count = get16(m, ADDITIONAL);
    size_t room = DNS_UDP_LEAST;
    struct record r;

    for (unsigned i = 0; i < count; i++) {
        if (!read_record(m, at, &r))
            return 0;
        if (r.type == TYPE_OPT && get16(m, r.life - 2) > room)
            room = get16(m, r.life - 2); /* where others have their class */
        at = r.end;
    }
    return at == m.len ? room : 0;
}

bool dns_question_read(struct str m, struct dns_question *out)
{
    struct dns_question q;
    size_t at;

    if (m.len < DNS_HEAD || m.len > DNS_MESSAGE_MAX ||
        (get16(m, FLAGS) & (IS_ANSWER | OPERATION | IS_CUT)) != 0 || get16(m, QUESTIONS) != 1 ||
        get16(m, ANSWERS) != 0 || get16(m, AUTHORITY) != 0 || get16(m, ADDITIONAL) > 2)
        return false;
    at = read_name(m, DNS_HEAD, q.name);
    if (at == 0 || m.len - at < 4)
        return false;
    q.type = (uint16_t)get16(m, at);
    q.end = at + 4;
    q.udp_room = read_room(m, q.end);
    if (q.udp_room == 0 || q.type == TYPE_AXFR || q.type == TYPE_IXFR)
        return false;
    *out = q;
    return true;
}

size_t dns_question_write(struct str name, uint16_t type, char out[DNS_QUESTION_MAX])
{
    static const char extension[11] = {0, 0, TYPE_OPT, OUR_ROOM >> 8, OUR_ROOM & 0xff};
    char *at = out + DNS_HEAD;

    memset(out, 0, DNS_HEAD);
    put16(out + FLAGS, WANTS_RECURSION);
    put16(out + QUESTIONS, 1);
    put16(out + ADDITIONAL, 1);
    while (name.len > 0) {
        struct str label = str_cut(name, '.', &name);

        *at++ = (char)label.len;
        memcpy(at, label.at, label.len);
        at += label.len;
    }
    *at++ = 0;
    put16(at, type);
    put16(at + 2, CLASS_IN);
    memcpy(at + 4, extension, sizeof(extension));
    return (size_t)(at - out) + 4 + sizeof(extension);
}

size_t dns_answer_places(struct str m, uint16_t type, struct place *out, size_t max)
{
    const size_t size = type == DNS_TYPE_A ? 4 : 16, life = 4, length = 2;
    size_t at = m.len < DNS_HEAD ? 0 : skip_name(m, DNS_HEAD), found = 0;
    struct record r;

    if (at == 0 || m.len - at < 4 || (get16(m, FLAGS) & IS_ANSWER) == 0 ||
        (get16(m, FLAGS) & CODE) != 0 || get16(m, QUESTIONS) != 1)
        return 0;
    at += 4;
    for (unsigned i = 0; i < get16(m, ANSWERS) && found < max; i++, at = r.end) {
        size_t data;

        if (!read_record(m, at, &r))
            break;
        data = r.life + life + length;
        if (r.type != type || get16(m, r.life - 2) != CLASS_IN || r.end - data != size)
            continue;
        if (type == DNS_TYPE_A) {
            out[found++] = place_v4((const uint8_t *)m.at + data, 0);
        } else {
            out[found] = (struct place){0};
            memcpy(out[found++].address, m.at + data, size);
        }
    }
    return found;
}

bool dns_answer_fits(struct str answer, struct str question, size_t question_end)
{
    if (answer.len < question_end || (get16(answer, FLAGS) & IS_ANSWER) == 0 ||
        get16(answer, QUESTIONS) != 1)
        return false;
    for (size_t i = DNS_HEAD; i < question_end; i++) {
        if (lower(answer.at[i]) != lower(question.at[i]))
            return false;
    }
    return true;
}

bool dns_answer_life(struct str m, uint32_t *out_s)
{
    unsigned code, count;
    uint32_t life = LIFE_MAX_S;
    bool has_record = false;
    struct record r;
    size_t at;

    if (m.len < DNS_HEAD || get16(m, QUESTIONS) != 1)
        return false;
    code = get16(m, FLAGS) & CODE;
    count = get16(m, ANSWERS) + get16(m, AUTHORITY) + get16(m, ADDITIONAL);
    at = skip_name(m, DNS_HEAD);
    if (at == 0 || m.len - at < 4 || (code != 0 && code != DNS_NXDOMAIN) || dns_is_cut(m) ||
        count > RECORDS_MAX)
        return false;
    at += 4;
    for (unsigned i = 0; i < count; i++, at = r.end) {
        if (!read_record(m, at, &r))
            return false;
        if (r.type == TYPE_OPT)
            continue;
        has_record = true;
        life = get32(m, r.life) < life ? get32(m, r.life) : life;
    }
    if ((code == DNS_NXDOMAIN || get16(m, ANSWERS) == 0) && life > CACHE_MISS_MAX_S)
        life = CACHE_MISS_MAX_S;
    *out_s = life;
    return has_record && life > 0;
}

void dns_answer_age(char *answer, size_t len, uint32_t s)
{
    struct str m = {answer, len};
    unsigned count = get16(m, ANSWERS) + get16(m, AUTHORITY) + get16(m, ADDITIONAL);
    size_t at = skip_name(m, DNS_HEAD) + 4;
    struct record r;

    for (unsigned i = 0; i < count && read_record(m, at, &r); i++, at = r.end) {
        uint32_t life = get32(m, r.life);

        if (r.type == TYPE_OPT)
            continue;
        life = life > s ? life - s : 0;
        put16(answer + r.life, life >> 16);
        put16(answer + r.life + 2, life & 0xffff);
    }
}

bool dns_is_cut(struct str answer)
{
    return (get16(answer, FLAGS) & IS_CUT) != 0;
}

uint16_t dns_number(struct str message)
{
    return (uint16_t)get16(message, 0);
}

void dns_set_number(char *message, uint16_t number)
{
    put16(message, number);
}

static size_t head_only(struct str m, size_t end, unsigned flags, char *out)
{
    memcpy(out, m.at, end);
    memset(out + QUESTIONS, 0, DNS_HEAD - QUESTIONS);
    put16(out + QUESTIONS, 1);
    put16(out + FLAGS, flags);
    return end;
}

size_t dns_error(struct str question, size_t question_end, unsigned code, char *out)
{
    unsigned flags = get16(question, FLAGS) & WANTS_RECURSION;

    return head_only(question, question_end, flags | IS_ANSWER | HAS_RECURSION | code, out);
}

size_t dns_cut(struct str answer, size_t question_end, char *out)
{
    return head_only(answer, question_end, get16(answer, FLAGS) | IS_CUT, out);
}
