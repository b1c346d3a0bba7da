#!/bin/sh
# Runs inside the new tree, as root, after the packages are installed.
set -eu

useradd --uid 1000 --user-group --create-home --shell /bin/bash user
usermod --append --groups sudo,users user
printf 'user ALL=(ALL:ALL) NOPASSWD:ALL\nDefaults !fqdn\nDefaults env_keep += "E2B_*"\n' >/etc/sudoers.d/user
chmod 0440 /etc/sudoers.d/user
chmod 0755 /home/user

# Login shells run for every command: ask bash for the uid instead of starting id(1), twice.
sed -i 's/\$(id -u)/${EUID:-$(id -u)}/' /etc/profile

printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >/etc/hosts
printf 'nameserver 127.0.0.1\n' >/etc/resolv.conf
printf 'sandbox\n' >/etc/hostname
: >/etc/machine-id

# npm and pip as a user expects them in a throw-away machine.
printf '[global]\nbreak-system-packages = true\n' >/etc/pip.conf
mkdir -p /run/e2b
