/* SPDX-License-Identifier: Apache-2.0 */
/* Codec tables of the bodies about keys and teams. Field numbers only have to be unique here. */
#include "api/key_fields.h"

/* clang-format off */
static const struct codec_field key_fields[] = {
    {1, "name", CODEC_STRING, CODEC_REQUIRED, offsetof(struct key_body, name)},
    {2, "description", CODEC_STRING, 0, offsetof(struct key_body, description)},
    {3, "scopes", CODEC_STRING, CODEC_REPEATED, offsetof(struct key_body, scopes)},
    {4, "expiresAt", CODEC_STRING, 0, offsetof(struct key_body, expires_at)},
    {5, "expiresIn", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct key_body, expires_in),
     offsetof(struct key_body, has_expires_in)},
};

const struct codec_message key_message = {"key", sizeof(struct key_body), key_fields,
                                          COUNT_OF(key_fields)};

static const struct codec_field key_patch_fields[] = {
    {1, "name", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct key_patch_body, name),
     offsetof(struct key_patch_body, has_name)},
    {2, "description", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct key_patch_body, description),
     offsetof(struct key_patch_body, has_description)},
};

const struct codec_message key_patch_message = {"key_patch", sizeof(struct key_patch_body),
                                                key_patch_fields, COUNT_OF(key_patch_fields)};

static const struct codec_field key_rotate_fields[] = {
    {1, "graceSeconds", CODEC_NUMBER, 0, offsetof(struct key_rotate_body, grace_s)},
};

const struct codec_message key_rotate_message = {"key_rotate", sizeof(struct key_rotate_body),
                                                 key_rotate_fields, COUNT_OF(key_rotate_fields)};

static const struct codec_field team_fields[] = {
    {1, "name", CODEC_STRING, 0, offsetof(struct team_body, name)},
    {2, "tier", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct team_body, tier),
     offsetof(struct team_body, has_tier)},
    {3, "isBlocked", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct team_body, is_blocked),
     offsetof(struct team_body, has_blocked)},
    {4, "blockReason", CODEC_STRING, 0, offsetof(struct team_body, block_reason)},
    {5, "isBanned", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct team_body, is_banned),
     offsetof(struct team_body, has_banned)},
    {6, "limits", CODEC_RAW, 0, offsetof(struct team_body, limits)},
};

const struct codec_message team_message = {"team", sizeof(struct team_body), team_fields,
                                           COUNT_OF(team_fields)};

static const struct codec_field mask_fields[] = {
    {1, "prefix", CODEC_STRING, CODEC_ALWAYS, offsetof(struct mask_reply, prefix)},
    {2, "valueLength", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct mask_reply, value_len)},
    {3, "maskedValuePrefix", CODEC_STRING, CODEC_ALWAYS, offsetof(struct mask_reply, head)},
    {4, "maskedValueSuffix", CODEC_STRING, CODEC_ALWAYS, offsetof(struct mask_reply, tail)},
};

static const struct codec_message mask_message = {"mask", sizeof(struct mask_reply), mask_fields,
                                                  COUNT_OF(mask_fields)};

static const struct codec_field key_reply_fields[] = {
    {1, "id", CODEC_STRING, CODEC_ALWAYS, offsetof(struct key_reply, id)},
    {2, "name", CODEC_STRING, CODEC_ALWAYS, offsetof(struct key_reply, name)},
    {3, "createdAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct key_reply, created_at)},
    {4, "key", CODEC_STRING, 0, offsetof(struct key_reply, key)},
    {5, "mask", CODEC_MESSAGE, 0, offsetof(struct key_reply, mask), 0, &mask_message},
    {6, "lastUsed", CODEC_STRING, 0, offsetof(struct key_reply, last_used)},
    {7, "description", CODEC_STRING, 0, offsetof(struct key_reply, description)},
    {8, "expiresAt", CODEC_STRING, 0, offsetof(struct key_reply, expires_at)},
    {9, "scopes", CODEC_STRING, CODEC_REPEATED, offsetof(struct key_reply, scopes)},
    {10, "hash", CODEC_STRING, 0, offsetof(struct key_reply, hash)},
    {11, "status", CODEC_STRING, 0, offsetof(struct key_reply, status)},
    {12, "source", CODEC_STRING, 0, offsetof(struct key_reply, source)},
    {13, "teamID", CODEC_STRING, 0, offsetof(struct key_reply, team_id)},
    {14, "teamName", CODEC_STRING, 0, offsetof(struct key_reply, team_name)},
};

const struct codec_message key_reply_message = {"key_reply", sizeof(struct key_reply),
                                                key_reply_fields, COUNT_OF(key_reply_fields)};

static const struct codec_field team_reply_fields[] = {
    {1, "teamID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct team_reply, id)},
    {2, "name", CODEC_STRING, CODEC_ALWAYS, offsetof(struct team_reply, name)},
    {3, "tier", CODEC_STRING, CODEC_ALWAYS, offsetof(struct team_reply, tier)},
    {4, "createdAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct team_reply, created_at)},
    {5, "isDefault", CODEC_BOOL, CODEC_ALWAYS, offsetof(struct team_reply, is_default)},
    {6, "isBlocked", CODEC_BOOL, CODEC_ALWAYS, offsetof(struct team_reply, is_blocked)},
    {7, "blockReason", CODEC_STRING, 0, offsetof(struct team_reply, block_reason)},
    {8, "isBanned", CODEC_BOOL, CODEC_ALWAYS, offsetof(struct team_reply, is_banned)},
    {9, "limits", CODEC_RAW, 0, offsetof(struct team_reply, limits)},
    {10, "used", CODEC_RAW, 0, offsetof(struct team_reply, used)},
};

const struct codec_message team_reply_message = {"team_reply", sizeof(struct team_reply),
                                                 team_reply_fields, COUNT_OF(team_reply_fields)};

static const struct codec_field listed_team_reply_fields[] = {
    {1, "teamID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct listed_team_reply, id)},
    {2, "name", CODEC_STRING, CODEC_ALWAYS, offsetof(struct listed_team_reply, name)},
    {3, "apiKey", CODEC_STRING, CODEC_ALWAYS, offsetof(struct listed_team_reply, key)},
    {4, "isDefault", CODEC_BOOL, CODEC_ALWAYS, offsetof(struct listed_team_reply, is_default)},
};

const struct codec_message listed_team_reply_message = {
    "listed_team_reply", sizeof(struct listed_team_reply), listed_team_reply_fields,
    COUNT_OF(listed_team_reply_fields)};

static const struct codec_field kill_reply_fields[] = {
    {1, "killedCount", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct kill_reply, killed)},
    {2, "failedCount", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct kill_reply, failed)},
};

const struct codec_message kill_reply_message = {"kill_reply", sizeof(struct kill_reply),
                                                 kill_reply_fields, COUNT_OF(kill_reply_fields)};
/* clang-format on */
