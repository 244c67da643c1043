# SPDX-License-Identifier: MIT OR Apache-2.0
# newer-kernel TREE MODULES SCRATCH SCRIPT OSTREE REF: lays a kernel, the directory of which is in MODULES, over TREE in place of
# its own, makes an initramfs for it by SCRIPT, and commits all of it to REF in the new repository SCRATCH/repo. In a mount
# namespace of its own.
tree=$1 modules=$2 scratch=$3 script=$4 ostree=$5 ref=$6

mkdir "$scratch/layer" "$scratch/work" "$scratch/root"
root=$scratch/root
mount -t overlay -o "lowerdir=$tree,upperdir=$scratch/layer,workdir=$scratch/work" overlay "$root"
rm -rf "$root"/usr/lib/modules/*
cp -a "$modules/." "$root/usr/lib/modules"

# What a commit does not hold is needed while the script runs.
mkdir "$root/etc"
mount --bind "$root/usr/etc" "$root/etc"
for directory in var tmp run; do
    mount -t tmpfs tmpfs "$root/$directory"
done
mkdir "$root/var/tmp"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
cp "$script" "$root/tmp/script"
chroot "$root" sh /tmp/script
for directory in dev sys proc run tmp var etc; do
    umount --recursive --lazy "$root/$directory"
done
rmdir "$root/etc"

"$ostree" --repo="$scratch/partial" init --mode=bare
"$ostree" --repo="$scratch/partial" commit --branch="$ref" --subject="A Debian system with a newer kernel" "$root"
umount "$root"
mv "$scratch/partial" "$scratch/repo"
