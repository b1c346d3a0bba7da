/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: what sandboxes are made from.
 *
 * A template is a file <name>.json in the templates directory, read at start and again (at most
 * once per TEMPLATES_RESCAN_MS) when a name is not found or a file changed. A pointer is good until
 * the next call: copy what is to be kept. */
#ifndef DOMAIN_TEMPLATE_H
#define DOMAIN_TEMPLATE_H

#include "base/arena.h"
#include "base/err.h"
#include "codec/codec.h"

struct domain;
struct templates;
struct team;
struct template_name;

enum {
    TEMPLATES_MAX = 1000,
    TEMPLATES_RESCAN_MS = 1000,
    TEMPLATE_FILE_MAX = 64 << 10,
};

struct template_record {
    struct str id, build_id;
    struct codec_list aliases, names; /* of struct str */
    struct str rootfs;                /* name of a tree below node's template directory */
    int32_t cpu_count, memory_mb, disk_mb;
    struct str user, workdir;
    struct codec_list env;
    struct codec_list ports;  /* of struct str "80/tcp": for people to see */
    struct str created_at;    /* RFC 3339; that of the file when it does not say */
    struct codec_list layers; /* of struct str: trees over rootfs, lowest first */
    struct str snapshot;      /* node's name of what sandboxes start from; empty: nothing */
    /* Of templates that teams build: what runs in each new sandbox (when the snapshot does not hold
     * it running already) and how it is known to run. */
    struct str start_cmd, ready_cmd;
};

struct template
{
    struct template_record r;
    struct arena mem;
};

/* `domain` is where events about bad files go. */
struct templates *templates_new(struct domain *d, const char *dir);
void templates_free(struct templates *t);

/* By an exact id, alias or name; no rescan. NULL when unknown. */
const struct template *template_by_name(const struct domain *d, struct str name);
/* What a client wrote. ERR_INVALID, or ERR_NOT_FOUND with the exact texts. */
must_check int template_resolve(struct domain *d, const struct team *team, struct str reference,
                                const struct template **out, struct err *err);
/* One of the operator's, which all teams may use; NULL when there is none of that name. */
const struct template *template_shared(struct domain *d, const struct team *team,
                                       const struct template_name *n);
/* Order of ids, byte by byte. */
int template_id_compare(struct str a, struct str b);
/* Those with an id behind `after`, ordered by id; an array in `a`. NULL: too many for it. */
const struct template **template_list(struct domain *d, struct str after, struct arena *a,
                                      size_t *out_count);
/* The alias to show for it, or empty. */
struct str template_alias(const struct template *t);

#endif
