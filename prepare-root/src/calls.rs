// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of the newer calls may be used. A kernel without one answers `ENOSYS` (a container's seccomp filter
//! `EPERM`) and the older way is taken then; tests take it on any kernel.

use rustix::io::Errno;

/// The calls that have an older way beside them; `docs/prepare-root.md` has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// `openat2`, Linux 5.6. Else: `openat`, where links follow the root of the process.
    pub openat2: bool,
    /// `open_tree` and `move_mount`, Linux 5.2. Else: `mount` with `MS_BIND` and `MS_MOVE`.
    pub open_tree: bool,
    /// `mount_setattr`, Linux 5.12. Else: `mount` with `MS_BIND | MS_REMOUNT` once the mount is attached.
    pub mount_setattr: bool,
}

impl Calls {
    /// Tries every call.
    pub const ALL: Self = Self { openat2: true, open_tree: true, mount_setattr: true };

    /// Takes only ways that Linux 3.10 knows.
    pub const OLDEST: Self = Self { openat2: false, open_tree: false, mount_setattr: false };
}

/// Runs `new` where it may be used, and says `None` when the kernel does not have it.
pub(crate) fn attempt<T>(allowed: bool, new: impl FnOnce() -> Result<T, Errno>) -> Result<Option<T>, Errno> {
    if !allowed {
        return Ok(None);
    }
    match new() {
        // A call that is really forbidden is forbidden the old way as well, and reported from there.
        Err(Errno::NOSYS | Errno::PERM) => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_call_is_replaced() {
        assert_eq!(attempt(true, || Ok(1)), Ok(Some(1)));
        assert_eq!(attempt(false, || -> Result<(), _> { panic!("called") }), Ok(None));
        assert_eq!(attempt(true, || Err::<(), _>(Errno::NOSYS)), Ok(None));
        assert_eq!(attempt(true, || Err::<(), _>(Errno::PERM)), Ok(None));
        assert_eq!(attempt(true, || Err::<(), _>(Errno::NOENT)), Err(Errno::NOENT));
    }
}
