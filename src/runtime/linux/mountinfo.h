/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of /proc/<pid>/mountinfo: used to find cgroup hierarchies and to shrink a mount
 * namespace. */
#ifndef RUNTIME_LINUX_MOUNTINFO_H
#define RUNTIME_LINUX_MOUNTINFO_H

#include "base/str.h"

enum {
    MOUNTINFO_MAX = 4 << 20, /* bytes of mountinfo we are willing to read */
};

struct mountinfo {
    struct str root;    /* path within the file system */
    struct str point;   /* where it is mounted */
    struct str type;    /* "cgroup2" */
    struct str options; /* of the superblock: "rw,cpu,cpuacct" */
};

/* Takes the next line off *text. The fields are slices of it, decoded in place (\040 is a blank),
 * so the text must be writable. False at the end; malformed lines are skipped. */
bool mountinfo_next(char **text, struct mountinfo *out);
/* Is `word` one of the comma separated options? */
bool mountinfo_has(const struct mountinfo *m, struct str word);

#endif
