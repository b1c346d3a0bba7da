/* SPDX-License-Identifier: Apache-2.0 */
/* Linked to musl for a tree without glibc: tells who runs it, as musl's libc sees it. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { GROUPS_MAX = 64 };

int main(void)
{
    const struct passwd *user = getpwuid(getuid());
    struct winsize size = {0};
    gid_t groups[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX, groups);

    printf("user=%s home=%s groups=", user == NULL ? "?" : user->pw_name, getenv("HOME"));
    for (int i = 0; i < count; i++) {
        const struct group *group = getgrgid(groups[i]);

        printf("%s%s", i == 0 ? "" : ",", group == NULL ? "?" : group->gr_name);
    }
    if (isatty(0) && ioctl(0, TIOCGWINSZ, &size) == 0)
        printf(" terminal=%dx%d", size.ws_col, size.ws_row);
    printf("\n");
    return 0;
}
