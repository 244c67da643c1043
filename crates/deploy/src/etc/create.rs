// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making the `/etc` of a new deployment from the defaults of its tree.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail};
use fn_error_context::context;
use rustix::fs::AtFlags;
use selinux::{Extent, Labeler};
use sysroot::directory::{self, has_entries};

/// Makes `etc` of the deployment in `tree`.
///
/// A tree keeps its defaults in `usr/etc`; an empty `etc` beside it is a mount point. A tree that has its
/// defaults in `etc` is brought into this form; the labels are those of `/etc`, which `usr/etc` need not have. With defaults in both places nobody can say which ones count.
#[context("Preparing /etc")]
pub(crate) fn create(tree: BorrowedFd<'_>, labeler: Option<&Labeler>) -> Result<()> {
    let usr = directory::find_in_tree(tree, "usr")?.context("No such file or directory: /usr")?;
    let defaults = directory::find_in_tree(&usr, "etc")?;
    match (has_entries(directory::find_in_tree(tree, "etc")?)?, has_entries(defaults)?) {
        (Some(true), Some(true)) => {
            bail!("Tree contains both /etc and /usr/etc: keep the defaults in /usr/etc only")
        }
        (Some(true), Some(false)) => {
            bail!("/usr/etc is empty but /etc is not: move the defaults to /usr/etc")
        }
        (Some(true), None) => {
            rustix::fs::renameat(tree, c"etc", &usr, c"etc").context("Moving it to /usr/etc")?
        }
        (_, None) => bail!("No such file or directory: /usr/etc (a bootable tree has its defaults there)"),
        (Some(false), _) => {
            rustix::fs::unlinkat(tree, c"etc", AtFlags::REMOVEDIR).context("Removing the empty one")?
        }
        (None, _) => {}
    }
    etc_merge::copy_tree(usr.as_fd(), c"etc", tree, c"etc").context("Copying /usr/etc")?;
    let Some(labeler) = labeler else { return Ok(()) };
    labeler.label_tree(directory::open(tree, "etc")?.as_fd(), "/etc", Extent::All).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(dirs: &[&str], files: &[&str]) -> (tempfile::TempDir, fs::File) {
        let dir = tempfile::tempdir().unwrap();
        for path in dirs {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        for path in files {
            fs::write(dir.path().join(path), *path).unwrap();
        }
        let fd = fs::File::open(dir.path()).unwrap();
        (dir, fd)
    }

    #[test]
    fn defaults_come_from_usr_etc() {
        for (dirs, files) in
            [(vec!["usr/etc/d"], vec!["usr/etc/d/f"]), (vec!["usr/etc/d", "etc"], vec!["usr/etc/d/f"])]
        {
            let (dir, fd) = tree(&dirs, &files);
            create(fd.as_fd(), None).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("etc/d/f")).unwrap(), "usr/etc/d/f");
        }
        let (dir, fd) = tree(&["usr", "etc"], &["etc/f"]);
        create(fd.as_fd(), None).unwrap();
        assert!(dir.path().join("usr/etc/f").exists() && dir.path().join("etc/f").exists());
    }

    #[test]
    fn no_or_two_sets_of_defaults_are_refused() {
        for (dirs, files, message) in [
            (vec!["usr"], vec![], "No such file or directory: /usr/etc"),
            (vec!["usr/etc", "etc"], vec!["usr/etc/f", "etc/f"], "both /etc and /usr/etc"),
        ] {
            let (_dir, fd) = tree(&dirs, &files);
            let error = format!("{:#}", create(fd.as_fd(), None).unwrap_err());
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_link_out_of_the_tree_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(outside.path().join("etc")).unwrap();
        for (name, files) in [("usr", vec!["etc/f"]), ("etc", vec![])] {
            let (dir, fd) = tree(&["etc"], &files);
            if name == "etc" {
                fs::remove_dir(dir.path().join("etc")).unwrap();
                fs::create_dir_all(dir.path().join("usr/etc")).unwrap();
            }
            std::os::unix::fs::symlink(outside.path(), dir.path().join(name)).unwrap();
            let error = format!("{:#}", create(fd.as_fd(), None).unwrap_err());
            assert!(error.contains(&format!("/{name} of the tree is no directory")), "{error}");
            assert_eq!(fs::read_dir(outside.path().join("etc")).unwrap().count(), 0);
        }
    }
}
