# Rooms for tests: a fresh Debian in its own mount, pid, ipc and uts namespaces. To be sourced.

# Making one takes a minute or more: for a day one is kept beside the build, as all rooms begin alike.
room_base() { # room_base SUITE: prints the path of its archive
    local base=$root/build/rooms/$1.tar
    if [ -z "$(find "$base" -mtime -1 2>/dev/null)" ]; then
        mkdir -p "$root/build/rooms" &&
            mmdebstrap --mode=root --variant=minbase --quiet --dpkgopt=force-unsafe-io --include=make,ca-certificates \
                "$1" "$base.$$.tar" >&2 && mv "$base.$$.tar" "$base" ||
            { rm -f "$base.$$.tar"; return 1; }
    fi
    echo "$base"
}

room_make() { # room_make DIRECTORY SUITE, from the package mirror of this machine
    local room=$1 base
    base=$(room_base "$2") && mkdir -p "$room" && tar x --numeric-owner -C "$room" -f "$base" || return
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
