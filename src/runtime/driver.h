/* SPDX-License-Identifier: Apache-2.0 */
/* What a way of running sandboxes must supply. Semantics of every member: runtime.h; runtime.c
 * checks the contract on both sides, so a driver need not check ids or NULLs. One contract suite
 * (tests/contract/runtime_contract.c) runs against each. */
#ifndef RUNTIME_DRIVER_H
#define RUNTIME_DRIVER_H

#include "runtime/runtime.h"

struct runtime_driver {
    const char *name;
    /* *out is the driver's own state, handed back as `self`. Adopts what an earlier process left.
     */
    int (*open)(struct loop *l, const struct runtime_config *config, runtime_exit_fn *on_exit,
                void *ctx, void **out, struct err *err);
    void (*close)(void *self);
    void (*start)(void *self, const struct sandbox_spec *spec, runtime_started_fn *fn, void *ctx);
    void (*stop)(void *self, const char *id, runtime_stopped_fn *fn, void *ctx);
    bool has_layers; /* looks at spec.layers */
    /* From here to work_step_names: all, or all NULL when this driver cannot pause. */
    void (*pause)(void *self, const char *id, bool keeps_memory, runtime_started_fn *fn, void *ctx);
    void (*resume)(void *self, const struct sandbox_spec *spec, runtime_started_fn *fn, void *ctx);
    void (*snapshot)(void *self, const char *id, const char *name, bool keeps_memory,
                     runtime_started_fn *fn, void *ctx);
    void (*snapshot_remove)(void *self, const char *name, runtime_stopped_fn *fn, void *ctx);
    void (*each_snapshot)(void *self, runtime_name_fn *fn, void *ctx);
    void (*capabilities)(const void *self, struct runtime_capabilities *out);
    const char *const *(*work_step_names)(const void *self, enum runtime_work work);
    int (*connect)(void *self, const char *id, uint16_t port, int *out_fd, struct err *err);
    int (*stats)(void *self, const char *id, struct sandbox_stats *out, struct err *err);
    int (*outlet)(void *self, const char *id, struct runtime_outlet *out, struct err *err);
    void (*each)(void *self, runtime_each_fn *fn, void *ctx);
    size_t (*count)(const void *self);
    bool (*is_frozen)(const void *self, const char *id); /* NULL: none ever is */
    size_t (*features)(void *self, const struct runtime_feature **out);
    void (*ahead)(const void *self, struct runtime_ahead *out);
    const char *const *(*step_names)(const void *self);
    const char *const *(*claim_step_names)(const void *self);
    void (*fail_step)(void *self, const char *step);
};

extern const struct runtime_driver runtime_linux_driver;
extern const struct runtime_driver runtime_fake_driver;

#endif
