// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mount_setattr(2)`, Linux 5.12: the attributes of a mount that is held by its descriptor, also of one that
//! is not attached to any tree yet.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags};

/// The attributes of a mount that change. Those named in neither field stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountAttributes {
    /// Attributes to set.
    pub set: MountAttrFlags,
    /// Attributes to clear.
    pub clear: MountAttrFlags,
    /// Propagation type to give, or none to keep the present one.
    pub propagation: MountPropagationFlags,
}

impl MountAttributes {
    /// Changes nothing.
    pub const KEEP: Self = Self {
        set: MountAttrFlags::empty(),
        clear: MountAttrFlags::empty(),
        propagation: MountPropagationFlags::empty(),
    };
}

/// `struct mount_attr` of `linux/mount.h` in its first version (`MOUNT_ATTR_SIZE_VER0`).
#[repr(C)]
struct RawMountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Applies `attributes` to the mount that `mount` refers to, not to the mounts below it.
///
/// `mount` is what `open_tree` or `fsmount` returned, or any descriptor of a mount's root directory.
///
/// # Errors
///
/// `ENOSYS` before Linux 5.12, `EINVAL` when `mount` is not the root of a mount, `EBUSY` when a mount with
/// open writers shall become read-only.
pub fn mount_setattr(mount: BorrowedFd<'_>, attributes: &MountAttributes) -> Result<(), Errno> {
    let raw = RawMountAttr {
        attr_set: attributes.set.bits().into(),
        attr_clr: attributes.clear.bits().into(),
        propagation: attributes.propagation.bits().into(),
        userns_fd: 0,
    };
    // SAFETY: the path is a string that ends in NUL, `raw` has the layout and the size that are passed, the
    // kernel only reads both, and the descriptor stays open for the call because it is borrowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const raw,
            size_of::<RawMountAttr>(),
        )
    };
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn the_argument_has_the_size_of_the_first_kernel_version() {
        assert_eq!(size_of::<RawMountAttr>(), 32);
    }

    #[test]
    fn a_file_that_is_no_mount_root_is_refused() {
        let file = std::fs::File::open("/proc/self/cmdline").unwrap();
        let attributes = MountAttributes { set: MountAttrFlags::MOUNT_ATTR_RDONLY, ..MountAttributes::KEEP };
        let error = mount_setattr(file.as_fd(), &attributes).unwrap_err();
        // An unprivileged caller is told so first.
        assert!([Errno::INVAL, Errno::PERM].contains(&error), "{error}");
    }
}
