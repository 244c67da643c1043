# SPDX-License-Identifier: MIT OR Apache-2.0
# In version 2.
show 'cat /usr/share/doc/news'
show 'cat /etc/issue.net'
show 'grep edited /etc/issue'
show 'ostree admin rollback'
show_on_terminal 'ostree admin status'
leave reboot
