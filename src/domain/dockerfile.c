/* SPDX-License-Identifier: Apache-2.0 */
/* See dockerfile.h. Called by api/builds.c, with what a stranger wrote. */
#include "domain/dockerfile.h"

#include "domain/build.h"

enum {
    ARGS_MAX = 64, /* before FROM */
    WORDS_MAX = 512,
    IMAGE_NAME_SIZE = 1024,
};

struct reader {
    struct arena *a;
    struct str rest; /* of the text */
    struct str files_hash;
    struct build_plan *plan;
    struct build_step *steps;
    struct codec_pair args[ARGS_MAX];
    size_t arg_count;
    size_t line, first; /* the present one, and that of the present instruction */
    bool has_user, has_workdir;
    struct str entrypoint, cmd; /* as shell text */
};

/* Of an instruction: its flags are cut off. */
struct flags {
    struct str chown, chmod;
};

static int fail(const struct reader *r, const char *what, struct str word, struct err *err)
{
    return err_set(err, ERR_INVALID, "line %zu: %s%s%.*s%s", r->first, what,
                   word.len > 0 ? " '" : "", STR_ARG(str_upto(word, 60)), word.len > 0 ? "'" : "");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str trim(struct str s)
{
    while (s.len > 0 && is_blank(s.at[0]))
        s = str_from(s, 1);
    while (s.len > 0 && is_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

/* The word at the front, as it is written. */
static struct str first_word(struct str s, struct str *rest)
{
    size_t len = 0;

    while (len < s.len && !is_blank(s.at[len]))
        len++;
    *rest = trim(str_from(s, len));
    return str_upto(s, len);
}

/* Lines */

static bool next_line(struct reader *r, struct str *out)
{
    if (r->rest.len == 0)
        return false;
    *out = trim(str_cut(r->rest, '\n', &r->rest));
    r->line++;
    return true;
}

/* The lines of one instruction, joined; comments and empty lines between them are left out. */
static bool next_instruction(struct reader *r, struct buf *out)
{
    bool goes_on = false;
    struct str line;

    buf_clear(out);
    while (next_line(r, &line)) {
        if (line.len == 0 || line.at[0] == '#')
            continue;
        if (!goes_on)
            r->first = r->line;
        goes_on = line.at[line.len - 1] == '\\';
        buf_add_str(out, goes_on ? str_upto(line, line.len - 1) : line);
        if (!goes_on)
            break;
    }
    return out->len > 0;
}

/* Steps */

static struct build_step *add_step(struct reader *r, const char *type, size_t args, struct err *err)
{
    struct build_step *s = &r->steps[r->plan->steps.count];
    struct str *items = arena_array(r->a, args, sizeof(*items));

    if (r->plan->steps.count >= BUILD_STEPS_MAX || items == NULL) {
        fail(r, "too many steps", (struct str){0}, err);
        return NULL;
    }
    *s = (struct build_step){
        .type = str_of(type), .args = {items, args}
    };
    r->plan->steps.count++;
    return s;
}

static void set_arg(struct build_step *s, size_t at, struct str value)
{
    ((struct str *)(uintptr_t)s->args.items)[at] = value;
}

static int add_one(struct reader *r, const char *type, struct str value, struct err *err)
{
    struct build_step *s = add_step(r, type, 1, err);

    if (s == NULL)
        return -1;
    set_arg(s, 0, value);
    return 0;
}

/* Words: quotes and backslashes are taken off, blanks part them. */

static bool put_char(struct buf *out, struct str s, size_t *at, char *quote)
{
    char c = s.at[*at];

    if (*quote == 0 && is_blank(c))
        return false;
    if (*quote == 0 && (c == '"' || c == '\'')) {
        *quote = c;
    } else if (c == *quote) {
        *quote = 0;
    } else if (c == '\\' && *quote != '\'' && *at + 1 < s.len) {
        char next = s.at[++*at];

        /* "\$" stays as it is: whoever replaces variables looks at it. */
        if (next == '$' || (*quote == '"' && next != '"' && next != '\\'))
            buf_add_byte(out, c);
        buf_add_byte(out, next);
    } else {
        buf_add_byte(out, c);
    }
    ++*at;
    return true;
}

static int cut_word(struct reader *r, struct str *rest, struct str *out, struct err *err)
{
    struct buf word;
    size_t at = 0;
    char quote = 0;

    buf_init(&word, DOCKERFILE_MAX);
    while (at < rest->len && put_char(&word, *rest, &at, &quote))
        ;
    *out = arena_str(r->a, buf_str(&word));
    if (out->at == NULL && word.len == 0)
        *out = STR("");
    buf_done(&word);
    *rest = trim(str_from(*rest, at));
    if (quote != 0)
        return fail(r, "a quote is not closed", (struct str){0}, err);
    return out->at != NULL ? 0 : fail(r, "it is too large", (struct str){0}, err);
}

struct words {
    struct codec_list items; /* struct str */
};

static const struct codec_field words_fields[] = {
    {1, "w", CODEC_STRING, CODEC_REPEATED, offsetof(struct words, items)},
};
static const struct codec_message words_message = {"words", sizeof(struct words), words_fields,
                                                   COUNT_OF(words_fields)};

/* ["a", "b"]; false: it is not that form. */
static bool read_list(struct reader *r, struct str text, struct codec_list *out)
{
    struct words words = {0};
    struct str json;

    if (text.len < 2 || text.at[0] != '[' || text.at[text.len - 1] != ']')
        return false;
    json = str_of(arena_printf(r->a, "{\"w\":%.*s}", STR_ARG(text)));
    if (json.at == NULL || json_decode(&words_message, json, r->a, &words, NULL) != 0)
        return false;
    *out = words.items;
    return true;
}

/* A list of words as a shell reads it. */
static struct str quoted(struct reader *r, const struct codec_list *list)
{
    const struct str *words = list->items;
    struct buf text;
    struct str copy;

    buf_init(&text, 8 * DOCKERFILE_MAX);
    for (size_t i = 0; i < list->count; i++) {
        buf_add_text(&text, i > 0 ? " '" : "'");
        for (size_t k = 0; k < words[i].len; k++) {
            if (words[i].at[k] == '\'')
                buf_add_text(&text, "'\\''");
            else
                buf_add_byte(&text, words[i].at[k]);
        }
        buf_add_byte(&text, '\'');
    }
    copy = arena_str(r->a, buf_str(&text));
    buf_done(&text);
    return copy;
}

/* What RUN, CMD and ENTRYPOINT have: shell text, or a list. */
static int read_command(struct reader *r, struct str text, struct str *out, struct err *err)
{
    struct codec_list list;

    *out = read_list(r, text, &list) ? quoted(r, &list) : arena_str(r->a, text);
    return out->len > 0 ? 0 : fail(r, "a command is missing", (struct str){0}, err);
}

/* "--name=value" at the front. */
static int take_flags(struct reader *r, struct str *rest, struct flags *out, struct err *err)
{
    static const char *const harmless[] = {"--link", "--link=true", "--link=false"};

    while (str_has_prefix(*rest, "--")) {
        struct str word = first_word(*rest, rest), value;
        struct str name = str_cut(word, '=', &value);
        bool is_known = false;

        for (size_t i = 0; i < COUNT_OF(harmless); i++)
            is_known |= str_is(word, harmless[i]);
        if (str_is(name, "--chown"))
            out->chown = arena_str(r->a, value);
        else if (str_is(name, "--chmod"))
            out->chmod = arena_str(r->a, value);
        else if (!is_known && !(str_is(name, "--mount") && str_has_prefix(value, "type=cache")))
            return fail(r, "there is no such thing here:", word, err);
    }
    return 0;
}

static bool has_here_document(struct str text)
{
    for (size_t i = 0; i + 2 < text.len; i++) {
        char next = text.at[i + 2];

        if (text.at[i] == '<' && text.at[i + 1] == '<' && next != '<' && next != ' ' &&
            next != '(' && (i == 0 || text.at[i - 1] != '<') && (next < '0' || next > '9'))
            return true;
    }
    return false;
}

/* Instructions */

static int do_run(struct reader *r, struct str rest, struct err *err)
{
    struct flags unused = {0};
    struct str command;

    if (take_flags(r, &rest, &unused, err) != 0 || read_command(r, rest, &command, err) != 0)
        return -1;
    if (has_here_document(rest))
        return fail(r, "here-documents are not supported", (struct str){0}, err);
    return add_one(r, "RUN", command, err);
}

static int add_copy(struct reader *r, const char *type, const struct str words[2],
                    const struct flags *f, struct err *err)
{
    struct build_step *s = add_step(r, type, 4, err);

    if (s == NULL)
        return -1;
    set_arg(s, 0, words[0]);
    set_arg(s, 1, words[1]);
    set_arg(s, 2, f->chown);
    set_arg(s, 3, f->chmod);
    s->files_hash = r->files_hash;
    return 0;
}

static int read_words(struct reader *r, struct str rest, struct codec_list *out, struct err *err)
{
    struct str *words;

    if (read_list(r, rest, out))
        return 0;
    words = arena_array(r->a, WORDS_MAX, sizeof(*words));
    *out = (struct codec_list){words, 0};
    while (rest.len > 0) {
        if (words == NULL || out->count >= WORDS_MAX)
            return fail(r, "too many words", (struct str){0}, err);
        if (cut_word(r, &rest, &words[out->count], err) != 0)
            return -1;
        out->count++;
    }
    return 0;
}

static int copy(struct reader *r, const char *type, struct str rest, struct err *err)
{
    struct flags f = {0};
    struct codec_list list = {0};
    const struct str *words;

    if (take_flags(r, &rest, &f, err) != 0 || read_words(r, rest, &list, err) != 0)
        return -1;
    words = list.items;
    if (list.count < 2)
        return fail(r, "a source and a destination are needed", (struct str){0}, err);
    if (has_here_document(rest))
        return fail(r, "here-documents are not supported", (struct str){0}, err);
    if (r->files_hash.len == 0)
        return fail(r, "there are no files to copy", (struct str){0}, err);
    if (list.count > 2 && !str_has_suffix(words[list.count - 1], "/"))
        return fail(r, "with several sources the destination must end with '/':",
                    words[list.count - 1], err);
    for (size_t i = 0; i + 1 < list.count; i++)
        if (add_copy(r, type, (struct str[]){words[i], words[list.count - 1]}, &f, err) != 0)
            return -1;
    return 0;
}

static int do_copy(struct reader *r, struct str rest, struct err *err)
{
    return copy(r, "COPY", rest, err);
}

static int do_add(struct reader *r, struct str rest, struct err *err)
{
    return copy(r, "ADD", rest, err);
}

/* "K=V K2=V2", or of old "K V". */
static int do_env(struct reader *r, struct str rest, struct err *err)
{
    struct codec_list list;
    struct build_step *s;
    struct str value;
    struct str name = first_word(rest, &value);

    if (str_find(name, '=') < 0) {
        if (value.len == 0 || name.len == 0)
            return fail(r, "a name and a value are needed", (struct str){0}, err);
        s = add_step(r, "ENV", 2, err);
        if (s == NULL)
            return -1;
        set_arg(s, 0, arena_str(r->a, name));
        set_arg(s, 1, arena_str(r->a, value));
        return 0;
    }
    if (read_words(r, rest, &list, err) != 0)
        return -1;
    s = add_step(r, "ENV", 2 * list.count, err);
    for (size_t i = 0; s != NULL && i < list.count; i++) {
        name = str_cut(((const struct str *)list.items)[i], '=', &value);
        if (name.len == 0 || name.len == ((const struct str *)list.items)[i].len)
            return fail(r, "this is not NAME=VALUE:", ((const struct str *)list.items)[i], err);
        set_arg(s, 2 * i, name);
        set_arg(s, 2 * i + 1, value.len > 0 ? value : STR(""));
    }
    return s == NULL ? -1 : 0;
}

/* Before FROM it is for FROM alone. */
static int do_arg(struct reader *r, struct str rest, struct err *err)
{
    struct str word, value;

    while (rest.len > 0) {
        if (cut_word(r, &rest, &word, err) != 0)
            return -1;
        if (r->plan->from_image.len > 0) {
            if (add_one(r, "ARG", word, err) != 0)
                return -1;
            continue;
        }
        if (r->arg_count >= ARGS_MAX)
            return fail(r, "too many arguments", (struct str){0}, err);
        r->args[r->arg_count].key = str_cut(word, '=', &value);
        r->args[r->arg_count++].value = value;
    }
    return 0;
}

static struct str arg_value(const struct reader *r, struct str name)
{
    for (size_t i = r->arg_count; i-- > 0;)
        if (str_eq(r->args[i].key, name))
            return r->args[i].value;
    return (struct str){0};
}

/* $NAME and ${NAME} of the ARGs before. */
static int expand(struct reader *r, struct str text, struct str *out, struct err *err)
{
    struct buf value;

    buf_init(&value, IMAGE_NAME_SIZE);
    while (text.len > 0) {
        size_t len = 1;

        if (text.at[0] != '$') {
            buf_add_byte(&value, text.at[0]);
        } else if (text.len > 1 && text.at[1] == '{') {
            ssize_t end = str_find(text, '}');

            if (end < 0)
                break;
            buf_add_str(&value, arg_value(r, str_upto(str_from(text, 2), (size_t)end - 2)));
            len = (size_t)end + 1;
        } else {
            while (len < text.len && strchr("/:@.-${}", text.at[len]) == NULL)
                len++;
            buf_add_str(&value, arg_value(r, str_upto(str_from(text, 1), len - 1)));
        }
        text = str_from(text, len);
    }
    *out = arena_str(r->a, buf_str(&value));
    buf_done(&value);
    return out->len > 0 && text.len == 0 ? 0 : fail(r, "FROM has no name", (struct str){0}, err);
}

static int do_from(struct reader *r, struct str rest, struct err *err)
{
    struct str word = first_word(rest, &rest), more;

    if (r->plan->from_image.len > 0)
        return fail(r, "more than one FROM is not supported", (struct str){0}, err);
    if (str_has_prefix(word, "--platform="))
        word = first_word(rest, &rest);
    more = first_word(rest, &rest);
    if (more.len > 0 && !(str_ieq(more, STR("as")) && rest.len > 0))
        return fail(r, "FROM IMAGE [AS NAME] is wanted, not", more, err);
    if (expand(r, word, &r->plan->from_image, err) != 0 ||
        add_one(r, "USER", STR("root"), err) != 0)
        return -1;
    return add_one(r, "WORKDIR", STR("/"), err);
}

static int do_workdir(struct reader *r, struct str rest, struct err *err)
{
    struct str path;

    r->has_workdir = true;
    if (cut_word(r, &rest, &path, err) != 0)
        return -1;
    return path.len > 0 ? add_one(r, "WORKDIR", path, err)
                        : fail(r, "a directory is missing", (struct str){0}, err);
}

static int do_user(struct reader *r, struct str rest, struct err *err)
{
    struct str name;

    r->has_user = true;
    if (cut_word(r, &rest, &name, err) != 0)
        return -1;
    return name.len > 0 ? add_one(r, "USER", name, err)
                        : fail(r, "a user is missing", (struct str){0}, err);
}

/* What they mean is looked at when variables are known. */
static int do_expose(struct reader *r, struct str rest, struct err *err)
{
    struct codec_list ports = {0};
    struct build_step *s;

    if (read_words(r, rest, &ports, err) != 0)
        return -1;
    if (ports.count == 0)
        return fail(r, "a port is missing", (struct str){0}, err);
    s = add_step(r, "EXPOSE", ports.count, err);
    for (size_t i = 0; s != NULL && i < ports.count; i++)
        set_arg(s, i, ((const struct str *)ports.items)[i]);
    return s == NULL ? -1 : 0;
}

static int do_cmd(struct reader *r, struct str rest, struct err *err)
{
    return read_command(r, rest, &r->cmd, err);
}

static int do_entrypoint(struct reader *r, struct str rest, struct err *err)
{
    return read_command(r, rest, &r->entrypoint, err);
}

static int do_nothing(struct reader *r, struct str rest, struct err *err)
{
    ignore((long)(r != NULL && rest.len > 0 && err != NULL));
    return 0;
}

static const struct {
    const char *name;
    int (*fn)(struct reader *r, struct str rest, struct err *err);
    bool may_be_first;
} instructions[] = {
    {"FROM",       do_from,       true },
    {"ARG",        do_arg,        true },
    {"RUN",        do_run,        false},
    {"COPY",       do_copy,       false},
    {"ADD",        do_add,        false},
    {"ENV",        do_env,        false},
    {"WORKDIR",    do_workdir,    false},
    {"USER",       do_user,       false},
    {"CMD",        do_cmd,        false},
    {"ENTRYPOINT", do_entrypoint, false},
    {"LABEL",      do_nothing,    false},
    {"EXPOSE",     do_expose,     false},
    {"VOLUME",     do_nothing,    false},
    {"STOPSIGNAL", do_nothing,    false},
    {"MAINTAINER", do_nothing,    false},
};

static int take_instruction(struct reader *r, struct str text, struct err *err)
{
    struct str rest;
    struct str name = first_word(text, &rest);

    for (size_t i = 0; i < COUNT_OF(instructions); i++) {
        if (!str_ieq(name, str_of(instructions[i].name)))
            continue;
        if (r->plan->from_image.len == 0 && !instructions[i].may_be_first)
            return fail(r, "FROM must come before", name, err);
        return instructions[i].fn(r, rest, err);
    }
    return fail(r, "this is not supported here:", name, err);
}

/* As the clients end it. */
static int end(struct reader *r, struct err *err)
{
    struct build_plan *p = r->plan;

    if (p->from_image.len == 0)
        return err_set(err, ERR_INVALID, "the Dockerfile has no FROM");
    if (r->entrypoint.len > 0 && r->cmd.len > 0)
        p->start_cmd =
            str_of(arena_printf(r->a, "%.*s %.*s", STR_ARG(r->entrypoint), STR_ARG(r->cmd)));
    else
        p->start_cmd = r->entrypoint.len > 0 ? r->entrypoint : r->cmd;
    if (p->start_cmd.len > 0)
        p->ready_cmd = STR("sleep 20");
    if (!r->has_user && add_one(r, "USER", STR("user"), err) != 0)
        return -1;
    return r->has_workdir ? 0 : add_one(r, "WORKDIR", STR("/home/user"), err);
}

int dockerfile_read(struct str text, struct str files_hash, struct arena *a, struct build_plan *out,
                    struct err *err)
{
    struct build_plan plan = {0};
    struct reader *r = arena_alloc(a, sizeof(*r));
    struct buf instruction;
    int result = 0;

    if (r == NULL || text.len > DOCKERFILE_MAX)
        return err_set(err, ERR_INVALID, "a Dockerfile has at most %d bytes", DOCKERFILE_MAX);
    *r = (struct reader){.a = a, .rest = text, .files_hash = files_hash, .plan = &plan};
    r->steps = arena_array(a, BUILD_STEPS_MAX + 1, sizeof(*r->steps));
    if (r->steps == NULL)
        return err_set(err, ERR_LIMIT, "no memory for a Dockerfile");
    plan.steps.items = r->steps;
    buf_init(&instruction, DOCKERFILE_MAX + 1);
    while (result == 0 && next_instruction(r, &instruction))
        result = take_instruction(r, trim(buf_str(&instruction)), err);
    buf_done(&instruction);
    if (result == 0)
        result = end(r, err);
    if (result == 0)
        *out = plan;
    return result;
}
