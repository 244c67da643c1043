#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# enter.sh BASE SCRATCH PROGRAMS SECONDS LABELS COMMAND: runs the command of a test in a Debian tree whose files stay as they are. It is
# started in mount, pid, network and IPC namespaces of its own, with which all of its mounts and processes go. SCRATCH, a directory
# on a file system with extended attributes, takes what is written; the programs in PROGRAMS, laid out as for installation, take
# the place of those of the tree, unless it is `-`. LABELS is `labels` for a test that shall find that labels can be set.
set -eu
base=$1
scratch=$2
programs=$3
seconds=$4
labels=$5
command=$6

mkdir -p "$scratch/upper" "$scratch/work" "$scratch/root" "$scratch/tmp"
root=$scratch/root
mount -t overlay -o "lowerdir=$base,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
# Overlays take no hard links to files below, and no attributes of some kinds: tests write to a plain directory.
mount --bind "$scratch/tmp" "$root/var/tmp"
mkdir -p "$root/var/tmp/work"
ip link set lo up 2>/dev/null || true
if [ "$programs" != - ]; then
    for dir in usr/bin usr/lib/ostree usr/libexec; do
        [ ! -d "$programs/$dir" ] || cp -a "$programs/$dir/." "$root/$dir/"
    done
fi
# libtest asks whether labels can be set by setting the one that a file has; without SELinux a file has none, and labels can be set
# all the same.
if [ "$labels" = labels ]; then
mv "$root/usr/bin/getfattr" "$root/usr/bin/getfattr.real"
cat > "$root/usr/bin/getfattr" <<'END'
#!/bin/sh
case "$*" in
    *'-n security.selinux testlabel.txt') printf '# file: testlabel.txt\nsecurity.selinux=0sc3lzdGVtX3U6b2JqZWN0X3I6dG1wX3Q6czAA\n\n' ;;
    *) exec getfattr.real "$@" ;;
esac
END
chmod 755 "$root/usr/bin/getfattr"
fi
# Their trees have no mount points for a system that boots.
exec timeout --kill-after=5 "$seconds" chroot "$root" env -i LC_ALL=C.UTF-8 TERM=dumb HOME=/root USER=root LOGNAME=root \
    OSTREE_SYSROOT_OPTS=no-preflight PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    sh -c "cd /var/tmp/work && $command" </dev/null
