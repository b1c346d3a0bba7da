/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of keys that were given; see key_text.h. Called by key_import.c. */
#include "domain/key_text.h"

#include "domain/key_internal.h"

static const char hash_prefix[] = "sha256:";

static struct str trim(struct str s)
{
    s = str_trim(s);
    while (s.len > 0 && s.at[s.len - 1] == '\r')
        s = str_trim(str_upto(s, s.len - 1));
    return s;
}

bool key_text_next(struct str *rest, struct str *out)
{
    while (rest->len > 0) {
        struct str line = str_upto(*rest, (size_t)str_find(*rest, '\n'));
        struct str behind, entry;

        if (str_has_prefix(str_trim(line), "#")) {
            ignore((long)str_cut(*rest, '\n', rest).len);
            continue;
        }
        entry = str_cut(line, ',', &behind);
        *rest = str_from(*rest, entry.len < rest->len ? entry.len + 1 : entry.len);
        entry = trim(entry);
        if (entry.len == 0)
            continue;
        *out = entry;
        return true;
    }
    return false;
}

static int parse_scopes(struct str text, uint32_t *out, struct err *err)
{
    uint32_t scopes = 0;

    while (text.len > 0) {
        uint32_t scope = key_scope_of(str_cut(text, '+', &text));

        if (scope == 0)
            return err_set(err, ERR_INVALID, "scopes are read, write and admin, with '+' between");
        scopes |= scope;
    }
    *out = scopes;
    return 0;
}

static int parse_hash(struct str *rest, struct key_entry *out, struct err *err)
{
    struct str hash = str_cut(str_from(*rest, sizeof(hash_prefix) - 1), ':', rest);
    bool is_good = hash.len == KEY_HASH_LEN;

    for (size_t i = 0; i < hash.len; i++)
        is_good = is_good && hash.at[i] != '\0' && strchr("0123456789abcdef", hash.at[i]) != NULL;
    if (!is_good || !str_to_c(hash, out->hash, sizeof(out->hash)))
        return err_set(err, ERR_INVALID, "a SHA-256 is %d lower-case hex digits", KEY_HASH_LEN);
    return 0;
}

static int parse_key(struct str *rest, struct key_entry *out, struct err *err)
{
    struct str text = str_cut(*rest, ':', rest);

    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~')
            return err_set(err, ERR_INVALID, "a key has printable characters only");
    if (text.len < KEY_TEXT_MIN || text.len > KEY_TEXT_MAX)
        return err_set(err, ERR_INVALID, "a key has %d to %d characters", KEY_TEXT_MIN,
                       KEY_TEXT_MAX);
    out->text = text;
    key_hash(text, out->hash);
    return 0;
}

int key_text_parse(struct str entry, struct key_entry *out, struct err *err)
{
    struct str rest = entry, scopes;
    struct key_entry e = {0};
    int result;

    if (str_has_prefix(entry, hash_prefix))
        result = parse_hash(&rest, &e, err);
    else
        result = parse_key(&rest, &e, err);
    if (result != 0)
        return -1;
    e.team = str_cut(rest, ':', &scopes);
    if (e.team.len > 0 && !team_name_is_good(e.team))
        return err_set(err, ERR_INVALID, "that is no name of a team");
    if (parse_scopes(scopes, &e.scopes, err) != 0)
        return -1;
    *out = e;
    return 0;
}
