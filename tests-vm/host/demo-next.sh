# SPDX-License-Identifier: MIT OR Apache-2.0
# The second commit: the first one, with some files over it.
attach updates.raw updates
show 'mkdir -p changes/usr/etc changes/usr/share/doc'
show 'echo "Welcome to version 2" >changes/usr/etc/issue.net'
show 'echo "What is new in version 2" >changes/usr/share/doc/news'
show 'ostree --repo=updates/repo commit --branch=debian --add-metadata-string=version=2 --tree=ref=debian --tree=dir=changes'
show 'ostree --repo=updates/repo diff debian^ debian'
