#!/bin/busybox sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The shortest way to a deployment: mount the disk, prepare the root, go there, run the scenario's script.
export PATH=/bin:/usr/lib/ostree
/bin/busybox --install -s /bin

fail() {
    echo "busybox initrd: $*"
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run
insmod /virtio_blk.ko || fail "insmod failed"
tries=0
until root=$(findfs LABEL=ostree-root 2>/dev/null); do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail "no disk"
    sleep 0.1
done
mount -t ext4 -o rw "$root" /sysroot || fail "mounting $root failed"
# From a disk of its own, if there is one.
mkdir /run/payload
for serial in /sys/block/vd*/serial; do
    [ "$(cat "$serial")" = payload ] || continue
    disk=${serial%/serial}
    tar -xf "/dev/${disk##*/}" -C /run/payload || fail "unpacking the payload failed"
done
[ -e /run/payload/run.sh ] || cp /payload/* /run/payload
ostree-prepare-root /sysroot || fail "ostree-prepare-root failed with status $?"
for dir in proc sys dev run; do
    mount --move "/$dir" "/sysroot/$dir" || fail "moving /$dir failed"
done
exec switch_root /sysroot /bin/sh -c '/bin/sh /run/payload/run.sh; exec /usr/bin/busybox poweroff -f'
