#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# session.sh SYSROOT DEPLOYMENT KIT OUT PEER: a shell in namespaces of its own that reads commands from standard input.
#
# With a DEPLOYMENT (a path below SYSROOT) that is its root, put together as the initramfs and systemd do it, with the
# programs of this machine in /usr; without, it sees this machine and is going to work on SYSROOT from outside.
# KIT is at /run/kit, OUT at /run/out, PEER (unless empty) at /run/peer.
set -eu
sysroot=$1 deployment=$2 kit=$3 out=$4 peer=$5

boot_id=$out/boot-id
cat /proc/sys/kernel/random/uuid >"$boot_id"
if [ -n "$deployment" ]; then
    new=$out/new
    mkdir -p "$new"
    mount --bind "$sysroot/$deployment" "$new"
    mount --bind "$sysroot" "$new/sysroot"
    mount --bind "$sysroot/boot" "$new/boot"
    mount -t tmpfs tmpfs "$new/run"
    mount -t proc proc "$new/proc"
    mount --rbind /dev "$new/dev"
    mount --rbind /sys "$new/sys"
    mount --rbind /usr "$new/usr"
    : >"$new/run/ostree-booted"
else
    new=
    mount -t proc proc /proc
    # Nothing of this machine's state; the mount points that follow are below others.
    mount -t tmpfs tmpfs /run
fi
mkdir -p "$new/run/kit" "$new/run/out" "$new/run/peer"
mount --bind "$kit" "$new/run/kit"
mount --bind "$out" "$new/run/out"
[ -z "$peer" ] || mount --bind "$peer" "$new/run/peer"
mount --bind "$boot_id" "$new/proc/sys/kernel/random/boot_id"
mount --bind "$out/cmdline" "$new/proc/cmdline"

export PATH=/run/kit:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TZ=UTC
if [ -n "$deployment" ]; then
    export REPO=/sysroot/ostree/repo OSTREE_SYSROOT=/
    exec chroot "$new" /usr/bin/sh
fi
export REPO="$sysroot/ostree/repo" OSTREE_SYSROOT="$sysroot"
exec /bin/sh
