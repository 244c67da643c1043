# SPDX-License-Identifier: MIT OR Apache-2.0
# on-disk IMAGE COMMAND...: runs a command with the image's file system as its working directory, in a mount namespace
# of its own.
image=$1
shift
root=$(mktemp -d)
trap 'cd /; umount "$root"; rmdir "$root"' EXIT
mount -o loop "$image" "$root"
cd "$root"
"$@"
