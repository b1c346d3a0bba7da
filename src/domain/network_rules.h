/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a sandbox (wire.md 7.5, 2.9): what is put into requests to which hosts, and which
 * requests pass. In JSON {"api.example.com": [{"transform": {"headers": {name: value}}, "allow":
 * [{"methods": ["GET"], "paths": ["/v1/"]}]}]}; `allow` is ours. And the proxy that connections go
 * through. Called by api/ before anything is done. */
#ifndef DOMAIN_NETWORK_RULES_H
#define DOMAIN_NETWORK_RULES_H

#include "ipc/egress_messages.h"

enum {
    RULE_PATTERN_MAX = 128,
};

/* Empty, null and {} are no rules. Patterns become small letters. In the arena; ERR_INVALID. */
must_check int network_rules_read(struct str json, struct arena *a, struct codec_list *out,
                                  struct err *err);
/* Of struct egress_rule, back to JSON; none: {}. */
void network_rules_json(const struct codec_list *rules, struct buf *out);

/* Empty and null: NULL. */
must_check int network_proxy_read(struct str json, struct arena *a, struct egress_proxy **out,
                                  struct err *err);

/* The names of secrets in the headers' values, each once: at most EGRESS_SECRETS_USED_MAX. */
size_t network_rules_secrets(const struct codec_list *rules,
                             struct str out[EGRESS_SECRETS_USED_MAX]);

#endif
