// SPDX-License-Identifier: MIT OR Apache-2.0
//! The labels of a stateroot's `/var`: set once, and then by the programs that write there.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Result;
use durable::fault;
use fn_error_context::context;
use rustix::fs::{AtFlags, Mode};

use crate::{Extent, Labeler, tree};

/// In `/var`: it was labelled. The C tools know it by the same name.
const STAMP: &str = ".ostree-selabeled";

/// Labels unlabelled files in `var` of a stateroot, unless that was done before.
///
/// The stamp is written when all labels are on the disk: a power cut in between does all of it again.
///
/// # Errors
///
/// As [`Labeler::label_tree`], or the stamp cannot be written.
#[context("Labelling /var")]
pub fn label_once(stateroot: BorrowedFd<'_>, labeler: &Labeler) -> Result<()> {
    let Some(var) = tree::find_dir(stateroot, "var")? else { return Ok(()) };
    if rustix::fs::statat(&var, STAMP, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Ok(());
    }
    let count = labeler.label_tree(var.as_fd(), "/var", Extent::Unlabelled)?;
    log::info!("{count} files in /var labelled by the policy {}", labeler.policy);
    durable::sync_fs(var.as_fd())?;
    fault::point("var-labelled");
    durable::replace(var.as_fd(), STAMP, b"", Mode::from_raw_mode(0o644))?;
    labeler.label_at(var.as_fd(), STAMP, &format!("/var/{STAMP}"))
}
