/* SPDX-License-Identifier: Apache-2.0 */
/* base/log: what arrives on stderr, byte by byte. */
#include <errno.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/log.h"
#include "test.h"

enum { OUTPUT_MAX = 65536 };

static char output[OUTPUT_MAX];
static int pipe_fds[2] = {-1, -1};
static int real_stderr = -1;

/* Everything on stderr goes into a pipe until end_capture(). */
static void begin_capture(void)
{
    CHECK(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == 0);
    real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    CHECK(real_stderr >= 0);
    CHECK(dup2(pipe_fds[1], STDERR_FILENO) == STDERR_FILENO);
}

static struct str end_capture(void)
{
    ssize_t len;

    ignore(dup2(real_stderr, STDERR_FILENO));
    len = read(pipe_fds[0], output, sizeof(output));
    own_close_fd(&real_stderr);
    own_close_fd(&pipe_fds[0]);
    own_close_fd(&pipe_fds[1]);
    return (struct str){output, len < 0 ? 0 : (size_t)len};
}

static bool is_digits(struct str s, const char *shape)
{
    for (size_t i = 0; shape[i] != '\0'; i++) {
        if (i >= s.len)
            return false;
        if (shape[i] == '0' ? s.at[i] < '0' || s.at[i] > '9' : s.at[i] != shape[i])
            return false;
    }
    return true;
}

static void writes_for_people(void)
{
    struct str line;

    log_setup("edge", LOG_LEVEL_INFO, LOG_FORMAT_HUMAN);
    begin_capture();
    log_info("sandbox.started", "id=%s took_us=%u", "i1", 5);
    line = end_capture();
    CHECK(is_digits(line, "00:00:00.000 "));
    CHECK(str_is(str_from(line, 13), "INFO  edge sandbox.started id=i1 took_us=5\n"));
    begin_capture();
    log_error("bad", "%s", "");
    line = end_capture();
    CHECK(str_is(str_from(line, 13), "ERROR edge bad\n"));
}

static void writes_for_machines(void)
{
    struct str line;

    log_setup("api", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    begin_capture();
    log_warn("a.b", "path=\"%s\"", "x\\y");
    line = end_capture();
    CHECK(is_digits(line, "{\"ts\":\"0000-00-00T00:00:00.000Z\","));
    CHECK(str_is(str_from(line, 33), "\"level\":\"warn\",\"role\":\"api\",\"event\":\"a.b\","
                                     "\"message\":\"path=\\\"x\\\\y\\\"\"}\n"));
}

static void escapes_what_could_forge_lines(void)
{
    static const char hostile[] = "a\nb\x1b[2J\x7f\tc\xc3\xa4\xff\xc2\x9b\r";
    struct str line;

    log_setup("r", LOG_LEVEL_INFO, LOG_FORMAT_HUMAN);
    begin_capture();
    log_info("e", "%s", hostile);
    line = end_capture();
    CHECK(str_is(str_from(line, 13),
                 "INFO  r e a\\nb\\x1b[2J\\x7f\\tc\xc3\xa4\\xff\\xc2\\x9b\\x0d\n"));
    log_setup("r", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    begin_capture();
    log_info("e", "%s", hostile);
    line = end_capture();
    CHECK(str_has_suffix(line, "\"message\":\"a\\nb\\u001b[2J\\u007f\\tc\xc3\xa4\\u00ff\\u00c2"
                               "\\u009b\\u000d\"}\n"));
}

static void leaves_out_what_is_below_the_level(void)
{
    log_setup("r", LOG_LEVEL_WARN, LOG_FORMAT_HUMAN);
    begin_capture();
    log_debug("e", "x=%d", 1);
    log_info("e", "x=%d", 1);
    CHECK(end_capture().len == 0);
    begin_capture();
    log_warn("e", "x=%d", 1);
    log_error("e", "x=%d", 1);
    CHECK(end_capture().len > 0);
    log_setup("r", LOG_LEVEL_DEBUG, LOG_FORMAT_HUMAN);
    begin_capture();
    log_debug("e", "x=%d", 1);
    CHECK(str_has_suffix(end_capture(), "DEBUG r e x=1\n"));
}

static void bounds_the_line(void)
{
    static char text[9000];

    for (int round = 0; round < 4; round++) {
        struct str line;
        bool is_json = round % 2 == 1;

        memset(text, round < 2 ? 'x' : '\x01', sizeof(text) - 1);
        log_setup("r", LOG_LEVEL_INFO, is_json ? LOG_FORMAT_JSON : LOG_FORMAT_HUMAN);
        begin_capture();
        log_info("e", "%s", text);
        line = end_capture();
        CHECK(line.len > 2000 && line.len <= 4096);
        CHECK(str_has_suffix(line, is_json ? "...\"}\n" : "...\n"));
        CHECK(str_find(line, '\n') == (ssize_t)line.len - 1);
        CHECK(utf8_valid(line));
    }
}

static void keeps_quiet_when_stderr_is_gone(void)
{
    begin_capture();
    ignore(close(STDERR_FILENO));
    log_error("e", "x=%d", 1);
    CHECK(end_capture().len == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"writes for people",                  writes_for_people                 },
        {"writes for machines",                writes_for_machines               },
        {"escapes what could forge lines",     escapes_what_could_forge_lines    },
        {"leaves out what is below the level", leaves_out_what_is_below_the_level},
        {"bounds the line",                    bounds_the_line                   },
        {"keeps quiet when stderr is gone",    keeps_quiet_when_stderr_is_gone   },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
