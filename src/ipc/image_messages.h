/* SPDX-License-Identifier: Apache-2.0 */
/* What is said with a job that makes layers of an image (src/image/job.h): one request in JSON, the
 * end; then a line of JSON per event: progress, and at the end either a result or an error. */
#ifndef IPC_IMAGE_MESSAGES_H
#define IPC_IMAGE_MESSAGES_H

#include "codec/codec.h"

enum {
    IMAGE_REQUEST_MAX = 64 << 10,
    IMAGE_EVENT_MAX = 256 << 10, /* bytes of one line */
    IMAGE_HOLDER_MAX = 100,
};

/* Whose word opens a private registry; which fields count depends on `type`. */
struct image_login {
    struct str type; /* "registry", "aws", "gcp"; empty: nobody's */
    struct str username, password;
    struct str aws_access_key_id, aws_secret_access_key, aws_region;
    struct str service_account_json;
};

struct image_request {
    struct str op;        /* "fetch", "pushed", "drop", "collect" */
    struct str reference; /* fetch: what a person wrote */
    struct image_login *login;
    struct str repository; /* pushed: a directory of data_dir/registry */
    struct str tag;        /* pushed */
    struct str holder;     /* whose layers these are: [a-z0-9-]; they stay until "drop" names it */
};

/* What an image says about how it is to be run. */
struct image_run {
    struct codec_list env, cmd, entrypoint; /* struct str; env: "NAME=value" */
    struct codec_list ports;                /* struct str "80/tcp" */
    struct codec_list labels;               /* struct codec_pair: our own, of exported templates */
    struct str workdir, user;
};

struct image_result {
    struct str reference; /* in full */
    struct str digest;    /* of the manifest; of the plain archive when there is none */
    struct codec_list
        layers;            /* struct str: names of directories in data_dir/layers, lowest first */
    uint64_t size_bytes;   /* of their files */
    struct str source;     /* "import", "registry" or "push" */
    struct str created_at; /* RFC 3339: when we got it */
    struct image_run *run;
};

struct image_error {
    uint32_t kind; /* enum err_kind */
    struct str text;
};

/* One of the three. */
struct image_event {
    struct str line;
    struct image_result *result;
    struct image_error *error;
};

extern const struct codec_message image_request_message, image_result_message, image_event_message;

#endif
