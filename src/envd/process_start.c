/* SPDX-License-Identifier: Apache-2.0 */
/* process.Process/Start: from a request to a running process with its first subscriber. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "envd/agentcube.h"
#include "envd/env.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/kernel.h"
#include "envd/paths.h"
#include "envd/pty.h"
#include "envd/spawn.h"

enum {
    OWN_VARS = 4 /* PATH, HOME, USER, LOGNAME */
};

/* What is gathered before the process exists. */
struct launch {
    struct rpc_call *call;
    const struct start_request *request;
    struct user user;
    struct str cwd;
    struct env env;
    struct spawn_spec spec;
    uint32_t groups[USER_GROUPS_MAX];
    int child_fds[3]; /* closed once the child has them; with a terminal only the first */
};

/* Names in increasing priority: ours, the sandbox's, the request's; E2B_… cannot be changed. */
static int make_env(struct launch *l, struct err *err)
{
    const struct guest *g = l->call->guest;
    const struct codec_list *global = &g->config.envs;
    const struct codec_list *asked = &l->request->process->envs;
    size_t room = OWN_VARS + GUEST_INTERNAL_ENVS + global->count + asked->count;
    struct env *e = &l->env;

    if (env_init(e, &l->call->arena, room, err) != 0 ||
        env_set(e, STR("PATH"), str_of(g->path_env), err) != 0 ||
        env_set(e, STR("HOME"), l->user.home, err) != 0 ||
        env_set(e, STR("USER"), l->user.name, err) != 0 ||
        env_set(e, STR("LOGNAME"), l->user.name, err) != 0 || env_set_all(e, global, err) != 0 ||
        env_set_all(e, asked, err) != 0 || guest_internal_envs(g, e, err) != 0)
        return -1;
    l->spec.envp = env_strings(e);
    return l->spec.envp == NULL ? err_set(err, ERR_LIMIT, "out of memory") : 0;
}

static int make_cwd(struct launch *l, struct err *err)
{
    const struct process_config *c = l->request->process;
    bool is_asked = c->has_cwd && c->cwd.len > 0;
    struct stat st;
    int rc;

    if (path_resolve(is_asked ? c->cwd : STR(""), &l->user, l->call->guest->config.workdir,
                     &l->call->arena, &l->cwd, err) != 0)
        return -1;
    rc = stat(l->cwd.at, &st);
    if (rc == 0 && S_ISDIR(st.st_mode)) {
        l->spec.cwd = l->cwd.at;
        return 0;
    }
    if (!is_asked) {
        l->spec.cwd = "/"; /* an image without the home it names: as login(1) does */
        return 0;
    }
    return err_set(err, ERR_INVALID,
                   rc == 0 ? "cwd '%.180s' is not a directory" : "cwd '%.180s' does not exist",
                   l->cwd.at);
}

static bool has_nul(struct str s)
{
    return s.len > 0 && memchr(s.at, 0, s.len) != NULL;
}

static int make_argv(struct launch *l, struct err *err)
{
    const struct process_config *c = l->request->process;
    const struct str *args = c->args.items;
    const char **argv;

    if (c->cmd.len == 0 || has_nul(c->cmd))
        return err_set(err, ERR_INVALID, "cmd is empty or has a NUL byte in it");
    if (c->args.count > PROCESS_ARGS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d arguments", PROCESS_ARGS_MAX);
    argv = arena_array(&l->call->arena, c->args.count + 3, sizeof(argv[0]));
    if (argv == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    argv++; /* the free slot that spawn() asks for */
    argv[0] = c->cmd.at;
    for (size_t i = 0; i < c->args.count; i++) {
        if (has_nul(args[i]))
            return err_set(err, ERR_INVALID, "an argument has a NUL byte in it");
        argv[i + 1] = args[i].at;
    }
    l->spec.argv = (char *const *)(uintptr_t)argv;
    return 0;
}

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

/* The file that the name stands for, by the PATH that the process will have. */
static void find_program(struct launch *l)
{
    const char *cmd = l->spec.argv[0];
    struct str dirs = env_get(&l->env, "PATH");

    if (strchr(cmd, '/') != NULL) {
        l->spec.path = cmd;
        return;
    }
    while (dirs.len > 0) {
        struct str dir = str_cut(dirs, ':', &dirs);
        bool is_relative = dir.len == 0 || dir.at[0] != '/';
        const char *path =
            arena_printf(&l->call->arena, "%s%s%.*s/%s", is_relative ? l->spec.cwd : "",
                         is_relative ? "/" : "", STR_ARG(dir), cmd);

        if (path == NULL || !is_program(path))
            continue;
        l->spec.path = path;
        return;
    }
}

static int open_pty(struct launch *l, struct process *p, struct err *err)
{
    auto_fd int master = -1;
    int input;

    if (pty_open(l->request->pty->size, &l->user, &master, &l->child_fds[0], err) != 0)
        return -1;
    input = fcntl(master, F_DUPFD_CLOEXEC, 0); /* a watch of its own for writing */
    if (input < 0)
        return err_sys(err, errno, "open terminal");
    p->is_pty = true;
    input_open(p, input);
    for (size_t i = 0; i < COUNT_OF(l->spec.fds); i++)
        l->spec.fds[i] = l->child_fds[0];
    l->spec.is_terminal = true;
    return output_open(p, 0, take_fd(&master), DATA_PTY, err);
}

static int open_stdin(struct launch *l, struct process *p, struct err *err)
{
    int ends[2];

    if (l->request->has_stdin && !l->request->wants_stdin) {
        l->child_fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
        return l->child_fds[0] < 0 ? err_sys(err, errno, "open /dev/null") : 0;
    }
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_sys(err, errno, "start process: pipe");
    l->child_fds[0] = ends[0];
    input_open(p, ends[1]);
    return 0;
}

static int open_pipes(struct launch *l, struct process *p, struct err *err)
{
    static const enum data_kind kinds[] = {DATA_STDOUT, DATA_STDERR};
    int ends[2];

    if (open_stdin(l, p, err) != 0)
        return -1;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (pipe2(ends, O_CLOEXEC) != 0)
            return err_sys(err, errno, "start process: pipe");
        l->child_fds[i + 1] = ends[1];
        if (output_open(p, i, ends[0], kinds[i], err) != 0)
            return -1;
    }
    for (size_t i = 0; i < COUNT_OF(l->spec.fds); i++)
        l->spec.fds[i] = l->child_fds[i];
    return 0;
}

static int prepare(struct launch *l, struct err *err)
{
    const struct start_request *r = l->request;
    size_t most = l->call->peer.form > CONNECT_OTHER ? AGENTCUBE_PROCESSES_MAX : PROCESSES_MAX;

    if (r->process == NULL)
        return err_set(err, ERR_INVALID, "process is missing");
    if (r->has_tag && (r->tag.len > PROCESS_TAG_MAX || has_nul(r->tag)))
        return err_set(err, ERR_INVALID, "tag is longer than %d bytes or has a NUL byte in it",
                       PROCESS_TAG_MAX);
    if (l->call->guest->processes.running_count >= most)
        return err_set(err, ERR_LIMIT, "%zu processes are running already", most);
    if (make_argv(l, err) != 0 || make_env(l, err) != 0 || make_cwd(l, err) != 0)
        return -1;
    find_program(l);
    l->spec.uid = l->user.uid;
    l->spec.gid = l->user.gid;
    l->spec.groups = l->groups;
    l->spec.group_count = user_groups(&l->user, l->groups);
    return 0;
}

/* From here on the process is real, or nothing of it is left. */
static int start(struct launch *l, struct process *p, struct err *err)
{
    enum connect_form form = l->call->peer.form;
    struct subscriber *s = NULL;
    pid_t pid;

    if (l->request->has_tag) {
        p->tag = strdup(l->request->tag.at);
        if (p->tag == NULL)
            return err_set(err, ERR_LIMIT, "out of memory");
    }
    if ((l->request->pty != NULL ? open_pty(l, p, err) : open_pipes(l, p, err)) != 0)
        return -1;
    if (form != CONNECT_REST && (s = subscriber_new(p)) == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    ignore(kernel_oom_kills(&p->oom_before)); /* nobody counts: nothing will be said */
    if (spawn(&l->spec, &pid, err) != 0) {
        subscriber_free(s);
        return -1;
    }
    p->is_door = form > CONNECT_OTHER;
    p->config = l->request->process;
    p->arena = l->call->arena; /* the request lives on in the process, for List */
    arena_init(&l->call->arena, RPC_ARENA_MAX);
    process_enter(p, pid, l->call->timeout_ms);
    if (s != NULL)
        subscriber_start(s, l->call);
    else
        agentcube_started(l->call, p);
    return 0;
}

void process_start_rpc(struct rpc_call *call)
{
    struct launch l = {
        .call = call, .request = call->in, .child_fds = {-1, -1, -1}
    };
    struct process *p;
    struct err err;

    if (rpc_user(call, &l.user) != 0)
        return;
    if (prepare(&l, &err) != 0) {
        rpc_fail_err(call->peer, &err);
        return;
    }
    p = process_new(&call->guest->processes);
    if (p == NULL) {
        rpc_fail(call->peer, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    if (start(&l, p, &err) != 0) {
        process_free(p);
        rpc_fail_err(call->peer, &err);
    }
    for (size_t i = 0; i < COUNT_OF(l.child_fds); i++)
        own_close_fd(&l.child_fds[i]);
}
