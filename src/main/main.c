/* SPDX-License-Identifier: Apache-2.0 */
/* The program `sandlot`: configuration, then the command of the table. */
#include <stdio.h>

#include "main/doctor.h"
#include "main/role.h"
#include "main/serve.h"

#ifndef SANDLOT_VERSION
#define SANDLOT_VERSION "0.0.0"
#endif

static int version(const struct invocation *v);
static int config_sample_command(const struct invocation *v);

/* clang-format off */
static const struct command commands[] = {
    {"serve",           "",          "run the service: edge, api and node", serve, 0, 0, {{0}}},
    {"doctor",          "",          "can this machine run sandboxes, and how", doctor, 0, 0,
        {{"--json", NULL, "for machines"}}},
    {"key create",      "NAME",      "make an API key and print it, once", cli_key_create, 1, 1,
        {{"--team", "TEAM", "its owner; default"}, {"--json", NULL, "for machines"}}},
    {"key list",        "",          "keys of a team, without their secrets", cli_key_list, 0, 0,
        {{"--team", "TEAM", "their owner; default"}, {"--json", NULL, "for machines"}}},
    {"key revoke",      "ID",        "end a key", cli_key_revoke, 1, 1,
        {{"--team", "TEAM", "its owner; default"}}},
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
    {"status",          "",          "is the service well, and what does it hold", cli_status, 0, 0,
        {{"--json", NULL, "for machines"}}},
    {"top",             "",          "the sandboxes that use most, every two seconds", cli_top, 0, 0,
        {{"--once", NULL, "print once"}, {"--count", "COUNT", "how many; 20"}}},
    {"template list",   "",          "templates that sandboxes can start from", cli_template_list, 0, 0,
        {{"--json", NULL, "for machines"}}},
    {"config sample",   "",          "a configuration file with every key", config_sample_command,
        0, 0, {{0}}},
    {"version",         "",          "what this is", version, 0, 0,
        {{"--json", NULL, "for machines"}}},
    {"help",            "[COMMAND]", "all commands, or one", command_help, 0, 2, {{0}}},
    {"completion",      "bash",      "completion for a shell", command_completion, 1, 1, {{0}}},
    {"manual",          "1|5",       NULL, command_manual, 1, 1, {{0}}}, /* for the build */
    {"role-edge",       "COUNT",     NULL, role_edge, 1, 1, {{0}}},
    {"role-api",        "",          NULL, role_api,  0, 0, {{0}}},
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

    if (config_load(&p.config, &argc, argv, &err) != 0) {
        fprintf(stderr, "sandlot: %s\n", err.text);
        return EXIT_USAGE;
    }
    p.places = (struct cli_places){p.config.data_dir, p.config.run_dir};
    return command_run(&table, argc, argv, &p);
}
