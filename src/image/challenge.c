/* SPDX-License-Identifier: Apache-2.0 */
/* Parser of WWW-Authenticate; see challenge.h. Called by registry.c. */
#include "image/challenge.h"

struct scanner {
    struct str rest;
    struct arena *a;
};

static bool is_token(char c)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr(marks, c) != NULL);
}

static void skip_blanks(struct scanner *s)
{
    while (s->rest.len > 0 && (s->rest.at[0] == ' ' || s->rest.at[0] == '\t'))
        s->rest = str_from(s->rest, 1);
}

static bool skip_byte(struct scanner *s, char byte)
{
    if (s->rest.len == 0 || s->rest.at[0] != byte)
        return false;
    s->rest = str_from(s->rest, 1);
    return true;
}

static struct str take_token(struct scanner *s)
{
    struct str token = {s->rest.at, 0};

    while (token.len < s->rest.len && is_token(s->rest.at[token.len]))
        token.len++;
    s->rest = str_from(s->rest, token.len);
    return token;
}

/* Behind the opening quote. .at NULL: it does not end, or there is no memory. */
static struct str take_quoted(struct scanner *s)
{
    struct str copy = arena_str(s->a, s->rest);
    char *to = (char *)(uintptr_t)copy.at; /* unescaped in place: never longer */
    size_t len = 0;

    if (copy.at == NULL)
        return copy;
    for (size_t i = 0; i < s->rest.len; i++) {
        char c = s->rest.at[i];

        if (c == '"') {
            s->rest = str_from(s->rest, i + 1);
            to[len] = '\0';
            return str_upto(copy, len);
        }
        if (c == '\\' && i + 1 < s->rest.len)
            c = s->rest.at[++i];
        to[len++] = c;
    }
    s->rest = str_from(s->rest, s->rest.len);
    return (struct str){0};
}

static void keep(struct challenge *c, struct str name, struct str value)
{
    struct {
        struct str name;
        struct str *to;
    } known[] = {
        {STR("realm"),   &c->realm  },
        {STR("service"), &c->service},
        {STR("scope"),   &c->scope  },
    };

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (str_ieq(name, known[i].name) && known[i].to->at == NULL)
            *known[i].to = value;
    }
}

/* One "name=value". False: what follows is not a parameter, and nothing was taken. */
static bool take_parameter(struct scanner *s, struct challenge *c)
{
    struct scanner before = *s;
    struct str name = take_token(s);
    struct str value;

    skip_blanks(s);
    if (name.len == 0 || !skip_byte(s, '=')) {
        *s = before;
        return false;
    }
    skip_blanks(s);
    value = skip_byte(s, '"') ? take_quoted(s) : arena_str(s->a, take_token(s));
    keep(c, name, value);
    return true;
}

static void take_parameters(struct scanner *s, struct challenge *c)
{
    do {
        skip_blanks(s);
        while (skip_byte(s, ','))
            skip_blanks(s);
        if (!take_parameter(s, c))
            return;
        skip_blanks(s);
    } while (s->rest.len > 0 && s->rest.at[0] == ',');
}

void challenge_read(struct str field, struct arena *a, struct challenge *out)
{
    struct scanner s = {str_upto(field, CHALLENGE_MAX), a};
    struct challenge best = {0};

    while (s.rest.len > 0) {
        size_t before = s.rest.len;
        struct challenge c = {0};
        struct str scheme;

        skip_blanks(&s);
        scheme = take_token(&s);
        if (str_ieq(scheme, STR("bearer")))
            c.scheme = CHALLENGE_BEARER;
        else if (str_ieq(scheme, STR("basic")))
            c.scheme = CHALLENGE_BASIC;
        take_parameters(&s, &c);
        if (c.scheme == CHALLENGE_BEARER && c.realm.len == 0)
            c.scheme = CHALLENGE_NONE;
        if (c.scheme > best.scheme)
            best = c;
        if (s.rest.len == before)
            s.rest = str_from(s.rest, 1); /* a byte of no meaning */
    }
    *out = best;
}
