/* SPDX-License-Identifier: Apache-2.0 */
/* The program sandlot-image: wiring only. `sandlot image …` executes it, and node for each job. */
#include <stdio.h>

#include "cli/images.h"
#include "cli/template_file.h"
#include "image/job.h"
#include "main/role.h"

/* clang-format off */
static const struct command commands[] = {
    {"image import", "NAME FILE", "see sandlot help image import", cli_image_import, 2, 2, {{"--json", NULL, ""}}},
    {"image list",   "",          "see sandlot help image list",   cli_image_list,   0, 0, {{"--json", NULL, ""}}},
    {"image remove", "NAME",      "see sandlot help image remove", cli_image_remove, 1, 1, {{0}}},
    {"template export", "NAME FILE", "see sandlot help template export", cli_template_export, 2, 2,
        {{"--team", "TEAM", ""}, {"--json", NULL, ""}}},
    {"template import", "NAME FILE", "see sandlot help template import", cli_template_import, 2, 2,
        {{"--team", "TEAM", ""}, {"--json", NULL, ""}}},
    {"job-image",    "",          NULL,                            job_image,        0, 0, {{0}}},
};
/* clang-format on */

static const struct command_table table = {
    .program = "sandlot",
    .purpose = "images for sandboxes",
    .version = SANDLOT_VERSION,
    .config_file = config_file_default,
    .commands = commands,
    .count = COUNT_OF(commands),
    .config = &config_table,
};

int main(int argc, char **argv)
{
    struct program p = {0};
    struct image_job job;
    struct err err;

    if (config_load(&p.config, &argc, argv, true, &err) != 0) {
        fprintf(stderr, "sandlot: %s\n", err.text);
        return EXIT_USAGE;
    }
    job = config_image(&p.config);
    p.places = (struct cli_places){p.config.data_dir, p.config.run_dir, &job, p.config.cli_team};
    return command_run(&table, argc, argv, &p);
}
