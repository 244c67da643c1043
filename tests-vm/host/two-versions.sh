# SPDX-License-Identifier: MIT OR Apache-2.0
# two-versions OSTREE TREE FIRST SECOND: on the disk that is the working directory, deploys the tree TREE with the
# directory FIRST over it in place of what is there, and commits that with the directory SECOND over it; prints the
# checksum of the latter. The ref of both is `bench`.
ostree=$1 tree=$2 first=$3 second=$4

"$ostree" --repo=ostree/repo commit --branch=bench --tree=dir="$tree" --tree=dir="$first" >&2
"$ostree" admin --sysroot=. deploy --os=debian bench >&2
"$ostree" admin --sysroot=. undeploy 1 >&2
"$ostree" --repo=ostree/repo commit --branch=bench --tree=ref=bench --tree=dir="$second" >&2
"$ostree" --repo=ostree/repo rev-parse bench
