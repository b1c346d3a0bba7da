/* SPDX-License-Identifier: Apache-2.0 */
/* Images in files: an OCI layout or a docker-archive (as directory or tar file, perhaps
 * compressed), a plain root file system as tar file; and what was pushed to us. */
#ifndef IMAGE_BUNDLE_H
#define IMAGE_BUNDLE_H

#include "image/maker.h"

/* fd: of the directory, or of the file at its start. What it is, is told by what is in it. */
must_check int bundle_make(struct maker *m, int fd, struct err *err);
/* dir_fd: blobs/sha256/HEX, and tags/TAG that holds the digest of a manifest. */
must_check int bundle_make_pushed(struct maker *m, int dir_fd, struct str tag, struct err *err);

#endif
