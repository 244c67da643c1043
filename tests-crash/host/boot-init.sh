#!/bin/busybox sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The shortest way into a deployment: mount the first partition, prepare the root, say what is there.
export PATH=/bin:/usr/lib/ostree
/bin/busybox --install -s /bin

end() {
    echo "$*"
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run
insmod /virtio_blk.ko || end "insmod failed"
tries=0
until [ -b /dev/vda1 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || end "no disk"
    sleep 0.1
done
mount -t ext4 -o rw /dev/vda1 /sysroot || end "mounting failed"
ostree-prepare-root /sysroot || end "ostree-prepare-root failed with status $?"
end "booted $(sha256sum </sysroot/usr/version)"
