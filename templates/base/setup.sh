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

# Debian's node resolves 60,000 symbols at every start (18 ms); the build that npm packages is one file
# and starts in 4. It goes in front of Debian's when the npm registry can be reached.
case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) arch= ;; esac
if [ -n "$arch" ] && timeout 180 npm install --prefix /opt/node --no-audit --no-fund \
    --loglevel=error --fetch-retries=1 --fetch-timeout=30000 "node-linux-$arch@24" npm@11 >/tmp/npm.log 2>&1; then
    package=/opt/node/node_modules/node-linux-$arch
    rm -rf "$package/include" "$package/share"
    ln -s "$package/bin/node" /usr/local/bin/node
    ln -s /opt/node/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
    ln -s /opt/node/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
else
    echo "no npm registry: node stays Debian's $(node -v)"
    rm -rf /opt/node
fi
rm -rf /root/.npm /tmp/npm.log

printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >/etc/hosts
printf 'nameserver 127.0.0.1\n' >/etc/resolv.conf
printf 'sandbox\n' >/etc/hostname
: >/etc/machine-id

# npm and pip as a user expects them in a throw-away machine.
printf '[global]\nbreak-system-packages = true\n' >/etc/pip.conf
mkdir -p /run/e2b
