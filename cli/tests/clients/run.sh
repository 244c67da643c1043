# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs a row with one tool, in a mount namespace of its own: $ROW is the script, $TOOL the tool, $TOP/w a copy of the world in
# memory, at the same path for both tools. $PRINTED.* get what the row printed, its status, and what it has changed.
set -u
umask 022
export W=$TOP/w LC_ALL=C.UTF-8 TZ=UTC SOURCE_DATE_EPOCH=1700000000
mount -t tmpfs -o mode=755 tmpfs "$W" && cp -a "$TOP/world/." "$W/" && cd "$W" || exit 99
C=$(cat repo/refs/heads/os/x86_64/standard)
C2=$(cat sysroot/ostree/repo/refs/remotes/origin/os/x86_64/standard)
C1=$(cat sysroot/ostree/repo/refs/heads/localref)
export C C1 C2
if test -n "$BOOTED"; then
    root=$TOP/root
    mount --bind "sysroot/ostree/deploy/os/deploy/$C2.0" "$root" &&
        mount --bind sysroot "$root/sysroot" &&
        mount --bind sysroot/boot "$root/boot" &&
        mount --bind sysroot/ostree/deploy/os/var "$root/var" &&
        mount -t tmpfs tmpfs "$root/run" &&
        mount -t tmpfs tmpfs "$root/tmp" &&
        mount -t proc proc "$root/proc" &&
        mount --rbind /dev "$root/dev" &&
        mount --rbind /sys "$root/sys" &&
        mount --rbind /usr "$root/usr" &&
        mkdir -p "$root$W" "$root/run/bin" "$root/run/peer" &&
        mount --bind "$W" "$root$W" &&
        mount --bind "$OSTREE_PEER_DIR" "$root/run/peer" &&
        mount --bind "$TOP/bin/booted-$TOOL" "$root/run/bin" &&
        touch "$root/run/ostree-booted" || exit 99
    cd /
    PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" bash -c "$ROW" >"$PRINTED.out" 2>"$PRINTED.err" </dev/null
    echo $? >"$PRINTED.status"
else
    PATH=$TOP/bin/$TOOL:$PATH bash -c "$ROW" >"$PRINTED.out" 2>"$PRINTED.err" </dev/null
    echo $? >"$PRINTED.status"
fi
cd "$W" && PATH=$TOP/bin/peer:$PATH bash "$TOP/effect.sh" >"$PRINTED.effect"
