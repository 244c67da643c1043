# SPDX-License-Identifier: MIT OR Apache-2.0
# A symbolic link whose name begins as that of a whiteout is a link.
mkdir t0 c0
ln -s a t0/.wh.bin
echo 1 >c0/bin
$O --repo=r0 init --mode=bare; echo "status $?"
$O --repo=r0 commit --timestamp=@1500000000 -b m t0; echo "status $?"
$O --repo=r0 checkout --whiteouts m c1; echo "status $?"
