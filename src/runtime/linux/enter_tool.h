/* SPDX-License-Identifier: Apache-2.0 */
/* What a tool's process does between clone3 and exec, and one that executes nothing; used by
 * tool.c. They share our memory, not our descriptors. */
#ifndef RUNTIME_LINUX_ENTER_TOOL_H
#define RUNTIME_LINUX_ENTER_TOOL_H

#include <stdbool.h>

enum { ENTER_GROUPS_MAX = 8 };

struct enter_tool {
    const char *const *argv, *const *envp;
    int null_fd, output_fd;
    int held_fd;                  /* becomes TOOL_HELD_FD; -1: none */
    int groups[ENTER_GROUPS_MAX]; /* cgroup.procs of the groups to join */
    unsigned group_count;
    const char *cgroup_type, *cgroup_data; /* as in enter.h; mounted on "cgroup", NULL: not */
    bool dies_with_parent;
    const char *failed; /* the action that failed, */
    int error;          /* and its errno */
};

/* Entry of the child; returns only when something failed. */
int enter_tool(void *ctx);

struct enter_userns {
    int pidfd;          /* of a process in it */
    const char *failed; /* as above */
    int error;
};

/* Entry of a child that lets no user namespace begin below that one. */
int enter_userns(void *ctx);

#endif
