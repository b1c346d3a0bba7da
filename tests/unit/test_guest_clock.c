/* SPDX-License-Identifier: Apache-2.0 */
/* envd's handlers under a clock that the test moves: how long an exit status is kept, when a stream
 * says that it lives, deadlines of calls, stalled subscribers, signed URLs, the order of /init. The
 * processes, the sockets and the loop are real ones. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "envd/guest.h"
#include "envd/routes.h"
#include "envd/signature.h"
#include "envd/spawn.h"
#include "http_help.h"
#include "test.h"

enum {
    REQUEST_MAX = 2048,
    TURNS = 20,         /* enough for all that is due */
    SLACK_MS = 5000,    /* what the machine may lose meanwhile, as the clock also runs */
    KEPT_MS = 30000,    /* wire.md 3.5 */
    USUAL_S = 90,       /* keepalive interval of a call that names none */
    ASKED_S = 20,       /* a keepalive interval */
    DEADLINE_MS = 30000 /* of a call */
};

struct envd {
    struct rig rig;
    struct guest guest;
    char user[16];
};

static void on_child(void *ctx)
{
    struct envd *e = ctx;

    processes_reap(&e->guest.processes);
}

static void open_envd(struct envd *e)
{
    static const struct http_limits limits = {.stall_ms = 0}; /* as envd's own */
    struct err err;

    *e = (struct envd){.guest = {.path_env = "/usr/bin:/bin"}};
    snprintf(e->user, sizeof(e->user), "%u", (unsigned)geteuid());
    spawn_reset_signals();
    rig_open(&e->rig, &limits, routes_serve, &e->guest);
    e->guest.loop = e->rig.loop;
    e->guest.server = e->rig.server;
    e->guest.config.user = str_of(e->user);
    e->guest.config.has_user = true;
    e->guest.config.control_token = STR("c0ntr0l");
    e->guest.config.has_control_token = true;
    arena_init(&e->guest.config_arena, GUEST_CONFIG_MAX);
    processes_init(&e->guest.processes, e->rig.loop);
    watchers_init(&e->guest.watchers, e->rig.loop);
    CHECK(loop_on_signal(e->rig.loop, SIGCHLD, on_child, e, &err) == 0);
}

static void close_envd(struct envd *e)
{
    processes_done(&e->guest.processes);
    watchers_done(&e->guest.watchers);
    timer_stop(&e->guest.settling);
    arena_done(&e->guest.config_arena);
    rig_done(&e->rig);
}

static void pass(struct envd *e, uint64_t ms)
{
    clock_shift_ms(ms);
    for (int i = 0; i < TURNS; i++)
        rig_read(&e->rig);
}

/* `fields` are whole lines. */
static void call(struct envd *e, const char *path, const char *fields, const char *json)
{
    bool is_stream = strstr(fields, "connect+json") != NULL;
    uint8_t head[ENVELOPE_HEAD];
    char request[REQUEST_MAX];
    size_t len = strlen(json);
    int at = snprintf(request, sizeof(request),
                      "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n", path, fields,
                      len + (is_stream ? sizeof(head) : 0));
    size_t used = (size_t)at;

    CHECK(at > 0 && used + sizeof(head) + len < sizeof(request));
    if (is_stream) {
        envelope_head(0, (uint32_t)len, head);
        memcpy(request + used, head, sizeof(head));
        used += sizeof(head);
    }
    memcpy(request + used, json, len);
    used += len;
    CHECK(send(e->rig.peer, request, used, MSG_NOSIGNAL) == (ssize_t)used);
}

#define STREAM "Content-Type: application/connect+json\r\n"

static size_t heard(const struct envd *e, const char *text)
{
    struct str rest = buf_str(&e->rig.got);
    size_t count = 0;
    const char *at;

    while (rest.len > 0 && (at = memmem(rest.at, rest.len, text, strlen(text))) != NULL) {
        rest = str_from(rest, (size_t)(at - rest.at) + 1);
        count++;
    }
    return count;
}

static uint32_t start(struct envd *e, const char *fields, const char *json)
{
    uint32_t pid = 0;
    const char *at;

    call(e, "/process.Process/Start", fields, json);
    rig_expect_part(&e->rig, "\"pid\":");
    at = memmem(e->rig.got.at, e->rig.got.len, "\"pid\":", 6);
    CHECK(at != NULL && sscanf(at, "\"pid\":%u", &pid) == 1 && pid > 0);
    return pid;
}

/* Connect to it, and whether that finds its end or nothing. */
static void connect_finds(struct envd *e, uint32_t pid, const char *wanted)
{
    char json[64];

    buf_clear(&e->rig.got);
    snprintf(json, sizeof(json), "{\"process\":{\"pid\":%u}}", pid);
    call(e, "/process.Process/Connect", STREAM, json);
    rig_expect_part(&e->rig, wanted);
    rig_expect_part(&e->rig, "\r\n0\r\n\r\n");
}

/* wire.md 3.5: a Connect that comes up to 30 s late hears the end, a later one not_found. */
static void exit_status_is_kept_for_30_s(void)
{
    struct envd e;
    uint32_t pid;
    char gone[64];

    open_envd(&e);
    pid = start(&e, STREAM, "{\"process\":{\"cmd\":\"sh\",\"args\":[\"-c\",\"exit 7\"]}}");
    rig_expect_part(&e.rig, "\r\n0\r\n\r\n");
    CHECK(heard(&e, "{\"end\":{\"exitCode\":7,") == 1);
    connect_finds(&e, pid, "{\"end\":{\"exitCode\":7,");
    pass(&e, KEPT_MS - SLACK_MS);
    connect_finds(&e, pid, "{\"end\":{\"exitCode\":7,");
    CHECK(heard(&e, "{\"start\":{\"pid\":") == 1);
    pass(&e, SLACK_MS);
    CHECK(e.guest.processes.ended_count == 0); /* its memory goes without anybody asking */
    snprintf(gone, sizeof(gone), "\"process with pid %u not found\"", pid);
    connect_finds(&e, pid, gone);
    CHECK(heard(&e, "\"code\":\"not_found\"") == 1);
    close_envd(&e);
}

/* One that runs is not forgotten, however long. */
static void running_process_stays(void)
{
    struct envd e;

    open_envd(&e);
    start(&e, STREAM, "{\"process\":{\"cmd\":\"sleep\",\"args\":[\"600\"]}}");
    pass(&e, 24 * 3600 * 1000);
    CHECK(e.guest.processes.running_count == 1);
    CHECK(heard(&e, "\"end\"") == 0 && heard(&e, "\"error\"") == 0);
    close_envd(&e);
}

static void keepalives_come_every(const char *fields, unsigned seconds)
{
    struct envd e;

    open_envd(&e);
    start(&e, fields, "{\"process\":{\"cmd\":\"cat\"}}");
    for (size_t i = 0; i < 3; i++) {
        pass(&e, seconds * 1000 - SLACK_MS);
        CHECK(heard(&e, "{\"keepalive\":{}}") == i);
        pass(&e, SLACK_MS);
        CHECK(heard(&e, "{\"keepalive\":{}}") == i + 1);
    }
    CHECK(e.guest.processes.running_count == 1);
    close_envd(&e);
}

static void keepalive_at_the_default_interval(void)
{
    keepalives_come_every(STREAM, USUAL_S);
}

static void keepalive_at_the_asked_interval(void)
{
    keepalives_come_every(STREAM "Keepalive-Ping-Interval: 20\r\n", ASKED_S);
}

static void keepalive_of_no_interval_is_the_default(void)
{
    keepalives_come_every(STREAM "Keepalive-Ping-Interval: 0\r\n", USUAL_S);
}

/* What a stream says is a sign of life as well: the interval begins anew. */
static void keepalive_waits_for_silence(void)
{
    struct envd e;
    struct process *p;

    open_envd(&e);
    start(&e, STREAM "Keepalive-Ping-Interval: 20\r\n", "{\"process\":{\"cmd\":\"cat\"}}");
    p = container_of(list_first(&e.guest.processes.running), struct process, node);
    pass(&e, ASKED_S * 1000 - SLACK_MS);
    CHECK(write(p->input.fd, "hi", 2) == 2);
    rig_expect_part(&e.rig, "{\"stdout\":\"aGk=\"}");
    pass(&e, ASKED_S * 1000 - SLACK_MS);
    CHECK(heard(&e, "{\"keepalive\":{}}") == 0);
    pass(&e, SLACK_MS);
    CHECK(heard(&e, "{\"keepalive\":{}}") == 1);
    close_envd(&e);
}

/* wire.md 3.5: the timeout of Start kills, and the caller hears deadline_exceeded. */
static void deadline_of_start_kills(void)
{
    struct envd e;
    uint32_t pid;

    open_envd(&e);
    pid = start(&e, STREAM "Connect-Timeout-Ms: 30000\r\n",
                "{\"process\":{\"cmd\":\"sleep\",\"args\":[\"600\"]}}");
    pass(&e, DEADLINE_MS - SLACK_MS);
    CHECK(e.guest.processes.running_count == 1 && heard(&e, "\"error\"") == 0);
    pass(&e, SLACK_MS);
    rig_expect_part(&e.rig, "\"code\":\"deadline_exceeded\"");
    rig_expect_part(&e.rig, "\r\n0\r\n\r\n");
    connect_finds(&e, pid, "\"signal: killed\"");
    CHECK(e.guest.processes.running_count == 0);
    close_envd(&e);
}

/* That of Connect ends the call alone. */
static void deadline_of_connect_leaves_the_process(void)
{
    struct envd e;
    uint32_t pid;
    char json[64];

    open_envd(&e);
    pid = start(&e, STREAM, "{\"process\":{\"cmd\":\"sleep\",\"args\":[\"600\"]}}");
    rig_connect(&e.rig);
    snprintf(json, sizeof(json), "{\"process\":{\"pid\":%u}}", pid);
    call(&e, "/process.Process/Connect", STREAM "Connect-Timeout-Ms: 30000\r\n", json);
    rig_expect_part(&e.rig, "{\"start\":{\"pid\":");
    pass(&e, DEADLINE_MS - SLACK_MS);
    CHECK(heard(&e, "\"error\"") == 0);
    pass(&e, SLACK_MS);
    rig_expect_part(&e.rig, "\"code\":\"deadline_exceeded\"");
    pass(&e, DEADLINE_MS);
    CHECK(e.guest.processes.running_count == 1);
    close_envd(&e);
}

/* wire.md 3.8: so does that of WatchDir. */
static void deadline_of_watch(void)
{
    struct envd e;

    open_envd(&e);
    call(&e, "/filesystem.Filesystem/WatchDir", STREAM "Connect-Timeout-Ms: 30000\r\n",
         "{\"path\":\"/usr\"}");
    rig_expect_part(&e.rig, "{\"start\":{}}");
    pass(&e, DEADLINE_MS - SLACK_MS);
    CHECK(heard(&e, "\"error\"") == 0);
    pass(&e, SLACK_MS);
    rig_expect_part(&e.rig, "\"code\":\"deadline_exceeded\"");
    rig_expect_part(&e.rig, "\r\n0\r\n\r\n");
    close_envd(&e);
}

static bool is_paused(void *ctx)
{
    const struct envd *e = ctx;
    struct list_node *n = list_first(&e->guest.processes.running);

    return n != NULL && container_of(n, struct process, node)->is_paused;
}

/* process.h: who is alone and takes nothing for SUBSCRIBER_STALL_MS is cut off, the program goes
 * on. */
static void stalled_subscriber_is_cut_off(void)
{
    struct envd e;
    struct process *p;

    open_envd(&e);
    start(&e, STREAM, "{\"process\":{\"cmd\":\"yes\"}}");
    for (int i = 0; i < RIG_WAIT_MS && !is_paused(&e); i++)
        rig_turn(&e.rig); /* nobody reads */
    CHECK(is_paused(&e));
    p = container_of(list_first(&e.guest.processes.running), struct process, node);
    clock_shift_ms(SUBSCRIBER_STALL_MS - SLACK_MS);
    for (int i = 0; i < TURNS; i++)
        rig_turn(&e.rig);
    CHECK(p->subscriber_count == 1 && p->is_paused);
    clock_shift_ms(SLACK_MS + SUBSCRIBER_LAG_MS); /* it looks once in SUBSCRIBER_LAG_MS */
    for (int i = 0; i < TURNS; i++)
        rig_turn(&e.rig);
    CHECK(p->subscriber_count == 0 && !p->is_paused && !p->is_dead);
    rig_expect_end(&e.rig);
    CHECK(heard(&e, "\"end\"") == 0);
    close_envd(&e);
}

/* wire.md 3.12: a signature holds up to the second it names. */
static void signed_url_expires(void)
{
    static const char part[] = "GET /files?path=/proc/self/comm&signature=";
    struct envd e;
    char expiration[24], signature[SIGNATURE_LEN + 1], request[REQUEST_MAX];
    struct signature_input in = {
        .path = STR("/proc/self/comm"), .operation = "read", .token = STR("t0ken")};
    size_t at = sizeof(part) - 1;

    open_envd(&e);
    e.guest.config.access_token = in.token;
    e.guest.config.has_access_token = true;
    snprintf(expiration, sizeof(expiration), "%lld",
             (long long)clock_wall_ms() / 1000 + DEADLINE_MS / 1000);
    in.expiration = str_of(expiration);
    signature_make(&in, signature);
    memcpy(request, part, at);
    for (const char *c = signature; *c != '\0'; c++)
        at += (size_t)snprintf(request + at, 4, "%%%02X", (unsigned char)*c);
    snprintf(request + at, sizeof(request) - at,
             "&signature_expiration=%s HTTP/1.1\r\nHost: x\r\n\r\n", expiration);
    rig_send(&e.rig, request);
    rig_expect_part(&e.rig, "HTTP/1.1 200 ");
    pass(&e, DEADLINE_MS - SLACK_MS);
    buf_clear(&e.rig.got);
    rig_send(&e.rig, request);
    rig_expect_part(&e.rig, "HTTP/1.1 200 ");
    pass(&e, SLACK_MS + 1000);
    buf_clear(&e.rig.got);
    rig_send(&e.rig, request);
    rig_expect_part(&e.rig, "HTTP/1.1 401 ");
    rig_expect_part(&e.rig, "expired");
    close_envd(&e);
}

struct init_step {
    const char *body;
    const char *user, *workdir; /* afterwards */
};

/* A request whose timestamp is before the last one's is answered alike and changes nothing. */
static void init_is_ordered_by_timestamp(void)
{
    static const struct init_step steps[] = {
        {"{\"defaultUser\":\"a\",\"defaultWorkdir\":\"/1\"}",                         "a", "/1"},
        {"{\"defaultUser\":\"b\",\"timestamp\":\"2026-11-20T18:40:00.5Z\"}",          "b", "/1"},
        {"{\"defaultUser\":\"c\",\"timestamp\":\"2026-11-20T18:40:00.499999999Z\"}",  "b", "/1"},
        {"{\"defaultUser\":\"d\",\"timestamp\":\"2026-11-20T18:39:59.9Z\"}",          "b", "/1"},
        {"{\"defaultWorkdir\":\"/2\",\"timestamp\":\"2026-11-20T19:40:00.5+01:00\"}", "b", "/2"},
        {"{\"defaultUser\":\"e\"}",                                                   "e", "/2"},
        {"{\"defaultUser\":\"f\",\"timestamp\":\"2026-11-20T18:40:00.4Z\"}",          "e", "/2"},
        {"{\"defaultUser\":\"g\",\"timestamp\":\"2026-11-20T18:40:00.500000001Z\"}",  "g", "/2"},
        {"{\"defaultUser\":\"h\",\"timestamp\":\"2026-11-20T18:40:00.5Z\"}",          "g", "/2"},
    };
    struct envd e;

    open_envd(&e);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        const struct init_request *c = &e.guest.config;

        buf_clear(&e.rig.got);
        call(&e, "/init", "X-Sandlot-Control: c0ntr0l\r\n", steps[i].body);
        rig_expect_part(&e.rig, "HTTP/1.1 204 ");
        if (!str_is(c->user, steps[i].user) || !str_is(c->workdir, steps[i].workdir))
            test_note("after %s: user %.*s, workdir %.*s", steps[i].body, STR_ARG(c->user),
                      STR_ARG(c->workdir));
        CHECK(str_is(c->user, steps[i].user) && str_is(c->workdir, steps[i].workdir));
        pass(&e, 3600 * 1000 / COUNT_OF(steps)); /* that of the machine is not asked */
    }
    close_envd(&e);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"an exit status is kept for 30 s",            exit_status_is_kept_for_30_s           },
        {"a running process stays",                    running_process_stays                  },
        {"keepalive at the default interval",          keepalive_at_the_default_interval      },
        {"keepalive at the asked interval",            keepalive_at_the_asked_interval        },
        {"keepalive of no interval is the default",    keepalive_of_no_interval_is_the_default},
        {"keepalive waits for silence",                keepalive_waits_for_silence            },
        {"the deadline of Start kills",                deadline_of_start_kills                },
        {"the deadline of Connect leaves the process", deadline_of_connect_leaves_the_process },
        {"the deadline of WatchDir",                   deadline_of_watch                      },
        {"a stalled subscriber is cut off",            stalled_subscriber_is_cut_off          },
        {"a signed URL expires",                       signed_url_expires                     },
        {"/init is ordered by timestamp",              init_is_ordered_by_timestamp           },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
