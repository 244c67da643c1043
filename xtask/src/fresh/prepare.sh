#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# prepare.sh TREE SOURCES OPTIONS: gives a Debian tree its apt sources, and reads them once: later runs read what has changed.
set -eu
rm -f "$1/etc/apt/sources.list"
printf '%s' "$2" >"$1/etc/apt/sources.list.d/debian.sources"
printf '%s' "$3" >"$1/etc/apt/apt.conf.d/99-machine"
cp -L /etc/resolv.conf "$1/etc/resolv.conf"
chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 apt-get -q update
rm "$1/etc/resolv.conf"
