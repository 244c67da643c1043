// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening the directories of a repository.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context as _, Result};
use rustix::fs::{Mode, OFlags, openat};

/// Flags for directories of the repository.
pub(crate) const DIR_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// The mode of each directory, less the umask: nobody but owner and group writes to a repository.
pub(crate) const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o775);

/// Opens the directory `name` below `dir`; an error names it.
pub(crate) fn open_dir(dir: impl AsFd, name: &str) -> Result<OwnedFd> {
    openat(dir, name, DIR_FLAGS, Mode::empty()).with_context(|| format!("Opening {name}"))
}
