/* SPDX-License-Identifier: Apache-2.0 */
/* What work.c, work_base.c and work_finish.c share. */
#ifndef BUILD_WORK_INTERNAL_H
#define BUILD_WORK_INTERNAL_H

#include "base/digest.h"
#include "base/id.h"
#include "build/guest_call.h"
#include "build/probe.h"
#include "build/step.h"
#include "build/work.h"
#include "domain/build_guest.h"
#include "domain/build_layer.h"
#include "domain/image_fetch.h"

enum {
    WORK_MEM_MAX = 16 << 20,
    WORK_LINE_MAX = BUILD_LINE_MAX,
    WORK_TAIL_MAX = 1000, /* of the output, in the reason of a failure */
    COMMAND_TIMEOUT_MS = BUILD_TIME_MS,
};

/* Where it is; see the table in work.c. */
enum work_stage {
    WORK_BASE,   /* find what it begins with */
    WORK_CACHED, /* is what the unit leaves there already? */
    WORK_START,  /* a sandbox */
    WORK_FILES,  /* the archive of a COPY into it */
    WORK_RUN,
    WORK_KEEP, /* a snapshot of it */
    WORK_NEXT,
    WORK_FINISH, /* start command, ready command, the last snapshot: work_finish.c */
    WORK_STAGE_COUNT,
    WORK_WAIT, /* a callback goes on */
    WORK_ENDED,
};

/* Lines are cut where they end, per stream. */
struct line_cutter {
    char bytes[WORK_LINE_MAX];
    size_t len;
};

struct work {
    struct work_host host;
    char build_id[UUID_LEN + 1], template_id[UUID_LEN + 1], team_id[UUID_LEN + 1];
    const struct build_plan *plan; /* the build's, until it ends */
    int32_t cpu_count, memory_mb, disk_mb;
    struct arena mem;
    enum work_stage stage;
    struct task begin;
    /* What the present unit starts from, and how it got there. */
    struct str rootfs, snapshot;
    struct codec_list layers;
    struct step_state *state;
    uint8_t key[SHA256_SIZE];
    bool is_forced;    /* from here on nothing is taken from the cache */
    bool is_provision; /* the unit makes an image fit, before the first step */
    size_t step;       /* the unit is this one of the plan's */
    struct step_command command;
    struct image_fetch *fetch; /* of the image that it begins with */
    struct build_guest *guest;
    struct guest_call *call, *start_call;
    char name[BUILD_NAME_LEN + 1]; /* reserved; empty: none */
    struct line_cutter out, err;
    char tail[WORK_TAIL_MAX + 1];   /* the last of what was printed */
    char label[BUILD_STEP_MAX + 1]; /* "base", "3", "finalize" */
    uint64_t began_ms;
    /* work_finish.c */
    struct timer timer;
    struct str start_cmd, ready_cmd;
    struct guest_command check; /* the ready command */
    struct probe probe;
    bool has_probe, keeps_memory, is_start_ended;
    bool is_guess; /* the probe: without an answer it is ready when the time is up */
    unsigned probe_failures;
    uint64_t ready_since_ms;
};

void work_advance(struct work *w);
/* Of the step that is under way; the work is freed by the builder when it hears of the end. */
void work_fail(struct work *w, const char *format, ...) printf_like(2, 3);
void work_say(struct work *w, enum build_level level, const char *format, ...) printf_like(3, 4);
/* Output of a command: whole lines to the log. */
void work_output(struct work *w, bool is_stderr, struct str data);
void work_end_lines(struct work *w);
void work_key_add(struct work *w, struct str type, const struct str *parts, size_t count);
/* A sandbox on what the present unit starts from; `fn` goes on. */
int work_start_guest(struct work *w, build_guest_fn *fn);
void work_stop_guest(struct work *w);
/* Snapshots it under a new reserved name. */
int work_snapshot(struct work *w, bool keeps_memory, build_guest_fn *fn);
void work_release_name(struct work *w);
/* The environment of commands: what the steps set, in the arena. */
struct codec_list work_env(struct work *w, bool with_args);
struct guest_command work_shell(struct work *w, struct str text, struct str user);
struct guest_command work_script(struct work *w, const struct step_command *c);

enum work_stage work_base(struct work *w);                            /* work_base.c */
void work_take_commands(struct work *w);                              /* the same */
void work_take_ports(struct work *w, const struct codec_list *ports); /* the same */
enum work_stage work_image(struct work *w);                           /* work_image.c */
enum work_stage work_finish(struct work *w);                          /* work_finish.c */

#endif
