# SPDX-License-Identifier: MIT OR Apache-2.0
# In version 1.
show 'cat /etc/issue.net'
show 'echo "edited by hand" >>/etc/issue'
show 'mount --mkdir -o ro LABEL=updates /run/updates'
show 'ostree admin upgrade --stage'
show_on_terminal 'ostree admin status'
show 'echo "edited while the update waits" >>/etc/issue'
leave reboot
