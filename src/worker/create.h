/* SPDX-License-Identifier: Apache-2.0 */
/* Creating a sandbox, for the provider and for the local functions. */
#ifndef WORKER_CREATE_H
#define WORKER_CREATE_H

#include "codec/codec.h"

struct job;
typedef void job_fn(struct job *j);

struct create_spec {
    struct str image;
    int64_t idle_s;
    struct str name;           /* or empty */
    struct codec_list envs;    /* of struct codec_pair */
    bool has_network, network; /* a way out of it */
    job_fn *then;              /* with j->box and j->state; NULL: that is all, answer it */
    void *then_state;
};

/* Checks, reserves a slot, asks; ends the job with what create answers. */
void create_begin(struct job *j, const struct create_spec *spec, bool empty_means_all);

#endif
