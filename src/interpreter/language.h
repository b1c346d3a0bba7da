/* SPDX-License-Identifier: Apache-2.0 */
/* The languages: what they are called and the program that runs each. */
#ifndef INTERPRETER_LANGUAGE_H
#define INTERPRETER_LANGUAGE_H

#include "base/buf.h"

struct driver;

enum { LANGUAGE_ARGS_MAX = 8 };

struct language {
    const char *name;
    const char *alias;
    const struct driver *driver;
    /* "@kernels/FILE" is a file of ours, "@connection" the file that tells a Jupyter kernel where
     * to listen. */
    const char *args[LANGUAGE_ARGS_MAX];
    bool is_present_from_start; /* its default context is */
    bool is_warm;               /* and so is that one's kernel */
};

/* By a client's word: case and blanks around it do not count; empty means Python. NULL: unknown. */
const struct language *language_find(struct str word);
/* All of them, ended by NULL. */
const struct language *language_at(size_t i);
/* "python, javascript, …" */
void language_names(struct buf *out);

#endif
