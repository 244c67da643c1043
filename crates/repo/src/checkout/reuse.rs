// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turning a tree that was checked out before into another commit's. What comes out is what a checkout into an empty place makes: every name is
//! a link of its object, or made anew, every directory has its metadata, and nothing else is there. A name that is a link of its object
//! already costs an entry of a listing; so what takes time is what has changed.
//!
//! Nothing is taken for granted of what the tree was: whether a name is a link is told by the inode that the directory states, and the same
//! inode is the same file. Files that are no links (empty ones, and those with too many links) are made anew.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use anyhow::{Context as _, Result};
use durable::open_on_mount;
use formats::Checksum;
use formats::object::{DirMeta, FileEntry, ObjectType};
use rustix::fs::{
    AtFlags, FileType, IFlags, Mode as Permissions, OFlags, Statx, StatxAttributes, StatxFlags,
    ioctl_getflags, ioctl_setflags, openat, statx,
};

use super::{Checkout, CheckoutOptions, OverwriteMode, PASSTHROUGH_WHITEOUT};
use crate::lookup::Entry;
use crate::remove::{remove, remove_whole};
use crate::{Mode, Repo, check_depth, scan, xattr};

impl Repo {
    /// As [`Repo::checkout_at`], but beginning with the checkout in the cache if there is one. One that does not serve is
    /// removed.
    pub fn checkout_reusing(
        &self,
        options: &CheckoutOptions,
        at: impl AsFd,
        name: &Path,
        commit: &Checksum,
    ) -> Result<()> {
        let at = at.as_fd();
        let text = name.to_str().context("the destination is not UTF-8")?;
        if self.makes_whole_links(options) && self.take_cached_checkout(at, text)? {
            let Err(error) = self.turn_into(options, at, name, commit) else { return Ok(()) };
            log::info!("The tree that was kept does not serve, a new one is made: {error:#}");
            make_way(at, name).context("Making room for a new tree")?;
        }
        self.checkout_at(options, at, name, commit)
    }

    /// Whether a checkout is a commit's whole tree as it is, of hard links.
    fn makes_whole_links(&self, options: &CheckoutOptions) -> bool {
        let CheckoutOptions {
            user_mode,
            overwrite,
            subpath,
            force_copy,
            whiteouts,
            bare_user_only_dirs,
            skip,
            ..
        } = options;
        let changes = *user_mode || *force_copy || *whiteouts || *bare_user_only_dirs;
        self.mode() == Mode::Bare
            && !changes
            && *overwrite == OverwriteMode::None
            && subpath.is_none()
            && skip.is_empty()
    }

    fn turn_into(
        &self,
        options: &CheckoutOptions,
        at: BorrowedFd<'_>,
        name: &Path,
        commit: &Checksum,
    ) -> Result<()> {
        let Entry::Dir { tree, meta } = self.lookup(commit, "/")? else {
            anyhow::bail!("a commit is a directory")
        };
        let mut objects = HashMap::new();
        self.each_inode(|name, inode| {
            if name.kind == ObjectType::File {
                objects.insert(name.checksum, inode);
            }
        })?;
        let dir = openat(at, name, crate::dirs::DIR_FLAGS | OFlags::NOFOLLOW, Permissions::empty())?;
        Reuse { checkout: Checkout::new(self, options), objects }.directory(dir.as_fd(), &tree, &meta)
    }
}

struct Reuse<'a> {
    checkout: Checkout<'a>,
    /// The inode of each file's object.
    objects: HashMap<Checksum, u64>,
}

impl Reuse<'_> {
    fn directory(&mut self, dir: BorrowedFd<'_>, tree: &Checksum, meta: &Checksum) -> Result<()> {
        check_depth(&self.checkout.path)?;
        let stat = self.look_at(dir)?;
        let meta = self.checkout.dirmeta(meta)?;
        let data = self.checkout.repo.load_dirtree(tree)?;
        let tree = self.checkout.repo.parse_dirtree(tree, &data)?;
        let (mut files, mut dirs) = (vec![false; tree.files.len()], vec![false; tree.dirs.len()]);
        let mut others = Vec::new();
        scan::entries_with_inodes(dir, |name, kind, inode| {
            let found = if kind == FileType::Directory {
                position(&tree.dirs, |entry| entry.name, name).and_then(|at| dirs.get_mut(at))
            } else {
                position(&tree.files, |entry| entry.name, name)
                    .filter(|at| tree.files.get(*at).is_some_and(|file| self.is_link(file, inode)))
                    .and_then(|at| files.get_mut(at))
            };
            match found {
                Some(found) => *found = true,
                None => others.push((name.to_vec(), kind)),
            }
            Ok(())
        })?;
        let is_same = others.is_empty() && files.iter().chain(&dirs).all(|there| *there);
        // First: a name may be that of something else now.
        for (name, kind) in others {
            remove(dir, &name, kind)?;
        }
        for (file, _) in tree.files.iter().zip(files).filter(|(_, is_there)| !is_there) {
            self.checkout.file(dir, file)?;
        }
        let len = self.checkout.path.len();
        for (child, is_there) in tree.dirs.iter().zip(dirs) {
            self.checkout.enter(len, child.name);
            if is_there {
                let below = open_on_mount(dir, child.name)
                    .with_context(|| format!("Opening directory {}", child.name))?;
                self.directory(below.as_fd(), &child.tree, &child.meta)?;
            } else {
                self.checkout.directory(dir, child.name, &child.tree, &child.meta)?;
            }
            self.checkout.path.truncate(len);
        }
        self.set_metadata(dir, &meta, is_same.then_some(&stat))
            .with_context(|| format!("Setting metadata of directory {}", self.checkout.path))
    }

    /// Lists a directory and makes it writable for its owner. It is on the file system of the objects: that is where
    /// it was cached, and what is mounted below it is not entered.
    fn look_at(&self, dir: BorrowedFd<'_>) -> Result<Statx> {
        let stat = statx(dir, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        // A new directory has neither, whatever somebody has set on the old one.
        if stat.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
            let flags = ioctl_getflags(dir)?.difference(IFlags::IMMUTABLE | IFlags::APPEND);
            ioctl_setflags(dir, flags)
                .with_context(|| format!("Clearing the flags of {}", self.checkout.path))?;
        }
        Ok(stat)
    }

    /// Whether the name of a file that has this inode is a link of its object.
    fn is_link(&self, file: &FileEntry<'_>, inode: u64) -> bool {
        !file.name.starts_with(PASSTHROUGH_WHITEOUT) && self.objects.get(&file.checksum) == Some(&inode)
    }

    /// Owner, mode, attributes and time as a new directory gets them. `stat` is that of a directory in which nothing has changed;
    /// it may have them.
    fn set_metadata(&mut self, dir: BorrowedFd<'_>, meta: &DirMeta, stat: Option<&Statx>) -> Result<()> {
        let wanted = meta.meta();
        let xattrs = self.checkout.xattrs.of_fd(dir)?;
        if xattrs != wanted.xattrs {
            xattr::replace_fd(dir, &xattrs, &wanted.xattrs)?;
        } else if stat.is_some_and(|stat| {
            (stat.stx_uid, stat.stx_gid, u32::from(stat.stx_mode)) == (wanted.uid, wanted.gid, wanted.mode)
                && (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec) == (0, 0)
        }) {
            return Ok(());
        }
        self.checkout.finish_directory(dir, meta)
    }
}

/// Where a name is in a sorted list.
fn position<T>(list: &[T], name_of: impl Fn(&T) -> &str, name: &[u8]) -> Option<usize> {
    list.binary_search_by(|entry| name_of(entry).as_bytes().cmp(name)).ok()
}

/// Removes what did not serve.
fn make_way(at: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let name = path.file_name().context("it has no name")?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = openat(at, parent, crate::dirs::DIR_FLAGS, Permissions::empty())?;
    remove_whole(parent.as_fd(), name.as_encoded_bytes())
}
