/* SPDX-License-Identifier: Apache-2.0 */
/* What each message to node does; part of peer.h. One table; answers that take time are sent later
 * to whoever of the peers is still there. */
#include <limits.h>

#include "base/log.h"
#include "node/image_jobs.h"
#include "node/outlets.h"
#include "node/peer.h"
#include "node/report.h"
#include "node/rootfs.h"

enum { NAME_SIZE = 64 }; /* of a sandbox or snapshot, with its end */

/* An answer that is owed. */
struct debt {
    struct node *node;
    uint64_t peer, seq;
    enum runtime_work work; /* of on_worked() */
};

static struct debt *debt_new(struct peer *p, uint64_t seq)
{
    struct debt *d = mem_zero(sizeof *d);

    *d = (struct debt){.node = p->owner, .peer = p->number, .seq = seq};
    return d;
}

static struct debt *debt_new_work(struct peer *p, uint64_t seq, enum runtime_work work)
{
    struct debt *d = debt_new(p, seq);

    d->work = work;
    return d;
}

static bool send_done(struct peer *p, struct node_done *done, const struct err *err)
{
    if (err != NULL) {
        done->kind = err->kind;
        done->text = str_of(err->text);
    }
    return peer_send(p, NODE_DONE, done, -1);
}

/* False: the peer is gone, or does not read and was closed. */
static bool pay_with(struct debt *d, struct node_done done, const struct err *err)
{
    struct peer *p = peer_find(d->node, d->peer);
    bool is_paid;

    done.seq = d->seq;
    is_paid = p != NULL && send_done(p, &done, err);

    free(d);
    return is_paid;
}

static bool pay(struct debt *d, uint64_t took_us, const struct err *err)
{
    return pay_with(d, (struct node_done){.took_us = took_us}, err);
}

static void outlet_gone(struct node *n, const char *id)
{
    if (n->outlets != NULL)
        outlets_close(n->outlets, id);
}

static void on_abandoned(void *ctx, const char *id, const struct err *err)
{
    outlet_gone(ctx, id);
    log_warn("sandbox.abandoned", "id=%s error=\"%s\"", id, err == NULL ? "" : err->text);
}

/* When who asked is gone and another is here already, that one has got its list before this was in
 * it: nobody would ever stop it. When none is here, the next one will find it in the list. */
static void on_started(void *ctx, const char *id, uint64_t took_us, const struct err *err)
{
    struct debt *d = ctx;
    struct node *n = d->node;

    n->starting--;
    n->starts += err == NULL;
    n->start_failures += err != NULL;
    /* before the answer: who gets it may use the network at once */
    if (n->outlets != NULL && err == NULL)
        outlets_open(n->outlets, id);
    else if (err != NULL && err->kind != ERR_EXISTS)
        outlet_gone(n, id);
    if (!pay(d, took_us, err) && err == NULL && list_first(&n->command.peers) != NULL)
        runtime_stop(n->runtime, id, on_abandoned, n);
}

static void on_stopped(void *ctx, const char *id, const struct err *err)
{
    struct debt *d = ctx;

    d->node->stops += err == NULL;
    if (err == NULL)
        outlet_gone(d->node, id);
    ignore((long)pay(ctx, 0, err)); /* it is stopped, told or not */
}

struct names {
    char id[NAME_SIZE];
    char hostname[65];
    char snapshot[NAME_SIZE];
    char rootfs[PATH_MAX];
    size_t layer_count;
    char *layers[RUNTIME_LAYERS_MAX + 1]; /* NULL at the end, as a spec has it */
};

static void names_free(struct names *n)
{
    for (size_t i = 0; i < n->layer_count; i++)
        free(n->layers[i]);
    free(n);
}

static int read_layers(const char *dir, const struct codec_list *list, struct names *out,
                       struct err *err)
{
    char path[PATH_MAX];

    if (list->count > RUNTIME_LAYERS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d layers", RUNTIME_LAYERS_MAX);
    if (list->count > 0 && dir == NULL)
        return err_set(err, ERR_NOT_FOUND, "there is no directory of layers");
    for (size_t i = 0; i < list->count; i++) {
        if (rootfs_path(dir, ((const struct str *)list->items)[i], path, sizeof path, err) != 0)
            return err_wrap(err, "layer");
        out->layers[out->layer_count++] = mem_text(path);
    }
    return 0;
}

/* What a start and a resume have in common. */
static int read_who(const struct node_start *m, struct names *out, struct err *err)
{
    if (!str_to_c(m->id, out->id, sizeof out->id) || m->id.len == 0)
        return err_set(err, ERR_INVALID, "bad sandbox id");
    if (!str_to_c(m->hostname, out->hostname, sizeof out->hostname))
        return err_set(err, ERR_INVALID, "bad hostname");
    return 0;
}

static int read_names(struct node *n, const struct node_start *m, struct names *out,
                      struct err *err)
{
    if (read_who(m, out, err) != 0)
        return -1;
    if (!str_to_c(m->snapshot, out->snapshot, sizeof out->snapshot))
        return err_set(err, ERR_NOT_FOUND, "no such snapshot");
    if (read_layers(n->config.layers_dir, &m->layers, out, err) != 0)
        return -1;
    return rootfs_path(n->config.rootfs_dir, m->rootfs, out->rootfs, sizeof out->rootfs, err);
}

static struct sandbox_spec spec_of(const struct node_start *m, const struct names *names)
{
    return (struct sandbox_spec){
        .id = names->id,
        .rootfs = names->rootfs,
        .layers = (const char *const *)names->layers,
        .snapshot = names->snapshot[0] != '\0' ? names->snapshot : NULL,
        .is_cold = m->is_cold,
        .hostname = names->hostname,
        .limits = {.memory_bytes = m->memory_bytes,
                   .cpu_percent = m->cpu_percent,
                   .pids_max = m->pids_max,
                   .disk_bytes = m->disk_bytes},
        .init = m->init,
    };
}

/* Of one that runs already nothing is changed: its start will fail. */
static int keep_policy(struct node *n, const struct node_start *m, const struct names *names,
                       struct err *err)
{
    struct sandbox_stats unused;

    if (n->outlets == NULL || runtime_stats(n->runtime, names->id, &unused, NULL) == 0)
        return 0;
    return outlets_keep(n->outlets, names->id, m->policy, err);
}

static void do_start(struct peer *p, const void *message)
{
    const struct node_start *m = message;
    struct node_done done = {.seq = m->seq};
    struct names *names = mem_zero(sizeof *names);
    struct err err = {0};

    if (p->owner->is_ending) {
        err_set(&err, ERR_UNAVAILABLE, "node is shutting down");
    } else if (read_names(p->owner, m, names, &err) == 0 &&
               keep_policy(p->owner, m, names, &err) == 0) {
        const struct sandbox_spec spec = spec_of(m, names);

        p->owner->starting++;
        runtime_start(p->owner->runtime, &spec, on_started, debt_new(p, m->seq));
    }
    if (err.kind != ERR_NONE)
        ignore(send_done(p, &done, &err));
    names_free(names);
}

/* False: it is too long to be one, which was answered. */
static bool take_name(struct peer *p, uint64_t seq, struct str text, const char *what,
                      char out[NAME_SIZE])
{
    struct node_done done = {.seq = seq};
    struct err err;

    if (str_to_c(text, out, NAME_SIZE))
        return true;
    err_set(&err, ERR_NOT_FOUND, "bad %s", what);
    ignore(send_done(p, &done, &err));
    return false;
}

static void do_stop(struct peer *p, const void *message)
{
    const struct node_stop *m = message;
    char id[NAME_SIZE];

    if (take_name(p, m->seq, m->id, "sandbox id", id))
        runtime_stop(p->owner->runtime, id, on_stopped, debt_new(p, m->seq));
}

/* Pause, resume and snapshot: done, told or not; the next list says how it is. */
static void on_worked(void *ctx, const char *id, uint64_t took_us, const struct err *err)
{
    struct debt *d = ctx;
    struct node *n = d->node;
    struct node_done done = {.took_us = took_us};
    bool must_open;

    n->works[d->work] += err == NULL;
    n->work_failures[d->work] += err != NULL;
    if (n->outlets != NULL && d->work == RUNTIME_PAUSE && err == NULL)
        outlets_close(n->outlets, id);
    must_open = n->outlets != NULL && d->work == RUNTIME_RESUME && err == NULL;
    done.is_frozen = d->work == RUNTIME_PAUSE && runtime_is_frozen(n->runtime, id);
    ignore((long)pay_with(d, done, err));
    /* After the answer, which has a disk to pass: its sockets are there already, and hold what
     * comes meanwhile. */
    if (must_open)
        outlets_open(n->outlets, id);
}

static void do_resume(struct peer *p, const void *message)
{
    const struct node_start *m = message;
    struct node_done done = {.seq = m->seq};
    struct names *names = mem_zero(sizeof *names);
    struct err err = {0};

    if (p->owner->is_ending) {
        err_set(&err, ERR_UNAVAILABLE, "node is shutting down");
    } else if (read_who(m, names, &err) == 0 && keep_policy(p->owner, m, names, &err) == 0) {
        const struct sandbox_spec spec = spec_of(m, names);

        runtime_resume(p->owner->runtime, &spec, on_worked,
                       debt_new_work(p, m->seq, RUNTIME_RESUME));
    }
    if (err.kind != ERR_NONE)
        ignore(send_done(p, &done, &err));
    names_free(names);
}

static void do_pause(struct peer *p, const void *message)
{
    const struct node_keep *m = message;
    char id[NAME_SIZE];

    if (take_name(p, m->seq, m->id, "sandbox id", id))
        runtime_pause(p->owner->runtime, id, m->keeps_memory, on_worked,
                      debt_new_work(p, m->seq, RUNTIME_PAUSE));
}

static void do_snapshot(struct peer *p, const void *message)
{
    const struct node_keep *m = message;
    char id[NAME_SIZE], name[NAME_SIZE];

    if (take_name(p, m->seq, m->id, "sandbox id", id) &&
        take_name(p, m->seq, m->name, "name of a snapshot", name))
        runtime_snapshot(p->owner->runtime, id, name, m->keeps_memory, on_worked,
                         debt_new_work(p, m->seq, RUNTIME_SNAPSHOT));
}

static void on_removed(void *ctx, const char *name, const struct err *err)
{
    ignore(name[0]);
    ignore((long)pay(ctx, 0, err));
}

static void do_snapshot_remove(struct peer *p, const void *message)
{
    const struct node_stop *m = message;
    char name[NAME_SIZE];

    if (take_name(p, m->seq, m->id, "name of a snapshot", name))
        runtime_snapshot_remove(p->owner->runtime, name, on_removed, debt_new(p, m->seq));
}

struct listing {
    struct peer *peer; /* NULL once it was closed */
    uint64_t seq;
};

static void list_item(struct listing *l, const char *id, enum node_item_kind kind)
{
    struct node_item item = {.seq = l->seq, .id = str_of(id), .kind = kind};

    if (l->peer != NULL && !peer_send(l->peer, NODE_ITEM, &item, -1))
        l->peer = NULL;
}

static void list_one(void *ctx, const char *id, enum runtime_state state)
{
    static const enum node_item_kind kinds[] = {
        [RUNTIME_RUNNING] = NODE_ITEM_RUNNING,
        [RUNTIME_PAUSING] = NODE_ITEM_PAUSING,
        [RUNTIME_PAUSED] = NODE_ITEM_PAUSED,
    };

    list_item(ctx, id, kinds[state]);
}

static void list_snapshot(void *ctx, const char *name)
{
    list_item(ctx, name, NODE_ITEM_SNAPSHOT);
}

static void do_list(struct peer *p, const void *message)
{
    const struct node_list *m = message;
    struct listing l = {p, m->seq};
    struct node_done done = {.seq = m->seq};
    struct runtime *runtime = p->owner->runtime; /* p may go while it is told */

    runtime_each(runtime, list_one, &l);
    runtime_each_snapshot(runtime, list_snapshot, &l);
    if (l.peer != NULL && send_done(p, &done, NULL))
        reporter_tell(p->owner->reporter, p);
}

static void do_policy(struct peer *p, const void *message)
{
    const struct node_policy *m = message;
    struct node_done done = {.seq = m->seq};
    char id[NAME_SIZE];
    struct err err;
    int result;

    if (!str_to_c(m->id, id, sizeof id) || m->id.len == 0 || str_find(m->id, '/') >= 0)
        result = err_set(&err, ERR_NOT_FOUND, "bad sandbox id");
    else if (p->owner->outlets == NULL)
        result = err_set(&err, ERR_UNSUPPORTED, "there is no way out");
    else
        result = outlets_change(p->owner->outlets, id, m->policy, &err);
    ignore(send_done(p, &done, result == 0 ? NULL : &err));
}

static void do_secrets(struct peer *p, const void *message)
{
    const struct node_policy *m = message;
    struct node_done done = {.seq = m->seq};
    char id[NAME_SIZE];
    struct err err;
    int result;

    if (!str_to_c(m->id, id, sizeof id) || m->id.len == 0)
        result = err_set(&err, ERR_NOT_FOUND, "bad sandbox id");
    else if (p->owner->outlets == NULL)
        result = err_set(&err, ERR_UNSUPPORTED, "there is no way out");
    else
        result = outlets_secrets(p->owner->outlets, id, m->policy, &err);
    ignore(send_done(p, &done, result == 0 ? NULL : &err));
}

static void do_dial(struct peer *p, const void *message)
{
    const struct node_dial *m = message;
    struct node_done done = {0};
    auto_fd int inside = -1;
    char id[NAME_SIZE];
    struct err err;

    done.seq = m->seq;
    p->owner->dials++;
    if (!str_to_c(m->id, id, sizeof id) || m->port == 0 || m->port > UINT16_MAX)
        err_set(&err, ERR_NOT_FOUND, "bad sandbox id or port");
    else if (runtime_connect(p->owner->runtime, id, (uint16_t)m->port, &inside, &err) == 0)
        err.kind = ERR_NONE;
    if (inside < 0) {
        done.kind = err.kind;
        done.text = str_of(err.text);
    }
    ignore(peer_send(p, NODE_DIALED, &done, inside));
}

void command_message(void *ctx, unsigned type, const void *message, int fd)
{
    static void (*const commands[NODE_MESSAGE_COUNT])(struct peer * p, const void *message) = {
        [NODE_START] = do_start,       [NODE_STOP] = do_stop,
        [NODE_LIST] = do_list,         [NODE_RESUME] = do_resume,
        [NODE_POLICY] = do_policy,     [NODE_PAUSE] = do_pause,
        [NODE_SNAPSHOT] = do_snapshot, [NODE_SNAPSHOT_REMOVE] = do_snapshot_remove,
        [NODE_DIAL] = do_dial,         [NODE_SECRETS] = do_secrets,
    };

    if (type == NODE_IMAGE) {
        image_jobs_add(((struct peer *)ctx)->owner->images, fd);
        return;
    }
    own_close_fd(&fd); /* no other command carries one */
    if (type < NODE_MESSAGE_COUNT && commands[type] != NULL)
        commands[type](ctx, message);
}

void dial_message(void *ctx, unsigned type, const void *message, int fd)
{
    own_close_fd(&fd);
    if (type == NODE_DIAL)
        do_dial(ctx, message);
}
