/* SPDX-License-Identifier: Apache-2.0 */
/* What every role does first; see role.h. */
#include "main/role.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "io/loop.h"
#include "main/role_limits.h"

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    ignore(setrlimit(RLIMIT_NOFILE, &limit)); /* with fewer we still work, with fewer clients */
}

static int limit(const struct config *c, const struct invocation *v, struct err *err)
{
    if (strcmp(v->command->name, "role-node") == 0)
        return role_drop_capabilities(err);
    return role_limit(c->has_role_filter, err);
}

int role_begin(const struct invocation *v, const char *name, loop_fn *on_stop, void *ctx,
               struct loop **out)
{
    const struct program *program = v->ctx;
    struct loop *l;
    struct err err;

    config_log(&program->config, name);
    ignore(setsid()); /* fails when it leads a group already, which serves as well */
    ignore(prctl(PR_SET_NAME, v->command->name)); /* for ps; cosmetic */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGINT, SIG_IGN) == SIG_ERR ||
        signal(SIGHUP, SIG_IGN) == SIG_ERR)
        return command_fail(v, "ignore signals");
    raise_file_limit();
    if (limit(&program->config, v, &err) != 0 || loop_new(&l, &err) != 0 ||
        loop_on_signal(l, SIGTERM, on_stop, ctx, &err) != 0) {
        log_error("role.failed", "error=\"%s\"", err.text);
        return -1;
    }
    *out = l;
    return 0;
}

void role_ready(void)
{
    ignore(write(ROLE_FD_READY, "1", 1)); /* the supervisor may be gone; then we end soon */
    close(ROLE_FD_READY);
}
