/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration by table. Called by each program's main before anything else, on one thread. */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { ENV_NAME_MAX = 128 };

static const char *const bool_words[][2] = {
    {"false", "true"},
    {"no",    "yes" },
    {"off",   "on"  },
    {"0",     "1"   },
};

/* Config structs hold plain pointers that stay valid for ever; this list is their owner, so that a
 * text is reachable even after its struct is gone. */
struct text {
    struct text *older;
    char bytes[];
};

static struct text *texts;

static const char *keep_text(struct str s)
{
    struct text *t = mem_zero(sizeof(*t) + s.len + 1);

    if (s.len > 0)
        memcpy(t->bytes, s.at, s.len);
    t->older = texts;
    texts = t;
    return t->bytes;
}

static const struct config_key *find_key(const struct config_table *t, struct str name)
{
    for (size_t i = 0; i < t->count; i++) {
        if (str_is(name, t->keys[i].name))
            return &t->keys[i];
    }
    return NULL;
}

static bool parse_bool(struct str value, bool *out)
{
    for (size_t i = 0; i < COUNT_OF(bool_words); i++) {
        for (int truth = 0; truth < 2; truth++) {
            if (str_ieq(value, str_of(bool_words[i][truth]))) {
                *out = truth == 1;
                return true;
            }
        }
    }
    return false;
}

static bool is_choice(const char *choices, struct str value)
{
    struct str rest = str_of(choices);

    while (rest.len > 0) {
        if (str_eq(str_cut(rest, '|', &rest), value))
            return true;
    }
    return false;
}

static int set_bool(const struct config_key *k, void *field, struct str value, struct err *err)
{
    if (!parse_bool(value, field))
        return err_set(err, ERR_INVALID, "%s: '%.*s' is not true or false", k->name,
                       STR_ARG(value));
    return 0;
}

static int set_number(const struct config_key *k, void *field, struct str value, struct err *err)
{
    uint64_t number = 0;

    if (!str_to_u64(value, &number) || number < k->min || number > k->max)
        return err_set(err, ERR_INVALID, "%s: '%.*s' is not a number from %llu to %llu", k->name,
                       STR_ARG(value), (unsigned long long)k->min, (unsigned long long)k->max);
    *(uint64_t *)field = number;
    return 0;
}

static int set_choice(const struct config_key *k, void *field, struct str value, struct err *err)
{
    if (value.len == 0 || !is_choice(k->choices, value))
        return err_set(err, ERR_INVALID, "%s: '%.*s' is not one of %s", k->name, STR_ARG(value),
                       k->choices);
    *(const char **)field = keep_text(value);
    return 0;
}

static int set_text(const struct config_key *k, void *field, struct str value, struct err *err)
{
    if (str_find(value, '\0') >= 0)
        return err_set(err, ERR_INVALID, "%s: the value has a zero byte", k->name);
    *(const char **)field = keep_text(value);
    return 0;
}

static int set_key(const struct config_key *k, void *into, struct str value, struct err *err)
{
    void *field = (char *)into + k->offset;

    switch (k->type) {
    case CONFIG_TEXT: return set_text(k, field, value, err);
    case CONFIG_BOOL: return set_bool(k, field, value, err);
    case CONFIG_NUMBER: return set_number(k, field, value, err);
    case CONFIG_CHOICE: return set_choice(k, field, value, err);
    }
    return err_set(err, ERR_INVALID, "%s: no such type", k->name);
}

int config_defaults(const struct config_table *t, void *into, struct err *err)
{
    for (size_t i = 0; i < t->count; i++) {
        if (set_key(&t->keys[i], into, str_of(t->keys[i].fallback), err) != 0)
            return err_wrap(err, "default");
    }
    return 0;
}

int config_set(const struct config_table *t, void *into, struct str name, struct str value,
               struct err *err)
{
    const struct config_key *k = find_key(t, name);

    if (k == NULL)
        return err_set(err, ERR_INVALID, "no configuration key '%.*s'", STR_ARG(name));
    return set_key(k, into, value, err);
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return err_sys(err, errno, "open '%s'", path);
    for (;;) {
        char part[4096];
        ssize_t got = read(fd, part, sizeof(part));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(err, errno, "read '%s'", path);
        if (got == 0)
            return 0;
        buf_add(out, part, (size_t)got);
        if (!buf_ok(out))
            return err_set(err, ERR_LIMIT, "'%s' is larger than %d bytes", path, CONFIG_FILE_MAX);
    }
}

static int set_line(const struct config_table *t, void *into, struct str line, struct err *err)
{
    struct str value, name;

    if (str_has_suffix(line, "\r")) /* written on another system */
        line.len--;
    line = str_trim(line);
    if (line.len == 0 || line.at[0] == '#')
        return 0;
    if (str_find(line, '=') < 0)
        return err_set(err, ERR_INVALID, "expected 'key = value'");
    name = str_trim(str_cut(line, '=', &value));
    return config_set(t, into, name, str_trim(value), err);
}

static int set_lines(const struct config_table *t, void *into, struct str rest, unsigned *number,
                     struct err *err)
{
    while (rest.len > 0) {
        ++*number;
        if (set_line(t, into, str_cut(rest, '\n', &rest), err) != 0)
            return -1;
    }
    return 0;
}

int config_file(const struct config_table *t, void *into, const char *path, struct err *err)
{
    struct buf text;
    unsigned line = 0;
    int result;

    buf_init(&text, CONFIG_FILE_MAX);
    result = read_file(path, &text, err);
    if (result == 0 && set_lines(t, into, buf_str(&text), &line, err) != 0)
        result = err_wrap(err, "%s:%u", path, line);
    buf_done(&text);
    return result;
}

/* "runtime.overlay" is SANDLOT_RUNTIME_OVERLAY */
static bool env_name(const char *key, char out[ENV_NAME_MAX])
{
    int len = snprintf(out, ENV_NAME_MAX, "SANDLOT_%s", key);

    if (len < 0 || len >= ENV_NAME_MAX)
        return false;
    for (char *c = out; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
        else if (*c == '.' || *c == '-')
            *c = '_';
    }
    return true;
}

int config_env(const struct config_table *t, void *into, struct err *err)
{
    for (size_t i = 0; i < t->count; i++) {
        char name[ENV_NAME_MAX];
        const char *value = env_name(t->keys[i].name, name) ? getenv(name) : NULL;

        if (value != NULL && set_key(&t->keys[i], into, str_of(value), err) != 0)
            return err_wrap(err, "environment %s", name);
    }
    return 0;
}

/* Sets the flag argv[at]; *taken is how many words it was, 0 when it is not ours. `next` is the
 * word after it, or NULL. */
static int set_flag(const struct config_table *t, void *into, const char *const words[2],
                    int *taken, struct err *err)
{
    struct str flag = str_of(words[0]);
    bool has_value = str_find(flag, '=') >= 0;
    struct str value;
    struct str name = str_from(str_cut(flag, '=', &value), 2);
    const struct config_key *k = find_key(t, name);
    bool truth;

    *taken = 0;
    if (!str_has_prefix(flag, "--") || k == NULL)
        return 0;
    *taken = 1;
    if (!has_value && k->type == CONFIG_BOOL &&
        (words[1] == NULL || !parse_bool(str_of(words[1]), &truth))) {
        value = STR("true");
    } else if (!has_value) {
        if (words[1] == NULL)
            return err_set(err, ERR_INVALID, "--%s needs a value", k->name);
        value = str_of(words[1]);
        *taken = 2;
    }
    if (set_key(k, into, value, err) != 0)
        return err_wrap(err, "flag");
    return 0;
}

int config_flags(const struct config_table *t, void *into, int *argc, char **argv, struct err *err)
{
    int kept = 1, at = 1;

    while (at < *argc && strcmp(argv[at], "--") != 0) {
        const char *const words[2] = {argv[at], at + 1 < *argc ? argv[at + 1] : NULL};
        int taken = 0;

        if (set_flag(t, into, words, &taken, err) != 0)
            return -1;
        if (taken == 0) {
            argv[kept++] = argv[at];
            taken = 1;
        }
        at += taken;
    }
    if (at < 2 && kept < 2 && at >= *argc)
        return 0; /* nothing but the program's name, or not even that */
    while (at < *argc)
        argv[kept++] = argv[at++];
    *argc = kept;
    argv[kept] = NULL;
    return 0;
}

void config_range(const struct config_key *k, struct buf *out)
{
    switch (k->type) {
    case CONFIG_TEXT: buf_add_text(out, "text"); break;
    case CONFIG_BOOL: buf_add_text(out, "true or false"); break;
    case CONFIG_CHOICE: buf_printf(out, "one of %s", k->choices); break;
    case CONFIG_NUMBER:
        buf_printf(out, "number from %llu to %llu", (unsigned long long)k->min,
                   (unsigned long long)k->max);
        break;
    }
}

void config_sample(const struct config_table *t, struct buf *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct config_key *k = &t->keys[i];

        buf_printf(out, "%s# %s\n# (", i > 0 ? "\n" : "", k->help);
        config_range(k, out);
        buf_printf(out, ")\n#%s = %s\n", k->name, k->fallback);
    }
}
