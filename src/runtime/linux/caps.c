/* SPDX-License-Identifier: Apache-2.0 */
/* See caps.h. */
#include "runtime/linux/caps.h"

#include <linux/capability.h>

#include "base/own.h"

struct cap_row {
    unsigned bit;
    bool needs_userns; /* reaches the host when root is the host's root */
};

static const struct cap_row caps[] = {
    {CAP_CHOWN,            false},
    {CAP_DAC_OVERRIDE,     false},
    {CAP_FSETID,           false},
    {CAP_FOWNER,           false},
    {CAP_MKNOD,            true },
    {CAP_NET_RAW,          false},
    {CAP_SETGID,           false},
    {CAP_SETUID,           false},
    {CAP_SETFCAP,          false},
    {CAP_SETPCAP,          false},
    {CAP_NET_BIND_SERVICE, false},
    {CAP_SYS_CHROOT,       false},
    {CAP_KILL,             false},
    {CAP_AUDIT_WRITE,      true },
};

uint64_t caps_kept(bool has_userns)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < COUNT_OF(caps); i++) {
        if (has_userns || !caps[i].needs_userns)
            mask |= UINT64_C(1) << caps[i].bit;
    }
    return mask;
}
