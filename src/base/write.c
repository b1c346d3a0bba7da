/* SPDX-License-Identifier: Apache-2.0 */
/* See write.h. */
#include "base/write.h"

#include <errno.h>

int write_whole(int fd, struct str data)
{
    while (data.len > 0) {
        ssize_t put = write(fd, data.at, data.len);

        if (put < 0 && errno != EINTR)
            return -1;
        data = str_from(data, put > 0 ? (size_t)put : 0);
    }
    return 0;
}
