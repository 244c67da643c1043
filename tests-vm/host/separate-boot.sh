# SPDX-License-Identifier: MIT OR Apache-2.0
# separate-boot BOOT OPTIONS: moves /boot of the disk that is the working directory into the new image BOOT, with room
# for two kernels with their initramfs, and has the default deployment mount it with these options.
image=$1 options=$2

truncate --size=160M "$image"
# One block a small file: what fits is known.
mkfs.ext4 -q -b 4096 -m 0 -L ostree-boot "$image"
boot=$(mktemp -d)
trap 'umount "$boot"; rmdir "$boot"' EXIT
mount -o loop "$image" "$boot"
cp -a boot/. "$boot"
find boot -mindepth 1 -delete
for deployment in ostree/boot.?/*/*/0; do
    echo "LABEL=ostree-boot /boot ext4 $options 0 2" >>"$deployment/etc/fstab"
done
