#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The dracut module `ostree`: prepares the deployment that ostree= names as the root of the real system.
# Works with dracut 106 and 112.
#
# Installed as:
#   usr/lib/dracut/modules.d/50ostree/module-setup.sh  this file, mode 0755
#   usr/lib/dracut/dracut.conf.d/20-ostree.conf        dracut/20-ostree.conf, which asks for the module

# Only where it is asked for: the program alone is installed on machines that build systems for others, too.
check() {
    require_binaries /usr/lib/ostree/ostree-prepare-root || return 1
    return 255
}

depends() {
    echo systemd
    return 0
}

# Whether or not the machine that builds the image has them loaded: erofs for composefs, overlay for that and
# for hotfixes.
installkernel() {
    hostonly='' instmods erofs overlay
}

# The configuration is part of the image, so that what was verified together boots together: a change of
# prepare-root.conf counts from the next initramfs on.
# shellcheck disable=SC2154 # initdir, SYSTEMCTL and systemdsystemunitdir come from dracut
install() {
    local conf
    inst_multiple /usr/lib/ostree/ostree-prepare-root
    for conf in \
        /usr/lib/ostree/prepare-root.conf \
        /etc/ostree/prepare-root.conf \
        /etc/ostree/initramfs-root-binding.key; do
        if [[ -e "${dracutsysrootdir-}$conf" ]]; then
            inst_simple "$conf"
        fi
    done
    inst_simple "$systemdsystemunitdir/ostree-prepare-root.service"
    $SYSTEMCTL -q --root "$initdir" add-wants initrd-root-fs.target ostree-prepare-root.service
}
