/* SPDX-License-Identifier: Apache-2.0 */
/* See step_scripts.h and step.h. Semantics: wire.md 5.5, as Docker's. */
#include "build/step_scripts.h"

#include "build/step.h"

/* The archive is unpacked beside, gets its owner and mode there, and is then merged into the
 * destination: what exists is replaced, a link to a file too, a link to a directory is followed,
 * and a directory that was there keeps its owner and mode. */
const char step_copy[] =
    "set -eu\n"
    "work=/tmp/.sandlot-copy\n"
    "trap 'rm -rf \"$work\" \"$ARCHIVE\"' EXIT\n"
    "rm -rf \"$work\"; mkdir -m 0700 \"$work\"\n"
    "zip=; [ \"$(od -An -tx1 -N2 \"$ARCHIVE\" | tr -d ' \\n')\" != 1f8b ] || zip=z\n"
    "tar -x${zip}f \"$ARCHIVE\" -C \"$work\"\n"
    "src=${SRC#./}; src=${src#/}\n"
    "case $src in *[*?[]*) src=${src%%[*?[]*}; case $src in */*) src=${src%/*} ;; *) src=. ;; esac "
    ";; esac\n"
    "[ -n \"$src\" ] || src=.\n"
    "from=$work/${src%/}\n"
    "[ -e \"$from\" ] || [ -L \"$from\" ] || { echo \"COPY: '$SRC' is not in the files that were "
    "uploaded\" >&2; exit 1; }\n"
    "case $DEST in\n"
    "/*) ;;\n"
    "*) home=$(getent passwd \"$HOME_OF\" 2>/dev/null | cut -d: -f6) || home=\n"
    "   [ -n \"$home\" ] || home=$(sed -n "
    "\"s/^$HOME_OF:[^:]*:[^:]*:[^:]*:[^:]*:\\([^:]*\\):.*/\\1/p\" /etc/passwd)\n"
    "   DEST=${home:-/}/$DEST ;;\n"
    "esac\n"
    "owner=$OWNER\n"
    "case $owner in\n"
    "*:*) ;;\n"
    "?*) group=$(id -gn \"$owner\" 2>/dev/null) || group=$owner; owner=$owner:$group ;;\n"
    "esac\n"
    "if [ -d \"$from\" ] && [ ! -L \"$from\" ]; then\n"
    "    chown -Rh \"$owner\" \"$from\"\n"
    "    [ -z \"$MODE\" ] || find \"$from\" ! -type l -exec chmod \"$MODE\" {} +\n"
    "    dest=${DEST%/}\n"
    "    if [ ! -d \"$dest/\" ]; then\n"
    "        mkdir -p \"$dest\"; chown \"$owner\" \"$dest\"\n"
    "        [ -z \"$MODE\" ] || chmod \"$MODE\" \"$dest\"\n"
    "    fi\n"
    "    keep=; ! tar --version 2>/dev/null | grep -q GNU || keep='--keep-directory-symlink "
    "--no-overwrite-dir'\n"
    "    (cd \"$from\" && tar -cf - .) | (cd \"$dest/\" && tar -xpf - $keep)\n"
    "else\n"
    "    chown -h \"$owner\" \"$from\"\n"
    "    [ -z \"$MODE\" ] || [ -L \"$from\" ] || chmod \"$MODE\" \"$from\"\n"
    "    case $DEST in */) mkdir -p \"$DEST\" ;; *) mkdir -p \"$(dirname \"$DEST\")\" ;; esac\n"
    "    dest=$DEST\n"
    "    [ ! -d \"$dest\" ] || dest=${dest%/}/$(basename \"$from\")\n"
    "    if [ -d \"$dest\" ] && [ ! -L \"$dest\" ]; then echo \"COPY: '$dest' is a directory\" "
    ">&2; exit 1; fi\n"
    "    if [ -n \"$UNPACK\" ] && [ -f \"$from\" ] && tar -tf \"$from\" >/dev/null 2>&1; then\n"
    "        dest=${DEST%/}; mkdir -p \"$dest\"; tar -xf \"$from\" -C \"$dest/\"\n"
    "    else\n"
    "        rm -f \"$dest\"; mv \"$from\" \"$dest\"\n"
    "    fi\n"
    "fi\n";

const char step_user[] =
    "set -eu\n"
    "case $NAME in *[!0-9]*) ;; *) exit 0 ;; esac\n"
    "id -u \"$NAME\" >/dev/null 2>&1 && exit 0\n"
    "shell=/bin/bash; [ -x $shell ] || shell=/bin/sh\n"
    "if command -v useradd >/dev/null 2>&1; then useradd --create-home --shell $shell \"$NAME\"\n"
    "else adduser -D -s $shell \"$NAME\"; fi\n"
    "case $SUDO in 1|true|yes) mkdir -p /etc/sudoers.d; echo \"$NAME ALL=(ALL:ALL) NOPASSWD:ALL\" "
    ">\"/etc/sudoers.d/$NAME\"; chmod 0440 \"/etc/sudoers.d/$NAME\" ;; esac\n";

const char step_workdir[] =
    "set -eu\n"
    "[ ! -d \"$DIR\" ] || exit 0\n"
    "first=$DIR\n"
    "while parent=$(dirname \"$first\"); [ ! -d \"$parent\" ]; do first=$parent; done\n"
    "mkdir -p \"$DIR\"\n"
    "group=$(id -gn \"$OWNER\" 2>/dev/null) || group=$OWNER\n"
    "chown -R \"$OWNER:$group\" \"$first\"\n";

/* wire.md 5.5: the user `user`, with sudo where there is one, and what everybody may write to. */
const char step_provision[] =
    "set -eu\n"
    "shell=/bin/bash; [ -x $shell ] || shell=/bin/sh\n"
    "if ! id -u user >/dev/null 2>&1; then\n"
    "    if command -v useradd >/dev/null 2>&1; then useradd --create-home --user-group --shell "
    "$shell user\n"
    "    elif command -v adduser >/dev/null 2>&1; then adduser -D -s $shell user\n"
    "    else\n"
    "        echo 'user:x:1000:1000::/home/user:/bin/sh' >>/etc/passwd\n"
    "        echo 'user:x:1000:' >>/etc/group; mkdir -p /home/user; chown 1000:1000 /home/user\n"
    "    fi\n"
    "fi\n"
    "for group in sudo wheel admin; do ! grep -q \"^$group:\" /etc/group || { usermod -aG $group "
    "user 2>/dev/null || addgroup user $group 2>/dev/null || :; break; }; done\n"
    "mkdir -p /etc/sudoers.d /code /usr/local\n"
    "[ -e /etc/sudoers.d/user ] || { echo 'user ALL=(ALL:ALL) NOPASSWD:ALL' >/etc/sudoers.d/user; "
    "chmod 0440 /etc/sudoers.d/user; }\n"
    "chmod 0777 /code /usr/local\n";

const char step_finish[] = "set -eu\n"
                           "printf 'ENV_ID=%s\\nTEMPLATE_ID=%s\\nBUILD_ID=%s\\n' \"$TEMPLATE\" "
                           "\"$TEMPLATE\" \"$BUILD\" >/.e2b\n";
