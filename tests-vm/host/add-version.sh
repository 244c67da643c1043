# SPDX-License-Identifier: MIT OR Apache-2.0
# add-version OSTREE REF CHANGES: commits to REF what it holds with the directory CHANGES over it, in the repository of
# the disk that is the working directory; prints the checksums of the commit before and of the new one.
ostree=$1 ref=$2 changes=$3

"$ostree" --repo=ostree/repo rev-parse "$ref"
"$ostree" --repo=ostree/repo commit --branch="$ref" --subject="The next version" \
    --tree=ref="$ref" --tree=dir="$changes" >/dev/null
"$ostree" --repo=ostree/repo rev-parse "$ref"
