/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration keys; see config.h. */
#include "main/config.h"

#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "edge/edge.h"
#include "runtime/linux/idmap.h"

const char config_file_default[] = "/etc/sandlot/sandlot.conf";

enum {
    DATA_DIR_MAX = 1024,
    IMAGE_RATIO_MAX = 500, /* of a layer to its compressed form */
    RUN_DIR_MAX = 80,      /* the path of a unix socket has 107 */
};

/* clang-format off */
static const struct config_key keys[] = {
    {"data_dir", CONFIG_TEXT, offsetof(struct config, data_dir),
     "/var/lib/sandlot", 0, 0, NULL,
     "directory of everything that must survive a restart; on a real disk"},
    {"run_dir", CONFIG_TEXT, offsetof(struct config, run_dir),
     "/run/sandlot", 0, 0, NULL,
     "directory of sockets and state that a reboot may lose"},
    {"listen", CONFIG_TEXT, offsetof(struct config, listen),
     "127.0.0.1:3000", 0, 0, NULL,
     "address and port of the one listener, control and data plane"},
    {"domain", CONFIG_TEXT, offsetof(struct config, domain),
     "", 0, 0, NULL,
     "domain that clients were given; empty: any host name is served"},
    {"api_user", CONFIG_TEXT, offsetof(struct config, api_user),
     "sandlot-api", 0, 0, NULL,
     "user (name or number) of the api role; root is allowed and unwise"},
    {"edge_user", CONFIG_TEXT, offsetof(struct config, edge_user),
     "sandlot-edge", 0, 0, NULL,
     "user (name or number) of the edge role; root is allowed and unwise"},
    {"egress_user", CONFIG_TEXT, offsetof(struct config, egress_user),
     "sandlot-egress", 0, 0, NULL,
     "user (name or number) of the egress role; root is allowed and unwise"},
    {"roles.seccomp", CONFIG_BOOL, offsetof(struct config, has_role_filter),
     "on", 0, 0, NULL,
     "api, edge and egress make only the system calls that they need; off is for debugging"},
    {"on_exit", CONFIG_CHOICE, offsetof(struct config, on_exit),
     "keep", 0, 0, "keep|kill",
     "what happens to sandboxes when serve ends: the next one adopts them, or none is left"},
    {"log.level", CONFIG_CHOICE, offsetof(struct config, log_level),
     "info", 0, 0, "debug|info|warn|error",
     "least severe event that is logged"},
    {"log.format", CONFIG_CHOICE, offsetof(struct config, log_format),
     "human", 0, 0, "human|json",
     "one line per event on standard error, for people or for machines"},
    {"log.requests", CONFIG_BOOL, offsetof(struct config, log_requests),
     "off", 0, 0, NULL,
     "one line per request of the control plane, and X-Request-Id in its answer"},
    {"metrics.listen", CONFIG_TEXT, offsetof(struct config, metrics_listen),
     "", 0, 0, NULL,
     "private address and port of GET /metrics for Prometheus, without a key; empty: none"},
    {"events.max", CONFIG_NUMBER, offsetof(struct config, events_max),
     "50000", 100, 1000000, NULL,
     "events that are kept; about 700 bytes of memory each"},
    {"events.days", CONFIG_NUMBER, offsetof(struct config, events_days),
     "7", 1, 365, NULL,
     "days that events are kept"},
    {"webhook.ca_file", CONFIG_TEXT, offsetof(struct config, webhook_ca_file),
     "", 0, 0, NULL,
     "PEM file of the authorities that https receivers are judged by; empty: this machine's"},
    {"webhook.tries_max", CONFIG_NUMBER, offsetof(struct config, webhook_tries_max),
     "20", 1, 100, NULL,
     "tries to deliver an event before it is a dead letter; 20 take about two hours"},
    {"store.engine", CONFIG_CHOICE, offsetof(struct config, store_engine),
     "sqlite", 0, 0, "sqlite|memory",
     "where records are kept; memory forgets everything at a restart"},
    {"edge.loops", CONFIG_NUMBER, offsetof(struct config, edge_loops),
     "0", 0, EDGE_LOOPS_MAX, NULL,
     "event loops of edge; 0: one per core, at most 8"},
    {"edge.connections_max", CONFIG_NUMBER, offsetof(struct config, edge_connections_max),
     "16384", 16, 1000000, NULL,
     "client connections of all loops together"},
    {"edge.peer_connections_max", CONFIG_NUMBER, offsetof(struct config, edge_peer_max),
     "8192", 0, 1000000, NULL,
     "client connections of one address (IPv6: one /64); 0: no limit"},
    {"edge.sandbox_connections_max", CONFIG_NUMBER, offsetof(struct config, edge_sandbox_max),
     "0", 0, 1000000, NULL,
     "requests and WebSockets of one sandbox at once, further ones get 429; 0: no limit"},
    {"edge.head_s", CONFIG_NUMBER, offsetof(struct config, edge_head_s),
     "10", 1, 3600, NULL,
     "seconds from the first byte of a request to the end of its head"},
    {"edge.idle_s", CONFIG_NUMBER, offsetof(struct config, edge_idle_s),
     "640", 1, 86400, NULL,
     "seconds that a connection may be without a request"},
    {"edge.upload_stall_s", CONFIG_NUMBER, offsetof(struct config, edge_upload_stall_s),
     "600", 0, 86400, NULL,
     "seconds that an upload may stop before its answer began; 0: for ever"},
    {"edge.drain_s", CONFIG_NUMBER, offsetof(struct config, edge_drain_s),
     "600", 1, 86400, NULL,
     "seconds that a replaced edge serves its connections and WebSockets; then they are cut"},
    {"edge.transition_s", CONFIG_NUMBER, offsetof(struct config, edge_transition_s),
     "5", 0, 60, NULL,
     "seconds a request waits for a sandbox that starts or pauses; then, or with 0, it gets 409"},
    {"edge.resume_s", CONFIG_NUMBER, offsetof(struct config, edge_resume_s),
     "60", 1, 600, NULL,
     "seconds a request waits for a paused sandbox that it resumes; then it gets 409"},
    {"edge.paths", CONFIG_BOOL, offsetof(struct config, edge_has_paths),
     "off", 0, 0, NULL,
     "reach ports by path too, /sandbox/ID/PORT/...; all sandboxes are one origin for browsers"},
    {"edge.data_listen", CONFIG_TEXT, offsetof(struct config, edge_data_listen),
     "", 0, 0, NULL,
     "address and port for sandboxes alone; `listen` is then for the control plane alone"},
    {"edge.access_log", CONFIG_BOOL, offsetof(struct config, edge_has_access_log),
     "off", 0, 0, NULL,
     "one JSON line per request on standard error, of both planes"},
    {"edge.gone_status", CONFIG_CHOICE, offsetof(struct config, gone_status),
     "502", 0, 0, "502|410",
     "status of requests to a sandbox that has ended; E2B's clients know 502 only"},
    {"edge.http2", CONFIG_BOOL, offsetof(struct config, edge_has_h2),
     "on", 0, 0, NULL,
     "HTTP/2 for clients: over TLS where they offer it, in clear text by prior knowledge"},
    {"tls.certificates", CONFIG_TEXT, offsetof(struct config, tls_certificates),
     "", 0, 0, NULL,
     "PEM files CERT:KEY with commas between, followed when they change; the first is the default"},
    {"tls.min_version", CONFIG_CHOICE, offsetof(struct config, tls_min_version),
     "1.2", 0, 0, "1.2|1.3",
     "oldest version of TLS that is spoken"},
    {"tls.plain", CONFIG_BOOL, offsetof(struct config, tls_has_plain),
     "on", 0, 0, NULL,
     "clear text on the same ports as TLS; off: such connections are cut off"},
    {"network.mode", CONFIG_CHOICE, offsetof(struct config, network_mode),
     "relay", 0, 0, "relay",
     "how sandboxes reach the outside: through the egress role; there is no veth mode yet"},
    {"egress.allow", CONFIG_TEXT, offsetof(struct config, egress_allow),
     "", 0, 0, NULL,
     "private addresses and CIDRs that sandboxes may reach, with commas between; empty: none"},
    {"egress.deny", CONFIG_TEXT, offsetof(struct config, egress_deny),
     "", 0, 0, NULL,
     "addresses and CIDRs that no sandbox reaches, besides private ones and this machine's own"},
    {"egress.resolvers", CONFIG_TEXT, offsetof(struct config, egress_resolvers),
     "", 0, 0, NULL,
     "name servers asked for sandboxes (ADDRESS or ADDRESS:PORT); empty: those of this machine"},
    {"egress.ca_file", CONFIG_TEXT, offsetof(struct config, egress_ca_file),
     "", 0, 0, NULL,
     "PEM file of authorities that hosts of rules may have besides this machine's; empty: none"},
    {"egress.connections_max", CONFIG_NUMBER, offsetof(struct config, egress_connections_max),
     "1024", 1, 65536, NULL,
     "TCP connections of one sandbox to the outside at once"},
    {"egress.kb_per_s", CONFIG_NUMBER, offsetof(struct config, egress_kb_per_s),
     "0", 0, 1073741824, NULL,
     "KiB per second of one sandbox over TCP to and from the outside, each way; 0: no limit"},
    {"egress.audit_percent", CONFIG_NUMBER, offsetof(struct config, audit_percent),
     "0", 0, 100, NULL,
     "percent of connections that `sandlot net log` shows, and all denied ones; 0: none of either"},
    {"egress.audit_records_max", CONFIG_NUMBER, offsetof(struct config, audit_records_max),
     "20000", 100, 1000000, NULL,
     "of these that are kept, at most 2000 of a sandbox; about 600 bytes of memory each"},
    {"sandbox.timeout_default", CONFIG_NUMBER, offsetof(struct config, timeout_default_s),
     "300", 1, 31536000, NULL,
     "seconds a sandbox lives when the client does not say"},
    {"sandbox.timeout_max", CONFIG_NUMBER, offsetof(struct config, timeout_max_s),
     "86400", 1, 31536000, NULL,
     "seconds a sandbox may ask for"},
    {"sandbox.allow_unlimited", CONFIG_BOOL, offsetof(struct config, may_be_unlimited),
     "false", 0, 0, NULL,
     "a timeout of -1 means that a sandbox never ends by itself"},
    {"sandbox.timeout_mode", CONFIG_CHOICE, offsetof(struct config, timeout_mode),
     "absolute", 0, 0, "absolute|idle",
     "timeouts count from the start (or the last change), or from the last request to the sandbox"},
    {"sandbox.replay_kb", CONFIG_NUMBER, offsetof(struct config, replay_kb),
     "1024", 1, 8192, NULL,
     "latest output that is kept of each process, for a Connect with X-Replay-Offset"},
    {"sandbox.paused_retention_s", CONFIG_NUMBER, offsetof(struct config, paused_retention_s),
     "0", 0, 3153600000, NULL,
     "seconds after which a paused sandbox is killed; 0: it lives until it is deleted"},
    {"team.sandboxes_max", CONFIG_NUMBER, offsetof(struct config, team_sandboxes_max),
     "1000", 1, 1000000, NULL,
     "sandboxes a team may have at once"},
    {"team.vcpus_max", CONFIG_NUMBER, offsetof(struct config, team_vcpus_max),
     "0", 0, 1000000, NULL,
     "vCPUs of all sandboxes of a team together; 0: no limit"},
    {"team.memory_mb_max", CONFIG_NUMBER, offsetof(struct config, team_memory_mb_max),
     "0", 0, 1073741824, NULL,
     "MiB of memory of all sandboxes of a team together; 0: no limit"},
    {"team.disk_mb_max", CONFIG_NUMBER, offsetof(struct config, team_disk_mb_max),
     "0", 0, 1073741824, NULL,
     "MiB of disk of all sandboxes of a team together; 0: no limit"},
    {"team.builds_max", CONFIG_NUMBER, offsetof(struct config, team_builds_max),
     "20", 0, 1000000, NULL,
     "template builds a team may run at once; 0: no limit"},
    {"build.keep_s", CONFIG_NUMBER, offsetof(struct config, build_keep_s),
     "3600", 0, 1000000000, NULL,
     "seconds that ended builds are kept that no tag leads to; 0: for ever"},
    {"build.records_max", CONFIG_NUMBER, offsetof(struct config, builds_max),
     "5000", 0, 1000000, NULL,
     "ended builds that are kept at most, those that tags lead to not counted; 0: no limit"},
    {"build.sweep_s", CONFIG_NUMBER, offsetof(struct config, build_sweep_s),
     "300", 0, 1000000, NULL,
     "seconds between two looks for builds that are too old; 0: only when one is made"},
    {"build.upload_max_mb", CONFIG_NUMBER, offsetof(struct config, upload_max_mb),
     "1024", 1, 1000000, NULL,
     "largest archive that a client may upload for one COPY step"},
    {"build.push_max_mb", CONFIG_NUMBER, offsetof(struct config, push_max_mb),
     "10240", 1, 1000000, NULL,
     "MiB of one image that is pushed for a build, as it is sent"},
    {"build.push_host", CONFIG_TEXT, offsetof(struct config, push_host),
     "", 0, 0, NULL,
     "host[:port] told to those who push images; empty: the one they asked"},
    {"build.push_prefix", CONFIG_TEXT, offsetof(struct config, push_prefix),
     "e2b", 0, 0, NULL,
     "first part of the names of repositories that images are pushed to"},
    {"team.keys_max", CONFIG_NUMBER, offsetof(struct config, team_keys_max),
     "1000", 0, 100000, NULL,
     "valid API keys a team may have; 0: no limit"},
    {"images.allow", CONFIG_TEXT, offsetof(struct config, images_allow),
     "", 0, 0, NULL,
     "private addresses and CIDRs where registries may be, with commas between; empty: none"},
    {"images.plain_http", CONFIG_TEXT, offsetof(struct config, images_plain_http),
     "", 0, 0, NULL,
     "HOST:PORTs of registries that are spoken to without TLS, with commas between"},
    {"images.size_max_mb", CONFIG_NUMBER, offsetof(struct config, images_size_max_mb),
     "25600", 1, 1048576, NULL,
     "MiB of files in one image"},
    {"images.files_max", CONFIG_NUMBER, offsetof(struct config, images_files_max),
     "1000000", 1, 100000000, NULL,
     "files in one image"},
    {"images.timeout_s", CONFIG_NUMBER, offsetof(struct config, images_timeout_s),
     "3600", 1, 86400, NULL,
     "seconds to fetch or import an image"},
    {"images.uid_base", CONFIG_NUMBER, offsetof(struct config, images_uid_base),
     "1878982656", 65536, 4294901760, NULL,
     "first of 65536 host uids of what reads images; not those of runtime.uid_base"},
    {"keys.file", CONFIG_TEXT, offsetof(struct config, keys_file),
     "", 0, 0, NULL,
     "file with a KEY:TEAM:SCOPES per line, read again when it changes; empty: none"},
    {"keys.team", CONFIG_TEXT, offsetof(struct config, keys_team),
     "default", 0, 0, NULL,
     "team of keys that are given without one, in the file or in E2B_API_KEYS"},
    {"cli.team", CONFIG_TEXT, offsetof(struct config, cli_team),
     "", 0, 0, NULL,
     "team that commands work for without --team; empty: E2B_TEAM_ID, else default"},
    {"limits.requests_max", CONFIG_NUMBER, offsetof(struct config, requests_max),
     "4096", 1, 1000000, NULL,
     "requests to the control plane at once, of all clients and routes together"},
    {"limits.key_rate", CONFIG_NUMBER, offsetof(struct config, key_rate),
     "10000", 1, 1000000, NULL,
     "requests per second of one API key; twice as many in a burst"},
    {"limits.peer_rate", CONFIG_NUMBER, offsetof(struct config, peer_rate),
     "20000", 1, 1000000, NULL,
     "requests per second of one address to the control plane; twice as many in a burst"},
    {"limits.body_max", CONFIG_NUMBER, offsetof(struct config, body_max),
     "1048576", 1024, 1048576, NULL,
     "bytes of a request body, for calls of the control plane that would take more"},
    {"limits.head_max", CONFIG_NUMBER, offsetof(struct config, head_max),
     "32768", 1024, 32768, NULL,
     "bytes of a request's line and fields"},
    {"runtime.driver", CONFIG_CHOICE, offsetof(struct config, runtime.driver),
     "linux", 0, 0, "linux|fake",
     "how sandboxes run; fake only remembers them"},
    {"runtime.envd_path", CONFIG_TEXT, offsetof(struct config, runtime.envd_path),
     "", 0, 0, NULL,
     "the guest daemon; empty: found beside this program"},
    {"runtime.cgroup", CONFIG_CHOICE, offsetof(struct config, runtime.cgroup),
     "auto", 0, 0, "auto|v1|v2|none",
     "cgroup version that carries the limits"},
    {"runtime.userns", CONFIG_CHOICE, offsetof(struct config, runtime.userns),
     "auto", 0, 0, "auto|off",
     "user namespaces; off: root inside is root outside"},
    {"runtime.idmap", CONFIG_CHOICE, offsetof(struct config, runtime.idmap),
     "auto", 0, 0, "auto|off",
     "idmapped mounts"},
    {"runtime.overlay", CONFIG_CHOICE, offsetof(struct config, runtime.overlay),
     "auto", 0, 0, "auto|path",
     "overlay layers by descriptor, or by path"},
    {"runtime.seccomp", CONFIG_CHOICE, offsetof(struct config, runtime.seccomp),
     "auto", 0, 0, "auto|off",
     "system call filter"},
    {"runtime.egress", CONFIG_CHOICE, offsetof(struct config, runtime.egress),
     "auto", 0, 0, "auto|off",
     "a way out of sandboxes, through the egress role; off: nothing leaves any of them"},
    {"runtime.pool_size", CONFIG_NUMBER, offsetof(struct config, runtime.pool_size),
     "32", 0, 4096, NULL,
     "prepared network namespaces and cgroups"},
    {"runtime.warm_size", CONFIG_NUMBER, offsetof(struct config, runtime.warm_size),
     "4", 0, 256, NULL,
     "sandboxes started ahead of need for each template in use; 0: none"},
    {"runtime.warm_max", CONFIG_NUMBER, offsetof(struct config, runtime.warm_max),
     "8", 0, 1024, NULL,
     "the same, for all templates together"},
    {"runtime.warm_idle_s", CONFIG_NUMBER, offsetof(struct config, runtime.warm_idle_s),
     "600", 1, 86400, NULL,
     "seconds without a start after which a template has none ahead any more"},
    {"runtime.warm_service_mb", CONFIG_NUMBER, offsetof(struct config, warm_service_mb),
     "256", 0, 1073741824, NULL,
     "MiB for those started ahead in which the image's service runs already; 0: in none"},
    {"runtime.uid_base", CONFIG_NUMBER, offsetof(struct config, runtime.uid_base),
     "1879048192", 65536, 4026531840, NULL,
     "first host uid given to sandboxes, 65536 each"},
    {"runtime.sandboxes_max", CONFIG_NUMBER, offsetof(struct config, runtime.sandboxes_max),
     "10000", 1, 100000, NULL,
     "sandboxes on this machine"},
    {"runtime.hot_resume_s", CONFIG_NUMBER, offsetof(struct config, runtime.hot_resume_s),
     "30", 0, 86400, NULL,
     "seconds that a paused sandbox is kept in memory too, to resume at once"},
    {"runtime.hot_memory_mb", CONFIG_NUMBER, offsetof(struct config, hot_memory_mb),
     "1024", 0, 1073741824, NULL,
     "MiB for all that are kept so; 0: none"},
    {"runtime.lazy_memory_mb", CONFIG_NUMBER, offsetof(struct config, lazy_memory_mb),
     "32", 0, 1073741824, NULL,
     "MiB of saved memory from which on a resume does not wait until all is read; 0: it waits"},
    {"runtime.criu", CONFIG_TEXT, offsetof(struct config, runtime.criu),
     "auto", 0, 0, NULL,
     "the program that keeps processes: auto, off or a path; without it only files are kept"},
    {"runtime.checkpoint_probe", CONFIG_CHOICE, offsetof(struct config, checkpoint_probe),
     "auto", 0, 0, "auto|off",
     "pause and restore a sandbox once after a boot; where that fails, pauses say so at once"},
    {"runtime.on_uncheckpointable", CONFIG_CHOICE,
     offsetof(struct config, runtime.on_uncheckpointable),
     "fail", 0, 0, "fail|freeze",
     "pauses of processes that cannot be kept (traced ones); freeze: they stay in memory, a "
     "reboot leaves their files alone"},
    {"runtime.disk_reserve_mb", CONFIG_NUMBER, offsetof(struct config, disk_reserve_mb),
     "1024", 0, 1073741824, NULL,
     "no sandbox starts when the disk has less free"},
};
/* clang-format on */

const struct config_table config_table = {keys, COUNT_OF(keys)};

/* Takes "--config FILE" or "--config=FILE" out of argv; NULL when it is not there. */
static int take_file_flag(int *argc, char **argv, const char **out, struct err *err)
{
    static const char flag[] = "--config";
    int kept = 1;

    *out = NULL;
    for (int i = 1; i < *argc; i++) {
        struct str word = str_of(argv[i]);

        if (str_is(word, flag)) {
            if (i + 1 >= *argc)
                return err_set(err, ERR_INVALID, "--config needs a file");
            *out = argv[++i];
        } else if (str_has_prefix(word, "--config=")) {
            *out = argv[i] + sizeof flag;
        } else {
            argv[kept++] = argv[i];
        }
    }
    if (*argc > kept)
        argv[kept] = NULL;
    *argc = kept;
    return 0;
}

int config_load(struct config *c, int *argc, char **argv, bool takes_file, struct err *err)
{
    const char *file = NULL;

    if (config_defaults(&config_table, c, err) != 0 ||
        (takes_file && take_file_flag(argc, argv, &file, err) != 0))
        return -1;
    if (file == NULL && access(config_file_default, R_OK) == 0)
        file = config_file_default;
    if (file != NULL && config_file(&config_table, c, file, err) != 0)
        return -1;
    if (config_env(&config_table, c, err) != 0 ||
        config_flags(&config_table, c, argc, argv, err) != 0)
        return -1;
    if (c->data_dir[0] != '/' || c->run_dir[0] != '/')
        return err_set(err, ERR_INVALID, "data_dir and run_dir must be absolute paths");
    if (strlen(c->data_dir) > DATA_DIR_MAX || strlen(c->run_dir) > RUN_DIR_MAX)
        return err_set(err, ERR_INVALID, "data_dir may have %d characters, run_dir %d",
                       DATA_DIR_MAX, RUN_DIR_MAX);
    if (c->timeout_default_s > c->timeout_max_s)
        return err_set(err, ERR_INVALID, "sandbox.timeout_default is above sandbox.timeout_max");
    if (c->images_uid_base + IDS_PER_SANDBOX > c->runtime.uid_base &&
        c->images_uid_base <
            c->runtime.uid_base + c->runtime.sandboxes_max * (uint64_t)IDS_PER_SANDBOX)
        return err_set(err, ERR_INVALID, "images.uid_base is among the uids of sandboxes");
    c->runtime.data_dir = c->data_dir;
    c->runtime.run_dir = c->run_dir;
    c->runtime.disk_reserve_bytes = c->disk_reserve_mb << 20;
    c->runtime.hot_memory_bytes = c->hot_memory_mb << 20;
    c->runtime.lazy_memory_bytes = c->lazy_memory_mb << 20;
    c->runtime.warm_service_bytes = c->warm_service_mb << 20;
    return 0;
}

static void add_value(const struct config_key *k, const void *field, struct buf *out)
{
    switch (k->type) {
    case CONFIG_TEXT:
    case CONFIG_CHOICE: buf_add_text(out, *(const char *const *)field); break;
    case CONFIG_BOOL: buf_add_text(out, *(const bool *)field ? "true" : "false"); break;
    case CONFIG_NUMBER: buf_add_u64(out, *(const uint64_t *)field); break;
    }
}

static void add_name(const char *key, struct buf *out)
{
    buf_add_text(out, "SANDLOT_");
    for (const char *c = key; *c != '\0'; c++) {
        char upper = *c == '.' ? '_' : *c;

        buf_add_byte(out, upper >= 'a' && upper <= 'z' ? (char)(upper - 'a' + 'A') : upper);
    }
}

char **config_environment(const struct config *c, struct buf *text)
{
    char **vars = mem_array(COUNT_OF(keys) + 1, sizeof *vars);
    size_t offsets[COUNT_OF(keys)];

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        offsets[i] = text->len;
        add_name(keys[i].name, text);
        buf_add_byte(text, '=');
        add_value(&keys[i], (const char *)c + keys[i].offset, text);
        buf_add_byte(text, '\0');
    }
    assert(buf_ok(text)); /* its maximum is ours to choose */
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        vars[i] = text->at + offsets[i];
    return vars;
}

void config_path(char *out, size_t size, const char *dir, const char *name)
{
    int len = snprintf(out, size, "%s/%s", dir, name);

    assert(len > 0 && (size_t)len < size);
}

bool config_is_in_the_clear(const struct config *c)
{
    static const char *const local[] = {"127.", "localhost:", "[::1]:"};

    for (size_t i = 0; i < COUNT_OF(local); i++)
        if (str_has_prefix(str_of(c->listen), local[i]))
            return false;
    return c->tls_certificates[0] == '\0';
}

struct image_job config_image(const struct config *c)
{
    return (struct image_job){
        .data_dir = c->data_dir,
        .uid_base = (uint32_t)c->images_uid_base,
        .limits = {.bytes_max = c->images_size_max_mb << 20,
                   .entries_max = c->images_files_max,
                   .ratio_max = IMAGE_RATIO_MAX,
                   .free_bytes = c->disk_reserve_mb << 20},
        .timeout_ms = c->images_timeout_s * 1000,
        .allow = c->images_allow,
        .plain_http = c->images_plain_http,
    };
}

void config_log(const struct config *c, const char *role)
{
    static const char *const levels[] = {
        [LOG_LEVEL_DEBUG] = "debug",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_WARN] = "warn",
        [LOG_LEVEL_ERROR] = "error",
    };
    enum log_level level = LOG_LEVEL_INFO;

    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        if (strcmp(levels[i], c->log_level) == 0)
            level = (enum log_level)i;
    }
    log_setup(role, level, strcmp(c->log_format, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_HUMAN);
}
