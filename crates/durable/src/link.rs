// SPDX-License-Identifier: MIT OR Apache-2.0
//! Symbolic links that are switched from one target to another.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use crate::directory::sync_dir;
use crate::fault::{self, Mutant};
use crate::file::remove_stale;
use crate::temporary::make_temporary;

/// Points the link `name` at `target`, whether it is there or not. For readers that replay the journal.
///
/// Order: symlink under a temporary name, `fsync` of `dir`, rename over `name`, `fsync` of `dir`.
pub fn switch_link(dir: BorrowedFd<'_>, name: &str, target: &str) -> Result<()> {
    let switch = || {
        let (temporary, ()) = make_temporary(|temporary| rustix::fs::symlinkat(target, dir, temporary))?;
        let rename = || {
            sync_dir(dir)?;
            Ok(rustix::fs::renameat(dir, &temporary, dir, name)?)
        };
        rename().inspect_err(|_: &anyhow::Error| {
            let _ = rustix::fs::unlinkat(dir, &temporary, AtFlags::empty());
        })?;
        sync_dir(dir)
    };
    switch().with_context(|| format!("Switching link {name}"))
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

/// Puts a staged link in the place of `name`: the one write that decides, also for a reader that does not replay the
/// journal.
///
/// The two links are exchanged, and the old one stays under the temporary name until somebody removes it, after a
/// [proof](crate::prove::prove). A rename over the old link would free its inode as well, and a cut while the
/// journal is written to its place could then leave the old name with an inode that is empty, or the new one
/// with an inode that was never written. An exchange of two links that are in their places changes one block of
/// the directory. Where there is no link yet, or the file system knows no exchange, this is a rename.
///
/// Order: exchange, then `fsync` of `dir`. A power cut leaves the old or the new link.
pub fn commit_link(dir: BorrowedFd<'_>, temporary: &str, name: &str) -> Result<()> {
    let commit = || {
        fault::point("before-rename");
        if Mutant::CommitByUnlink.is_on() {
            commit_by_unlink(dir, temporary, name)?;
        } else {
            match rustix::fs::renameat_with(dir, temporary, dir, name, RenameFlags::EXCHANGE) {
                Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS) => {
                    rustix::fs::renameat(dir, temporary, dir, name)?
                }
                other => other?,
            }
        }
        fault::point("after-rename");
        sync_dir(dir)
    };
    commit().with_context(|| format!("Switching link {name}"))
}

/// How not to do it.
fn commit_by_unlink(dir: BorrowedFd<'_>, temporary: &str, name: &str) -> Result<()> {
    let target = rustix::fs::readlinkat(dir, temporary, Vec::new())?;
    remove_stale(dir, name)?;
    sync_dir(dir)?;
    rustix::fs::symlinkat(target, dir, name)?;
    Ok(rustix::fs::unlinkat(dir, temporary, AtFlags::empty())?)
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
        assert!(temp.path().join("loader.tmp").is_symlink(), "it may be somebody's");

        stage_link(dir.as_fd(), "loader.tmp", "loader.0").unwrap();
        commit_link(dir.as_fd(), "loader.tmp", "loader").unwrap();
        assert_eq!(target().as_os_str(), "loader.0");
        assert_eq!(std::fs::read_link(temp.path().join("loader.tmp")).unwrap().as_os_str(), "loader.1");
        commit_link(dir.as_fd(), "loader.tmp", "first").unwrap();
        assert!(!temp.path().join("loader.tmp").is_symlink());

        std::fs::create_dir(temp.path().join("real")).unwrap();
        let err = switch_link(dir.as_fd(), "real", "x").unwrap_err();
        assert_eq!(format!("{err:#}"), "Switching link real: Is a directory (os error 21)");
        let names = std::fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| crate::is_temporary(name.to_str().unwrap())));
    }
}
