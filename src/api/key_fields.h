/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies about keys and teams: TeamAPIKey and CreatedTeamAPIKey of wire.md 2.5, and what
 * operators need besides. See fields.h. */
#ifndef API_KEY_FIELDS_H
#define API_KEY_FIELDS_H

#include "codec/codec.h"

/* Requests. */

struct key_body {
    struct str name, description;
    struct codec_list scopes; /* of struct str */
    struct str expires_at;    /* RFC 3339 */
    int64_t expires_in;       /* seconds; instead of expires_at */
    bool has_expires_in;
};

struct key_patch_body {
    struct str name, description;
    bool has_name, has_description;
};

struct key_rotate_body {
    int64_t grace_s;
};

struct team_body {
    struct str name; /* only of a new team */
    struct str tier, block_reason;
    bool is_blocked, is_banned;
    bool has_tier, has_blocked, has_banned;
    struct str limits; /* raw JSON: an object by quota_name() */
};

/* Answers. */

struct mask_reply {
    struct str prefix, head, tail;
    int64_t value_len;
};

struct key_reply { /* TeamAPIKey; CreatedTeamAPIKey with `key` */
    struct str id, name, created_at, key;
    struct mask_reply *mask;
    struct str last_used, description, expires_at;
    struct codec_list scopes; /* of struct str */
    /* For operators only. */
    struct str hash, status, source, team_id, team_name;
};

struct team_reply {
    struct str id, name, tier, created_at, block_reason;
    bool is_default, is_blocked, is_banned;
    struct str limits, used; /* raw JSON */
};

struct listed_team_reply { /* GET /teams */
    struct str id, name, key;
    bool is_default;
};

struct kill_reply {
    int64_t killed, failed;
};

extern const struct codec_message key_message, key_patch_message, key_rotate_message;
extern const struct codec_message team_message;
extern const struct codec_message key_reply_message, team_reply_message;
extern const struct codec_message listed_team_reply_message, kill_reply_message;

#endif
