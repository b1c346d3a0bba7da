/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting, and the texts of errors: see small_libc.h. */
#include "envd/small_libc.h"

#include <errno.h>

#include "base/own.h"

static void swap(char *a, char *b, size_t size)
{
    while (size-- > 0) {
        char kept = *a;

        *a++ = *b;
        *b++ = kept;
    }
}

/* Heapsort: the greatest of the heap goes behind it, then the heap is put in order again. First the
 * heap is made, from its last parent to its root. */
void sort_items(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    char *base = items;
    size_t made = count / 2; /* parents that are not in order yet */

    while (count > 1) {
        size_t parent = 0, child;

        if (made > 0)
            parent = --made;
        else
            swap(base, base + --count * size, size);
        for (; (child = parent * 2 + 1) < count; parent = child) {
            if (child + 1 < count && compare(base + child * size, base + (child + 1) * size) < 0)
                child++;
            if (compare(base + parent * size, base + child * size) >= 0)
                break;
            swap(base + parent * size, base + child * size, size);
        }
    }
}

const char *error_text(int number)
{
    static const struct {
        int number;
        const char *text;
    } rows[] = {
        {EPERM,        "Operation not permitted"          },
        {ENOENT,       "No such file or directory"        },
        {EIO,          "Input/output error"               },
        {ENXIO,        "No such device or address"        },
        {E2BIG,        "Argument list too long"           },
        {ENOEXEC,      "Exec format error"                },
        {EAGAIN,       "Resource temporarily unavailable" },
        {ENOMEM,       "Cannot allocate memory"           },
        {EACCES,       "Permission denied"                },
        {EBUSY,        "Device or resource busy"          },
        {EEXIST,       "File exists"                      },
        {EXDEV,        "Invalid cross-device link"        },
        {ENOTDIR,      "Not a directory"                  },
        {EISDIR,       "Is a directory"                   },
        {EINVAL,       "Invalid argument"                 },
        {EMFILE,       "Too many open files"              },
        {ETXTBSY,      "Text file busy"                   },
        {EFBIG,        "File too large"                   },
        {ENOSPC,       "No space left on device"          },
        {EROFS,        "Read-only file system"            },
        {EPIPE,        "Broken pipe"                      },
        {ENAMETOOLONG, "File name too long"               },
        {ENOSYS,       "Function not implemented"         },
        {ENOTEMPTY,    "Directory not empty"              },
        {ELOOP,        "Too many levels of symbolic links"},
        {EOPNOTSUPP,   "Operation not supported"          },
        {EADDRINUSE,   "Address already in use"           },
        {EDQUOT,       "Disk quota exceeded"              },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].number == number)
            return rows[i].text;
    }
    return "Unknown error";
}
