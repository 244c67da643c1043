// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of a staged deployment where a power cut does not reach it: `/ostree/staged-deployment`.
//!
//! ```text
//! stage      written last, when all of the deployment is on the disk
//! shutdown   the attempt is counted first; removed when the switch is made
//! boot       if it is there: does it still fit? Then it is staged again, else it is discarded
//! ```
//!
//! It fits if nobody has changed the deployments since. A program that does sets the time of `ostree/deploy`, the C tools too;
//! a change of ours that keeps the staged deployment writes the record anew.

use std::os::fd::OwnedFd;

use anyhow::Result;
use fn_error_context::context;
use formats::staged::Kept;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::is_anything_staged;
use crate::directory;
use crate::sysroot::Sysroot;

/// The path of the record below the physical root.
pub const PATH: &str = "/ostree/staged-deployment";

/// The file name of the record, in `ostree`.
pub const NAME: &str = "staged-deployment";

impl Sysroot {
    /// Tells whether an update is recorded on the disk that this boot has not resumed.
    ///
    /// # Errors
    ///
    /// `/ostree` or `/run/ostree` cannot be looked at.
    pub fn has_unfinished_update(&self) -> Result<bool> {
        let here = rustix::fs::statat(self.ostree()?, NAME, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        Ok(here && !is_anything_staged()?)
    }

    /// Reads the record; `None` where there is none.
    ///
    /// # Errors
    ///
    /// The record cannot be read or parsed.
    #[context("Reading {PATH}")]
    pub fn persistent_record(&self) -> Result<Option<Kept>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(self.ostree()?, NAME, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut bytes)?;
        Ok(Some(Kept::parse(&bytes)?))
    }

    /// Reads the time of the last change of the deployments, as seconds and nanoseconds since 1970.
    ///
    /// # Errors
    ///
    /// `ostree/deploy` cannot be looked at.
    #[context("Asking when ostree/deploy was changed")]
    pub fn changed_at(&self) -> Result<(u64, u32)> {
        let stat = rustix::fs::statat(self.root(), "ostree/deploy", AtFlags::empty())?;
        Ok((u64::try_from(stat.st_mtime).unwrap_or(0), u32::try_from(stat.st_mtime_nsec).unwrap_or(0)))
    }

    /// Tells whether the deployments are unchanged since the record was written.
    pub fn is_current(&self, kept: &Kept) -> bool {
        self.changed_at().is_ok_and(|changed| changed == kept.changed)
    }

    /// Opens `/ostree` of the physical root.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn ostree(&self) -> Result<OwnedFd> {
        directory::open(self.root(), "ostree")
    }
}
