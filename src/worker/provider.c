/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of a provider, sandbox::provider::NAME::*, in one table. */
#include "worker/worker_internal.h"

/* clang-format off */
static const struct param id_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave"},
};
static const struct param create_in[] = {
    {"image", PARAM_TEXT, PARAM_REQUIRED, "template: an id, alias or name of the upstream"},
    {"idle_timeout_secs", PARAM_NUMBER, 0, "seconds it lives; the worker's default", 1, 86400},
};
static const struct param create_out[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id for all other functions"},
    {"image", PARAM_TEXT, PARAM_REQUIRED, "alias of its template, or its id"},
    {"started_at", PARAM_TEXT, PARAM_REQUIRED, "RFC 3339"},
    {"capabilities", PARAM_TEXTS, PARAM_REQUIRED, "what this provider can: advisory"},
};
static const struct param exec_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave"},
    {"cmd", PARAM_TEXT, PARAM_REQUIRED, "program; no shell reads it"},
    {"args", PARAM_TEXTS, 0, "its arguments"},
    {"env", PARAM_ENV, 0, "environment variables"},
    {"cwd", PARAM_TEXT, 0, "directory it runs in", 0, 0, "workdir"},
    {"timeout_ms", PARAM_NUMBER, 0, "milliseconds until it is killed", 1, 86400000},
};
static const struct param exec_out[] = {
    {"stdout", PARAM_TEXT, PARAM_REQUIRED, "UTF-8; other bytes are replaced by U+FFFD"},
    {"stderr", PARAM_TEXT, PARAM_REQUIRED, "the same"},
    {"exit_code", PARAM_NUMBER, PARAM_REQUIRED, "127: no such program, 126: it cannot be executed"},
    {"timed_out", PARAM_BOOL, PARAM_REQUIRED, "it was killed at the end of its time"},
    {"output_was_not_utf8", PARAM_BOOL, 0, "true where bytes were replaced"},
    {"output_was_cut", PARAM_BOOL, 0, "true where more came than is kept"},
};
static const struct param list_out[] = {
    {"sandboxes", PARAM_OBJECTS, PARAM_REQUIRED, "sandbox_id, image, started_at of all of the account"},
    {"in_flight", PARAM_NUMBER, PARAM_REQUIRED, "sandboxes of this worker, creates under way included"},
    {"cap", PARAM_NUMBER, PARAM_REQUIRED, "the most of them"},
    {"remaining", PARAM_NUMBER, PARAM_REQUIRED, "cap without in_flight"},
    {"reconciled", PARAM_BOOL, PARAM_REQUIRED, "the upstream told; else the list is empty"},
};
static const struct param snapshot_out[] = {
    {"snapshot_id", PARAM_TEXT, PARAM_REQUIRED, "an image that create takes"},
};
static const struct param port_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave"},
    {"port", PARAM_NUMBER, PARAM_REQUIRED, "port that a program in the sandbox listens on", 1, 65535},
};
static const struct param port_out[] = {
    {"url", PARAM_TEXT, PARAM_REQUIRED, "where it is reached"},
    {"headers", PARAM_OBJECT, 0, "what requests must carry when the sandbox is private"},
};
static const struct param read_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave"},
    {"path", PARAM_TEXT, PARAM_REQUIRED, "file; relative to the user's home"},
};
static const struct param read_out[] = {
    {"bytes_base64", PARAM_BASE64, PARAM_REQUIRED, "all of it"},
};
static const struct param write_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave"},
    {"path", PARAM_TEXT, PARAM_REQUIRED, "file; directories above it are made"},
    {"bytes_base64", PARAM_BASE64, PARAM_REQUIRED, "what it holds then"},
    {"mode", PARAM_MODE, 0, "its permissions: \"0644\""},
};

static const struct function rows[] = {
    {"create", "make a sandbox", create_in, create_out, COUNT_OF(create_in), COUNT_OF(create_out), run_create, keep_going},
    {"exec", "run a program in a sandbox and wait for its end", exec_in, exec_out, COUNT_OF(exec_in), COUNT_OF(exec_out), run_exec, process_kill},
    {"stop", "end a sandbox; one that is not there is none to end", id_in, NULL, COUNT_OF(id_in), 0, run_stop, keep_going},
    {"list", "sandboxes, and how many more this worker may make", NULL, list_out, 0, COUNT_OF(list_out), run_list, NULL},
    {"snapshot", "keep a sandbox as an image; it runs on", id_in, snapshot_out, COUNT_OF(id_in), COUNT_OF(snapshot_out), run_snapshot, keep_going},
    {"expose_port", "where a port of a sandbox is reached", port_in, port_out, COUNT_OF(port_in), COUNT_OF(port_out), run_expose, NULL},
    {"fs::read", "a file of a sandbox", read_in, read_out, COUNT_OF(read_in), COUNT_OF(read_out), run_read, NULL},
    {"fs::write", "write a file of a sandbox", write_in, NULL, COUNT_OF(write_in), 0, run_write, keep_going},
};
/* clang-format on */

const struct function_table provider_functions = {rows, COUNT_OF(rows)};
