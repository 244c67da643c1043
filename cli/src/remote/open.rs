// SPDX-License-Identifier: MIT OR Apache-2.0
//! The repository that the commands about remotes work on.

use std::path::Path;

use anyhow::Result;
use repo::{Remotes, Repo};

use crate::global::Global;

/// Opens the repository with its remotes: that of the physical root, else the one that is named as everywhere.
pub(crate) fn open(global: &Global, sysroot: Option<&Path>) -> Result<(Repo, Remotes)> {
    let repo = match sysroot {
        Some(sysroot) => Repo::open(sysroot.join("ostree/repo"))?,
        None => global.open()?,
    };
    let remotes = Remotes::load(&repo, sysroot)?;
    Ok((repo, remotes))
}
