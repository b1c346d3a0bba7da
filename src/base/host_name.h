/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts, and the patterns of names that an egress rule may hold (wire.md 7.5): "a.b",
 * "*.a.b" or "*". Pure; ASCII, upper and lower case are the same. A name with a dot at its end is
 * none. */
#ifndef BASE_HOST_NAME_H
#define BASE_HOST_NAME_H

#include "base/str.h"

enum {
    HOST_NAME_MAX_LEN = 253, /* RFC 1035 2.3.4, without the last dot */
    HOST_LABEL_MAX = 63,
};

/* Letters, digits, '-' and '_' in labels of 1 to 63. A last label that begins with a digit makes an
 * address, perhaps a broken one, and is refused. */
bool host_name_is_good(struct str name);
/* A good name, "*." before a good name, or "*". */
bool host_pattern_is_good(struct str pattern);
/* "*" matches every good name; "*.a.b" those below a.b, however deep, and not a.b itself; others
 * their own name. What is not a good name matches nothing. */
bool host_pattern_matches(struct str pattern, struct str name);

#endif
