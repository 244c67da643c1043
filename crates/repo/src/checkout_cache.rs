// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checkout cache: one checkout that is not needed any more, with which the next one begins.
//!
//! ```text
//! keep     deploy/…/CHECKSUM.SERIAL -> tmp/retired-tree    instead of removing it; there is never more than one
//! trim     everything in it that is not a link of an object goes, so it holds no space but that of its directories
//! take     tmp/retired-tree -> the place of the next checkout, which changes what differs (see `checkout::reuse`)
//! ```
//!
//! Nothing refers to it and nothing is lost with it. Its directory has the name that earlier versions gave it. The C tools remove it with the next transaction: it lies in `tmp/`, and its time
//! is that of every checkout, the beginning of the epoch. Ours keep it as they keep `tmp/cache`.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context as _, Result, bail};
use durable::{Mounts, Walk, open_on_mount};
use fn_error_context::context;
use formats::Checksum;
use formats::object::{ObjectName, ObjectType};
use rustix::fs::{
    AtFlags, FileType, IFlags, Mode as Permissions, RenameFlags, fstat, fstatfs, fstatvfs, ioctl_getflags,
    ioctl_setflags, openat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::remove::{remove, remove_whole};
use crate::{Entry, Mode, Reachable, Repo, scan};

/// Its name in `tmp/`.
pub(crate) const NAME: &str = "retired-tree";
/// Its place in the repository.
const PATH: &str = "tmp/retired-tree";

/// File systems whose directories state the inodes that a name has, as `statfs(2)` numbers them: ext4, xfs, btrfs and f2fs.
/// Overlayfs, for one, states others.
const TRUSTED: [u32; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];

/// It is kept where one in so many blocks and inodes is free.
const FREE: u64 = 10;

/// Levels of directories that are looked into, each with a descriptor and a frame of the stack. Deeper ones go as a whole: the next
/// checkout makes them anew.
const LEVELS: usize = 100;

impl Repo {
    /// Moves the checkout `name` in `at`, which is not needed any more, into the checkout cache, and says whether it did.
    ///
    /// It does not where the cache holds one already, where checkouts are no hard links on the same file system, or where space is
    /// short; then the checkout is as it was, but for its immutable flag.
    #[context("Keeping the tree {name} for the next checkout")]
    pub fn cache_checkout(&self, at: impl AsFd, name: &str) -> Result<bool> {
        let top = open_on_mount(&at, name)?;
        if self.mode() != Mode::Bare
            || self.has_checkout_cache()?
            || fstat(&top)?.st_dev != fstat(self.objects())?.st_dev
            || !self.has_room_for_more()?
        {
            return Ok(false);
        }
        if let Ok(flags) = ioctl_getflags(&top)
            && flags.contains(IFlags::IMMUTABLE)
        {
            ioctl_setflags(&top, flags.difference(IFlags::IMMUTABLE))?;
        }
        self.furnish()?;
        match renameat_with(&at, name, self.dir(), PATH, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            // Another mount of the same device, or a file system that cannot rename without replacing.
            Err(Errno::XDEV | Errno::INVAL | Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes from the checkout cache each file that is no link of an object, and directories that are empty then. After an
    /// error it may hold more; a caller that has just filled it takes the checkout back then.
    pub fn trim_checkout_cache(&self) -> Result<()> {
        let mut objects = HashSet::new();
        if self.has_checkout_cache()? {
            self.each_inode(|_, inode| {
                objects.insert(inode);
            })?;
        }
        self.trim_checkout_cache_to(objects)
    }

    /// As [`Repo::trim_checkout_cache`], with the inodes of all objects.
    #[context("Removing what is no object from {PATH}")]
    pub(crate) fn trim_checkout_cache_to(&self, objects: HashSet<u64>) -> Result<()> {
        let top = match open_on_mount(self.dir(), PATH) {
            Err(Errno::NOENT) => return Ok(()),
            top => top?,
        };
        trim_to(&objects, top.as_fd(), "").map(drop)
    }

    /// As [`Repo::trim_checkout_cache`], of a tree that was checked out from `commit` and in which nothing was changed but at its
    /// top: directories that are all `needed` are not looked into.
    #[context("Removing what is not needed from {PATH}")]
    pub(crate) fn trim_checkout_cache_of(&self, commit: &Checksum, needed: &Reachable) -> Result<()> {
        let Entry::Dir { tree, .. } = self.root_of(commit)? else { bail!("a commit is a directory") };
        let top = open_on_mount(self.dir(), PATH)?;
        self.trim_directory(top.as_fd(), &tree, needed, "")
    }

    fn trim_directory(
        &self,
        dir: BorrowedFd<'_>,
        tree: &Checksum,
        needed: &Reachable,
        path: &str,
    ) -> Result<()> {
        let is_needed = |kind, checksum| needed.contains(&ObjectName::new(checksum, kind));
        let data = self.load_dirtree(tree)?;
        let tree = self.parse_dirtree(tree, &data)?;
        let (mut gone, mut changed) = (Vec::new(), Vec::new());
        scan::entries(dir, |name, kind| {
            let text = str::from_utf8(name).unwrap_or_default();
            if kind != FileType::Directory {
                let file = tree.file(text).map(|file| file.checksum);
                if !file.is_some_and(|file| is_needed(ObjectType::File, file)) {
                    gone.push((name.to_vec(), kind));
                }
            } else if let Some(child) = tree.dir(text).filter(|_| levels(path) < LEVELS) {
                if !is_needed(ObjectType::DirTree, child.tree) {
                    changed.push((child.name.to_owned(), child.tree));
                }
            } else {
                gone.push((name.to_vec(), kind));
            }
            Ok(())
        })?;
        for (name, kind) in gone {
            remove(dir, &name, kind).with_context(|| at(path, &name))?;
        }
        for (name, tree) in changed {
            let path = at(path, name.as_bytes());
            let child = open_on_mount(dir, name.as_str()).with_context(|| path.clone())?;
            self.trim_directory(child.as_fd(), &tree, needed, &path)?;
        }
        Ok(())
    }

    /// Removes the checkout cache, if there is one.
    #[context("Removing {PATH}")]
    pub fn remove_checkout_cache(&self) -> Result<()> {
        match openat(self.dir(), "tmp", crate::dirs::DIR_FLAGS, Permissions::empty()) {
            Err(Errno::NOENT) => Ok(()),
            tmp => remove_whole(tmp?.as_fd(), NAME.as_bytes()),
        }
    }

    /// Whether the checkout cache holds a checkout.
    pub fn has_checkout_cache(&self) -> Result<bool> {
        match statat(self.dir(), PATH, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error).context(PATH),
        }
    }

    /// Counts the directories of the cached checkout, whose blocks and inodes the next checkout takes over, or frees.
    pub fn count_cached_directories(&self) -> Result<u64> {
        let top = match open_on_mount(self.dir(), PATH) {
            Err(Errno::NOENT) => return Ok(0),
            top => top.context(PATH)?,
        };
        let mut walk = Walk::new(&top, Mounts::Keep).context(PATH)?;
        let mut count = 1;
        while let Some(seen) = walk.next().context(PATH)? {
            count += u64::from(seen.kind == FileType::Directory);
        }
        Ok(count)
    }

    /// Moves the cached checkout to `name` in `at`, and says whether there was one.
    #[context("Taking {PATH}")]
    pub fn take_cached_checkout(&self, at: impl AsFd, name: &str) -> Result<bool> {
        match renameat_with(self.dir(), PATH, at, name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether its directories may stay: where they are few of what is left, and where they can be trusted.
    fn has_room_for_more(&self) -> Result<bool> {
        let (kind, space) = (fstatfs(self.dir())?.f_type, fstatvfs(self.dir())?);
        let is_enough = |free: u64, all: u64| free.saturating_mul(FREE) >= all;
        let files = space.f_files == 0 || is_enough(space.f_favail, space.f_files);
        // The width of the number differs between architectures.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let is_trusted = TRUSTED.contains(&(kind as u32));
        Ok(is_trusted && files && is_enough(space.f_bavail, space.f_blocks))
    }
}

/// Removes what is none of these inodes. Whether something is left in the directory.
fn trim_to(objects: &HashSet<u64>, dir: BorrowedFd<'_>, path: &str) -> Result<bool> {
    let (mut gone, mut below, mut kept) = (Vec::new(), Vec::new(), false);
    scan::entries_with_inodes(dir, |name, kind, inode| {
        if kind == FileType::Directory {
            below.push(name.to_vec());
        } else if objects.contains(&inode) {
            kept = true;
        } else {
            gone.push(name.to_vec());
        }
        Ok(())
    })?;
    for name in gone {
        unlinkat(dir, &name[..], AtFlags::empty()).with_context(|| at(path, &name))?;
    }
    for name in below {
        let path = at(path, &name);
        if levels(&path) > LEVELS {
            remove_whole(dir, &name).context(path)?;
            continue;
        }
        let child = open_on_mount(dir, &name[..]).with_context(|| path.clone())?;
        if trim_to(objects, child.as_fd(), &path)? {
            kept = true;
        } else {
            unlinkat(dir, &name[..], AtFlags::REMOVEDIR).context(path)?;
        }
    }
    Ok(kept)
}

fn levels(path: &str) -> usize {
    path.bytes().filter(|&c| c == b'/').count()
}

fn at(path: &str, name: &[u8]) -> String {
    format!("{path}/{}", String::from_utf8_lossy(name))
}
