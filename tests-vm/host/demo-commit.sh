# SPDX-License-Identifier: MIT OR Apache-2.0
# The tree `version-1` becomes the first commit of a repository on a disk of its own, as on a server or a stick.
format updates.raw updates
attach updates.raw updates
show 'ostree --repo=updates/repo init --mode=bare'
show 'ostree --repo=updates/repo commit --branch=debian --add-metadata-string=version=1 --tree=dir=version-1'
