/* SPDX-License-Identifier: Apache-2.0 */
/* "[namespace/]name[:tag]": how clients name templates (wire.md 2.1, RX-10). */
#ifndef DOMAIN_TEMPLATE_NAME_H
#define DOMAIN_TEMPLATE_NAME_H

#include "base/arena.h"
#include "base/err.h"

enum {
    TEMPLATE_NAME_MAX = 128, /* characters of the whole */
};

struct template_name {
    struct str space; /* empty: none given */
    struct str name;
    struct str tag; /* "default" when none was given */
    bool is_build;  /* the tag is the id of a build; template_ref_parse() only */
};

/* Trims, lower-cases, checks characters. ERR_INVALID "Invalid template reference: …". */
must_check int template_name_parse(struct str text, struct arena *a, struct template_name *out,
                                   struct err *err);
/* The same for what exists already: its tag may be the id of a build. */
must_check int template_ref_parse(struct str text, struct arena *a, struct template_name *out,
                                  struct err *err);
/* A tag alone: trimmed, in lower case, in the arena. */
must_check int template_tag_parse(struct str text, struct arena *a, struct str *out,
                                  struct err *err);

#endif
