// SPDX-License-Identifier: MIT OR Apache-2.0
//! Symbolic links that are switched from one target to another.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use rustix::fs::AtFlags;

use crate::directory::sync_dir;
use crate::fault::{self, Mutant};
use crate::file::{remove_stale, temporary_name};

/// Points the link `name` at `target`, whether it is there or not.
///
/// Order: [`stage_link`] under a temporary name, then [`commit_link`].
pub fn switch_link(dir: BorrowedFd<'_>, name: &str, target: &str) -> Result<()> {
    let temporary = temporary_name(name);
    stage_link(dir, &temporary, target)?;
    commit_link(dir, &temporary, name)
}

/// Makes the link that is going to be renamed into place, over a left-over of a former try.
///
/// Order: symlink, then `fsync` of `dir`.
pub fn stage_link(dir: BorrowedFd<'_>, temporary: &str, target: &str) -> Result<()> {
    let stage = || {
        remove_stale(dir, temporary)?;
        rustix::fs::symlinkat(target, dir, temporary)?;
        sync_dir(dir)
    };
    stage().with_context(|| format!("Making link {temporary} to {target}"))
}

/// Renames a staged link over `name`: the one write that decides.
///
/// Order: rename, then `fsync` of `dir`. A power cut leaves the old or the new link; a reader that does not
/// replay the journal may see the old one until [`prove`](crate::prove::prove) says otherwise.
pub fn commit_link(dir: BorrowedFd<'_>, temporary: &str, name: &str) -> Result<()> {
    let commit = || {
        fault::point("before-rename");
        if Mutant::CommitByUnlink.is_on() {
            let target = rustix::fs::readlinkat(dir, temporary, Vec::new())?;
            let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
            sync_dir(dir)?;
            rustix::fs::symlinkat(target, dir, name)?;
            rustix::fs::unlinkat(dir, temporary, AtFlags::empty())?;
        } else {
            rustix::fs::renameat(dir, temporary, dir, name)?;
        }
        fault::point("after-rename");
        sync_dir(dir)
    };
    commit().with_context(|| format!("Switching link {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn switches_over_links_and_left_overs_but_not_over_a_directory() {
        let temp = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(temp.path()).unwrap();
        let target = || std::fs::read_link(temp.path().join("loader")).unwrap();
        switch_link(dir.as_fd(), "loader", "loader.0").unwrap();
        assert_eq!(target().as_os_str(), "loader.0");
        std::os::unix::fs::symlink("nowhere", temp.path().join("loader.tmp")).unwrap();
        switch_link(dir.as_fd(), "loader", "loader.1").unwrap();
        assert_eq!(target().as_os_str(), "loader.1");

        std::fs::create_dir(temp.path().join("real")).unwrap();
        let err = switch_link(dir.as_fd(), "real", "x").unwrap_err();
        assert_eq!(format!("{err:#}"), "Switching link real: Is a directory (os error 21)");
    }
}
