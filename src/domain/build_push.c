/* SPDX-License-Identifier: Apache-2.0 */
/* See build_push.h. Called by api/push.c. */
#include "domain/build_push.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/digest.h"
#include "domain/build_internal.h"

static const char user_start[] = "bld_";

static void put_user(struct str build_id, char out[PUSH_USER_LEN + 1])
{
    size_t len = (size_t)snprintf(out, PUSH_USER_LEN + 1, "%s", user_start);

    for (size_t i = 0; i < build_id.len && len < PUSH_USER_LEN; i++)
        if (build_id.at[i] != '-')
            out[len++] = build_id.at[i];
    out[len] = '\0';
}

/* "bld_0123…" to "0123…-…", so that a look-up by id finds it. */
static struct build *build_of_user(const struct domain *d, struct str user)
{
    static const size_t dashes[] = {8, 13, 18, 23};
    char id[UUID_LEN + 1];
    size_t dash = 0, from = sizeof(user_start) - 1;

    if (user.len != PUSH_USER_LEN || !str_has_prefix(user, user_start))
        return NULL;
    for (size_t i = 0; i < UUID_LEN; i++) {
        bool is_dash = dash < COUNT_OF(dashes) && i == dashes[dash];

        id[i] = is_dash ? '-' : user.at[from++];
        dash += is_dash;
    }
    return build_find(d, (struct str){id, UUID_LEN});
}

static int change_one(struct domain *d, struct build *b, const struct build_record *r,
                      template_done_fn *fn, void *ctx, struct err *err)
{
    struct change *c = change_new(d, fn, ctx);

    change_about(c, b->template->r.id, b->r.id);
    if (change_build(c, r, err) != 0) {
        change_abandon(c);
        return -1;
    }
    change_commit(c);
    return 0;
}

int build_push_grant(struct domain *d, struct build *b, struct push_grant *out,
                     template_done_fn *fn, void *ctx, struct err *err)
{
    struct build_record r = b->r;
    uint8_t key[SHA256_SIZE];

    if (b->r.state != BUILD_WAITING)
        return err_set(err, ERR_INVALID, "build is not in waiting state");
    put_user(b->r.id, out->user);
    id_token(out->password);
    out->until_ms = clock_wall_ms() + PUSH_TIME_MS;
    sha256_of(str_of(out->password), key);
    r.push_key = (struct str){(const char *)key, sizeof(key)};
    r.push_until_ms = out->until_ms;
    return change_one(d, b, &r, fn, ctx, err);
}

bool build_push_is_open(const struct build *b)
{
    return b->r.state == BUILD_WAITING && b->r.push_key.len == SHA256_SIZE &&
           b->r.push_until_ms > clock_wall_ms();
}

/* Of digests, which are of one length: nothing tells how long a password is (CT-36). */
struct build *build_push_check(struct domain *d, struct str user, struct str password)
{
    static const uint8_t nobodys[SHA256_SIZE];
    struct str known = {(const char *)nobodys, sizeof(nobodys)};
    struct build *b = build_of_user(d, user);
    uint8_t given[SHA256_SIZE];
    bool is_open = b != NULL && build_push_is_open(b);

    if (is_open)
        known = b->r.push_key;
    sha256_of(password, given);
    if (!str_eq_secret(known, (struct str){(const char *)given, sizeof(given)}) || !is_open)
        return NULL;
    build_give_time(b, BUILD_WAIT_MS);
    return b;
}

int build_push_mark(struct domain *d, struct build *b, struct str digest, template_done_fn *fn,
                    void *ctx, struct err *err)
{
    struct build_record r = b->r;

    if (!build_push_is_open(b))
        return err_set(err, ERR_CONFLICT, "nothing can be pushed for this build any more");
    r.pushed = digest;
    r.updated_at_ms = clock_wall_ms();
    return change_one(d, b, &r, fn, ctx, err);
}
