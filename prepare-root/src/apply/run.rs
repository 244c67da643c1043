// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files in `/run`, a file system in memory that is handed on to the real root.

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// The file by which programs of the real root know this boot; [`formats::run_state`] is its content.
pub(super) const STATE: &str = "/run/ostree-booted";

const STATE_NEW: &str = "/run/.ostree-booted.new";

/// Directories with their modes. The private one has mode 0: what is assembled there is for nobody to see, and
/// root does not need the bits.
const DIRECTORIES: [(&str, u32); 2] = [("/run/ostree", 0o755), ("/run/ostree/.private", 0)];

/// Creates the directories. One that is there keeps its mode.
pub(super) fn make_directories() -> Result<(), Errno> {
    for (path, mode) in DIRECTORIES {
        match rustix::fs::mkdir(path, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Writes the state so that it appears as a whole: units wait for the file.
pub(super) fn write_state(content: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(STATE_NEW, flags, Mode::from_raw_mode(0o644))?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).ok_or(Errno::IO)?;
    }
    rustix::fs::renameat(CWD, STATE_NEW, CWD, STATE)
}

/// Takes the state back: the boot did not go on.
pub(super) fn remove_state() {
    // It may be that it was never written.
    let _ = rustix::fs::unlink(STATE);
}
