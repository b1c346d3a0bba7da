/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait for a sandbox (semantics.md 3.6, RX-08): in transition, paused with and
 * without autoResume, with and without the right, one resume for all, failures. node is scripted.
 */
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "domain/quota.h"
#include "domain/sandbox_wake.h"
#include "domain_help.h"
#include "io/socket.h"
#include "test.h"

enum {
    CROWD = 200,
    ENVD = 49983,
};

struct rig {
    struct domain_help h;
    struct listener listener;
    struct channel *node;
    char path[64];
    enum err_kind answer; /* to a resume; the text says why */
    unsigned resumes;
    struct sandbox *s;
};

struct heard {
    size_t answers[ERR_SYSTEM + 1];
    size_t count;
};

static void on_woken(void *ctx, const struct err *err)
{
    struct heard *h = ctx;

    h->answers[err == NULL ? ERR_NONE : err->kind]++;
    h->count++;
}

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    struct rig *g = ctx;
    const struct node_stop *m = message;
    struct node_done done = {.seq = m->seq};

    own_close_fd(&fd);
    if (type == NODE_RESUME) {
        g->resumes++;
        done.kind = g->answer;
        done.text = STR("the runtime driver 'linux' cannot resume sandboxes");
    }
    CHECK(channel_send(g->node, NODE_DONE, &done, -1, NULL) == 0);
}

static void on_gone(void *ctx, const struct err *why)
{
    ignore(ctx == NULL || why == NULL); /* the domain ends first */
}

static void on_accept(void *ctx, int fd)
{
    struct rig *g = ctx;

    CHECK(channel_new(g->h.loop, fd, &node_protocol, on_message, on_gone, g, &g->node, NULL) == 0);
}

/* A paused sandbox with a token, and a node. */
static void rig_open(struct rig *g)
{
    int64_t now = clock_wall_ms();
    struct err err;
    int fd;

    *g = (struct rig){0};
    ignore(snprintf(g->path, sizeof(g->path), "/tmp/wake-test-%d.sock", (int)getpid()));
    domain_help_open_at(&g->h, g->path);
    CHECK(socket_listen_unix(g->path, SOCK_SEQPACKET, &fd, &err) == 0);
    CHECK(listener_start(&g->listener, g->h.loop, fd, on_accept, g, &err) == 0);
    for (int i = 0; i < 100 && !domain_node_is_ready(g->h.domain); i++)
        domain_help_run(&g->h, 20);
    CHECK(domain_node_is_ready(g->h.domain));
    g->s = domain_help_sandbox(&g->h, 1, now, now + 1000);
    g->s->r.timeout_s = 30;
    g->s->r.is_secure = true;
    g->s->r.may_resume = true;
    g->s->r.access_token = STR("secret");
    sandbox_move(g->s, SANDBOX_PAUSING);
    sandbox_move(g->s, SANDBOX_PAUSED);
}

static void rig_done(struct rig *g)
{
    struct sandbox *s = sandbox_find(g->h.domain, STR("s000001"));

    if (s != NULL)
        sandbox_free(s);
    listener_stop(&g->listener);
    channel_free(g->node);
    domain_help_close(&g->h);
    CHECK(unlink(g->path) == 0);
}

static void ask(struct rig *g, uint32_t port, const char *token, struct heard *heard)
{
    struct wake_right right = {.port = port, .access_token = str_of(token)};

    sandbox_wake(g->h.domain, STR("s000001"), &right, on_woken, heard);
}

static void wait_for(struct rig *g, const struct heard *heard, size_t count)
{
    for (int i = 0; i < 100 && heard->count < count; i++)
        domain_help_run(&g->h, 20);
    CHECK(heard->count == count);
}

static void one_resume_for_all(void)
{
    struct rig g;
    struct heard heard = {0};
    int64_t now = clock_wall_ms();

    rig_open(&g);
    for (size_t i = 0; i < CROWD; i++)
        ask(&g, 8000, "", &heard);
    wait_for(&g, &heard, CROWD);
    CHECK(heard.answers[ERR_NONE] == CROWD && g.resumes == 1);
    CHECK(g.s->state == SANDBOX_RUNNING);
    CHECK(g.s->r.end_at_ms >= now + 300000 && g.s->r.end_at_ms < now + 310000); /* the least */
    ask(&g, 8000, "", &heard);
    wait_for(&g, &heard, CROWD + 1);
    CHECK(heard.answers[ERR_NONE] == CROWD + 1 && g.resumes == 1);
    rig_done(&g);
}

static void tokens_come_first(void)
{
    struct rig g;
    struct heard heard = {0};
    struct wake_right right = {.port = ENVD, .is_verified = true};

    rig_open(&g);
    ask(&g, ENVD, "", &heard);
    ask(&g, ENVD, "guess", &heard);
    wait_for(&g, &heard, 2);
    CHECK(heard.answers[ERR_DENIED] == 2 && g.resumes == 0 && g.s->state == SANDBOX_PAUSED);
    g.s->team->r.is_blocked = true;
    ask(&g, ENVD, "secret", &heard);
    wait_for(&g, &heard, 3);
    CHECK(heard.answers[ERR_DENIED] == 3 && g.resumes == 0);
    g.s->team->r.is_blocked = false;
    ask(&g, ENVD, "guess", &heard); /* in a crowd that may */
    ask(&g, ENVD, "secret", &heard);
    wait_for(&g, &heard, 5);
    CHECK(heard.answers[ERR_DENIED] == 4 && heard.answers[ERR_NONE] == 1 && g.resumes == 1);
    sandbox_move(g.s, SANDBOX_PAUSING);
    sandbox_move(g.s, SANDBOX_PAUSED);
    sandbox_wake(g.h.domain, STR("s000001"), &right, on_woken, &heard);
    wait_for(&g, &heard, 6);
    CHECK(heard.answers[ERR_NONE] == 2 && g.resumes == 2);
    rig_done(&g);
}

static void without_auto_resume_it_stays_paused(void)
{
    struct rig g;
    struct heard heard = {0};

    rig_open(&g);
    g.s->r.may_resume = false;
    ask(&g, 8000, "", &heard);
    ask(&g, ENVD, "secret", &heard);
    wait_for(&g, &heard, 2);
    CHECK(heard.answers[ERR_CONFLICT] == 2 && g.resumes == 0 && g.s->state == SANDBOX_PAUSED);
    rig_done(&g);
}

static void a_failed_resume_is_told_and_may_be_tried_again(void)
{
    struct rig g;
    struct heard heard = {0};

    rig_open(&g);
    quota_give_back(g.s);
    g.answer = ERR_UNSUPPORTED;
    ask(&g, 8000, "", &heard);
    ask(&g, 8000, "", &heard);
    wait_for(&g, &heard, 2);
    CHECK(heard.answers[ERR_UNSUPPORTED] == 2 && g.resumes == 1);
    CHECK(g.s->state == SANDBOX_PAUSED && !g.s->has_slot);
    g.s->team->r.limits[TEAM_SANDBOXES] = 1;
    {
        int64_t now = clock_wall_ms();
        struct sandbox *other = domain_help_sandbox(&g.h, 2, now, now + 60000);

        ask(&g, 8000, "", &heard);
        wait_for(&g, &heard, 3);
        CHECK(heard.answers[ERR_LIMIT] == 1 && g.resumes == 1 && g.s->state == SANDBOX_PAUSED);
        sandbox_free(other);
    }
    g.answer = ERR_NONE;
    ask(&g, 8000, "", &heard);
    wait_for(&g, &heard, 4);
    CHECK(heard.answers[ERR_NONE] == 1 && g.resumes == 2 && g.s->has_slot);
    rig_done(&g);
}

static void who_waits_hears_of_every_end(void)
{
    struct rig g;
    struct heard heard = {0};

    rig_open(&g);
    sandbox_wake(g.h.domain, STR("s000009"), &(struct wake_right){0}, on_woken, &heard);
    CHECK(heard.answers[ERR_NOT_FOUND] == 1);
    sandbox_move(g.s, SANDBOX_RESUMING); /* by somebody else */
    ask(&g, 8000, "", &heard);
    domain_help_run(&g.h, 50);
    CHECK(heard.count == 1 && g.resumes == 0);
    sandbox_move(g.s, SANDBOX_RUNNING);
    wait_for(&g, &heard, 2);
    CHECK(heard.answers[ERR_NONE] == 1);
    sandbox_move(g.s, SANDBOX_PAUSING);
    ask(&g, 8000, "", &heard);
    domain_help_run(&g.h, 50);
    CHECK(heard.count == 2);
    sandbox_move(g.s, SANDBOX_KILLING);
    CHECK(heard.answers[ERR_NOT_FOUND] == 2);
    ask(&g, 8000, "", &heard);
    CHECK(heard.answers[ERR_NOT_FOUND] == 3);
    rig_done(&g);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"one resume for all",                             one_resume_for_all                 },
        {"tokens come first",                              tokens_come_first                  },
        {"without autoResume it stays paused",             without_auto_resume_it_stays_paused},
        {"a failed resume is told and may be tried again",
         a_failed_resume_is_told_and_may_be_tried_again                                       },
        {"who waits hears of every end",                   who_waits_hears_of_every_end       },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
