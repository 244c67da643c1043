// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reason of a failed finalization: in a stamp in `/boot` until a boot tells it, and in `/run` for the rest of that boot, so
//! that a status can say it.

use std::os::fd::OwnedFd;

use anyhow::Result;
use fn_error_context::context;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::directory;
use crate::load::Loaded;
use crate::sysroot::Sysroot;

/// The directory of the told reason.
pub const DIR: &str = "/run/ostree";

/// The file name of the stamp, in `/boot/ostree`.
pub const STAMP: &str = "finalize-failure.stamp";

/// The file name of the told reason, as the stamp in `/boot` had it. It is volatile: the next shutdown ends its matter.
pub const TOLD: &str = "finalize-failure";

impl Sysroot {
    /// Reads why the last finalization failed; `None` if it did not, or a boot has told it already.
    ///
    /// # Errors
    ///
    /// The stamp in `/boot` cannot be read.
    #[context("Looking for a failed finalization")]
    pub fn finalize_failure(&self) -> Result<Option<String>> {
        let Some(dir) = self.finalize_stamp_dir()? else { return Ok(None) };
        let file = match rustix::fs::openat(&dir, STAMP, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut text)?;
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }

    /// Opens the directory of the stamp, `/boot/ostree`; `None` where there is none.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn finalize_stamp_dir(&self) -> Result<Option<OwnedFd>> {
        directory::find(self.places().boot, "ostree")
    }

    /// Reads why the update of the last shutdown failed, told or not. With another update staged that is history.
    pub(crate) fn last_failure(&self, loaded: &Loaded) -> Result<Option<String>> {
        if loaded.staged.is_some() {
            return Ok(None);
        }
        Ok(self.finalize_failure()?.or_else(|| self.told_failure(loaded)))
    }

    /// Reads why the update of the last shutdown failed, after a boot has told it.
    pub(crate) fn told_failure(&self, loaded: &Loaded) -> Option<String> {
        let told = loaded.is_running_system.then(|| std::fs::read(format!("{DIR}/{TOLD}")).ok());
        told.flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
