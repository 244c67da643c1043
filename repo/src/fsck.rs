// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checking that every object is what its name says.

use std::collections::HashSet;
use std::io::Read;

use anyhow::Result;
use formats::object::{Commit, DirMeta, DirTree, ObjectName, ObjectType};
use formats::{Checksum, Hasher};

use crate::traverse::is_missing;
use crate::{Reachable, Repo, RepoError, xattr};

/// What to check.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Corrupt objects are removed; commits that needed them become partial.
    pub delete: bool,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Whole commits that were checked.
    pub commits: usize,
    /// Commits that were pulled without all of their objects.
    pub partial: usize,
    /// Objects that were checked.
    pub objects: usize,
    /// What is wrong, a line each: missing objects and corrupt ones.
    pub problems: Vec<String>,
}

/// Content is read in pieces that stay in the processor's cache.
const PIECE: usize = 128 * 1024;

impl Repo {
    /// The commits that the repository holds, whether refs name them or not, sorted.
    pub fn list_commits(&self) -> Result<Vec<Checksum>> {
        let mut out = Vec::new();
        self.each_object(|name, _, _| {
            if name.kind == ObjectType::Commit {
                out.push(name.checksum);
            }
            Ok(())
        })?;
        out.sort_unstable();
        Ok(out)
    }

    /// Checks all objects of all commits. `progress` is told the number of checked objects and of all.
    ///
    /// Errors: those of the file system; what is wrong with objects is in the report.
    pub fn fsck(&self, options: Options, mut progress: impl FnMut(usize, usize)) -> Result<Report> {
        let mut report = Report::default();
        let mut needed = Reachable::new();
        for checksum in self.list_commits()? {
            if self.is_partial(&checksum)? {
                report.partial += 1;
                continue;
            }
            match self.add_whole_commit(&mut needed, &checksum) {
                Ok(()) => report.commits += 1,
                Err(error) => self.note(&mut report, error)?,
            }
        }
        let total = needed.len();
        let mut checker =
            Checker { repo: self, xattrs: xattr::Reader::new(), buffer: vec![0; PIECE], header: Vec::new() };
        let mut bad = HashSet::new();
        // In the order of names, which is the order of directories.
        let mut names: Vec<_> = needed.iter().copied().collect();
        names.sort_unstable();
        for name in names {
            if let Err(error) = checker.check(name) {
                self.note(&mut report, error)?;
                bad.insert(name);
            }
            report.objects += 1;
            progress(report.objects, total);
        }
        if options.delete && !bad.is_empty() {
            self.delete_corrupt(&bad)?;
        }
        Ok(report)
    }

    fn add_whole_commit(&self, needed: &mut Reachable, checksum: &Checksum) -> Result<()> {
        needed.add_history(self, checksum, crate::Depth::Parents(0), false)
    }

    /// Puts what is wrong with an object into the report; all else is an error of the check itself.
    fn note(&self, report: &mut Report, error: anyhow::Error) -> Result<()> {
        if error.chain().any(|cause| cause.is::<RepoError>()) {
            report.problems.push(format!("{error:#}"));
            return Ok(());
        }
        Err(error)
    }

    fn delete_corrupt(&self, bad: &HashSet<ObjectName>) -> Result<()> {
        let _lock = self.lock_exclusive()?;
        for checksum in self.list_commits()? {
            let mut needed = Reachable::new();
            let damaged = match self.add_whole_commit(&mut needed, &checksum) {
                Ok(()) => needed.iter().any(|name| bad.contains(name)),
                Err(_) => true,
            };
            if damaged {
                self.set_partial(&checksum, true)?;
            }
        }
        for name in bad {
            match self.delete_object(*name) {
                Err(error) if !is_missing(&error, name) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

struct Checker<'a> {
    repo: &'a Repo,
    xattrs: xattr::Reader,
    buffer: Vec<u8>,
    header: Vec<u8>,
}

impl Checker<'_> {
    fn check(&mut self, name: ObjectName) -> Result<()> {
        if name.kind == ObjectType::File {
            return self.check_file(name);
        }
        let data = self.repo.load_metadata(name)?;
        match name.kind {
            ObjectType::DirTree => DirTree::parse(&data).map(drop),
            ObjectType::DirMeta => DirMeta::parse(&data).map(drop),
            ObjectType::Commit => Commit::parse(&data).map(drop),
            _ => Ok(()),
        }
        .map_err(|error| crate::read::corrupt(name, &error))
    }

    fn check_file(&mut self, name: ObjectName) -> Result<()> {
        let corrupt = |reason: String| RepoError::Corrupt { name, reason };
        let mut file = self.repo.load_file_with(&name.checksum, &mut self.xattrs)?;
        let mut hasher = Hasher::new();
        file.header.write_framed(&mut self.header);
        hasher.update(&self.header);
        let mut total = 0;
        loop {
            match file.content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(self.buffer.get(..count).unwrap_or_default());
                    total += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // A deflate stream that is broken or cut short.
                Err(error) if self.repo.mode().is_archive() && error.raw_os_error().is_none() => {
                    return Err(corrupt(error.to_string()).into());
                }
                Err(error) => return Err(error.into()),
            }
            if total > file.size {
                break;
            }
        }
        if total != file.size {
            return Err(corrupt(format!("{total} bytes of content instead of {}", file.size)).into());
        }
        let found = hasher.finish();
        if found != name.checksum {
            return Err(corrupt(format!("checksum expected='{}' actual='{found}'", name.checksum)).into());
        }
        Ok(())
    }
}
