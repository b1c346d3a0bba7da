/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of `sandlot worker`: config.yaml, a table of keys. What is malformed or unknown
 * ends the start (IW-29): with defaults instead, a list of allowed images would be open. */
#ifndef WORKER_SETTINGS_H
#define WORKER_SETTINGS_H

#include "base/config.h"
#include "worker/address.h"

enum {
    SETTINGS_IMAGES_MAX = 256,
};

struct settings {
    const char *mode; /* provider, router, local */
    const char *provider, *default_provider, *worker_name;
    const char *api_base_text, *api_key_env, *sandbox_url_text, *domain, *ca_file, *user;
    const char *error_format;
    bool has_legacy_ids, has_bare_ids, has_port_paths;
    uint64_t sandboxes_max, idle_timeout_s, request_timeout_ms;
    uint64_t exec_timeout_ms, exec_timeout_max_ms, execs_max, drain_s;
    /* of the above */
    struct address api_base, sandbox_url;
    bool has_sandbox_url; /* or one that follows from api_base */
    char *images[SETTINGS_IMAGES_MAX];
    size_t image_count;
    bool has_images; /* the list was given */
};

extern const struct config_table settings_table;

/* Texts of keys live until the process ends, images until settings_done(), which takes a zeroed one
 * and one whose reading failed too. path NULL: defaults alone. */
must_check int settings_load(struct settings *s, const char *path, struct err *err);
must_check int settings_read(struct settings *s, struct str text, struct err *err);
void settings_done(struct settings *s);
/* A commented config.yaml with every key. */
void settings_sample(struct buf *out);

#endif
