# SPDX-License-Identifier: MIT OR Apache-2.0
# What the parts of the demo in the guest share, put in front of each of them.

# show COMMAND: a section named like what is typed.
show() { section "$1" sh -c "$1"; }

# The same on a terminal, where some commands say more.
show_on_terminal() { section "$1" script --quiet --return --command "$1" /dev/null; }

# leave HOW: ends this boot. Without a message bus, which this small system does not have, systemctl says that it goes
# another way.
leave() { section "systemctl $1" sh -c "systemctl $1 2>/dev/null"; }

show 'systemctl is-system-running --wait'
show_on_terminal 'ostree admin status'
