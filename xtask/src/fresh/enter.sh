#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# enter.sh BASE SCRATCH CHECKOUT COMMAND...: runs the command in a Debian tree whose files stay as they are. It is started in a
# mount namespace of its own, with which all of its mounts go. SCRATCH takes what is written; it is a directory, or
# `tmpfs` on one.
set -eu
base=$1
scratch=$2
checkout=$3
shift 3

if [ "${scratch#tmpfs:}" != "$scratch" ]; then
    scratch=${scratch#tmpfs:}
    mount -t tmpfs -o mode=755 tmpfs "$scratch"
fi
mkdir -p "$scratch/upper" "$scratch/work" "$scratch/root"
root=$scratch/root
mount -t overlay -o "lowerdir=$base,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
rm -f "$root/etc/resolv.conf"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"

# A path of this machine at a path of the tree, to read only.
show() {
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
}
show "$checkout" /checkout
# The compiler of this machine, and the crates that it has fetched, which cargo wants to lock.
if [ -n "${TOOLCHAIN-}" ]; then
    show "$TOOLCHAIN" /toolchain
    mkdir -p "$root/cargo" "$scratch/cargo-upper" "$scratch/cargo-work"
    mount -t overlay -o "lowerdir=$CRATES,upperdir=$scratch/cargo-upper,workdir=$scratch/cargo-work" overlay "$root/cargo"
fi
exec chroot "$root" env -i LC_ALL=C.UTF-8 TERM=dumb HOME=/root CARGO_HOME=/cargo CARGO_NET_OFFLINE=true \
    CARGO_TARGET_DIR=/build PATH=/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
