/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from a file and from the environment (AC-34, AC-32): hashed when they are read, never
 * written to the store. The format is that of key_text.h.
 *
 * The file is looked at every KEY_IMPORT_LOOK_MS and read again when it has changed and then stayed
 * the same for one more look, so that a file that is being written is not read half; and every
 * KEY_IMPORT_AGAIN_MS in any case. It is followed through symbolic links each time: a Secret that
 * is mounted by Kubernetes changes by a swap of "..data". What is no longer in it is no longer
 * valid; so is everything when the file is gone. A key that is in the store as well keeps what the
 * store says, so one that was revoked stays revoked.
 *
 * Entries that cannot be used are skipped and told as an event, without their text. */
#ifndef DOMAIN_KEY_IMPORT_H
#define DOMAIN_KEY_IMPORT_H

struct domain;

enum {
    KEY_IMPORT_LOOK_MS = 500,
    KEY_IMPORT_AGAIN_MS = 5 * 60 * 1000,
    KEY_IMPORT_MAX = 1 << 20, /* bytes of the file */
    KEY_IMPORT_KEYS_MAX = 10000,
};

/* Reads both, before the first request. A file that cannot be read is an event, not the end. */
void key_import_start(struct domain *d);
/* Soon: there is a team that was not there before. */
void key_import_again(struct domain *d);
void key_import_done(struct domain *d);

#endif
