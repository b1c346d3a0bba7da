/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP echo of a sandbox. Loopback would answer in the name of any machine, so the rules stop it
 * and we say the truth: it is not carried. */
#include "egress/outlet.h"

void echo_request(struct outlet *o, const struct wire *echo)
{
    char *out = o->egress->answer;

    outlet_send(o, out, wire_unreachable(echo, WIRE_FORBIDDEN, out));
}
