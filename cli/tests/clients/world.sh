# SPDX-License-Identifier: MIT OR Apache-2.0
# Makes, with the C tools as `ostree`, what every row begins with, in the working directory.
set -eu
umask 022
export SOURCE_DATE_EPOCH=1600000000
ref=os/x86_64/standard

# tree1, tree2 and tree2m are plain trees; tree3 and newtree boot.
for tree in tree1 tree2; do
    mkdir -p $tree/usr/bin $tree/usr/etc $tree/usr/lib $tree/var
    echo "hello of $tree" > $tree/usr/bin/hello
    chmod 755 $tree/usr/bin/hello
    echo root:x:0:0:root:/root:/bin/sh > $tree/usr/etc/passwd
    echo 127.0.0.1 localhost > $tree/usr/etc/hosts
    echo NAME=test > $tree/usr/lib/os-release
    ln -s ../lib/os-release $tree/usr/etc/os-release
done
echo more > tree2/usr/bin/more
cp -a tree2 tree2m
echo changed > tree2m/usr/bin/more
boots() {
    cp -a tree1 "$1"
    mkdir -p "$1"/usr/lib/modules/6.1.0 "$1"/{boot,dev,proc,run,sys,sysroot,tmp}
    echo "kernel $2" > "$1"/usr/lib/modules/6.1.0/vmlinuz
    echo "initramfs $2" > "$1"/usr/lib/modules/6.1.0/initramfs.img
    ln -s sysroot/ostree "$1"/ostree
    for name in lib lib64 bin sbin; do ln -s usr/$name "$1"/$name; done
    printf 'NAME=test\nID=test\nPRETTY_NAME="Test %s"\n' "$2" > "$1"/usr/lib/os-release
}
boots tree3 1
boots tree4 2
boots newtree 3

# Made by time, so that a row can prune by age: one that is old, two that are not.
ostree --repo=repo init --mode=archive
commit() { ostree --repo=repo commit --owner-uid=0 --owner-gid=0 "$@" >/dev/null; }
commit -b $ref -s First --timestamp='2020-01-01 00:00:00 +0000' --add-metadata-string version=1 --tree=dir=tree3
commit -b $ref -s Second -m 'A body
of two lines' --timestamp='2021-01-01 00:00:00 +0000' --add-metadata-string version=2 \
    --add-metadata-string oe.machine=qemu --tree=dir=tree4
commit -b $ref -s Third --timestamp='2022-01-01 00:00:00 +0000' --add-metadata-string version=3 \
    --add-metadata-string oe.machine=qemu --add-detached-metadata-string my-detached-key=value --tree=dir=newtree
commit -b app/demo -s Demo --timestamp='2020-06-01 00:00:00 +0000' --tree=dir=tree2

# The same with a summary.
cp -a repo sumrepo
ostree --repo=sumrepo summary -u

ostree --repo=coll init --mode=archive --collection-id=org.test.Collection
ostree --repo=coll pull-local --depth=-1 repo $ref >/dev/null

# Repositories with a remote, and what was pulled from it.
for mode in bare bare-user archive; do
    case $mode in archive) name=empty ;; *) name=$mode ;; esac
    ostree --repo=$name init --mode=$mode
    ostree --repo=$name config set core.min-free-space-percent 0
    ostree --repo=$name remote add --no-gpg-verify --no-sign-verify origin "file://$PWD/repo" $ref
    ostree --repo=$name remote add --no-gpg-verify --no-sign-verify sum "file://$PWD/sumrepo"
    if test $name != empty; then
        ostree --repo=$name pull-local --remote=origin --depth=-1 repo $ref >/dev/null
        ostree --repo=$name pull-local --depth=-1 repo $ref app/demo >/dev/null
    fi
done

# A system with two deployments, for which the remote has a newer commit.
mkdir sysroot
ostree admin init-fs --modern sysroot
ostree admin --sysroot=sysroot os-init os
system="ostree --repo=sysroot/ostree/repo"
$system config set sysroot.bootloader none
$system config set core.min-free-space-percent 0
$system remote add --no-gpg-verify --no-sign-verify origin "file://$PWD/repo"
$system remote add --no-gpg-verify --no-sign-verify sum "file://$PWD/sumrepo"
first=$(ostree --repo=repo rev-parse $ref^^)
second=$(ostree --repo=repo rev-parse $ref^)
$system pull origin $ref@$first >/dev/null
$system refs --create localref $first
ostree admin --sysroot=sysroot deploy --os=os --karg=root=LABEL=r --karg=rw --karg=console=tty0 origin:$ref >/dev/null
$system pull origin $ref@$second >/dev/null
ostree admin --sysroot=sysroot deploy --os=os origin:$ref >/dev/null
echo mine > sysroot/ostree/deploy/os/deploy/$second.0/etc/mine
echo 127.0.0.2 other > sysroot/ostree/deploy/os/deploy/$second.0/etc/hosts
