# SPDX-License-Identifier: MIT OR Apache-2.0
# make-disk IMAGE OSTREE REPO REF: a bare ext4 file system with one deployment, written by our `ostree` alone.
# Runs in a mount namespace of its own, so that nothing stays mounted however it ends.
image=$1 ostree=$2 repo=$3 ref=$4

rm -f "$image"
truncate --size=2G "$image"
mkfs.ext4 -q -L ostree-root "$image"
root=$(mktemp -d)
trap 'umount "$root"; rmdir "$root"' EXIT
mount -o loop "$image" "$root"

"$ostree" admin init-fs --modern "$root"
"$ostree" admin --sysroot="$root" stateroot-init debian
"$ostree" --repo="$root/ostree/repo" pull-local "$repo" "$ref"
"$ostree" admin --sysroot="$root" deploy --os=debian --karg=root=LABEL=ostree-root --karg=rw "$ref"
