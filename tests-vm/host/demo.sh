# SPDX-License-Identifier: MIT OR Apache-2.0
# What the parts of the demo on the host share, put in front of each of them. Each runs in a mount namespace of its own,
# in a directory for the demo's files.
exec 2>&1

# show COMMAND: says what is typed, and does it.
show() {
    echo "@@ section $1"
    eval "$1"
    echo "@@ status 0"
}

mounted=
trap 'for point in $mounted; do umount "$point"; done' EXIT

# attach IMAGE DIRECTORY: mounts the file system of an image.
attach() {
    mkdir -p "$2"
    mount -o loop "$1" "$2"
    mounted="$2 $mounted"
}

# format IMAGE LABEL: an empty file system.
format() {
    truncate --size=2G "$1"
    mkfs.ext4 -q -L "$2" "$1"
}
