/* SPDX-License-Identifier: Apache-2.0 */
/* The scripts that steps run in a sandbox: POSIX shell, GNU's tools or busybox's. What they work on
 * is in their environment, never in their text. */
#ifndef BUILD_STEP_SCRIPTS_H
#define BUILD_STEP_SCRIPTS_H

extern const char step_copy[];    /* SRC DEST OWNER MODE ARCHIVE HOME_OF UNPACK */
extern const char step_user[];    /* NAME SUDO */
extern const char step_workdir[]; /* DIR OWNER */

#endif
