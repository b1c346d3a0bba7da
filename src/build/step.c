/* SPDX-License-Identifier: Apache-2.0 */
/* See step.h; the scripts are in step_scripts.c. */
#include "build/step.h"

#include <stdio.h>

#include "base/buf.h"
#include "build/step_scripts.h"

enum {
    VALUE_MAX = 128 << 10,
    TEXT_MAX = 200,
};

const char step_archive[] = "/tmp/.sandlot-files";

static struct str arg(const struct build_step *s, size_t n)
{
    const struct str *args = s->args.items;

    return n < s->args.count ? args[n] : (struct str){0};
}

static const struct codec_pair *find(const struct codec_pair *pairs, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(pairs[i].key, name))
            return &pairs[i];
    return NULL;
}

static struct str value_of(const struct step_state *state, struct str name)
{
    const struct codec_pair *p = find(state->env, state->env_count, name);

    if (p == NULL)
        p = find(state->arg, state->arg_count, name);
    return p == NULL ? (struct str){0} : p->value;
}

static bool is_name_byte(char c, bool is_first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!is_first && c >= '0' && c <= '9');
}

/* Length of "$NAME" or "${NAME}" at the front; 0: it is neither, and means itself. */
static size_t variable_at(struct str s, struct str *name)
{
    bool is_braced = s.len > 1 && s.at[1] == '{';
    size_t begin = is_braced ? 2 : 1, end = begin;

    while (end < s.len && is_name_byte(s.at[end], end == begin))
        end++;
    if (end == begin || (is_braced && (end >= s.len || s.at[end] != '}')))
        return 0;
    *name = str_upto(str_from(s, begin), end - begin);
    return end + is_braced;
}

/* Only names are replaced: "$(date)", "$5", backslashes and quotes stay as they are. */
static int expand(struct str text, const struct step_state *state, struct arena *a, struct str *out,
                  struct err *err)
{
    struct buf value;

    buf_init(&value, VALUE_MAX);
    for (size_t i = 0; i < text.len;) {
        struct str name = {0};
        size_t len = text.at[i] == '$' ? variable_at(str_from(text, i), &name) : 0;

        if (len > 0)
            buf_add_str(&value, value_of(state, name));
        else
            buf_add_byte(&value, text.at[i]);
        i += len > 0 ? len : 1;
    }
    *out = buf_ok(&value) ? arena_str(a, buf_str(&value)) : (struct str){0};
    buf_done(&value);
    return out->at != NULL ? 0 : err_set(err, ERR_INVALID, "a variable is too large");
}

static int set(struct codec_pair *pairs, size_t *count, struct codec_pair pair, struct err *err)
{
    for (size_t i = 0; i < *count; i++)
        if (str_eq(pairs[i].key, pair.key)) {
            pairs[i].value = pair.value;
            return 0;
        }
    if (*count >= STEP_ENV_MAX)
        return err_set(err, ERR_INVALID, "more than %d variables", STEP_ENV_MAX);
    pairs[(*count)++] = pair;
    return 0;
}

int step_set_env(struct step_state *state, struct codec_pair pair, struct err *err)
{
    return set(state->env, &state->env_count, pair, err);
}

static int apply_env(const struct build_step *s, struct step_state *state, struct arena *a,
                     struct err *err)
{
    for (size_t i = 0; i + 1 < s->args.count; i += 2) {
        struct codec_pair pair = {arg(s, i), {0}};

        if (pair.key.len == 0 || str_find(pair.key, '=') >= 0)
            return err_set(err, ERR_INVALID, "'%.*s' cannot be a variable",
                           STR_ARG(str_upto(pair.key, 64)));
        if (expand(arg(s, i + 1), state, a, &pair.value, err) != 0 ||
            step_set_env(state, pair, err) != 0)
            return -1;
    }
    return 0;
}

/* "NAME=value", "NAME", or pairs as ENV has them; it is not in the template. */
static int apply_arg(const struct build_step *s, struct step_state *state, struct arena *a,
                     struct err *err)
{
    struct codec_pair pair;

    pair.key = str_cut(arg(s, 0), '=', &pair.value);
    if (s->args.count > 1)
        pair.value = arg(s, 1);
    if (expand(pair.value, state, a, &pair.value, err) != 0)
        return -1;
    return set(state->arg, &state->arg_count, pair, err);
}

static bool is_port(struct str text)
{
    uint64_t number;

    return str_to_u64(text, &number) && number >= 1 && number <= UINT16_MAX;
}

int step_expose(struct step_state *state, struct str port, struct arena *a, struct err *err)
{
    struct str protocol, last, full;
    struct str range = str_cut(port, '/', &protocol);
    struct str first = str_cut(range, '-', &last);

    if (!is_port(first) || (first.len < range.len && !is_port(last)) ||
        (range.len < port.len && !str_is(protocol, "tcp") && !str_is(protocol, "udp") &&
         !str_is(protocol, "sctp")))
        return err_set(err, ERR_INVALID, "'%.*s' is not a port", STR_ARG(str_upto(port, 64)));
    full = str_of(arena_printf(a, "%.*s/%.*s", STR_ARG(range),
                               STR_ARG(protocol.len > 0 ? protocol : STR("tcp"))));
    for (size_t i = 0; i < state->port_count; i++)
        if (str_eq(state->ports[i], full))
            return 0;
    if (full.at == NULL || state->port_count == STEP_PORTS_MAX)
        return err_set(err, ERR_INVALID, "more than %d ports", STEP_PORTS_MAX);
    state->ports[state->port_count++] = full;
    return 0;
}

static int apply_expose(const struct build_step *s, struct step_state *state, struct arena *a,
                        struct err *err)
{
    struct str port;

    for (size_t i = 0; i < s->args.count; i++)
        if (expand(arg(s, i), state, a, &port, err) != 0 || step_expose(state, port, a, err) != 0)
            return -1;
    return 0;
}

/* Absolute, from the working directory; that of a user who was given none is /. */
static struct str resolve(const struct step_state *state, struct str path, struct arena *a)
{
    struct str base = state->workdir.len > 0 ? state->workdir : STR("/");

    if (path.len > 0 && path.at[0] == '/')
        return path;
    return str_of(arena_printf(a, "%.*s%s%.*s", STR_ARG(base), str_has_suffix(base, "/") ? "" : "/",
                               STR_ARG(path)));
}

int step_apply(const struct build_step *s, struct step_state *state, struct arena *a,
               struct err *err)
{
    struct str rest;

    if (str_is(s->type, "ENV"))
        return apply_env(s, state, a, err);
    if (str_is(s->type, "ARG"))
        return apply_arg(s, state, a, err);
    if (str_is(s->type, "EXPOSE"))
        return apply_expose(s, state, a, err);
    if (str_is(s->type, "USER"))
        state->user = str_cut(arg(s, 0), ':', &rest);
    if (str_is(s->type, "WORKDIR")) {
        if (expand(arg(s, 0), state, a, &rest, err) != 0)
            return -1;
        state->workdir = resolve(state, rest, a);
    }
    return 0;
}

static void tell(struct step_command *c, const char *name, struct str value)
{
    c->env[c->env_count++] = (struct codec_pair){str_of(name), value};
}

static int plan_copy(const struct build_step *s, const struct step_state *state, struct arena *a,
                     struct step_command *out, struct err *err)
{
    struct str dest;

    if (str_has_prefix(arg(s, 0), "http://") || str_has_prefix(arg(s, 0), "https://"))
        return err_set(err, ERR_INVALID, "ADD of a URL: download it in a RUN step instead");
    if (expand(arg(s, 1), state, a, &dest, err) != 0)
        return -1;
    out->script = step_copy;
    out->needs_files = true;
    tell(out, "SRC", arg(s, 0));
    tell(out, "DEST", state->workdir.len > 0 ? resolve(state, dest, a) : dest);
    tell(out, "OWNER", arg(s, 2).len > 0 ? arg(s, 2) : state->user);
    tell(out, "MODE", arg(s, 3));
    tell(out, "ARCHIVE", str_of(step_archive));
    tell(out, "HOME_OF", state->user);
    tell(out, "UNPACK", str_is(s->type, "ADD") ? STR("1") : (struct str){0});
    return 0;
}

int step_plan(const struct build_step *s, const struct step_state *state, struct arena *a,
              struct step_command *out, struct err *err)
{
    struct str path;

    *out = (struct step_command){.user = STR("root")};
    if (str_is(s->type, "ENV") || str_is(s->type, "ARG") || str_is(s->type, "EXPOSE")) {
        out->is_nothing = true;
    } else if (str_is(s->type, "RUN")) {
        out->text = arg(s, 0);
        out->user = arg(s, 1).len > 0 ? arg(s, 1) : state->user;
    } else if (str_is(s->type, "COPY") || str_is(s->type, "ADD")) {
        return plan_copy(s, state, a, out, err);
    } else if (str_is(s->type, "USER")) {
        struct str rest;

        out->script = step_user;
        tell(out, "NAME", str_cut(arg(s, 0), ':', &rest));
        tell(out, "SUDO", arg(s, 1));
    } else {
        if (expand(arg(s, 0), state, a, &path, err) != 0)
            return -1;
        out->script = step_workdir;
        tell(out, "DIR", resolve(state, path, a));
        tell(out, "OWNER", state->user);
    }
    return 0;
}

struct str step_text(const struct build_step *s, struct arena *a)
{
    struct buf text;
    struct str copy;

    buf_init(&text, VALUE_MAX);
    buf_add_str(&text, s->type);
    for (size_t i = 0; i < s->args.count && text.len < TEXT_MAX; i++) {
        if (arg(s, i).len == 0)
            continue;
        buf_add_byte(&text, str_is(s->type, "ENV") && i % 2 == 1 ? '=' : ' ');
        buf_add_str(&text, str_upto(arg(s, i), TEXT_MAX));
    }
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '\n')
            text.at[i] = ' ';
    copy = arena_str(a, str_upto(buf_str(&text), TEXT_MAX));
    buf_done(&text);
    return copy;
}
