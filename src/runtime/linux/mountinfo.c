/* SPDX-License-Identifier: Apache-2.0 */
/* Format: "31 23 0:28 /root /point rw,… shared:1 - type source superoptions" (proc(5)). */
#include "runtime/linux/mountinfo.h"

enum {
    FIELD_ROOT = 3, /* of the first part, counted from 0 */
    FIELD_POINT = 4,
    FIELDS_LEAST = 6, /* then optional ones, then "-" */
};

static bool is_octal(const char *at)
{
    return at[0] >= '0' && at[0] <= '3' && at[1] >= '0' && at[1] <= '7' && at[2] >= '0' &&
           at[2] <= '7';
}

/* \ooo stands for one byte. The text shrinks in place and is terminated if it did. */
static struct str decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0';) {
        if (from[0] == '\\' && is_octal(from + 1)) {
            *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
            continue;
        }
        *to++ = *from++;
    }
    *to = '\0';
    return (struct str){text, (size_t)(to - text)};
}

/* Cuts the next blank-separated word off *line. NULL at the end. */
static char *word_next(char **line)
{
    char *word = *line;
    char *blank;

    if (word == NULL || *word == '\0')
        return NULL;
    blank = strchr(word, ' ');
    if (blank != NULL)
        *blank++ = '\0';
    *line = blank;
    return word;
}

static bool line_parse(char *line, struct mountinfo *out)
{
    char *word, *type, *options;
    size_t field = 0;

    while ((word = word_next(&line)) != NULL) {
        if (field == FIELD_ROOT)
            out->root = decode(word);
        if (field == FIELD_POINT)
            out->point = decode(word);
        field++;
        if (field > FIELDS_LEAST && strcmp(word, "-") == 0)
            break;
    }
    type = word_next(&line);
    if (word == NULL || type == NULL || word_next(&line) == NULL)
        return false;
    options = word_next(&line);
    if (options == NULL)
        return false;
    out->type = str_of(type);
    out->options = str_of(options);
    return true;
}

bool mountinfo_next(char **text, struct mountinfo *out)
{
    while (*text != NULL && **text != '\0') {
        char *line = *text;
        char *end = strchr(line, '\n');

        *text = end == NULL ? NULL : end + 1;
        if (end != NULL)
            *end = '\0';
        if (line_parse(line, out))
            return true;
    }
    return false;
}

bool mountinfo_has(const struct mountinfo *m, struct str word)
{
    struct str rest = m->options;

    while (rest.len > 0) {
        if (str_eq(str_cut(rest, ',', &rest), word))
            return true;
    }
    return false;
}
