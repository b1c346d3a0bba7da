/* SPDX-License-Identifier: Apache-2.0 */
/* What node and the egress role tell each other, on egress.sock (node connects; nobody else may).
 *
 * On each connect node names every sandbox that runs by EGRESS_OPEN; after the last one comes
 * EGRESS_LISTED. Sandboxes that were not named by then are closed. One whose sockets egress has
 * gets the policy, and its connections go on as far as that lets them. Of others egress answers
 * EGRESS_WANTED, and node sends EGRESS_SOCKET for each socket, then EGRESS_OPEN again, as it does
 * at once for a sandbox that starts. There is one set of sockets for a sandbox, held by egress
 * alone: dead, it takes them along, and node makes new ones. */
#ifndef IPC_EGRESS_MESSAGES_H
#define IPC_EGRESS_MESSAGES_H

#include "ipc/channel.h"

enum egress_message {
    EGRESS_SOCKET = 1, /* struct egress_socket, and the descriptor */
    EGRESS_OPEN,       /* struct egress_open: serve it */
    EGRESS_POLICY,     /* struct egress_open: of one that is open */
    EGRESS_CLOSE,      /* struct egress_close: it has ended; all its connections with it */
    EGRESS_LISTED,     /* struct egress_close with an empty id */
    EGRESS_WANTED,     /* to node, struct egress_close: there are no sockets for it */
    EGRESS_SECRETS,    /* struct egress_open whose policy is a struct egress_secrets: of one that is
                          open or will be */
    EGRESS_RECORD,     /* to node, struct egress_record, for whoever keeps the log of connections */
    EGRESS_MESSAGE_COUNT,
};

/* What a socket is for: see runtime/linux/outward.h, which makes them. */
enum egress_socket_kind {
    EGRESS_STREAM,
    EGRESS_DATAGRAM,
    EGRESS_SHOWN,
    EGRESS_RAW,
    EGRESS_RAW6, /* does not come where the host has no IPv6 */
    EGRESS_SOCKET_KINDS,
};

struct egress_socket {
    struct str id;
    uint32_t kind; /* enum egress_socket_kind */
};

enum {
    EGRESS_POLICY_MAX = 128 << 10, /* bytes of an encoded policy: it shares a packet */
    EGRESS_LIMITS_MAX = 32,        /* of them what is the team's, which comes later */
};

struct egress_open {
    struct str id;
    struct str policy; /* struct egress_policy, encoded; empty is the default policy */
};

struct egress_close {
    struct str id;
};

/* Requests that a rule lets pass. */
struct egress_request {
    struct codec_list methods; /* of struct str, in capitals; none: any */
    struct codec_list paths;   /* of struct str: what a path must begin with; none: any */
};

/* What is done with requests to the hosts of one pattern (wire.md 7.5, 2.9). */
struct egress_rule {
    struct str pattern;        /* a name or "*.name", in small letters */
    struct codec_list headers; /* of struct codec_pair: set, or put in place of those that came */
    struct codec_list allow;   /* of struct egress_request; none: all */
};

/* The proxy that connections go through. */
struct egress_proxy {
    struct str address; /* "host:port", with "socks5://" (as without) or "http://" in front */
    struct str username, password; /* empty in policies: they are in the secrets */
};

/* A certificate authority that one sandbox alone trusts, as PEM. */
struct egress_authority {
    struct str certificate, key;
};

/* What must lie in no file: node keeps it in memory, and egress. */
struct egress_secrets {
    struct codec_list values;           /* name -> value: what "${e2b.secrets.<name>}" stands for */
    struct egress_authority *authority; /* NULL: TLS is not looked into */
    struct str proxy_username, proxy_password;
};

enum {
    EGRESS_RULES_MAX = 10,       /* patterns of one sandbox */
    EGRESS_HEADERS_MAX = 20,     /* of one rule */
    EGRESS_HEADER_NAME_MAX = 64, /* bytes */
    EGRESS_HEADER_VALUE_MAX = 2048,
    EGRESS_REQUESTS_MAX = 20, /* of one rule's allow */
    EGRESS_WORDS_MAX = 20,    /* methods or paths of one of them */
    EGRESS_PATH_MAX = 1024,
    EGRESS_CREDENTIAL_MAX = 255,  /* of a proxy (RFC 1929) */
    EGRESS_SECRETS_USED_MAX = 16, /* names in the rules of one sandbox */
    EGRESS_SECRETS_MAX = 96 << 10 /* bytes of encoded secrets: they share a packet */
};

/* What the owner of a sandbox allows it, as api writes and egress reads it; node only carries and
 * keeps it. What operators forbid (egress/verdict.h) is forbidden whatever this says. */
struct egress_policy {
    bool is_offline;             /* allow_internet_access: false; as denyOut 0.0.0.0/0 and ::/0 */
    struct codec_list deny_out;  /* of struct str: addresses and CIDRs */
    struct codec_list allow_out; /* the same, and names (base/host_name.h); beats deny_out */
    uint64_t bytes_per_s;        /* each way; 0: the configured limit */
    uint32_t connections_max;    /* at once; 0: the configured limit */
    struct codec_list rules;     /* of struct egress_rule */
    struct egress_proxy *proxy;  /* NULL: none */
    uint32_t audit_percent;      /* of connections that are recorded; denied ones all, unless 0 */
};

/* What a connection, talk or question was and did: told when it has ended, or was denied. No text
 * of it is of what went through. */
struct egress_record {
    struct str id;
    int64_t at_ms; /* when it began, wall time */
    uint64_t took_ms;
    struct str protocol; /* "tcp", "udp", "icmp"; "http": one request; "dns": one question */
    struct str address;  /* where it went, or wanted to; empty: nobody knew yet */
    uint32_t port;
    struct str name; /* that it asked for, where that was looked at */
    struct str rule; /* which decided, for people: as verdict.h has them */
    bool is_denied;
    struct str detail; /* why it failed though it was allowed; empty: it did not */
    uint64_t up, down; /* bytes of data from the sandbox, to it */
    uint32_t missed;   /* records of this sandbox before it that were too many to be told */
};

extern const struct channel_protocol egress_protocol;
extern const struct codec_message egress_policy_message, egress_secrets_message;
extern const struct codec_message egress_rule_message, egress_proxy_message;
extern const struct codec_message egress_authority_message, egress_record_message;

#endif
