# SPDX-License-Identifier: MIT OR Apache-2.0
# In version 1 again.
show 'cat /etc/issue.net'
show 'grep edited /etc/issue'
show '! ls /usr/share/doc/news'
show 'findmnt --output TARGET,FSROOT,OPTIONS --types ext4 --list'
leave poweroff
