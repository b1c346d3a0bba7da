/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics: what the sandbox uses. */
#ifndef ENVD_METRICS_H
#define ENVD_METRICS_H

#include <stdint.h>

/* CPU time at the last call: use is the difference between two calls. */
struct metrics_sample {
    uint64_t busy_us;
    uint64_t at_us; /* 0: no call yet */
};

#endif
