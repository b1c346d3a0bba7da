/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers that the table in routes.c names. */
#ifndef ENVD_HANDLERS_H
#define ENVD_HANDLERS_H

#include "envd/rpc.h"

struct guest;

/* Plain HTTP: must answer, now or later. */
void health_get(struct guest *g, struct exchange *x);    /* health.c */
void envs_get(struct guest *g, struct exchange *x);      /* health.c */
void freeze_post(struct guest *g, struct exchange *x);   /* health.c */
void metrics_get(struct guest *g, struct exchange *x);   /* metrics.c */
void init_post(struct guest *g, struct exchange *x);     /* init.c */
void files_get(struct guest *g, struct exchange *x);     /* files_get.c */
void files_post(struct guest *g, struct exchange *x);    /* files_post.c */
void files_compose(struct guest *g, struct exchange *x); /* compose.c */

/* Before /init, when nobody has asked for this sandbox yet: init.c */
void prepare_post(struct guest *g, struct exchange *x);

/* process.Process: process_start.c, process_rpc.c; process_feed.c */
void process_start_rpc(struct rpc_call *call);
void process_connect_rpc(struct rpc_call *call);
void process_list_rpc(struct rpc_call *call);
void process_update_rpc(struct rpc_call *call);
void process_send_signal_rpc(struct rpc_call *call);
void process_close_stdin_rpc(struct rpc_call *call);
void process_send_input_rpc(struct rpc_call *call);
void process_stream_input(struct guest *g, struct exchange *x); /* reads its messages itself */

/* filesystem.Filesystem: filesystem_rpc.c, filesystem_list.c, watch_rpc.c */
void filesystem_stat_rpc(struct rpc_call *call);
void filesystem_make_dir_rpc(struct rpc_call *call);
void filesystem_move_rpc(struct rpc_call *call);
void filesystem_list_rpc(struct rpc_call *call);
void filesystem_remove_rpc(struct rpc_call *call);
void filesystem_watch_rpc(struct rpc_call *call); /* WatchDir, CreateWatcher */
void filesystem_watcher_events_rpc(struct rpc_call *call);
void filesystem_watcher_remove_rpc(struct rpc_call *call);

#endif
