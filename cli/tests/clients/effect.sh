# SPDX-License-Identifier: MIT OR Apache-2.0
# Prints what is in the working directory, so that two runs of a row can be compared. `ostree` are the C tools.
shopt -s nullglob
export LC_ALL=C
# Names of objects say what is in them. What ours keeps in reserve, caches and locks are no effect.
find . \( -path '*/repo/tmp/*' -o -path './*/tmp/*' -o -path '*/objects/*' -o -path '*/extensions/*' \
    -o -path ./sysroot/boot -o -path ./sysroot/ostree -o -name .reserve -o -name uncompressed-objects-cache \
    -o -name .lock -o -name lock -o -name '*.tmp' \) -prune -o -printf '%p %y %m %U:%G %l\n' | sort
# A commit of a collection's metadata has the time of the run in it, and so has a summary, which is read instead.
clocked=$(cat ./*/refs/heads/ostree-metadata | sed 's,^..,&/,')
find . -path '*/objects/??/*' ! -path './sysroot/*' ! -path "*/objects/${clocked:-none}.commit" -printf '%p\n' | sort
for summary in ./*/summary; do
    ostree --repo="${summary%/summary}" summary --view | sed '/last-modified/d; /ostree-metadata/,/^$/d'
done
find . \( -path '*/objects' -o -path '*/tmp' -o -path ./sysroot/boot -o -path ./sysroot/ostree \
    -o -name uncompressed-objects-cache -o -name .reserve \) -prune -o \
    -type f ! -name .lock ! -name summary ! -name ostree-metadata -print0 | sort -z | xargs -0r sha256sum

# Of a system, what its boot entries lead to: ours keeps former entries and trees until the next boot was a good one.
ostree admin --sysroot=sysroot status
cd sysroot || exit
find ostree/deploy -maxdepth 2 ! -name backing -printf '%p %y %m %U:%G\n' | sort
cat ostree/repo/config
find ostree/repo/refs \( -path '*/heads/ostree' \) -prune -o -type f -printf '%p ' -exec cat {} \; | sort
for entry in boot/loader/entries/*; do
    sed 's,ostree/boot\.[01]/,ostree/boot.N/,' "$entry"
    deployment=$(readlink -f "./$(sed -n 's/.* ostree=\([^ ]*\).*/\1/p' "$entry")")
    cat "$deployment.origin"
    (cd "$deployment" && find . \( -path ./proc -o -path ./usr \) -prune -o -type f -print0 | sort -z | xargs -0r sha256sum)
done
