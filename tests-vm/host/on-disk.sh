# SPDX-License-Identifier: MIT OR Apache-2.0
# on-disk IMAGE OPTIONS BOOT BOOT-OPTIONS COMMAND...: runs a command with the image's file system, mounted with these
# options, as its working directory, and that of the image BOOT, if it is not empty, as its boot directory; in a mount
# namespace of its own.
image=$1 options=$2 boot=$3 boot_options=$4
shift 4
root=$(mktemp -d)
trap 'cd /; umount --recursive "$root"; rmdir "$root"' EXIT
mount -o "$options" "$image" "$root"
if [ -n "$boot" ]; then
    mkdir -p "$root/boot"
    mount -o "$boot_options" "$boot" "$root/boot"
fi
cd "$root"
"$@"
