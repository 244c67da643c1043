# SPDX-License-Identifier: MIT OR Apache-2.0
# on-disk IMAGE BOOT COMMAND...: runs a command with the image's file system as its working directory, and that of the
# image BOOT, if it is not empty, as its boot directory; in a mount namespace of its own.
image=$1 boot=$2
shift 2
root=$(mktemp -d)
trap 'cd /; umount --recursive "$root"; rmdir "$root"' EXIT
mount -o loop "$image" "$root"
[ -z "$boot" ] || mount -o loop "$boot" "$root/boot"
cd "$root"
"$@"
