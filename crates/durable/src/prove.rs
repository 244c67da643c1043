// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making sure that a boot loader sees what was written.
//!
//! GRUB, U-Boot, SYSLINUX and firmware read a file system as it stands on the device: none of them replays a
//! journal or a log. After a rename and an `fsync` of the directory, ext4, xfs and btrfs all still show the old name
//! to such a reader, and a read through the mount proves nothing, for it comes from the page cache. What
//! brings the new name to its place differs:
//!
//! | file system | fsync of the directory | `syncfs` | here |
//! |---|---|---|---|
//! | ext4 | old | new, unless a running transaction holds it back | `EXT4_IOC_CHECKPOINT` (Linux 5.14), else freeze and thaw; of the running root, else nothing |
//! | xfs | old | old | freeze and thaw; of the running root, a push of the log |
//! | btrfs, f2fs | old | new | `syncfs`, then a flush |
//!
//! (The last three columns were seen on images that were mounted again without replay.)

use std::fmt;
use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use kernel::{ext4_checkpoint::ext4_checkpoint, freeze::freeze_and_thaw};
use rustix::fs::{CWD, OFlags};
use rustix::io::Errno;

use crate::fault::{self, Mutant};
use crate::push::push_xfs_log;

/// Magic numbers of `include/uapi/linux/magic.h`; ext2 and ext3 have ext4's.
mod magic {
    pub(super) const EXT4: u64 = 0xEF53;
    pub(super) const XFS: u64 = 0x5846_5342;
    pub(super) const BTRFS: u64 = 0x9123_683E;
    pub(super) const F2FS: u64 = 0xF2F5_2010;
    pub(super) const TMPFS: u64 = 0x0102_1994;
    pub(super) const OVERLAY: u64 = 0x794C_7630;
    pub(super) const FAT: u64 = 0x4D44;
}

/// Whether the file system may be frozen if nothing else helps and the running system is on it.
///
/// A frozen root hangs everything that writes, logging first; the watchdog thaws it after 30 seconds at the
/// latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Freezing {
    /// Only a file system that the running system is not on.
    #[default]
    NotTheRoot,
    /// The running root too: `[sysroot] freeze-root=yes`.
    EvenTheRoot,
}

/// Whether a reader that replays no journal sees everything that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "what is unproven may not be seen yet: nothing may be removed that the disk may still point to"]
pub enum Proof {
    /// It does.
    Proven(Method),
    /// Perhaps not.
    Unproven(Reason),
}

/// The call that made it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// ext4 has emptied its journal.
    Checkpoint,
    /// The file system was frozen and thawed.
    Freeze,
    /// The log of an xfs was brought to its place.
    Push,
    /// `syncfs` and a flush of the device.
    Sync,
    /// The journal was replayed when the file system was mounted, after the write.
    Replay,
}

/// Why it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Only a freeze would do, and the running system is on this file system.
    RunningRoot,
    /// This takes `CAP_SYS_ADMIN`.
    NotPermitted,
    /// Somebody else has it frozen.
    Frozen,
    /// Of this file system nothing is known.
    FileSystem(String),
}

impl Proof {
    /// Whether it is proven.
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Proven(_))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checkpoint => "ext4 checkpoint",
            Self::Freeze => "freeze and thaw",
            Self::Push => "log push",
            Self::Sync => "sync and flush",
            Self::Replay => "journal replay at mount",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunningRoot => f.write_str(
                "only freezing it would make the change visible to a boot loader, and it is the running root \
                 ([sysroot] freeze-root=yes allows that)",
            ),
            Self::NotPermitted => f.write_str("not permitted without root's privileges"),
            Self::Frozen => f.write_str("somebody else has the file system frozen"),
            Self::FileSystem(name) => write!(f, "no way is known for a file system of type {name}"),
        }
    }
}

/// Brings everything that was written to the file system of `boot` where a reader without journal replay
/// finds it, if that is possible.
///
/// An error is a failing device; all that is merely impossible is [`Proof::Unproven`].
pub fn prove(boot: BorrowedFd<'_>, freezing: Freezing) -> Result<Proof> {
    fault::point("before-prove");
    let magic = file_system(boot)?;
    if Mutant::ProofBySync.is_on() {
        rustix::fs::syncfs(boot).context("Syncing /boot")?;
        return Ok(Proof::Proven(Method::Sync));
    }
    let proven = match magic {
        magic::EXT4 => prove_ext4(boot, freezing),
        magic::XFS => freeze(boot, freezing),
        magic::BTRFS | magic::F2FS => sync_and_flush(boot).map(|()| Proof::Proven(Method::Sync)),
        _ => rustix::fs::syncfs(boot).map(|()| Proof::Unproven(Reason::FileSystem(name_of(magic)))),
    };
    let proof = match proven {
        Ok(proof) => proof,
        Err(Errno::PERM | Errno::ACCESS) => Proof::Unproven(Reason::NotPermitted),
        Err(Errno::BUSY) => Proof::Unproven(Reason::Frozen),
        Err(err) => return Err(err).context("Bringing /boot to the device"),
    };
    fault::point("after-prove");
    Ok(proof)
}

/// Whether this is a FAT: it has no links, and a rename there is no durable switch.
pub fn is_fat(boot: BorrowedFd<'_>) -> Result<bool> {
    Ok(file_system(boot)? == magic::FAT)
}

/// Whether this is an xfs, which moves the names of a small directory between its inode and a block.
pub fn is_xfs(boot: BorrowedFd<'_>) -> Result<bool> {
    Ok(file_system(boot)? == magic::XFS)
}

fn prove_ext4(boot: BorrowedFd<'_>, freezing: Freezing) -> Result<Proof, Errno> {
    // Contents first: the checkpoint is about the journal only.
    rustix::fs::syncfs(boot)?;
    match ext4_checkpoint(boot) {
        Ok(()) => Ok(Proof::Proven(Method::Checkpoint)),
        // No journal, so nothing is held back.
        Err(Errno::NODEV) => sync_and_flush(boot).map(|()| Proof::Proven(Method::Sync)),
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => prove_old_ext4(boot, freezing),
        Err(err) => Err(err),
    }
}

/// Without the checkpoint only a freeze empties the journal. Where that may not be, all is synced as well as can be, which is no
/// proof: a block that a running transaction has taken in again is held back.
fn prove_old_ext4(boot: BorrowedFd<'_>, freezing: Freezing) -> Result<Proof, Errno> {
    let proof = freeze(boot, freezing)?;
    if !proof.is_proven() {
        sync_and_flush(boot)?;
    }
    Ok(proof)
}

fn freeze(boot: BorrowedFd<'_>, freezing: Freezing) -> Result<Proof, Errno> {
    let may_freeze = freezing == Freezing::EvenTheRoot || Mutant::RunningRootFrozen.is_on();
    if !may_freeze && holds_the_running_system(boot)? {
        rustix::fs::syncfs(boot)?;
        if Mutant::RunningRootNotPushed.is_on() {
            return Ok(Proof::Proven(Method::Push));
        }
        return Ok(match push_xfs_log(boot)? {
            true => Proof::Proven(Method::Push),
            false => Proof::Unproven(Reason::RunningRoot),
        });
    }
    match freeze_and_thaw(boot) {
        Ok(()) => Ok(Proof::Proven(Method::Freeze)),
        Err(Errno::OPNOTSUPP | Errno::NOTTY) => {
            Ok(Proof::Unproven(Reason::FileSystem(name_of(file_system_raw(boot)?))))
        }
        Err(err) => Err(err),
    }
}

/// The second `syncfs` writes what the first one's journal commit has made dirty; `fsync` of a directory that has
/// nothing to write still sends the device a flush.
fn sync_and_flush(boot: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::syncfs(boot)?;
    rustix::fs::syncfs(boot)?;
    let here = rustix::fs::openat(boot, ".", OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    rustix::fs::fsync(here)
}

/// Whether the running system's root, or the physical root behind it, is on this file system.
fn holds_the_running_system(boot: BorrowedFd<'_>) -> Result<bool, Errno> {
    let device = rustix::fs::fstat(boot)?.st_dev;
    // With composefs or an overlay `/` has a device of its own; what must not freeze is below `/sysroot`.
    let same = |path: &str| match rustix::fs::statat(CWD, path, rustix::fs::AtFlags::empty()) {
        Ok(stat) => stat.st_dev == device,
        // A root that cannot be looked at may be on it, and is not frozen.
        Err(error) => error != Errno::NOENT,
    };
    Ok(["/", "/sysroot", "/etc", "/var", "/usr"].into_iter().any(same))
}

fn file_system(boot: BorrowedFd<'_>) -> Result<u64> {
    file_system_raw(boot).context("Reading the type of the file system of /boot")
}

fn file_system_raw(boot: BorrowedFd<'_>) -> Result<u64, Errno> {
    // The field's type differs between architectures; every magic number fits in 32 bits.
    #[allow(clippy::unnecessary_cast)]
    Ok(rustix::fs::fstatfs(boot)?.f_type as u32 as u64)
}

fn name_of(magic: u64) -> String {
    let name = match magic {
        magic::EXT4 => "ext4",
        magic::XFS => "xfs",
        magic::TMPFS => "tmpfs",
        magic::OVERLAY => "overlay",
        magic::FAT => "FAT",
        _ => return format!("{magic:#x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    /// As on Linux before 5.14, of the running root: nothing freezes it, and syncs alone prove nothing.
    #[test]
    fn syncs_of_an_old_ext4_are_no_proof() {
        let root = std::fs::File::open("/").unwrap();
        let proof = prove_old_ext4(root.as_fd(), Freezing::NotTheRoot).unwrap();
        match file_system(root.as_fd()).unwrap() {
            // The log of that can be pushed.
            magic::XFS => assert_ne!(proof, Proof::Proven(Method::Sync)),
            _ => assert_eq!(proof, Proof::Unproven(Reason::RunningRoot)),
        }
    }
}
