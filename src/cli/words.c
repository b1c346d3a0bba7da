/* SPDX-License-Identifier: Apache-2.0 */
/* Options that several commands share; see words.h. */
#include "cli/words.h"

#include <stdio.h>

#include "codec/codec.h"

enum {
    MESSAGE_MAX = 64 << 10,
    TEAM_NAME_MAX = 63,
};

/* A team is named by a DNS-1123 label; its id is one too. */
static bool is_label(struct str word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.at[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return word.len > 0 && word.len <= TEAM_NAME_MAX && word.at[0] != '-' &&
           word.at[word.len - 1] != '-';
}

int cli_team(const struct invocation *v, const char *fallback, struct str *out)
{
    const struct cli_places *places = v->ctx;
    const char *choices[] = {command_value(v, "--team"), places->team, getenv("E2B_TEAM_ID")};

    *out = str_of(fallback);
    for (size_t i = COUNT_OF(choices); i-- > 0;)
        if (choices[i] != NULL && (choices[i][0] != '\0' || i == 0))
            *out = str_of(choices[i]);
    if (out->at == NULL || is_label(*out))
        return 0;
    ignore(command_misuse(v, "'%.*s' is not a team: a name has 1 to %d of a-z, 0-9 and '-'",
                          STR_ARG(*out), TEAM_NAME_MAX));
    return -1;
}

int cli_output(const struct invocation *v, bool *out_is_json)
{
    const char *format = command_value(v, "--output");

    if (format == NULL)
        format = command_value(v, "--json") != NULL ? "json" : "text";
    *out_is_json = strcmp(format, "json") == 0;
    if (*out_is_json || strcmp(format, "text") == 0)
        return 0;
    ignore(command_misuse(v, "'%s' is not an output: text or json", format));
    return -1;
}

int cli_fail(const struct invocation *v, const struct err *err)
{
    const char *format = command_value(v, "--output");
    bool is_json =
        command_value(v, "--json") != NULL || (format != NULL && strcmp(format, "json") == 0);
    struct buf text;

    if (!is_json)
        return command_fail(v, "%s", err->text);
    buf_init(&text, MESSAGE_MAX);
    buf_printf(&text, "{\"error\":\"%s\",\"message\":", err_kind_name(err->kind));
    json_quote(&text, str_of(err->text));
    fprintf(stderr, "%.*s}\n", STR_ARG(buf_str(&text)));
    buf_done(&text);
    return EXIT_FAILURE;
}

int cli_duration(struct str text, uint64_t *out_seconds, struct err *err)
{
    static const struct {
        const char *unit;
        uint64_t seconds;
    } units[] = {
        {"s", 1    },
        {"m", 60   },
        {"h", 3600 },
        {"d", 86400},
    };
    uint64_t factor = 1, number;
    struct str digits = text;

    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_has_suffix(text, units[i].unit)) {
            digits = str_upto(text, text.len - 1);
            factor = units[i].seconds;
        }
    if (!str_to_u64(digits, &number) || number > UINT32_MAX)
        return err_set(err, ERR_INVALID, "'%.*s' is not a duration such as 90, 15m, 24h or 30d",
                       STR_ARG(text));
    *out_seconds = number * factor;
    return 0;
}
