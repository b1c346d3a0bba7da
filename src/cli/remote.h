/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that talk to a running server: key, webhook, events, net log, status, top, edge
 * restart, run; and template list, which reads the files. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "cli/command.h"

struct image_job;

/* What these commands need to know; the invocation's ctx starts with it. */
struct cli_places {
    const char *data_dir, *run_dir;
    const struct image_job *image; /* for images.h alone; else NULL */
    const char *team; /* of commands without --team; "" or NULL: E2B_TEAM_ID, else "default" */
};

enum {
    REMOTE_URL_MAX = 1024,
    REMOTE_ANSWER_MAX = 64 << 20,
};

struct remote_call {
    const char *method;
    char url[REMOTE_URL_MAX];
    struct str body;
    struct str team;     /* for whom; .at NULL: nobody in particular */
    unsigned status;     /* of success */
    uint32_t timeout_ms; /* 0: the default */
};

/* One call with the operator's token; the answer's body is appended to `out`. Errors say what the
 * server said, and are of a kind that follows its status. */
must_check int remote_call(const struct invocation *v, const struct remote_call *c, struct buf *out,
                           struct err *err);
/* May it be put into a path as it is? */
bool remote_is_plain(struct str word);

extern const char cli_admin_token_file[]; /* in data_dir, readable by root alone */
extern const char cli_api_socket[];       /* in run_dir */
extern const char cli_serve_socket[];     /* the same; of main/control.h */
extern const char cli_edge_restart_question[];

int cli_key_create(const struct invocation *v); /* NAME; options: see main.c */
int cli_key_list(const struct invocation *v);
int cli_key_revoke(const struct invocation *v);  /* an id, or 8 to 64 hex digits of a hash */
int cli_key_rotate(const struct invocation *v);  /* the same */
int cli_team_create(const struct invocation *v); /* NAME [WORD=VALUE...] */
int cli_team_list(const struct invocation *v);
int cli_team_set(const struct invocation *v);          /* TEAM WORD=VALUE... */
int cli_team_block(const struct invocation *v);        /* TEAM [REASON] */
int cli_team_unblock(const struct invocation *v);      /* TEAM */
int cli_webhook_create(const struct invocation *v);    /* URL; --team, --events, --json */
int cli_webhook_list(const struct invocation *v);      /* --team, --json */
int cli_webhook_delete(const struct invocation *v);    /* ID; --team */
int cli_webhook_redeliver(const struct invocation *v); /* ID; --team, --event */
int cli_events(const struct invocation *v);            /* --team, --type */
int cli_net_log(const struct invocation *v);           /* ID; --denied, --follow, --json */
int cli_status(const struct invocation *v);            /* --json */
int cli_top(const struct invocation *v);               /* --once, --count */
int cli_edge_restart(const struct invocation *v);
int cli_run(const struct invocation *v);             /* FILE|-; options: see main.c */
int cli_template_list(const struct invocation *v);   /* option --json */
int cli_template_show(const struct invocation *v);   /* NAME; --team, --json */
int cli_template_delete(const struct invocation *v); /* NAME; --team */
int cli_template_build(const struct invocation *v);  /* NAME [PATH]; options: see main.c */

#endif
