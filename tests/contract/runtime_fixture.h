/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime under test: its loop, its directories, and calls that wait for their answer. */
#ifndef TESTS_CONTRACT_RUNTIME_FIXTURE_H
#define TESTS_CONTRACT_RUNTIME_FIXTURE_H

#include "runtime/runtime.h"

enum {
    RIG_TEXT_SIZE = 12288,
    RIG_PORT = 49983, /* where the guest takes commands */
    RIG_DIR_SIZE = 64,
};

struct rig {
    struct loop *loop;
    struct runtime *runtime;
    struct runtime_config config;
    char dir[RIG_DIR_SIZE];
    char run_dir[RIG_DIR_SIZE + 8];
    const char *rootfs;
    struct err err;               /* of the last answer; kind 0: success */
    uint64_t took_us;             /* of the last start */
    size_t answers, refusals;     /* seen so far, and those of them that were errors */
    size_t exits;                 /* sandboxes that ended by themselves */
    enum exit_reason exit_reason; /* of the last of them */
    char exit_id[RIG_DIR_SIZE];
};

extern struct rig rig;
/* Set before rig_configure(): SANDLOT_TEST_ENVD may replace the stand-in guest. */
extern bool rig_may_use_envd;

/* Which stand-in, by its name beside the program. Set before rig_configure(). */
extern const char *rig_guest;

/* "linux idmap=off …": fills rig.config. False: usage error. */
bool rig_configure(int argc, char **argv);
bool rig_is_linux(void);
/* Why nothing can be tested here, or NULL. */
const char *rig_reason_to_skip(void);

void rig_dirs_make(void);
void rig_dirs_remove(void);
void rig_open(void); /* CHECKs */
void rig_close(void);

/* Turns the loop until *counter reaches `wanted`; false after `ms`. */
bool rig_pump(const size_t *counter, size_t wanted, uint64_t ms);
/* Turns the loop until `holds` or `ms` have passed; the last word. */
bool rig_until(bool (*holds)(void), uint64_t ms);
bool rig_has_file(const char *pattern); /* something in data_dir; of glob(3) */

/* Wait for the answer, and return its kind. */
enum err_kind rig_start(const char *id);
enum err_kind rig_start_with(const char *id, const struct sandbox_limits *limits, const char *init);
enum err_kind rig_stop(const char *id);
enum err_kind rig_start_from(const char *id, const char *snapshot);
enum err_kind rig_start_from_with(const char *id, const char *snapshot,
                                  const struct sandbox_limits *limits);
enum err_kind rig_resume(const char *id);
enum err_kind rig_pause(const char *id, bool keeps_memory);
enum err_kind rig_snapshot(const char *id, const char *name, bool keeps_memory);
enum err_kind rig_snapshot_remove(const char *name);
/* Do not wait: the answer is counted. */
void rig_begin_start(const char *id);
void rig_begin_stop(const char *id);
void rig_begin_pause(const char *id, bool keeps_memory);
void rig_begin_resume(const char *id);

bool rig_lists(const char *id);
bool rig_lists_paused(const char *id);
bool rig_lists_snapshot(const char *name);
size_t rig_listed(void);

/* May pause with memory or without it. A case that finds it may not says so and returns. */
bool rig_can_pause(bool keeps_memory);

/* Runs a command by sh in a sandbox; its output, terminated. */
const char *rig_sh(const char *id, const char *command);
/* Tries a part of hostile.c in one whose guest is runtime_hostile_guest; what it says. */
const char *rig_hostile(const char *id, const char *part);
/* Sends one byte and does not wait. */
void rig_poke(const char *id, char command);
/* Reads all that a connection says, terminated. */
const char *rig_read_all(int fd);

/* Sandboxes that were launched ahead and wait. */
size_t rig_ahead(void);
/* Is the named doctor row fine? */
bool rig_has(const char *feature);

#endif
