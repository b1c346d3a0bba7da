/* SPDX-License-Identifier: Apache-2.0 */
/* See images.h. An image is a few words of head and messages in protobuf; nothing of them is
 * changed in length. */
#include "runtime/linux/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/linux/files.h"
#include "runtime/linux/idmap.h"

enum {
    INVENTORY_MAX = 4 << 10,
    INVENTORY_HEAD = 8, /* magic, length of the message */
    ROOT_IDS = 3,       /* fields of inventory_entry and task_kobj_ids_entry */
    NET_NS_ID = 6,
    NOBODYS_ID = 0x7f, /* a number that no namespace of a sandbox gets: they are counted from 1 */
    VARINT_BITS = 7,
    MAP_SIZE = 128,
};

static const char inventory[] = "inventory.img";

/* One field at *at. */
struct field {
    unsigned number, kind; /* kind 0: a number, 2: bytes */
    size_t from, to;       /* of its content */
};

static bool read_varint(struct str text, size_t *at, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && *at < text.len; shift += VARINT_BITS) {
        unsigned char byte = (unsigned char)text.at[(*at)++];

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool read_field(struct str text, size_t *at, struct field *out)
{
    uint64_t key, len = 0;

    if (!read_varint(text, at, &key))
        return false;
    *out = (struct field){.number = (unsigned)(key >> 3), .kind = key & 7, .from = *at};
    if (out->kind == 0 && !read_varint(text, at, &len))
        return false;
    if (out->kind == 2) {
        if (!read_varint(text, at, &len) || len > text.len - *at)
            return false;
        out->from = *at;
        *at += len;
    }
    out->to = *at;
    return out->kind == 0 || out->kind == 2;
}

static bool find_field(struct str text, unsigned number, size_t *from, size_t *to)
{
    struct str part = str_upto(text, *to);
    size_t at = *from;
    struct field f;

    while (read_field(part, &at, &f)) {
        if (f.number != number)
            continue;
        *from = f.from;
        *to = f.to;
        return true;
    }
    return false;
}

int images_part_network(int dir, struct err *err)
{
    char space[INVENTORY_MAX];
    const char id = NOBODYS_ID;
    struct str text;
    size_t from = INVENTORY_HEAD, to;
    auto_fd int fd = openat(dir, inventory, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || file_read(dir, inventory, space, sizeof(space), &text, err) != 0)
        return err_sys(err, errno, "open %s", inventory);
    to = text.len;
    if (!find_field(text, ROOT_IDS, &from, &to) || !find_field(text, NET_NS_ID, &from, &to) ||
        to - from != 1)
        return err_set(err, ERR_UNSUPPORTED, "%s is not as this version knows it", inventory);
    if (pwrite(fd, &id, 1, (off_t)from) != 1)
        return err_sys(err, errno, "write %s", inventory);
    return 0;
}

static size_t put_varint(char *to, uint64_t value)
{
    size_t len = 0;

    for (; value >= 0x80; value >>= VARINT_BITS)
        to[len++] = (char)(value | 0x80);
    to[len++] = (char)value;
    return len;
}

/* {first: 0, lower_first: uid, count: 65536}, as field `number`. */
static size_t put_extent(char *to, unsigned number, uint32_t uid)
{
    char extent[MAP_SIZE / 4];
    size_t len = 0, head;

    extent[len++] = 1 << 3;
    extent[len++] = 0;
    extent[len++] = 2 << 3;
    len += put_varint(extent + len, uid);
    extent[len++] = 3 << 3;
    len += put_varint(extent + len, IDS_PER_SANDBOX);
    head = put_varint(to, number << 3 | 2);
    head += put_varint(to + head, len);
    memcpy(to + head, extent, len);
    return head + len;
}

static int write_map(int dir, const char *name, uint32_t uid, struct err *err)
{
    /* of all images, of those of user namespaces */
    static const uint32_t magics[] = {0x54564319, 0x55474906};
    char text[MAP_SIZE];
    uint32_t len;
    size_t at = sizeof(magics) + sizeof(len);

    at += put_extent(text + at, 1, uid); /* users */
    at += put_extent(text + at, 2, uid); /* groups */
    len = (uint32_t)(at - sizeof(magics) - sizeof(len));
    memcpy(text, magics, sizeof(magics));
    memcpy(text + sizeof(magics), &len, sizeof(len));
    return file_create(dir, name, (struct str){text, at}, err);
}

int images_link(int from, int to, bool has_userns, uint32_t uid, struct err *err)
{
    struct names names = {0};
    int result = names_read(from, &names, err);

    for (size_t i = 0; result == 0 && i < names.count; i++) {
        const char *name = names.at[i];

        if (!str_has_suffix(str_of(name), ".img"))
            continue;
        if (has_userns && str_has_prefix(str_of(name), "userns-"))
            result = write_map(to, name, uid, err);
        else if (linkat(from, name, to, name, 0) != 0)
            result = err_sys(err, errno, "link %s", name);
    }
    names_done(&names);
    return result;
}
