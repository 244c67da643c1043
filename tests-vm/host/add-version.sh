# SPDX-License-Identifier: MIT OR Apache-2.0
# add-version OSTREE REPO REF VERSION CHANGES: commits to REF what it holds with the directory CHANGES over it, as this
# version; prints the checksums of the commit before and of the new one.
ostree=$1 repo=$2 ref=$3 version=$4 changes=$5

"$ostree" --repo="$repo" rev-parse "$ref"
"$ostree" --repo="$repo" commit --branch="$ref" --subject="Version $version" \
    --add-metadata-string=version="$version" --tree=ref="$ref" --tree=dir="$changes" >/dev/null
"$ostree" --repo="$repo" rev-parse "$ref"
