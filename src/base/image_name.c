/* SPDX-License-Identifier: Apache-2.0 */
/* Parser of image references; see image_name.h. */
#include "base/image_name.h"

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_word(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of the separator at the front: '.', '_', "__" or any number of '-'; 0: none. */
static size_t separator(struct str s)
{
    size_t dashes = 0;

    if (s.len == 0)
        return 0;
    if (s.at[0] == '.')
        return 1;
    if (s.at[0] == '_')
        return s.len > 1 && s.at[1] == '_' ? 2 : 1;
    while (dashes < s.len && s.at[dashes] == '-')
        dashes++;
    return dashes;
}

static bool component_is_good(struct str s)
{
    bool was_letter = false;

    while (s.len > 0) {
        size_t step = separator(s);

        if (step == 0 && !is_lower(s.at[0]))
            return false;
        if (step > 0 && !was_letter)
            return false;
        was_letter = step == 0;
        s = str_from(s, step == 0 ? 1 : step);
    }
    return was_letter;
}

bool image_path_is_good(struct str path)
{
    bool has_more = true;

    while (has_more) {
        struct str rest;
        struct str part = str_cut(path, '/', &rest);

        if (!component_is_good(part))
            return false;
        has_more = part.len < path.len;
        path = rest;
    }
    return true;
}

bool image_tag_is_good(struct str tag)
{
    if (tag.len == 0 || tag.len > IMAGE_TAG_MAX || !is_word(tag.at[0]))
        return false;
    for (size_t i = 1; i < tag.len; i++) {
        if (!is_word(tag.at[i]) && tag.at[i] != '.' && tag.at[i] != '-')
            return false;
    }
    return true;
}

bool image_digest_is_good(struct str text)
{
    static const char start[] = "sha256:";

    if (text.len != IMAGE_DIGEST_LEN || !str_has_prefix(text, start))
        return false;
    for (size_t i = sizeof(start) - 1; i < text.len; i++) {
        if (!is_digit(text.at[i]) && !(text.at[i] >= 'a' && text.at[i] <= 'f'))
            return false;
    }
    return true;
}

static bool port_is_good(struct str port)
{
    uint64_t number;

    return str_to_u64(port, &number) && number > 0 && number <= UINT16_MAX;
}

/* Letters, digits and dashes between dots, not a dash at either end of a label; or an IPv6 address
 * in brackets; then perhaps ":port". */
static bool host_is_good(struct str host)
{
    ssize_t end = host.len > 0 && host.at[0] == '[' ? str_find(host, ']') : -1;
    struct str port = {0};
    struct str name;
    char before = '.';

    if (end > 0) {
        for (ssize_t i = 1; i < end; i++) {
            if (!is_lower(host.at[i]) && host.at[i] != ':' && host.at[i] != '.')
                return false;
        }
        port = str_from(host, (size_t)end + 1);
        return end > 1 && (port.len == 0 || (port.at[0] == ':' && port_is_good(str_from(port, 1))));
    }
    name = str_cut(host, ':', &port);
    if (name.len < host.len && !port_is_good(port))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];

        if (!is_lower(c) && c != '-' && c != '.')
            return false;
        if ((c == '.' || c == '-') && before == '.')
            return false;
        if (c == '.' && before == '-')
            return false;
        before = c;
    }
    return is_lower(before);
}

/* The first component names a host when it could not be that of a path. */
static bool is_host(struct str first)
{
    if (str_is(first, "localhost"))
        return true;
    for (size_t i = 0; i < first.len; i++) {
        if (first.at[i] == '.' || first.at[i] == ':')
            return true;
    }
    return false;
}

static void lower(struct str s)
{
    char *at = (char *)(uintptr_t)s.at; /* ours: a copy in the arena */

    for (size_t i = 0; i < s.len; i++) {
        if (at[i] >= 'A' && at[i] <= 'Z')
            at[i] = (char)(at[i] - 'A' + 'a');
    }
}

static int refuse(struct err *err, struct str text, const char *why)
{
    return err_set(err, ERR_INVALID, "image '%.*s': %s", STR_ARG(str_upto(text, 100)), why);
}

/* The host, and the rest of the name behind it. */
static int take_host(struct str text, struct str name, struct image_name *n, struct err *err)
{
    struct str rest;
    struct str first = str_cut(name, '/', &rest);

    if (first.len == name.len || !is_host(first)) {
        n->host = STR("docker.io");
        n->path = name;
        return 0;
    }
    lower(first);
    n->host = str_is(first, "index.docker.io") ? STR("docker.io") : first;
    n->path = rest;
    return host_is_good(first) ? 0 : refuse(err, text, "the registry's name is not good");
}

/* Docker's own images have short names: "ubuntu" is "library/ubuntu". */
static int complete(struct image_name *n, struct arena *a, struct err *err)
{
    if (str_is(n->host, "docker.io") && str_find(n->path, '/') < 0)
        n->path = str_of(arena_printf(a, "library/%.*s", STR_ARG(n->path)));
    if (n->path.at == NULL)
        return err_set(err, ERR_LIMIT, "no memory for an image's name");
    if (n->tag.len == 0 && n->digest.len == 0)
        n->tag = STR("latest");
    return 0;
}

int image_name_parse(struct str text, struct arena *a, struct image_name *out, struct err *err)
{
    struct image_name n = {0};
    struct str name = arena_str(a, str_trim(text));
    size_t colon;

    if (name.at == NULL)
        return err_set(err, ERR_LIMIT, "no memory for an image's name");
    if (name.len == 0)
        return refuse(err, text, "it is empty");
    if (name.len > IMAGE_NAME_MAX)
        return refuse(err, text, "it is too long");
    if (str_find(name, '@') >= 0) {
        name = str_cut(name, '@', &n.digest);
        if (!str_has_prefix(n.digest, "sha256:"))
            return err_set(err, ERR_UNSUPPORTED, "image '%.*s': digests other than sha256",
                           STR_ARG(str_upto(text, 100)));
        if (!image_digest_is_good(n.digest))
            return refuse(err, text, "the digest is not good");
    }
    for (colon = name.len; colon > 0 && name.at[colon - 1] != ':' && name.at[colon - 1] != '/';)
        colon--;
    if (colon > 0 && name.at[colon - 1] == ':') {
        n.tag = str_from(name, colon);
        name = str_upto(name, colon - 1);
        if (!image_tag_is_good(n.tag))
            return refuse(err, text, "the tag is not good");
    }
    if (take_host(text, name, &n, err) != 0)
        return -1;
    if (!image_path_is_good(n.path))
        return refuse(err, text, "a name is made of a-z, 0-9 and single '.', '_', '-', '/'");
    if (complete(&n, a, err) != 0)
        return -1;
    if (n.host.len + 1 + n.path.len > IMAGE_PATH_MAX)
        return refuse(err, text, "the name is too long");
    *out = n;
    return 0;
}

void image_name_write(const struct image_name *n, struct buf *out)
{
    buf_add_str(out, n->host);
    buf_add_byte(out, '/');
    buf_add_str(out, n->path);
    if (n->tag.len > 0)
        buf_printf(out, ":%.*s", STR_ARG(n->tag));
    if (n->digest.len > 0)
        buf_printf(out, "@%.*s", STR_ARG(n->digest));
}
