/* SPDX-License-Identifier: Apache-2.0 */
/* What is the egress role's of one sandbox, shared by the files of this folder: its sockets, its
 * policy, and what goes on through them. */
#ifndef EGRESS_OUTLET_H
#define EGRESS_OUTLET_H

#include "base/bucket.h"
#include "base/map.h"
#include "egress/audit.h"
#include "egress/egress.h"
#include "egress/policy.h"
#include "egress/roots.h"
#include "egress/vault.h"
#include "egress/wire.h"
#include "io/relay.h"
#include "io/socket.h"
#include "ipc/egress_messages.h"

enum {
    OUTLET_ID_SIZE = 64,
    DNS_PORT = 53,
    PACKETS_BATCH = 64, /* of one socket in one turn */
};

struct dns;

struct egress {
    struct loop *loop;
    struct listener listener;
    struct list peers;
    struct map outlets; /* by id */
    struct site site;
    struct policy defaults;
    int route_fd;
    struct dns *dns;
    struct roots *roots;
    struct bucket audits;
    char *packet; /* WIRE_MAX bytes and SHOWN_EXTRA: what is read right now */
    char *answer; /* WIRE_MAX, for what is built while `packet` is looked at */
};

/* What is remembered without a connection; talk.h. */
enum talk_kind {
    TALK_UDP,
    TALK_ECHO,
    TALK_KINDS,
};

struct talks {
    struct map by_pair; /* struct talk by its pair */
    struct list recent; /* of them, the longest silent first */
};

struct outlet {
    struct egress *egress;
    char id[OUTLET_ID_SIZE];
    bool is_open;  /* its sockets are served */
    bool is_named; /* by the peer that is connected */
    struct policy policy;
    struct vault *vault;          /* NULL: it has no secrets */
    int fds[EGRESS_SOCKET_KINDS]; /* came and are not served yet; -1 */
    struct listener stream;
    int datagram, shown, raw, raw6; /* -1 */
    struct watch datagram_watch, shown_watch;
    struct map flows;  /* struct flow by its pair, until they are accepted */
    struct list links; /* of struct flow: accepted */
    size_t connections;
    struct pace up, down; /* of all links together */
    struct talks talks[TALK_KINDS];
    struct bucket echoes;
    size_t dns_waiting;   /* questions that wait for an answer */
    uint64_t last_number; /* of a flow that asks the name service */
    struct audit audit;
};

/* egress.c: to node. False: it is not there, or does not read. */
bool egress_tell(struct egress *e, const struct egress_record *r);

/* outlet.c */
struct outlet *outlet_find(struct egress *e, struct str id); /* or NULL */
/* NULL: the id is none. */
struct outlet *outlet_get(struct egress *e, struct str id);
void outlet_free(struct outlet *o);
/* Serves the sockets that came. */
must_check int outlet_open(struct outlet *o, struct err *err);
/* All of them, that is; false: those that did are dropped. */
bool outlet_is_complete(struct outlet *o);
must_check int outlet_set_policy(struct outlet *o, struct str policy, struct err *err);
must_check int outlet_set_secrets(struct outlet *o, struct str secrets, struct err *err);
/* A packet into the sandbox's loopback. When there is no room it is lost, as packets are. */
void outlet_send(struct outlet *o, const char *packet, size_t size);
/* 0, or why not: EACCES by policy, or what the kernel has against it. */
int outlet_check(struct outlet *o, const struct place *to);
/* The same, whatever its own policy says. */
int outlet_check_site(struct outlet *o, const struct place *to);
/* The same of a place that `name` was resolved to by this role. */
int outlet_check_named(struct outlet *o, const struct place *to, struct str name);
/* Does the policy, when `to` is asked for by that name? */
bool outlet_allows_name(const struct outlet *o, const struct place *to, struct str name);
/* Does the name that a connection asks for decide, and not this address? */
bool outlet_goes_by_name(const struct outlet *o, const struct place *to);
/* May it ask the name service at all? Not when there is nothing it could do with an answer. */
bool outlet_may_ask(const struct outlet *o);
/* May it ask about this name? With rules by name about those alone, so that questions do not carry
 * out what connections may not. */
bool outlet_may_ask_name(const struct outlet *o, struct str name);

/* tcp.c */
void tcp_begin(struct outlet *o, const struct wire *syn);
void tcp_accepted(struct outlet *o, int fd); /* takes it */
/* Ends what the policy of now does not allow. */
void tcp_recheck(struct outlet *o);
void tcp_end_all(struct outlet *o);
void tcp_set_alive(int fd); /* notices when the other side is gone; sends at once */

/* udp.c, echo.c: what the sandbox sends. `hops`: it may take. */
void udp_datagram(struct outlet *o, const struct pair *pair, unsigned hops, struct str data);
void echo_request(struct outlet *o, const struct wire *w);

#endif
