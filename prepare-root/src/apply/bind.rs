// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bind mounts, with descriptors where the kernel has the calls and with paths where it has not.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use kernel::mount_setattr::{MountAttributes, mount_setattr};
use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_bind,
    mount_bind_recursive, mount_change, mount_move, mount_remount, move_mount, open_tree,
};

use crate::calls::{Calls, attempt};
use crate::plan::{Access, Mount, Source};

/// A directory below the physical root; an empty path is the root itself.
pub(super) struct From<'a> {
    /// The physical root.
    pub(super) root: BorrowedFd<'a>,
    /// Its absolute path, for kernels that need one.
    pub(super) root_path: &'a Path,
    /// The part of it that is mounted, through no link.
    pub(super) path: &'a str,
}

/// Mounts `from` at `at` with the attributes that `mount` names.
pub(super) fn bind(from: &From<'_>, at: &Path, mount: &Mount, calls: &Calls) -> Result<(), Errno> {
    let recursive = mount.source == Source::PhysicalRoot;
    let Some(tree) = attempt(calls.open_tree, || clone(from, recursive))? else {
        attach_by_path(from, at, recursive)?;
        return change_by_path(at, mount);
    };
    let attributes = attributes(mount);
    let changed = attributes == MountAttributes::KEEP
        || attempt(calls.mount_setattr, || mount_setattr(tree.as_fd(), &attributes))?.is_some();
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&tree, "", CWD, at, flags)?;
    if changed { Ok(()) } else { change_by_path(at, mount) }
}

/// Moves the mount at `from` to `to`.
pub(super) fn move_to(from: &Path, to: &Path, calls: &Calls) -> Result<(), Errno> {
    // The mount point is what the administrator named, and may be a link, as for mount(2).
    let flags = MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    let moved = attempt(calls.open_tree, || move_mount(CWD, from, CWD, to, flags))?;
    moved.map_or_else(|| mount_move(from, to), Ok)
}

fn clone(from: &From<'_>, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    flags.set(OpenTreeFlags::AT_EMPTY_PATH, from.path.is_empty());
    open_tree(from.root, from.path, flags)
}

fn attributes(mount: &Mount) -> MountAttributes {
    let readonly = MountAttrFlags::MOUNT_ATTR_RDONLY;
    let mut attributes = MountAttributes::KEEP;
    match mount.access {
        Access::Keep => {}
        Access::ReadOnly => attributes.set = readonly,
        Access::Writable => attributes.clear = readonly,
    }
    if mount.shared {
        attributes.propagation = MountPropagationFlags::SHARED;
    }
    attributes
}

fn attach_by_path(from: &From<'_>, at: &Path, recursive: bool) -> Result<(), Errno> {
    // Joining an empty path would add a slash, and with it follow a link.
    let source =
        if from.path.is_empty() { from.root_path.to_owned() } else { from.root_path.join(from.path) };
    if recursive { mount_bind_recursive(source, at) } else { mount_bind(source, at) }
}

fn change_by_path(at: &Path, mount: &Mount) -> Result<(), Errno> {
    match mount.access {
        Access::Keep => {}
        Access::ReadOnly => mount_remount(at, kept_flags(at)? | MountFlags::BIND | MountFlags::RDONLY, "")?,
        Access::Writable => mount_remount(at, kept_flags(at)? | MountFlags::BIND, "")?,
    }
    if mount.shared { mount_change(at, MountPropagationFlags::SHARED) } else { Ok(()) }
}

fn kept_flags(at: &Path) -> Result<MountFlags, Errno> {
    Ok(named_again(rustix::fs::statvfs(at)?.f_flag))
}

/// The attributes that a remount by path must name again, because it drops those it does not name (the `atime`
/// ones excepted, which it keeps when none of them is named).
pub fn named_again(present: StatVfsMountFlags) -> MountFlags {
    let pairs = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    ];
    pairs.into_iter().filter(|(flag, _)| present.contains(*flag)).map(|(_, flag)| flag).collect()
}
