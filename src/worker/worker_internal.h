/* SPDX-License-Identifier: Apache-2.0 */
/* Private to worker/: a job is one invocation that is being served; functions are tables of them.
 *
 * A function's `run` and every step behind it end in exactly one of: another step that was begun
 * (job_ask() …), job_done(), job_fault(), job_end(). The last three free the job: return at once.
 */
#ifndef WORKER_WORKER_INTERNAL_H
#define WORKER_WORKER_INTERNAL_H

#include "worker/create.h"
#include "worker/fault.h"
#include "worker/param.h"
#include "worker/seats.h"
#include "worker/upstream.h"
#include "worker/worker.h"

struct job;
struct process;
struct orphans;
struct conduit;

typedef void job_answer_fn(struct job *j, const struct upstream_answer *a);

struct function {
    const char *leaf; /* "fs::read" */
    const char *help;
    const struct param *in, *out;
    size_t in_count, out_count;
    job_fn *run;
    /* The caller is gone. NULL: the job is dropped where it stands. */
    job_fn *drop;
    bool has_payload; /* job.data is kept for it */
};

struct function_table {
    const struct function *rows;
    size_t count;
};

extern const struct function_table provider_functions, router_functions, local_functions;

struct job {
    struct list_node node;
    struct worker *worker;
    const struct function *function;
    struct engine_invocation from; /* in the arena */
    struct arena arena;
    struct arg args[PARAMS_MAX];
    struct str data; /* the payload as it came, in the arena; where the function has_payload */
    size_t bytes;    /* counted in the worker's */
    uint64_t started_ms;
    bool is_dropped; /* nobody waits for the result */

    struct upstream_call *call;
    job_answer_fn *then;
    struct engine_call *forward;
    struct process *process;
    struct listing *listing;
    struct conduit *channel;
    struct timer timer;
    const struct box *box; /* in the arena */
    job_fn *with_box;
    bool ends_box;                /* the box goes with the job */
    char exec_in[BOX_ID_MAX + 1]; /* the box that counts a program of this job; or "" */
    void *state;                  /* of the function; in the arena */
};

struct worker {
    struct loop *loop;
    struct settings settings;
    char key[WORKER_KEY_MAX];
    char name[BOX_TEXT_MAX + 1]; /* where settings has none */
    struct dialer *dialer;
    struct engine *engine;
    struct engine_function *registered;
    const struct function **behind; /* the function of each */
    size_t registered_count;
    struct list channels; /* that are being written */
    size_t channel_count, channel_bytes;
    struct list jobs;
    size_t job_count, bytes;
    struct seats seats;
    struct orphans *orphans;
    struct timer reconcile;
    struct listing *reconciling;
    struct timer drain;
    bool has_no_v2; /* its /v2/sandboxes was 404, and /sandboxes was there */
    bool is_draining, was_refused, has_ended;
    loop_fn *on_end;
    void *ctx;
};

/* job.c */
void worker_job_ended(struct worker *w); /* worker.c: one fewer */
struct job *job_begin(struct worker *w, const struct function *f,
                      const struct engine_invocation *i);
void job_done(struct job *j, struct buf *result); /* JSON; released */
void job_fault(struct job *j, enum fault f, const char *format, ...) printf_like(3, 4);
void job_fault_fix(struct job *j, enum fault f, const char *fix, const char *text);
void job_error(struct job *j, const struct engine_error *error); /* as another said it */
void job_end(struct job *j);                                     /* without a word */
void job_drop(struct job *j);
/* The next request; j->call until it is answered. */
void job_ask(struct job *j, struct upstream_ask *ask, job_answer_fn *then);
/* What went wrong with an answer of the API, to the caller. */
void job_upstream_fault(struct job *j, const struct upstream_answer *a, enum fault missing);
/* The text of an API's error: its "message", shortened, without the key. Into `out`. */
void upstream_text(const struct worker *w, const struct upstream_answer *a, struct buf *out);
void *job_state(struct job *j, size_t size); /* zeroed, in the arena, never NULL */

/* api.c: requests to the API. */
struct upstream_ask api_ask(const struct worker *w, const char *method, const char *target);
void api_add_json(struct upstream_ask *ask, struct buf *body); /* of the type of its body */
struct created {
    struct str sandbox_id, template_id, alias, token, traffic_token, domain, started_at;
    struct str state;
};
/* False: it is not what the API answers. */
bool api_read_box(struct str body, struct arena *a, struct created *out);
void api_fill_box(const struct created *c, struct box *out);
/* Finds what has to be known of a sandbox: here, or by asking. Then j->box is set; or the job has
 * ended with S002 and so on. */
void api_with_box(struct job *j, struct str id, job_fn *then);
/* The sandbox did not answer as it should: finds out whether it is there, and ends the job. */
void api_box_trouble(struct job *j, const struct upstream_answer *a);

/* listing.c: all pages of the API's list, each its own request. */
struct listing;
struct listed {
    struct str sandbox_id, template_id, alias, started_at, state;
    struct codec_list metadata; /* of struct codec_pair */
};
struct listing_events {
    void (*on_item)(void *ctx, const struct listed *item);
    void (*on_end)(void *ctx, bool is_whole); /* it has freed itself */
    void (*on_cancel)(void *ctx);             /* instead, in listing_cancel(); or NULL */
};
/* `query` begins with '?'. */
struct listing *listing_start(struct worker *w, const char *query,
                              const struct listing_events *events, void *ctx);
void listing_cancel(struct listing *l); /* NULL is fine */

/* orphans.c: sandboxes that an interrupted create may have left, found by their mark. */
extern const char orphan_mark[]; /* key in the metadata */
struct orphans *orphans_new(struct worker *w);
void orphans_free(struct orphans *o);
void orphans_find(struct orphans *o, const char *mark); /* and kill them */
void orphans_kill(struct orphans *o, const char *id);

/* guest.c: requests to envd in j->box. Texts are in the job's arena. */
struct upstream_ask guest_ask(struct job *j, const char *method, const char *target);
/* A path and the configured user as a query: "?path=…&username=…", behind `before`. */
char *guest_file_target(struct job *j, const char *before, struct str path);

/* process.c: a program in j->box, with its output gathered. */
enum {
    PROCESS_OUTPUT_MAX =
        4 << 20, /* of stdout, and of stderr; the rest is dropped and that is said */
    PROCESS_GRACE_MS = 5 * 1000, /* from SIGKILL to its end */
};
struct process_spec {
    struct str cmd, cwd;          /* cwd empty: where envd starts programs */
    struct codec_list args, envs; /* of struct str; of struct codec_pair */
    struct str stdin;             /* closed at once when empty */
    uint64_t timeout_ms;
};
struct process_end {
    bool timed_out, is_cut; /* is_cut: more output came than is kept */
    bool has_exited;
    int32_t exit_code;
    struct buf out, err;
    uint64_t duration_ms;
    /* It could not be run: what Connect-RPC calls the reason, and its text; else empty. */
    struct str refused_code, refused_text;
};
typedef void process_fn(struct job *j, const struct process_end *end);
/* When the sandbox does not answer the job ends by itself. */
void process_run(struct job *j, const struct process_spec *spec, process_fn *then);
void process_kill(struct job *j);     /* the caller is gone: SIGKILL, then the job ends */
void process_free(struct process *p); /* NULL is fine */

/* Functions of the provider. */
job_fn run_create, run_stop, run_list, run_exec, run_read, run_write, run_snapshot, run_expose;
job_fn keep_going;                      /* as `drop`: what was begun is completed */
void reconcile_start(struct worker *w); /* now and then, from here on */

#endif
