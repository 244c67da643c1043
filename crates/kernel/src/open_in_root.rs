// SPDX-License-Identifier: MIT OR Apache-2.0
//! `openat2` with `RESOLVE_IN_ROOT`, and `openat` on kernels without it.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Neither a pipe nor a terminal that has the name is waited for.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// Opens the file at `path` below `root` for reading; links stay below `root`.
///
/// Before Linux 5.6, and where a filter of system calls does not know `openat2`, links are followed as
/// [`open_by_process_root`] does.
///
/// # Errors
///
/// The kernel's; `ENOENT` where there is no such file.
pub fn open_in_root(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root, path, FLAGS, Mode::empty(), resolve) {
        // A call that is really forbidden is forbidden the old way as well, and reported from there.
        Err(Errno::NOSYS | Errno::PERM) => open_by_process_root(root, path),
        opened => opened,
    }
}

/// Opens the file at `path` below `root` for reading; absolute links follow the root of the process.
///
/// # Errors
///
/// The kernel's; `ENOENT` where there is no such file.
pub fn open_by_process_root(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(root, path, FLAGS, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn links_stay_below_the_root_where_the_kernel_can_hold_them() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(temp.path().join("outside"), "outside").unwrap();
        std::fs::write(root.join("inside"), "inside").unwrap();
        std::os::unix::fs::symlink("/inside", root.join("absolute")).unwrap();
        std::os::unix::fs::symlink("../outside", root.join("escape")).unwrap();
        let dir = File::open(&root).unwrap();
        let text = |opened: Result<OwnedFd, Errno>| {
            let mut text = String::new();
            File::from(opened?).read_to_string(&mut text).unwrap();
            Ok(text)
        };
        let in_root = |path| text(open_in_root(dir.as_fd(), path));
        assert_eq!(in_root("inside"), Ok("inside".to_owned()));
        assert_eq!(in_root("absolute"), Ok("inside".to_owned()));
        assert_eq!(in_root("escape"), Err(Errno::NOENT), "`..` stops at the root");
        assert_eq!(text(open_by_process_root(dir.as_fd(), "escape")), Ok("outside".to_owned()));
        assert_eq!(text(open_by_process_root(dir.as_fd(), "absolute")), Err(Errno::NOENT));
    }
}
