# SPDX-License-Identifier: MIT OR Apache-2.0
# The sticky bit stays with -U, set-user-ID and set-group-ID do not.
mkdir t0
echo 1 >t0/a
chmod 7777 t0/a
for mode in bare archive; do
    $O --repo="r$mode" init --mode=$mode; echo "status $?"
    $O --repo="r$mode" commit --timestamp=@1500000000 -b m t0; echo "status $?"
    $O --repo="r$mode" checkout --disable-cache -U m "c$mode"; echo "status $?"
done
