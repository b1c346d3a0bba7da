/* SPDX-License-Identifier: Apache-2.0 */
/* The program `sandlot`: configuration, then the command of the table. */
#include <stdio.h>

#include "main/cert.h"
#include "main/doctor.h"
#include "main/role.h"
#include "main/serve.h"
#include "main/worker.h"

#ifndef SANDLOT_VERSION
#define SANDLOT_VERSION "0.0.0"
#endif

static int version(const struct invocation *v);
static int config_sample_command(const struct invocation *v);

/* clang-format off */
static const struct command commands[] = {
    {"serve",           "",          "run the service: edge, api, node and egress", serve, 0, 0, {{0}}},
    {"doctor",          "",          "can this machine run sandboxes, and how", doctor, 0, 0,
        {{"--json", NULL, "for machines"}}},
    {"cert",            "[NAME...]", "a TLS certificate from an authority of your own", cert_command, 0, 64,
        {{"--dir", "DIR", "where the files are; data_dir/tls"}}},
    {"key create",      "NAME",      "make an API key and print it, once", cli_key_create, 1, 1,
        {{"--team", "TEAM", "its owner; cli.team, else E2B_TEAM_ID, else default", "--namespace"},
         {"--description", "TEXT", "what it is for; at most 256 characters"},
         {"--scopes", "SCOPES", "read, write and admin (manage keys), with commas; read,write"},
         {"--expires", "TIME", "how long it is valid: 90s, 15m, 24h, 30d; for ever"},
         {"--verbose", NULL, "tell its id, hash and team on standard error", "-v"},
         {"--output", "FORMAT", "text or json; text prints nothing but the key", "-o"},
         {"--json", NULL, "for machines: --output=json"}}},
    {"key list",        "",          "API keys, without their secrets", cli_key_list, 0, 0,
        {{"--team", "TEAM", "only this owner's; cli.team, else E2B_TEAM_ID, else all", "--namespace"},
         {"--status", "STATUS", "valid, revoked, expired, orphaned or all; valid"},
         {"--output", "FORMAT", "text or json", "-o"},
         {"--json", NULL, "for machines: --output=json"}}},
    {"key revoke",      "KEY",       "end a key: its id, or the first digits of its hash", cli_key_revoke, 1, 1,
        {{"--team", "TEAM", "only if it is this owner's", "--namespace"},
         {"--force", NULL, "do not ask", "-f"},
         {"--output", "FORMAT", "text or json", "-o"},
         {"--json", NULL, "for machines: --output=json"}}},
    {"key rotate",      "KEY",       "make a key in place of another and print it, once", cli_key_rotate, 1, 1,
        {{"--team", "TEAM", "only if it is this owner's", "--namespace"},
         {"--grace", "TIME", "how long the old one stays valid: 24h; not at all"},
         {"--verbose", NULL, "tell its id, hash and team on standard error", "-v"},
         {"--output", "FORMAT", "text or json; text prints nothing but the key", "-o"},
         {"--json", NULL, "for machines: --output=json"}}},
    {"team create",     "NAME [WORD=VALUE...]", "make a team; the words are those of 'team set'", cli_team_create,
        1, 16,
        {{"--output", "FORMAT", "text or json", "-o"}, {"--json", NULL, "for machines: --output=json"}}},
    {"team list",       "",          "teams with what they have and may have", cli_team_list, 0, 0,
        {{"--output", "FORMAT", "text or json", "-o"}, {"--json", NULL, "for machines: --output=json"}}},
    {"team set",        "TEAM WORD=VALUE...", "change tier, banned, or a limit that 'team list --json' shows (0: the tier's)",
        cli_team_set, 2, 16,
        {{"--output", "FORMAT", "text or json", "-o"}, {"--json", NULL, "for machines: --output=json"}}},
    {"team block",      "TEAM [REASON]", "let a team only look and delete", cli_team_block, 1, 2,
        {{"--output", "FORMAT", "text or json", "-o"}, {"--json", NULL, "for machines: --output=json"}}},
    {"team unblock",    "TEAM",      "the end of that", cli_team_unblock, 1, 1,
        {{"--output", "FORMAT", "text or json", "-o"}, {"--json", NULL, "for machines: --output=json"}}},
    {"webhook create",  "URL",       "tell a receiver of events; prints its secret, once", cli_webhook_create, 1, 1,
        {{"--team", "TEAM", "whose events; default"}, {"--json", NULL, "for machines"},
         {"--events", "TYPES", "types of events, separated by commas; all"}}},
    {"webhook list",    "",          "webhooks of a team, what they are owed and gave up", cli_webhook_list, 0, 0,
        {{"--team", "TEAM", "their owner; default"}, {"--json", NULL, "for machines"}}},
    {"webhook delete",  "ID",        "end a webhook, and drop what it is owed", cli_webhook_delete, 1, 1,
        {{"--team", "TEAM", "its owner; default"}}},
    {"webhook redeliver", "ID",      "send dead letters again", cli_webhook_redeliver, 1, 1,
        {{"--team", "TEAM", "its owner; default"}, {"--event", "EVENT", "the letter of this event alone"}}},
    {"events",          "",          "what happened, as JSON lines, oldest first", cli_events, 0, 0,
        {{"--team", "TEAM", "its events alone; all, the system's too"}, {"--type", "TYPE", "this type alone, or 'sandbox.*'"}}},
    {"net log",         "ID",        "what a sandbox did with the network, where egress.audit_percent asks for it", cli_net_log, 1, 1,
        {{"--denied", NULL, "what was denied alone"}, {"--follow", NULL, "go on until interrupted", "-f"},
         {"--json", NULL, "JSON lines, for machines"}}},
    {"status",          "",          "is the service well, and what does it hold", cli_status, 0, 0,
        {{"--json", NULL, "for machines"}}},
    {"top",             "",          "the sandboxes that use most, every two seconds", cli_top, 0, 0,
        {{"--once", NULL, "print once"}, {"--count", "COUNT", "how many; 20"}}},
    {"edge restart",    "",          "a new edge process takes the listeners; the old one ends with its connections",
        cli_edge_restart, 0, 0, {{0}}},
    {"template list",   "",          "templates that sandboxes can start from", cli_template_list, 0, 0,
        {{"--json", NULL, "for machines"}}},
    {"template build",  "NAME [PATH]", "build a template from a Dockerfile, or from a directory with one; tells how it goes",
        cli_template_build, 1, 2,
        {{"--file", "FILE", "the Dockerfile, when it is not PATH/Dockerfile", "-f"},
         {"--cpu", "COUNT", "processors of its sandboxes; 2"}, {"--memory", "MB", "their memory; 1024"},
         {"--start", "COMMAND", "runs in new sandboxes, in place of the file's CMD"},
         {"--ready", "COMMAND", "says that it does: exit status 0, or a URL that answers"},
         {"--no-cache", NULL, "do all steps again"}, {"--team", "TEAM", "its owner; default"},
         {"--json", NULL, "for machines: the end alone"}}},
    {"template make",   "NAME",      "make a template from Debian packages by a recipe that comes along: base, code-interpreter-v1",
        template_make_command, 1, 1, {{0}}},
    {"template show",   "NAME",      "a template of a team with its builds", cli_template_show, 1, 1,
        {{"--team", "TEAM", "its owner; default"}, {"--json", NULL, "for machines"}}},
    {"template delete", "NAME",      "remove a template that no sandbox uses, with its builds", cli_template_delete, 1, 1,
        {{"--team", "TEAM", "its owner; default"}}},
    {"template export", "NAME FILE", "write a template with all that it is to a file",
        image_command, 2, 2,
        {{"--team", "TEAM", "its owner; default"}, {"--json", NULL, "for machines"}}},
    {"template import", "NAME FILE", "make a template from such a file; tells how it goes", image_command, 2, 2,
        {{"--team", "TEAM", "its owner; default"}, {"--json", NULL, "for machines: the end alone"}}},
    {"image import",    "NAME FILE", "keep an image from a file: OCI layout, docker-archive or root file system",
        image_command, 2, 2, {{"--json", NULL, "print what was kept, for machines"}}},
    {"image list",      "",          "images that were imported", image_command, 0, 0,
        {{"--json", NULL, "for machines"}}},
    {"image remove",    "NAME",      "forget an imported image, and the layers that nobody else needs", image_command,
        1, 1, {{0}}},
    {"run",             "FILE|-",    "run code in a sandbox of code-interpreter-v1, its own or a given one; images become files",
        cli_run, 1, 1,
        {{"--lang", "LANGUAGE", "python, javascript, typescript or bash; python"},
         {"--output", "DIR", "where images are saved, as result-NUMBER.png and so on; the current directory"},
         {"--sandbox", "ID", "run it there, and leave the sandbox running"},
         {"--timeout", "TIME", "how long the code may run: 90s, 15m, 24h; 5m"},
         {"--env", "NAME=VALUE", "a variable of the code; may be repeated"},
         {"--cwd", "DIR", "where it runs, in a context of its own; /home/user"},
         {"--team", "TEAM", "owner of the sandbox; default"},
         {"--json", NULL, "print the interpreter's lines, save nothing"}}},
    {"worker",          "",          "offer sandboxes to an iii engine: a provider, or the router of providers", worker_command,
        0, 0,
        {{"--config", "FILE", "its config.yaml; ./config.yaml"},
         {"--url", "URL", "the engine's; III_URL, else ws://127.0.0.1:49134"},
         {"--defaults", NULL, "without a file: defaults alone"},
         {"--sample", NULL, "print a config.yaml with every key"}}},
    {"config sample",   "",          "a configuration file with every key", config_sample_command,
        0, 0, {{0}}},
    {"version",         "",          "what this is", version, 0, 0,
        {{"--json", NULL, "for machines"}}},
    {"help",            "[COMMAND]", "all commands, or one", command_help, 0, 2, {{0}}},
    {"completion",      "bash",      "completion for a shell", command_completion, 1, 1, {{0}}},
    {"manual",          "1|5",       NULL, command_manual, 1, 1, {{0}}}, /* for the build */
    {"role-edge",       "COUNT [COUNT]", NULL, role_edge, 1, 2, {{0}}},
    {"role-api",        "",          NULL, role_api,  0, 0, {{0}}},
    {"role-egress",     "",          NULL, role_egress, 0, 0, {{0}}},
    {"role-node",       "",          NULL, role_node, 0, 0, {{0}}},
};
/* clang-format on */

static const struct command_table table = {
    .program = "sandlot",
    .purpose = "sandboxes for agents, on your own machine",
    .version = SANDLOT_VERSION,
    .config_file = config_file_default,
    .commands = commands,
    .count = COUNT_OF(commands),
    .config = &config_table,
};

static int version(const struct invocation *v)
{
    if (v->values[0] != NULL)
        printf("{\"version\":\"%s\"}\n", SANDLOT_VERSION);
    else
        printf("sandlot %s\n", SANDLOT_VERSION);
    return EXIT_SUCCESS;
}

static int config_sample_command(const struct invocation *v)
{
    struct buf out;
    bool is_ok;

    buf_init(&out, 1 << 20);
    config_sample(v->table->config, &out);
    is_ok = buf_ok(&out) && fwrite(out.at, 1, out.len, stdout) == out.len;
    buf_done(&out);
    return is_ok ? EXIT_SUCCESS : command_fail(v, "cannot write");
}

int main(int argc, char **argv)
{
    struct program p = {0};
    struct err err;

    /* the worker's --config is a file of another kind */
    if (config_load(&p.config, &argc, argv, argc < 2 || strcmp(argv[1], "worker") != 0, &err) !=
        0) {
        fprintf(stderr, "sandlot: %s\n", err.text);
        return EXIT_USAGE;
    }
    p.places = (struct cli_places){p.config.data_dir, p.config.run_dir, NULL, p.config.cli_team};
    return command_run(&table, argc, argv, &p);
}
