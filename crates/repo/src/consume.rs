// SPDX-License-Identifier: MIT OR Apache-2.0
//! Committing directories that go on the way, so that a tree and its objects need not lie on the disk twice.
//!
//! ```text
//! plan     what is there, and whether all of it can be committed and removed    nothing was touched if not
//! link     a file that is what its object wants to be is linked into the transaction; its name goes when the commit is durable
//! store    any other is copied; its name goes when the copy is durable among the objects
//! finish   what is left of names, and the directories                           after the commit
//! ```
//!
//! Copies need room for as long as their sources are still there. Where little is free they pile up only as far as the disk was full
//! before, so that no more is ever taken than if each source went at once; where much is free, up to a small part of that, for each
//! time that sources go takes a sync.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use formats::Checksum;
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode as Permissions, OFlags, Stat, StatxAttributes, StatxFlags, Timespec,
    Timestamps, accessat, fstat, openat, readlinkat, statat, statx, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::tree::Tree;
use crate::tree_options::TreeOptions;
use crate::{Entry, Repo, Transaction, check_depth, scan};

/// Bytes that may pile up in any case: else a tree of small files would be synced file by file.
const ALWAYS: u64 = 256 * 1024;
/// Bytes that may pile up where there is plenty of room: a sync of as much takes far longer than making it.
const AT_MOST: u64 = 64 * 1024 * 1024;
/// The part of the free room that copies may take beside their sources.
const PART: u64 = 16;
/// Sizes are counted in pieces of this many bytes, as nearly every file system stores them.
const BLOCK: u64 = 4096;
/// Longer paths the kernel does not take (`PATH_MAX`), and some room for a name.
const MAX_PATH: usize = 3800;

/// The directories that a commit consumes, and what has gone of them.
#[derive(Debug, Default)]
pub struct Consumption {
    /// Each with its descriptor.
    tops: Vec<(PathBuf, OwnedFd)>,
    /// Paths of the trees that options may name, as they were met.
    met: HashSet<String>,
    /// Directories that were met, by device and inode.
    directories: HashSet<(u64, u64)>,
    /// Copied, and to go when the copies are durable.
    copied: Vec<Source>,
    /// To go after the commit.
    last: Vec<Source>,
    room: Room,
    gone: u64,
    first_gone: Option<String>,
}

/// A name that is to go.
#[derive(Debug)]
pub(crate) struct Source {
    top: usize,
    /// Below the top, with a leading slash.
    path: String,
    is_dir: bool,
    /// The file as it was when it was read.
    identity: Identity,
    /// Whether it is an object now.
    is_linked: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    inode: (u64, u64),
    size: i64,
    modified: (i64, i64),
}

impl Identity {
    fn of(stat: &Stat) -> Self {
        Self {
            inode: (stat.st_dev, stat.st_ino),
            size: stat.st_size,
            #[allow(clippy::unnecessary_cast, reason = "the width differs between architectures")]
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
        }
    }
}

/// How much is taken of the disk, in bytes, relative to the beginning.
#[derive(Debug)]
struct Room {
    /// May pile up whatever the most is.
    spare: u64,
    /// By copies, less the sources of all of them: what it would be if each had gone at once.
    taken: i64,
    /// The most that would have been.
    most: i64,
    /// By sources that are still there.
    waiting: i64,
}

impl Default for Room {
    fn default() -> Self {
        Self { spare: ALWAYS, taken: 0, most: 0, waiting: 0 }
    }
}

impl Room {
    /// Lets more pile up where this many bytes are free.
    fn allow(&mut self, free: u64) {
        self.spare = (free / PART).clamp(ALWAYS, AT_MOST);
    }

    /// Whether a file of this size can be copied without more than the most, before others go.
    fn has(&self, size: u64) -> bool {
        let spare = whole(self.spare);
        self.waiting == 0 || self.taken + self.waiting + whole(size) <= self.most.max(self.taken + spare)
    }

    fn add(&mut self, source: u64, copy: u64) {
        self.most = self.most.max(self.taken + whole(copy));
        self.taken += whole(copy) - whole(source);
        self.waiting += whole(source);
    }
}

fn whole(size: u64) -> i64 {
    i64::try_from(size.div_ceil(BLOCK).saturating_mul(BLOCK)).unwrap_or(i64::MAX / 4)
}

impl Consumption {
    /// Looks at a directory before it is consumed, and touches nothing. `tree` gets the names in it.
    ///
    /// Errors: something in it cannot be committed, or could not be removed.
    pub fn look(&mut self, repo: &Repo, tree: &mut Tree, path: &Path, options: &TreeOptions) -> Result<()> {
        ensure!(
            options.skip.is_empty(),
            "--consume with a skip list would leave what is skipped, or lose it; commit without one of them"
        );
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let top = openat(CWD, path, flags, Permissions::empty())
            .with_context(|| format!("opendir({})", path.display()))?;
        let Self { met, directories, .. } = self;
        Look { repo, met, directories, top: path, path: String::new() }.directory(&top, tree)?;
        self.tops.push((path.to_owned(), top));
        self.room.allow(repo.free_space()?);
        Ok(())
    }

    /// Looks at the tree of a commit that is committed again. `tree` gets the names in it.
    ///
    /// Errors: it is not whole.
    pub fn look_at_commit(
        &mut self,
        repo: &Repo,
        tree: &mut Tree,
        commit: &Checksum,
        options: &TreeOptions,
    ) -> Result<()> {
        repo.check_tree(commit)?;
        let Entry::Dir { tree: root, meta } = repo.root_of(commit)? else { return Ok(()) };
        tree.overlay(repo, &root, &meta)?;
        let is_there = |path: &&str| repo.lookup(commit, path).is_ok();
        self.met.extend(options.mode_changes.paths().filter(is_there).map(str::to_owned));
        Ok(())
    }

    /// Checks, after all trees were looked at, that options name nothing else.
    pub fn check_options(&self, options: &TreeOptions) -> Result<()> {
        let unmet: Vec<_> = options.mode_changes.paths().filter(|path| !self.met.contains(*path)).collect();
        ensure!(unmet.is_empty(), "Unmatched statoverride paths: {}", unmet.join(", "));
        Ok(())
    }

    /// The number of the tree at `path`, for [`Consumption::copied`] and its like.
    pub(crate) fn top_of(&self, path: &Path) -> Result<usize> {
        let found = self.tops.iter().position(|(top, _)| top == path);
        found.with_context(|| format!("{} was not looked at before", path.display()))
    }

    /// Makes room for a copy of this many bytes: what was copied before goes if need be.
    pub(crate) fn make_room(&mut self, transaction: &mut Transaction<'_>, size: u64) -> Result<()> {
        if self.room.has(size) { Ok(()) } else { self.flush(transaction) }
    }

    /// A file is an object now, by a copy of this size.
    pub(crate) fn copied(&mut self, top: usize, path: &str, stat: &Stat, copy: u64) {
        let size = if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1 {
            u64::try_from(stat.st_size).unwrap_or_default()
        } else {
            0
        };
        self.room.add(size, copy);
        self.copied.push(Source {
            top,
            path: path.to_owned(),
            is_dir: false,
            identity: Identity::of(stat),
            is_linked: false,
        });
    }

    /// A file was linked into the transaction.
    pub(crate) fn linked(&mut self, top: usize, path: &str, stat: &Stat) {
        self.last.push(Source {
            top,
            path: path.to_owned(),
            is_dir: false,
            identity: Identity::of(stat),
            is_linked: true,
        });
    }

    /// All of a directory was committed.
    pub(crate) fn directory(&mut self, top: usize, path: &str, stat: &Stat) {
        // It may hold links, which are still there.
        let list = if self.last.is_empty() { &mut self.copied } else { &mut self.last };
        list.push(Source {
            top,
            path: path.to_owned(),
            is_dir: true,
            identity: Identity::of(stat),
            is_linked: false,
        });
    }

    /// Brings the copies among the objects, durably, and removes their sources.
    fn flush(&mut self, transaction: &mut Transaction<'_>) -> Result<()> {
        transaction.publish_objects()?;
        for source in std::mem::take(&mut self.copied) {
            self.remove(&source)?;
        }
        self.room.waiting = 0;
        Ok(())
    }

    /// Removes what is left, after the commit is durable; what could not be removed.
    pub fn finish(mut self) -> Vec<String> {
        let mut failed = Vec::new();
        let last = std::mem::take(&mut self.last);
        for source in std::mem::take(&mut self.copied).iter().chain(&last) {
            if let Err(error) = self.remove(source) {
                failed.push(format!("{error:#}"));
            }
        }
        for (path, _) in &self.tops {
            // It may be the current directory, or not ours to remove.
            unlinkat(CWD, path, AtFlags::REMOVEDIR).ok();
        }
        failed
    }

    /// Describes for a failure what has gone; nothing if nothing has.
    pub fn describe_gone(&self) -> Option<String> {
        let first = self.first_gone.as_ref()?;
        Some(match self.gone {
            1 => format!(
                "{first} was consumed: its contents are an object of the repository until the next prune"
            ),
            gone => format!(
                "{gone} files were consumed, {first} the first: their contents are objects of the repository \
                 until the next prune"
            ),
        })
    }

    fn remove(&mut self, source: &Source) -> Result<()> {
        let Some((top_path, top)) = self.tops.get(source.top) else { return Ok(()) };
        let shown = format!("{}{}", top_path.display(), source.path);
        let (parent, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let parent = parent.trim_start_matches('/');
        let step = || format!("Removing {shown}");
        let dir = match parent {
            "" => None,
            parent => Some(durable::open_on_mount(top, parent).with_context(step)?),
        };
        let dir: BorrowedFd<'_> = dir.as_ref().map_or(top.as_fd(), AsFd::as_fd);
        if source.is_dir {
            return match unlinkat(dir, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => bail!("{shown} has got something new, and stays"),
                done => done.with_context(step),
            };
        }
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).with_context(step)?;
        ensure!(Identity::of(&stat) == source.identity, "{shown} was changed since it was read, and stays");
        if source.is_linked {
            // Objects have one time; a checksum knows none.
            let epoch = Timespec { tv_sec: 0, tv_nsec: 0 };
            let times = Timestamps { last_access: epoch, last_modification: epoch };
            utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW).ok();
        }
        unlinkat(dir, name, AtFlags::empty()).with_context(step)?;
        self.gone += 1;
        self.first_gone.get_or_insert(shown);
        Ok(())
    }
}

/// Looking at what is going to be consumed.
struct Look<'a> {
    repo: &'a Repo,
    met: &'a mut HashSet<String>,
    directories: &'a mut HashSet<(u64, u64)>,
    top: &'a Path,
    path: String,
}

impl Look<'_> {
    fn describe(&self) -> String {
        format!("{}{}", self.top.display(), self.path)
    }

    fn directory(&mut self, dir: &OwnedFd, tree: &mut Tree) -> Result<()> {
        check_depth(&self.path).with_context(|| self.describe())?;
        ensure!(self.path.len() < MAX_PATH, "{}: its path is too long to be consumed", self.describe());
        self.met.insert(if self.path.is_empty() { "/".to_owned() } else { self.path.clone() });
        let names = scan::tree_entries(dir, || self.describe())?;
        let stat = fstat(dir).with_context(|| self.describe())?;
        let inode = |stat: &Stat| (stat.st_dev, stat.st_ino);
        ensure!(self.directories.insert(inode(&stat)), "{} is to be consumed twice", self.describe());
        ensure!(inode(&stat) != inode(&fstat(self.repo.dir())?), "{} is the repository", self.describe());
        let access = Access::WRITE_OK | Access::EXEC_OK | Access::READ_OK;
        if !names.is_empty() {
            accessat(dir, ".", access, AtFlags::EACCESS)
                .with_context(|| format!("{}: what is in it could not be removed", self.describe()))?;
        }
        // Any checksum does: only names count here.
        tree.set_meta(formats::Checksum::of(b""));
        for (name, kind) in names {
            let len = self.path.len();
            self.path.push('/');
            self.path.push_str(&name);
            self.entry(dir, &stat, &name, kind, tree).with_context(|| self.describe())?;
            self.path.truncate(len);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: &OwnedFd,
        above: &Stat,
        name: &str,
        kind: FileType,
        tree: &mut Tree,
    ) -> Result<()> {
        self.check_removable(dir, above, name)?;
        match kind {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let child = openat(dir, name, flags, Permissions::empty())?;
                let subtree = tree.ensure_dir(self.repo, name)?;
                return self.directory(&child, subtree);
            }
            FileType::RegularFile => {
                accessat(dir, name, Access::READ_OK, AtFlags::EACCESS).context("It cannot be read")?;
            }
            FileType::Symlink => {
                let target = readlinkat(dir, name, Vec::new())?;
                ensure!(target.to_str().is_ok(), "the link's target is not UTF-8");
            }
            _ => bail!("Unsupported file type for file: '{}'; remove it", self.describe()),
        }
        self.met.insert(self.path.clone());
        tree.insert_file(name, formats::Checksum::of(b""))
    }

    /// Whether the name can go, as far as can be known.
    fn check_removable(&self, dir: &OwnedFd, above: &Stat, name: &str) -> Result<()> {
        let stat = statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
        let flags = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
        ensure!(!stat.stx_attributes.intersects(flags), "It is immutable, and could not be removed");
        ensure!(!stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT), "Something is mounted there");
        let (uid, is_sticky) = (rustix::process::geteuid(), above.st_mode & 0o1000 != 0);
        ensure!(
            !is_sticky || uid.is_root() || [stat.stx_uid, above.st_uid].contains(&uid.as_raw()),
            "It is somebody else's in a directory with the sticky bit, and could not be removed"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most that is taken when each goes at once, and when they wait as long as there is room; and how often they go.
    fn run(files: &[(u64, u64)]) -> (i64, i64, usize) {
        let (mut room, mut most, mut flushes) = (Room::default(), 0, 0);
        for (source, copy) in files {
            if !room.has(*source) {
                room.waiting = 0;
                flushes += 1;
            }
            most = most.max(room.taken + room.waiting + whole(*copy));
            room.add(*source, *copy);
        }
        (room.most, most, flushes)
    }

    #[test]
    fn no_more_is_taken_than_file_by_file() {
        const M: u64 = 1 << 20;
        let plain = |sizes: &[u64]| sizes.iter().map(|size| (*size, *size)).collect::<Vec<_>>();
        // A large one gives room for many small ones behind it.
        let (wanted, most, flushes) = run(&plain(&[vec![10 * M], vec![M; 40]].concat()));
        assert!(most <= wanted && flushes <= 6, "{wanted} {most} {flushes}");
        // All of one size: one by one.
        let (wanted, most, flushes) = run(&plain(&[M; 40]));
        assert_eq!((wanted, most, flushes), (M as i64, M as i64, 39));
        // Copies that are smaller make room.
        let (wanted, most, flushes) = run(&[(M, M / 4); 40]);
        assert!(most <= wanted && flushes < 39, "{wanted} {most} {flushes}");
        // Objects that are there already take nothing.
        let (wanted, most, _) = run(&[(M, 0); 40]);
        assert!(most <= wanted + ALWAYS as i64, "{wanted} {most}");
        // With much room on the disk all go at once, with little of it as without.
        let mut room = Room::default();
        room.add(M, M);
        assert!(!room.has(M));
        room.allow(16 * M);
        assert!(!room.has(M));
        room.allow(u64::MAX);
        assert!(room.has(62 * M) && !room.has(64 * M));
        // Small ones are not synced one by one.
        let (wanted, most, flushes) = run(&plain(&[4096; 1000]));
        assert!(most <= wanted + ALWAYS as i64 && flushes < 20, "{wanted} {most} {flushes}");
    }
}
