// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entries that were written ahead of their switch.
//!
//! ```text
//! /boot/.ostree-staged-loader/entries/ostree-2.conf …      as the switch would write them
//! ```

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use anyhow::Result;
use durable::Place;
use rustix::fs::RenameFlags;

use crate::dirs::{clear, open_dir, read, read_text, sizes};
use crate::names::PRESTAGED;

/// Gives a file that was written ahead its name in the new set, if it is what would be written there now; says whether it was.
pub(crate) fn adopt(from: Place<'_>, to: Place<'_>, text: &str) -> Result<bool> {
    let Ok(there) = read(from.0, from.1) else { return Ok(false) };
    if there != text.as_bytes() {
        // Its room was counted on.
        return clear(from.0, from.1).map(|()| false);
    }
    if rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE).is_err() {
        // A file system that knows no such rename: it is written anew.
        return Ok(false);
    }
    durable::sync_dir(to.0).map(|()| true)
}

/// Bytes in whole blocks and files that lie there: the switch needs no room for them.
pub(crate) fn occupied(boot: BorrowedFd<'_>, block: u64) -> Result<(u64, u64)> {
    let Some(dir) = open_dir(boot, PRESTAGED)? else { return Ok((0, 0)) };
    let files = sizes(&dir)?.files;
    let blocks = files.values().map(|size| size.div_ceil(block)).fold(0, u64::saturating_add);
    Ok((blocks.saturating_mul(block), files.len() as u64))
}

/// Reads the files that lie there, by their paths.
pub(crate) fn read_all(boot: BorrowedFd<'_>) -> Result<BTreeMap<String, String>> {
    let Some(dir) = open_dir(boot, PRESTAGED)? else { return Ok(BTreeMap::new()) };
    // A file that cannot be read is none that would be written.
    let text = |path: String| (read_text(&dir, &path).ok().flatten().unwrap_or_default(), path);
    Ok(sizes(&dir)?.files.into_keys().map(text).map(|(text, path)| (path, text)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::NewFile;
    use std::fs;
    use std::os::fd::{AsFd, AsRawFd};

    fn write(file: &NewFile, boot: BorrowedFd<'_>) -> Result<()> {
        let path = format!("/proc/self/fd/{}/{PRESTAGED}/{}", boot.as_raw_fd(), file.path);
        fs::create_dir_all(std::path::Path::new(&path).parent().unwrap())?;
        Ok(fs::write(path, &file.text)?)
    }

    fn adopt(file: &NewFile, boot: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &str) -> Result<bool> {
        let from = format!("{PRESTAGED}/{}", file.path);
        super::adopt((boot, &from), (to, name), &file.text)
    }

    #[test]
    fn only_what_would_be_written_now_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let boot = fs::File::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("new")).unwrap();
        let to = fs::File::open(dir.path().join("new")).unwrap();
        let file = NewFile { path: "entries/a.conf".to_owned(), text: "title a\n".to_owned() };
        let adopt = |file: &NewFile| adopt(file, boot.as_fd(), to.as_fd(), "a.conf").unwrap();
        assert!(!adopt(&file), "nothing is there");
        write(&file, boot.as_fd()).unwrap();
        assert_eq!(occupied(boot.as_fd(), 512).unwrap(), (512, 1));
        assert!(!adopt(&NewFile { text: "title b\n".to_owned(), ..file.clone() }));
        assert_eq!(occupied(boot.as_fd(), 512).unwrap(), (0, 0), "that one is of no use");
        write(&file, boot.as_fd()).unwrap();
        assert!(adopt(&file));
        assert_eq!(fs::read_to_string(dir.path().join("new/a.conf")).unwrap(), "title a\n");
        assert!(!adopt(&file), "it is taken");
        write(&file, boot.as_fd()).unwrap();
        assert!(!adopt(&file), "what is there is not replaced");
        clear(boot.as_fd(), PRESTAGED).unwrap();
        assert!(!dir.path().join(PRESTAGED).exists());
    }

    #[test]
    fn a_file_right_in_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let boot = fs::File::open(dir.path()).unwrap();
        let file = NewFile { path: "grub.cfg".to_owned(), text: "menu\n".to_owned() };
        write(&file, boot.as_fd()).unwrap();
        assert!(adopt(&file, boot.as_fd(), boot.as_fd(), "grub.cfg").unwrap());
    }
}
