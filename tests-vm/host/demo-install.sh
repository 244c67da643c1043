# SPDX-License-Identifier: MIT OR Apache-2.0
# An empty disk gets a system that follows that repository.
format disk.raw ostree-root
attach disk.raw root
attach updates.raw updates
show 'ostree admin init-fs --modern root'
show 'ostree admin --sysroot=root stateroot-init debian'
show 'ostree --repo=root/ostree/repo config set sysroot.bootprefix true'
show 'ostree --repo=root/ostree/repo remote add --no-gpg-verify updates file:///run/updates/repo'
show 'ostree --repo=root/ostree/repo pull-local --remote=updates updates/repo debian'
show 'ostree admin --sysroot=root deploy --os=debian --karg=root=LABEL=ostree-root --karg=rw updates:debian'
show 'ostree admin --sysroot=root status --long'
