// SPDX-License-Identifier: MIT OR Apache-2.0
//! After the root was remounted: `/sysroot`, `/etc` and `/var` as the initramfs was told.
//!
//! Kernels are booted with `ro`, so that the root can be checked first. All mounts that were taken from it are
//! read-only then, and systemd makes only the root itself writable again.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use formats::run_state::RunState;
use prepare_root::apply::named_again;
use rustix::fs::{AtFlags, CWD, FileType, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_remount};

/// The state that the initramfs leaves for us, below the root.
const STATE: &str = "run/ostree-booted";

/// A mount and the rights that it shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remount {
    /// Where, relative to the root.
    pub target: &'static str,
    /// Whether it shall be writable.
    pub writable: bool,
}

/// Remounts below `root`, which is `/` but in tests.
///
/// # Errors
///
/// The state cannot be read, or the kernel refuses to remount.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let state = read_state(&root.join(STATE))?;
    let flags = rustix::fs::statvfs(root).with_context(|| format!("Looking at {}", root.display()))?.f_flag;
    for remount in plan(&state, flags.contains(StatVfsMountFlags::RDONLY)) {
        let target = root.join(remount.target);
        let word = if remount.writable { "rw" } else { "ro" };
        let changed = apply(&target, remount.writable);
        if changed.with_context(|| format!("Remounting {} {word}", target.display()))? {
            // Where nobody reads it any more, the work still goes on.
            let _ = writeln!(std::io::stdout(), "Remounted {word}: {}", target.display());
        }
    }
    Ok(())
}

/// Decides what to remount.
pub fn plan(state: &RunState, root_is_readonly: bool) -> Vec<Remount> {
    // Somebody wants a read-only system. The root of a composefs is always read-only and says nothing.
    if root_is_readonly && state.composefs != Some(true) {
        return Vec::new();
    }
    let sysroot_readonly = state.sysroot_readonly == Some(true);
    let mut remounts = vec![Remount { target: "sysroot", writable: !sysroot_readonly }];
    // Only then is /etc a mount that was taken from the root.
    if sysroot_readonly && state.transient_etc.is_none() {
        remounts.push(Remount { target: "etc", writable: true });
    }
    remounts.push(Remount { target: "var", writable: true });
    remounts
}

/// Reads the state. Where there is none, an empty one is left: that the file exists tells other programs that
/// the system was booted through a deployment.
fn read_state(path: &Path) -> anyhow::Result<RunState> {
    match std::fs::read(path) {
        Ok(bytes) => RunState::parse(&bytes).with_context(|| format!("Reading {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::write(path, b"").with_context(|| format!("Creating {}", path.display()))?;
            Ok(RunState::default())
        }
        Err(error) => Err(error).with_context(|| format!("Reading {}", path.display())),
    }
}

/// Remounts what is a mount and not as it shall be; whether it had to.
fn apply(target: &Path, writable: bool) -> Result<bool, Errno> {
    // A link leads to a place that is taken care of by itself.
    match rustix::fs::statat(CWD, target, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => return Ok(false),
        Ok(_) => {}
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(errno),
    }
    let present = rustix::fs::statvfs(target)?.f_flag;
    if present.contains(StatVfsMountFlags::RDONLY) != writable {
        return Ok(false);
    }
    let flags = if writable {
        // Of the file system as well: it may be that nothing made it writable yet.
        named_again(present)
    } else {
        // Of this mount only: /etc and /var lie on the same file system.
        named_again(present) | MountFlags::BIND | MountFlags::RDONLY
    };
    match mount_remount(target, flags | MountFlags::SILENT, "") {
        Ok(()) => Ok(true),
        // No mount point: a part of a mount that was looked at before.
        Err(Errno::INVAL) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_follows_the_state_of_the_boot() {
        let state = |sysroot_readonly: Option<bool>, composefs: Option<bool>, etc: Option<&str>| RunState {
            sysroot_readonly,
            composefs,
            transient_etc: etc.map(str::to_owned),
            ..RunState::default()
        };
        for (state, root_is_readonly, expected) in [
            (state(None, None, None), false, "rw sysroot, rw var"),
            (state(Some(false), None, None), false, "rw sysroot, rw var"),
            (state(Some(true), None, None), false, "ro sysroot, rw etc, rw var"),
            (state(Some(true), None, Some("/run/x")), false, "ro sysroot, rw var"),
            (state(Some(true), None, None), true, ""),
            (state(Some(true), Some(false), None), true, ""),
            (state(Some(true), Some(true), None), true, "ro sysroot, rw etc, rw var"),
        ] {
            let words = plan(&state, root_is_readonly)
                .into_iter()
                .map(|remount| format!("{} {}", if remount.writable { "rw" } else { "ro" }, remount.target));
            assert_eq!(words.collect::<Vec<_>>().join(", "), expected, "{state:?}");
        }
    }

    #[test]
    fn a_state_that_is_missing_is_left_behind() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("ostree-booted");
        assert_eq!(read_state(&path).unwrap(), RunState::default());
        assert_eq!(read_state(&path).unwrap(), RunState::default(), "an empty file is a state");
        std::fs::write(&path, b"sysroot-ro\0\0\0\0\0\0\x01\0b\x0b\x14").unwrap();
        assert_eq!(read_state(&path).unwrap().sysroot_readonly, Some(true));
        std::fs::write(&path, b"garbage").unwrap();
        assert!(format!("{:#}", read_state(&path).unwrap_err()).starts_with("Reading "));
    }
}
