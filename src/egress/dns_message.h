/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages (RFC 1035) as far as a forwarder must understand them. Hostile input, both ways. */
#ifndef EGRESS_DNS_MESSAGE_H
#define EGRESS_DNS_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "egress/place.h"

enum {
    DNS_HEAD = 12,
    DNS_NAME_MAX = 255, /* as text it is shorter */
    DNS_MESSAGE_MAX = 65535,
    DNS_UDP_LEAST = 512,                                 /* an asker without EDNS takes this much */
    DNS_QUESTION_MAX = DNS_HEAD + DNS_NAME_MAX + 4 + 11, /* as dns_question_write() makes them */
    DNS_TYPE_A = 1,
    DNS_TYPE_AAAA = 28,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_REFUSED = 5,
};

struct dns_question {
    char name[DNS_NAME_MAX + 1]; /* lower case, without the last dot; "" is the root */
    uint16_t type;
    size_t end;      /* of the question section */
    size_t udp_room; /* bytes of an answer the asker takes over UDP */
};

/* One question, of the standard kind, and nothing that contradicts itself. */
bool dns_question_read(struct str message, struct dns_question *out);
/* A question of our own for the addresses of a good name (base/host_name.h). Returns the size. */
size_t dns_question_write(struct str name, uint16_t type, char out[DNS_QUESTION_MAX]);
/* The addresses among the answers, which resolvers have put in their order; other records are
 * passed over. Returns how many, at most `max`; 0 for what is no answer, broken or an error. */
size_t dns_answer_places(struct str answer, uint16_t type, struct place *out, size_t max);
/* Is it an answer to that question (whatever its number)? */
bool dns_answer_fits(struct str answer, struct str question, size_t question_end);
/* The seconds that all its records live; false: it must not be kept. */
bool dns_answer_life(struct str answer, uint32_t *out_s);
/* Makes every record `s` seconds older. The message was read by dns_answer_life(). */
void dns_answer_age(char *answer, size_t len, uint32_t s);
bool dns_is_cut(struct str answer); /* TC: the rest is to be had over TCP */

uint16_t dns_number(struct str message);
void dns_set_number(char *message, uint16_t number);
/* The question with a code instead of an answer; `out` has room for question_end bytes. Returns the
 * size. */
size_t dns_error(struct str question, size_t question_end, unsigned code, char *out);
/* The same with TC: what does not fit. */
size_t dns_cut(struct str answer, size_t question_end, char *out);

#endif
