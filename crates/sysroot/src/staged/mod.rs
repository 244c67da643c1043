// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of the staged deployment in `/run/ostree`, as the C tools have it.
//!
//! It is volatile on purpose: what it says is true for the running system only. What outlives a power cut is in
//! [`persistent`].

pub mod persistent;

use anyhow::Result;
use fn_error_context::context;
use formats::bls::Entry;
use formats::kernel_args::KernelArgs;
use formats::staged::Staged;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::deployment::Deployment;
use crate::directory;

/// The directory of the record.
pub const DIR: &str = "/run/ostree";

/// The path of the record.
pub const PATH: &str = "/run/ostree/staged-deployment";

/// The file name of the record.
pub const RECORD: &str = "staged-deployment";

/// The file that keeps a deployment staged at shutdown.
///
/// It is older than the key in the record, and can be made before there is a record.
pub const LOCKED: &str = "staged-deployment-locked";

/// Tells whether there is a record of a staged deployment, whatever its contents.
///
/// # Errors
///
/// `/run/ostree` cannot be looked at.
#[context("Looking for {DIR}/{RECORD}")]
pub fn is_anything_staged() -> Result<bool> {
    match rustix::fs::statat(CWD, format!("{DIR}/{RECORD}"), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads the record; `None` where nothing is staged.
///
/// # Errors
///
/// The record cannot be read or parsed.
#[context("Reading {DIR}/{RECORD}")]
pub fn read() -> Result<Option<Staged>> {
    let Some(dir) = directory::find(CWD, DIR)? else { return Ok(None) };
    let file = match rustix::fs::openat(&dir, RECORD, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut bytes)?;
    let mut staged = Staged::parse(&bytes)?;
    staged.locked |= rustix::fs::statat(&dir, LOCKED, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    Ok(Some(staged))
}

/// The boot entry that it would have now, as far as it can be known: its kernel arguments.
pub(crate) fn entry(staged: &Staged, deployments: &[Deployment]) -> Entry {
    let options = match (&staged.kernel_args, &staged.merge) {
        (Some(args), _) => KernelArgs::of_list(args).to_string(),
        (None, Some(merge)) => {
            let merge = deployments.iter().find(|d| d.path == merge.path);
            merge.map(|d| d.entry.options()).unwrap_or_default()
        }
        (None, None) => String::new(),
    };
    let mut entry = Entry::default();
    entry.push("options", &options);
    entry
}
