#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# install.sh TREE PACKAGES: installs packages, with a comma between each two, in a Debian tree that has apt sources.
set -eu
tree=$1
mount -t proc proc "$tree/proc"
trap 'umount "$tree/proc"' EXIT
cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' > "$tree/usr/sbin/policy-rc.d"
chmod 755 "$tree/usr/sbin/policy-rc.d"
# shellcheck disable=SC2046 # a word a package
chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y --no-install-recommends install $(printf %s "$2" | tr , ' ')
rm "$tree/usr/sbin/policy-rc.d" "$tree/etc/resolv.conf"
