// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of a later switch that can be done before it: boot files and entries, where nobody reads them yet.
//!
//! ```text
//! /boot/.ostree-staged-loader/entries/ostree-2.conf …      as the switch would write them now
//! ```
//!
//! They are read back by a boot loader's rules, so that what is wrong with them is found while somebody is there to read it. The
//! switch takes over what is still as it would write it, by its name; what is different by then, or gone, it writes anew.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use durable::fault;
use rustix::fs::RenameFlags;

use super::Step;
use super::steps::{FILE_MODE, clear, make_parents};
use super::verify;
use crate::plan::{Change, NewFile, Settings, SwitchPlan};
use crate::state::Places;
use crate::state::read::{open_dir, read, sizes};
use crate::steady::steady;

/// Below `/boot`. No boot loader and none of the C tools reads it.
pub(crate) const DIR: &str = ".ostree-staged-loader";

impl SwitchPlan {
    /// Brings the boot files of a plan that is carried out later to `/boot`, writes its entries where no loader reads them, and reads
    /// them back. The place of the new set is cleared: what [`check`](Self::check) lets pass is seen by no loader.
    ///
    /// A file that a program writes from the entries ([`Generate`](crate::plan::Generate)) is left to the switch.
    pub fn rehearse(&self, places: Places<'_>, settings: &Settings) -> Result<()> {
        self.check(places, settings)?;
        forget(places.boot)?;
        if self.change != Change::Entries {
            return Ok(());
        }
        self.clear_set(places.boot).with_context(|| Step::ClearSlot.to_string())?;
        steady(places.boot, settings.freezing)?;
        for step in self.steps().iter().filter(|step| matches!(step, Step::Copy(_))) {
            self.run(step, places, settings).with_context(|| step.to_string())?;
        }
        for file in self.entries.iter().chain(&self.native) {
            fault::point("rehearse");
            write(file, places.boot).with_context(|| format!("Writing /boot/{DIR}/{}", file.path))?;
        }
        verify::verify_rehearsed(self, places, settings).context("Reading the new boot entries back")
    }

    /// What a rehearsal writes, below the root.
    pub fn rehearsed(&self) -> impl Iterator<Item = (String, &NewFile)> {
        let files = self.entries.iter().chain(&self.native).filter(|_| self.change == Change::Entries);
        files.map(|file| (format!("/boot/{DIR}/{}", file.path), file))
    }
}

fn write(file: &NewFile, boot: BorrowedFd<'_>) -> Result<()> {
    let boot = open_dir(boot, ".")?.context("/boot cannot be opened")?;
    let (dir, name) = make_parents(boot, &format!("{DIR}/{}", file.path))?;
    durable::write_new(dir.as_fd(), &name, file.text.as_bytes(), FILE_MODE)
}

/// Gives a file that was written ahead its name in `to`, if it is what would be written there now; says whether it was.
pub(super) fn take(file: &NewFile, boot: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &str) -> Result<bool> {
    let Some(ahead) = open_dir(boot, DIR)? else { return Ok(false) };
    let Some((dir, last)) = file.path.rsplit_once('/').or(Some((".", file.path.as_str()))) else {
        return Ok(false);
    };
    let Some(from) = open_dir(&ahead, dir)? else { return Ok(false) };
    if !read(&from, last).is_ok_and(|text| text == file.text.as_bytes()) {
        // Its room was counted on.
        return clear(from.as_fd(), last).map(|()| false);
    }
    if rustix::fs::renameat_with(&from, last, to, name, RenameFlags::NOREPLACE).is_err() {
        // A file system that knows no such rename: it is written anew.
        return Ok(false);
    }
    durable::sync_dir(to).map(|()| true)
}

/// Nothing is left to be taken over.
pub(crate) fn forget(boot: BorrowedFd<'_>) -> Result<()> {
    clear(boot, DIR)
}

/// Bytes in whole blocks and files that lie there: the switch needs no room for them.
pub(crate) fn taken(boot: BorrowedFd<'_>, block: u64) -> Result<(u64, u64)> {
    let Some(dir) = open_dir(boot, DIR)? else { return Ok((0, 0)) };
    let mut files = BTreeMap::new();
    sizes(&dir, "", &mut files, 0)?;
    let blocks = files.values().map(|size| size.div_ceil(block)).fold(0, u64::saturating_add);
    Ok((blocks.saturating_mul(block), files.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_what_would_be_written_now_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let boot = fs::File::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("new")).unwrap();
        let to = fs::File::open(dir.path().join("new")).unwrap();
        let file = NewFile { path: "entries/a.conf".to_owned(), text: "title a\n".to_owned() };
        let take = |file: &NewFile| take(file, boot.as_fd(), to.as_fd(), "a.conf").unwrap();
        assert!(!take(&file), "nothing is there");
        write(&file, boot.as_fd()).unwrap();
        assert_eq!(taken(boot.as_fd(), 512).unwrap(), (512, 1));
        assert!(!take(&NewFile { text: "title b\n".to_owned(), ..file.clone() }));
        assert_eq!(taken(boot.as_fd(), 512).unwrap(), (0, 0), "that one is of no use");
        write(&file, boot.as_fd()).unwrap();
        assert!(take(&file));
        assert_eq!(fs::read_to_string(dir.path().join("new/a.conf")).unwrap(), "title a\n");
        assert!(!take(&file), "it is taken");
        write(&file, boot.as_fd()).unwrap();
        assert!(!take(&file), "what is there is not replaced");
        forget(boot.as_fd()).unwrap();
        assert!(!dir.path().join(DIR).exists());
    }

    #[test]
    fn a_file_right_in_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let boot = fs::File::open(dir.path()).unwrap();
        let file = NewFile { path: "grub.cfg".to_owned(), text: "menu\n".to_owned() };
        write(&file, boot.as_fd()).unwrap();
        assert!(take(&file, boot.as_fd(), boot.as_fd(), "grub.cfg").unwrap());
    }
}
