# SPDX-License-Identifier: MIT OR Apache-2.0
# install OSTREE REPO REF BOOTPREFIX ARGUMENT...: a sysroot with one deployment in the file system that is the working
# directory, written by our `ostree` alone; the arguments are the kernel's.
ostree=$1 repo=$2 ref=$3 bootprefix=$4
shift 4

"$ostree" admin init-fs --modern .
"$ostree" admin --sysroot=. stateroot-init debian
"$ostree" --repo=ostree/repo config set sysroot.bootprefix "$bootprefix"
"$ostree" --repo=ostree/repo pull-local "$repo" "$ref"
for argument; do
    set -- "$@" "--karg=$argument"
    shift
done
"$ostree" admin --sysroot=. deploy --os=debian "$@" "$ref"
