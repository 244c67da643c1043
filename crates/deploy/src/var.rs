// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `/var` of a stateroot: filled once from the first tree that is deployed, like a container's volume, and
//! never touched again.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use durable::Occupied;
use fn_error_context::context;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use selinux::{Extent, Labeler};
use sysroot::directory::{self, has_entries};

use crate::unfinished::remove_unfinished;
use crate::update_stamp::remove_update_stamp;

/// Directories that every system expects, as the C tools make them.
const DIRECTORIES: [(&str, u32); 3] = [("tmp", 0o1777), ("lib", 0o755), ("log", 0o755)];

/// Links to what is in `/run` on every current system.
const LINKS: [(&str, &str); 2] = [("run", "../run"), ("lock", "../run/lock")];

/// Fills `var` of the stateroot if there is nothing in it: with what the deployment in `tree` has in its own,
/// and with the directories that every system expects.
///
/// It is gathered beside `var` under a temporary name: a cut in between leaves `var` empty, and so to be filled. The caller
/// holds the lock of the sysroot.
#[context("Preparing /var")]
pub(crate) fn fill_if_empty(
    stateroot: BorrowedFd<'_>,
    tree: BorrowedFd<'_>,
    labeler: Option<&Labeler>,
) -> Result<()> {
    remove_unfinished(stateroot)?;
    if has_entries(directory::find(stateroot, "var")?)? == Some(true) {
        return Ok(());
    }
    let mode = Mode::from_raw_mode(0o755);
    // A directory may be renamed over an empty one: `var` is empty or filled, never half.
    let over = Occupied::ByEmptyDirectory;
    durable::new_tree(stateroot, (stateroot, "var"), mode, over, |var| fill(var, tree, labeler))
}

fn fill(var: BorrowedFd<'_>, tree: BorrowedFd<'_>, labeler: Option<&Labeler>) -> Result<()> {
    if let Some(initial) = directory::find_in_tree(tree, "var")? {
        etc_merge::copy_contents(initial.as_fd(), var).context("Copying the tree's /var")?;
    }
    for (name, mode) in DIRECTORIES {
        make_missing(name, rustix::fs::mkdirat(var, name, Mode::RWXU))?;
        // The mode apart, since the umask would take from it.
        let dir =
            rustix::fs::openat(var, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
        if let Ok(dir) = dir {
            rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode))
                .with_context(|| format!("Setting the mode of {name}"))?;
        }
    }
    for (name, target) in LINKS {
        make_missing(name, rustix::fs::symlinkat(target, var, name))?;
    }
    if let Some(labeler) = labeler {
        labeler.label_tree(var, "/var", Extent::All)?;
    }
    Ok(())
}

/// Removes the stamp of the stateroot's `var`, so that systemd runs what an update of `/var` asks for.
pub(crate) fn mark_outdated(stateroot: BorrowedFd<'_>) -> Result<()> {
    directory::find(stateroot, "var")?.map_or(Ok(()), |var| remove_update_stamp(var.as_fd()))
}

/// Passes over a name that exists: the tree's own file stays.
fn make_missing(name: &str, made: Result<(), Errno>) -> Result<()> {
    match made {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("Creating {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn filled_once() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["stateroot/var", "tree/var/lib/x", "other/var/late"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        let open = |name: &str| fs::File::open(dir.path().join(name)).unwrap();
        let (stateroot, tree, other) = (open("stateroot"), open("tree"), open("other"));
        fill_if_empty(stateroot.as_fd(), tree.as_fd(), None).unwrap();
        let var = dir.path().join("stateroot/var");
        let listing = || {
            let mut names: Vec<_> =
                fs::read_dir(&var).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(listing(), ["lib", "lock", "log", "run", "tmp"]);
        assert!(var.join("lib/x").is_dir());
        assert_eq!(var.join("tmp").metadata().unwrap().permissions().mode() & 0o7777, 0o1777);
        assert_eq!(fs::read_link(var.join("lock")).unwrap().to_str(), Some("../run/lock"));
        fill_if_empty(stateroot.as_fd(), other.as_fd(), None).unwrap();
        assert!(!var.join("late").exists());
    }
}
