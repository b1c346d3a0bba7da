/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox in which steps of a build run: an ordinary guest of node, but nobody's, without a
 * record, an end or a place in any list. When this process dies, the next one finds it without a
 * record and stops it (recover.c). Users: src/build. */
#ifndef DOMAIN_BUILD_GUEST_H
#define DOMAIN_BUILD_GUEST_H

#include "base/err.h"
#include "domain/build.h"

struct build_guest;

enum {
    BUILD_DIALS_MAX = 2,
};

struct build_guest_spec {
    struct str build_id;
    struct str rootfs, snapshot;
    struct codec_list layers;
    int32_t cpu_count, memory_mb, disk_mb;
    void (*on_exit)(void *ctx, const char *why); /* it ended by itself */
    void *ctx;
};

/* err NULL: done. Called from the loop, and not after build_guest_stop(). */
typedef void build_guest_fn(void *ctx, const struct err *err);
/* fd is the callee's: a socket connecting to a port inside. */
typedef void build_dial_fn(void *ctx, int fd, const struct err *err);

must_check int build_guest_start(struct domain *d, const struct build_guest_spec *spec,
                                 build_guest_fn *fn, struct build_guest **out, struct err *err);
/* Its files as a snapshot of that name, with its processes too if keeps_memory. One at a time. */
must_check int build_guest_snapshot(struct build_guest *g, struct str name, bool keeps_memory,
                                    build_guest_fn *fn, struct err *err);
/* Up to BUILD_DIALS_MAX wait at once, each with a ctx of its own. */
must_check int build_guest_dial(struct build_guest *g, uint16_t port, build_dial_fn *fn, void *ctx,
                                struct err *err);
/* The asker with that ctx is gone; harmless when none waits. */
void build_guest_forget_dial(struct build_guest *g, const void *ctx);
/* For X-Access-Token of its envd. */
struct str build_guest_token(const struct build_guest *g);
struct str build_guest_id(const struct build_guest *g);
/* Frees it; node stops it when it gets to it. NULL is fine. */
void build_guest_stop(struct build_guest *g);

/* Does node make snapshots of processes too? *out_why: why not. */
bool build_can_checkpoint(const struct domain *d, struct str *out_why);
/* A snapshot that nothing leads to any more. */
void build_snapshot_remove(struct domain *d, struct str name);

#endif
