/* SPDX-License-Identifier: Apache-2.0 */
/* The table of languages. */
#include "interpreter/language.h"

#include "interpreter/driver.h"

/* clang-format off */
static const struct language languages[] = {
    {"python", "py", &jupyter_driver,
     {"/usr/bin/python3", "@kernels/python.py", "-f", "@connection"}, true, true},
    {"javascript", "js", &lines_driver,
     {"node", "--no-warnings", "@kernels/node.mjs", "javascript"}, true, false},
    {"typescript", "ts", &lines_driver,
     {"node", "--no-warnings", "@kernels/node.mjs", "typescript"}, false, false},
    {"bash", "sh", &shell_driver,
     {"/bin/bash", "--noprofile", "--noediting", "--rcfile", "@kernels/bash.rc", "-i"}, false, false},
    {"r", NULL, &jupyter_driver,
     {"R", "--slave", "-e", "IRkernel::main()", "--args", "@connection"}, false, false},
};
/* clang-format on */

const struct language *language_find(struct str word)
{
    while (word.len > 0 && strchr(" \t\r\n", word.at[0]) != NULL)
        word = str_from(word, 1);
    while (word.len > 0 && strchr(" \t\r\n", word.at[word.len - 1]) != NULL)
        word.len--;
    if (word.len == 0)
        return &languages[0];
    for (size_t i = 0; i < COUNT_OF(languages); i++) {
        const struct language *l = &languages[i];

        if (str_ieq(word, str_of(l->name)) || (l->alias != NULL && str_ieq(word, str_of(l->alias))))
            return l;
    }
    return NULL;
}

const struct language *language_at(size_t i)
{
    return i < COUNT_OF(languages) ? &languages[i] : NULL;
}

void language_names(struct buf *out)
{
    for (size_t i = 0; i < COUNT_OF(languages); i++)
        buf_printf(out, "%s%s", i == 0 ? "" : ", ", languages[i].name);
}
