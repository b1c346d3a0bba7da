# Rooms for tests: a fresh Debian in its own mount, pid, ipc and uts namespaces. To be sourced.

room_make() { # room_make DIRECTORY SUITE PACKAGES, from the package mirror of this machine
    local room=$1
    mmdebstrap --mode=root --variant=minbase --quiet --dpkgopt=force-unsafe-io --include="$3" "$2" "$room" || return
    cp /etc/resolv.conf "$room/etc/resolv.conf"
    cp /etc/hosts "$room/etc/hosts"
    # Who this machine trusts and where its packages come from is not part of what is tested.
    cp /usr/local/share/ca-certificates/*.crt "$room/usr/local/share/ca-certificates/" 2>/dev/null
    chroot "$room" update-ca-certificates >/dev/null 2>&1
    [ ! -f /root/.npmrc ] || cp /root/.npmrc "$room/root/.npmrc"
}

room_inside() { # room_inside DIRECTORY COMMAND…: as a container would, in namespaces that end with it
    unshare --mount --pid --ipc --uts --fork --kill-child bash -c '
        room=$1; shift
        mount --make-rprivate / && mount --rbind "$room" "$room" && cd "$room" &&
            mount -t proc proc proc && mount --rbind /sys sys && mount --rbind /dev dev &&
            mount -t tmpfs tmpfs run && mkdir -p .outside && pivot_root . .outside || exit 1
        exec /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            HOME=/root LANG=C.UTF-8 CI="'"${CI:-}"'" SANDLOT_CLEAN_ROOM=1 SANDLOT_OPTIONAL_PACKAGES= SANDLOT_LISTEN=127.0.0.1:3917 \
            NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
            bash -c "umount -l /.outside && rmdir /.outside && $*"' _ "$@"
}
