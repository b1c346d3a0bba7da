/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages: which questions are passed on, which answers fit, how long they are kept. */
#include "egress/dns_message.h"
#include "test.h"

static const char question[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
                               "\x03wWw\x04Test\x00\x00\x01\x00\x01";
static const char with_edns[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
                                "\x03www\x04test\x00\x00\x01\x00\x01"
                                "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00";
static const char answer[] = "\xab\xcd\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00"
                             "\x03www\x04test\x00\x00\x01\x00\x01"
                             "\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x01\x02\x03\x04"
                             "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x02\x03\x05";
static const char missing[] = "\xab\xcd\x81\x83\x00\x01\x00\x00\x00\x01\x00\x00"
                              "\x03www\x04test\x00\x00\x01\x00\x01"
                              "\x00\x00\x06\x00\x01\x00\x01\x51\x80\x00\x02\xab\xcd";

static struct str all(const char *text, size_t size)
{
    return (struct str){text, size - 1};
}

static void reads_questions(void)
{
    struct dns_question q;

    CHECK(dns_question_read(all(question, sizeof(question)), &q));
    CHECK(str_is(str_of(q.name), "www.test") && q.type == 1 && q.end == sizeof(question) - 1 &&
          q.udp_room == 512);
    CHECK(dns_question_read(all(with_edns, sizeof(with_edns)), &q) && q.udp_room == 4096);
    for (size_t len = 0; len < sizeof(with_edns) - 1; len++)
        CHECK(!dns_question_read((struct str){with_edns, len}, &q));
}

static void refuses_what_is_no_question(void)
{
    static const struct {
        size_t at;
        char value;
    } rows[] = {
        {2,     (char)0x81}, /* an answer */
        {2,     0x29      }, /* another operation: an update */
        {3 + 2, 2         }, /* two questions */
        {7,     1         }, /* with an answer */
        {9,     1         }, /* with authority */
        {12,    0x40      }, /* a label of an unknown kind */
        {12,    (char)0xc0}, /* a pointer */
        {23,    (char)252 }, /* a transfer of the zone */
    };
    struct dns_question q;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char m[sizeof(question)];

        memcpy(m, question, sizeof(m));
        m[rows[i].at] = rows[i].value;
        CHECK(!dns_question_read(all(m, sizeof(m)), &q));
    }
}

static void knows_which_answer_fits(void)
{
    char other[sizeof(answer)];
    struct str q = all(question, sizeof(question));
    size_t end = sizeof(question) - 1;

    CHECK(dns_answer_fits(all(answer, sizeof(answer)), q, end)); /* in another spelling, too */
    CHECK(!dns_answer_fits(q, q, end));
    CHECK(!dns_answer_fits((struct str){answer, end - 1}, q, end));
    memcpy(other, answer, sizeof(other));
    other[13] = 'x';
    CHECK(!dns_answer_fits(all(other, sizeof(other)), q, end));
}

static void keeps_as_long_as_the_shortest_lives(void)
{
    char aged[sizeof(answer)];
    struct str m = {aged, sizeof(answer) - 1};
    uint32_t life = 0;

    CHECK(dns_answer_life(all(answer, sizeof(answer)), &life) && life == 60);
    CHECK(dns_answer_life(all(missing, sizeof(missing)), &life) && life == 60);
    memcpy(aged, answer, sizeof(aged));
    dns_answer_age(aged, m.len, 20);
    CHECK(dns_answer_life(m, &life) && life == 40);
    dns_answer_age(aged, m.len, 100);
    CHECK(!dns_answer_life(m, &life));
    for (size_t len = 0; len < sizeof(answer) - 1; len++)
        CHECK(!dns_answer_life((struct str){answer, len}, &life));
    memcpy(aged, answer, sizeof(aged));
    aged[3] = (char)0x82; /* SERVFAIL */
    CHECK(!dns_answer_life(m, &life));
    aged[3] = (char)0x80;
    aged[2] = (char)0x83; /* cut */
    CHECK(!dns_answer_life(m, &life));
}

static void says_errors(void)
{
    char out[64];
    struct str q = all(with_edns, sizeof(with_edns));
    size_t len = dns_error(q, 26, DNS_REFUSED, out);

    CHECK(len == 26 && dns_number((struct str){out, len}) == 0x1234);
    CHECK((out[2] & 0x80) != 0 && (out[3] & 0xf) == DNS_REFUSED && out[5] == 1 && out[11] == 0);
    len = dns_cut(all(answer, sizeof(answer)), 26, out);
    CHECK(len == 26 && dns_is_cut((struct str){out, len}) && out[7] == 0);
    dns_set_number(out, 0xfffe);
    CHECK(dns_number((struct str){out, len}) == 0xfffe);
}

static void asks_by_itself(void)
{
    static const char mixed[] = "\xab\xcd\x81\x80\x00\x01\x00\x04\x00\x00\x00\x00"
                                "\x03www\x04test\x00\x00\x01\x00\x01"
                                "\xc0\x0c\x00\x05\x00\x01\x00\x00\x01\x2c\x00\x04\x01x\xc0\x10"
                                "\xc0\x2b\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x01\x02\x03\x04"
                                "\xc0\x2b\x00\x01\x00\x03\x00\x00\x01\x2c\x00\x04\x01\x02\x03\x05"
                                "\xc0\x2b\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\x01\x02\x03\x06";
    char out[DNS_QUESTION_MAX];
    struct str message = {out, 0};
    struct dns_question q;
    struct place places[4];

    message.len = dns_question_write(STR("www.Test"), DNS_TYPE_AAAA, out);
    CHECK(dns_question_read(message, &q));
    CHECK(str_is(str_of(q.name), "www.test") && q.type == DNS_TYPE_AAAA && q.udp_room == 4096);
    CHECK(dns_answer_places(all(mixed, sizeof(mixed)), DNS_TYPE_A, places, 4) == 2);
    CHECK(memcmp(places[0].address + 12, "\1\2\3\4", 4) == 0 && place_is_v4(&places[0]));
    CHECK(memcmp(places[1].address + 12, "\1\2\3\6", 4) == 0 && places[1].port == 0);
    CHECK(dns_answer_places(all(mixed, sizeof(mixed)), DNS_TYPE_A, places, 1) == 1);
    CHECK(dns_answer_places(all(mixed, sizeof(mixed)), DNS_TYPE_AAAA, places, 4) == 0);
    CHECK(dns_answer_places(all(missing, sizeof(missing)), DNS_TYPE_A, places, 4) == 0);
    CHECK(dns_answer_places(all(question, sizeof(question)), DNS_TYPE_A, places, 4) == 0);
    for (size_t len = 0; len < sizeof(mixed) - 1; len++)
        CHECK(dns_answer_places((struct str){mixed, len}, DNS_TYPE_A, places, 4) <= 2);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"reads questions",                         reads_questions                    },
        {"refuses what is no question",             refuses_what_is_no_question        },
        {"knows which answer fits",                 knows_which_answer_fits            },
        {"keeps as long as the shortest one lives", keeps_as_long_as_the_shortest_lives},
        {"says errors",                             says_errors                        },
        {"asks by itself",                          asks_by_itself                     },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
