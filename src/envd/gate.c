/* SPDX-License-Identifier: Apache-2.0 */
/* Token checks, in constant time; routes.c asks before a handler runs. */
#include "envd/gate.h"

#include "envd/answer.h"
#include "envd/guest.h"

static bool has_token(const struct guest *g, const struct exchange *x)
{
    struct str wanted = g->config.access_token;

    return wanted.len == 0 || str_eq_secret(http_field(exchange_head(x), "X-Access-Token"), wanted);
}

static bool is_control(const struct guest *g, const struct exchange *x)
{
    struct str wanted = g->config.control_token;

    if (exchange_tag(x) == TAG_CONTROL)
        return true;
    return wanted.len > 0 &&
           str_eq_secret(http_field(exchange_head(x), "X-Sandlot-Control"), wanted);
}

bool gate_pass(const struct guest *g, struct exchange *x, enum gate_class gate)
{
    if (g->is_waiting && exchange_tag(x) != TAG_CONTROL) {
        answer_error(x, 503, "not started");
        return false;
    }
    if (gate == GATE_TOKEN && !has_token(g, x)) {
        answer_error(x, 401,
                     "unauthorized access, please provide a valid access token or method signing "
                     "if supported");
        return false;
    }
    if (gate == GATE_CONTROL && !is_control(g, x)) {
        answer_error(x, 404, "not found");
        return false;
    }
    return true;
}
