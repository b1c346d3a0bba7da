/* SPDX-License-Identifier: Apache-2.0 */
/* The /envd/... routes of AgentCube's clients (AC-38 to AC-46): a second door to the functions
 * behind the RPCs, with the same token. Bodies and answers are plain JSON; errors are
 * {"code":<status>,"message":"…"} with the status that the RPC's error has (wire.md 3.2).
 *
 *   GET    /envd/health, /envd/env          as /health and /envs
 *   POST   /envd/filesystem/upload          {path, content (base64)} or multipart: path, file
 *   GET    /envd/filesystem/download?path=  as GET /files: ranges, conditions, gzip
 *   GET    /envd/filesystem/list?path=      {"entries": […]}
 *   GET    /envd/filesystem/stat?path=
 *   POST   /envd/filesystem/mkdir           {path, parents}; 409 when it is there
 *   POST   /envd/filesystem/move            {source_path, target_path}; 204
 *   DELETE /envd/filesystem/remove          {path} or ?path=; 204
 *   POST   /envd/process/start              {cmd[], env, cwd, timeout (s), pty}
 *   GET    /envd/process/events?process_id= its output from the first byte that is kept, its end
 *   POST   /envd/process/input              {process_id, data, encoding}; 204
 *   POST   /envd/process/close-stdin        {process_id}; 204
 *   POST   /envd/process/signal             {process_id, signal: a name or number}; 204
 *   GET    /envd/process/list               {"processes": […]}
 *
 * Parameters may be in the query as well. Paths stay in the workspace: workspace.h; so does cwd.
 *
 * `start` answers at once with the process. With Accept: text/event-stream, or
 * application/x-ndjson, it answers with its events instead, as /envd/process/events does (lines,
 * unless an event stream is accepted): one JSON object each,
 *   {"type":"info","process_id":…,"pid":…}, {"type":"stdout"|"stderr","data":…},
 *   {"type":"exit","exit_code":…}, each with a timestamp; an info without members says that the
 * connection is alive. Bytes that are no UTF-8, as a character that was cut, come in base64:
 * "encoding":"base64".
 *
 * Nothing is dropped for a listener that is slow: the program waits (process.h). Who comes later
 * hears all that the ring has kept (replay.h). A process that is over is known for
 * AGENTCUBE_RETAIN_MS. */
#ifndef ENVD_AGENTCUBE_H
#define ENVD_AGENTCUBE_H

#include "envd/process.h"
#include "envd/rpc.h"
#include "envd/users.h"

enum {
    AGENTCUBE_BODY_MAX = 32 << 20,
    AGENTCUBE_ARENA_MAX = 96 << 20, /* a body, its content decoded, and what serves it */
    AGENTCUBE_PROCESSES_MAX = 100,  /* running, whoever started them */
    AGENTCUBE_RETAIN_MS = 60000,
    AGENTCUBE_KEEPALIVE_MS = 30000,
};

/* Every member that a request may have. */
struct door_request {
    struct str path, source_path, target_path;
    bool parents;
    struct str content;
    struct codec_list cmd; /* struct str */
    struct codec_list env; /* struct codec_pair */
    struct str cwd, timeout, pty, process_id, data, encoding, signal;
};

/* A request through this door. */
struct door {
    struct rpc_call call; /* its arena owns what the request says */
    struct rpc_method method;
    struct user user;
    struct str workspace;
    struct door_request in;
};

extern const struct codec_message agentcube_entry_message; /* of struct entry_info */

/* Any path below /envd/ that is not in the table of routes.c; the token was checked. */
void agentcube_serve(struct guest *g, struct exchange *x);
void door_fail(struct door *d, const struct err *err);
/* The RPC with this request, which nobody holds on to. */
void door_call(struct door *d, rpc_fn *fn, const void *in);

/* agentcube_files.c */
void door_upload(struct door *d);
void door_download(struct door *d);
void door_list(struct door *d);
void door_stat(struct door *d);
void door_mkdir(struct door *d);
void door_move(struct door *d);
void door_remove(struct door *d);

/* agentcube_process.c */
void door_start(struct door *d);
void door_events(struct door *d);
void door_input(struct door *d);
void door_close_stdin(struct door *d);
void door_signal(struct door *d);
void door_processes(struct door *d);
/* The answer to a start that nobody listens to. */
void agentcube_started(struct rpc_call *call, const struct process *p);
/* One event of a stream in CONNECT_LINES or CONNECT_EVENTS. */
void agentcube_put_event(enum connect_form form, const struct process_event *event,
                         struct buf *out);

#endif
