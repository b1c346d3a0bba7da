/* SPDX-License-Identifier: Apache-2.0 */
/* X-Metadata-* and extended attributes; used by files_post.c (store) and entry.c (load). */
#include "envd/metadata.h"

#include <errno.h>
#include <stdio.h>
#include <sys/xattr.h>

static const char header_prefix[] = "X-Metadata-";
static const char xattr_prefix[] = "user.e2b.";

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < ' ' || s.at[i] > '~')
            return false;
    }
    return true;
}

static bool has_key(const struct codec_list *pairs, struct str key)
{
    const struct codec_pair *p = pairs->items;

    for (size_t i = 0; i < pairs->count; i++) {
        if (str_eq(p[i].key, key))
            return true;
    }
    return false;
}

static struct str lower(struct str text, struct arena *a)
{
    struct str copy = arena_str(a, text);
    char *at = (char *)(uintptr_t)copy.at; /* ours */

    for (size_t i = 0; at != NULL && i < copy.len; i++) {
        if (at[i] >= 'A' && at[i] <= 'Z')
            at[i] = (char)(at[i] - 'A' + 'a');
    }
    return copy;
}

static int parse_one(const struct http_field *f, struct arena *a, struct codec_list *out,
                     struct err *err)
{
    struct codec_pair *pairs = out->items;
    struct str key = lower(str_from(f->name, sizeof(header_prefix) - 1), a);
    struct str value = arena_str(a, f->value);

    if (key.at == NULL || value.at == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (key.len == 0 || key.len > METADATA_KEY_MAX || !is_printable(key))
        return err_set(err, ERR_INVALID, "metadata key must be 1 to %d printable ASCII bytes",
                       METADATA_KEY_MAX);
    if (!is_printable(value))
        return err_set(err, ERR_INVALID, "metadata value of '%.*s' must be printable ASCII",
                       STR_ARG(str_upto(key, 100)));
    if (!has_key(out, key))
        pairs[out->count++] = (struct codec_pair){key, value};
    return 0;
}

int metadata_parse(const struct http_head *h, struct arena *a, struct codec_list *out,
                   struct err *err)
{
    size_t total = 0;
    const struct codec_pair *pairs;

    *out = (struct codec_list){0};
    for (size_t i = 0; i < h->field_count; i++) {
        struct str start = str_upto(h->fields[i].name, sizeof(header_prefix) - 1);

        if (!str_ieq(start, str_of(header_prefix)))
            continue;
        if (out->items == NULL)
            out->items = arena_array(a, METADATA_KEYS_MAX, sizeof(struct codec_pair));
        if (out->items == NULL)
            return err_set(err, ERR_LIMIT, "out of memory");
        if (out->count == METADATA_KEYS_MAX)
            return err_set(err, ERR_INVALID, "more than %d metadata keys", METADATA_KEYS_MAX);
        if (parse_one(&h->fields[i], a, out, err) != 0)
            return -1;
    }
    pairs = out->items;
    for (size_t i = 0; i < out->count; i++)
        total += sizeof(xattr_prefix) - 1 + pairs[i].key.len + pairs[i].value.len;
    if (total > METADATA_TOTAL_MAX)
        return err_set(err, ERR_INVALID, "metadata is larger than %d bytes", METADATA_TOTAL_MAX);
    return 0;
}

/* Remove what an earlier upload left and this one does not name. */
static void remove_others(int fd, const struct codec_list *keep)
{
    char names[METADATA_TOTAL_MAX * 2];
    ssize_t len = flistxattr(fd, names, sizeof(names));

    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
        struct str name = str_of(names + at);

        if (str_has_prefix(name, xattr_prefix) &&
            !has_key(keep, str_from(name, sizeof(xattr_prefix) - 1)))
            ignore(fremovexattr(fd, names + at)); /* gone already, or not ours to remove */
    }
}

int metadata_store(int fd, const struct codec_list *list, struct err *err)
{
    const struct codec_pair *pairs = list->items;
    char name[sizeof(xattr_prefix) + METADATA_KEY_MAX];

    remove_others(fd, list);
    for (size_t i = 0; i < list->count; i++) {
        snprintf(name, sizeof(name), "%s%.*s", xattr_prefix, STR_ARG(pairs[i].key));
        if (fsetxattr(fd, name, pairs[i].value.at, pairs[i].value.len, 0) != 0)
            return err_sys(err, errno, "store metadata '%.*s'", STR_ARG(pairs[i].key));
    }
    return 0;
}

static struct codec_pair load_one(const char *path, const char *name, struct arena *a)
{
    char value[METADATA_TOTAL_MAX];
    ssize_t len = lgetxattr(path, name, value, sizeof(value));

    if (len < 0)
        return (struct codec_pair){0};
    return (struct codec_pair){arena_str(a, str_from(str_of(name), sizeof(xattr_prefix) - 1)),
                               arena_str(a, (struct str){value, (size_t)len})};
}

struct codec_list metadata_load(const char *path, struct arena *a)
{
    char names[METADATA_TOTAL_MAX * 2];
    ssize_t len = llistxattr(path, names, sizeof(names));
    struct codec_list out = {0};
    struct codec_pair *pairs = NULL;

    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
        if (!str_has_prefix(str_of(names + at), xattr_prefix) || out.count == METADATA_KEYS_MAX)
            continue;
        if (pairs == NULL)
            pairs = arena_array(a, METADATA_KEYS_MAX, sizeof(pairs[0]));
        if (pairs == NULL)
            break;
        pairs[out.count] = load_one(path, names + at, a);
        out.count += pairs[out.count].key.at != NULL && pairs[out.count].value.at != NULL;
    }
    out.items = pairs;
    return out;
}
