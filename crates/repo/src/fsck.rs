// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checking that every object is what its name says.

use std::io::Read;

use anyhow::Result;
use formats::object::{ObjectName, ObjectType};
use formats::{Checksum, Hasher};

use crate::{LockGuard, Partial, Progress, Reachable, Repo, RepoError, xattr};

/// The extent of a check.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Goes on after a corrupt object.
    pub all: bool,
    /// Corrupt objects are removed; commits that needed them become partial.
    pub delete: bool,
}

/// Something that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The object.
    pub name: ObjectName,
    /// The reason, for a person; none for an object that is not there.
    pub corrupt: Option<String>,
    /// Commits that need it, sorted.
    pub commits: Vec<Checksum>,
}

/// The findings of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// Whole commits that were checked.
    pub commits: usize,
    /// Commits that were pulled without all of their objects, before this check.
    pub partial: usize,
    /// Those of them that an earlier check has found.
    pub found_before: usize,
    /// Objects that were checked.
    pub objects: usize,
    /// Missing and corrupt objects.
    pub problems: Vec<Problem>,
    /// Commits that lack objects since this check, sorted.
    pub newly_partial: Vec<Checksum>,
}

/// Content is read in pieces that stay in the processor's cache.
const PIECE: usize = 128 * 1024;

impl Repo {
    /// Checks that one object is what its name says.
    ///
    /// Errors: [`RepoError::NoMetadata`], [`RepoError::NoFile`], [`RepoError::Corrupt`].
    pub fn check_object(&self, name: ObjectName) -> Result<()> {
        Checker::new(self).check(name)
    }

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

    /// Checks all objects of all commits. Commits that lack objects are marked as partial, so that a pull fetches
    /// them again. `progress` is told the number of checked objects and of all.
    ///
    /// # Errors
    /// Those of the file system, and [`RepoError::Cancelled`]; broken objects are in the report.
    pub fn fsck(&self, options: Options, progress: &mut dyn Progress) -> Result<Report> {
        let _lock = if options.delete { Some(self.lock_exclusive()?) } else { self.lock_for_reading()? };
        let mut report = Report::default();
        let mut needed = Reachable::new();
        let mut whole = Vec::new();
        for checksum in self.list_commits()? {
            if let Some(reason) = self.partial(&checksum)? {
                report.partial += 1;
                report.found_before += usize::from(reason == Partial::FoundByFsck);
                continue;
            }
            whole.push(checksum);
            if let Err(error) = self.add_whole_commit(&mut needed, &checksum) {
                note(&mut report, error)?;
            }
        }
        report.commits = whole.len();
        let total = needed.len();
        let mut checker = Checker::new(self);
        // In the order of names, which is the order of directories.
        let mut names: Vec<_> = needed.iter().copied().collect();
        names.sort_unstable();
        for name in names {
            if let Err(error) = checker.check(name) {
                note(&mut report, error)?;
                if !options.all
                    && !options.delete
                    && report.problems.last().is_some_and(|last| last.corrupt.is_some())
                {
                    break;
                }
            }
            report.objects += 1;
            progress.advance(report.objects as u64, Some(total as u64));
            if progress.is_cancelled() {
                return Err(RepoError::Cancelled.into());
            }
        }
        self.blame(&mut report, &whole)?;
        self.mark(&mut report, options.delete)?;
        Ok(report)
    }

    /// Readers need no lock to be right, but a check must not see what a prune deletes. Who cannot write cannot
    /// lock, and checks anyway.
    pub(crate) fn lock_for_reading(&self) -> Result<Option<LockGuard>> {
        match self.lock_shared() {
            Err(error) if !error.is::<RepoError>() => {
                log::debug!("checking without a lock: {error:#}");
                Ok(None)
            }
            lock => lock.map(Some),
        }
    }

    fn add_whole_commit(&self, needed: &mut Reachable, checksum: &Checksum) -> Result<()> {
        needed.add_history(self, checksum, crate::Depth::Parents(0), false)
    }

    /// Finds the commits that need the bad objects.
    fn blame(&self, report: &mut Report, commits: &[Checksum]) -> Result<()> {
        if report.problems.is_empty() {
            return Ok(());
        }
        for commit in commits {
            let mut needed = Reachable::new();
            let failed = self.add_whole_commit(&mut needed, commit).err();
            let failed = failed.and_then(|error| problem(&error)).map(|problem| problem.name);
            for problem in &mut report.problems {
                if needed.contains(&problem.name) || failed == Some(problem.name) {
                    problem.commits.push(*commit);
                }
            }
        }
        Ok(())
    }

    fn mark(&self, report: &mut Report, delete: bool) -> Result<()> {
        let lacking = report.problems.iter().filter(|problem| delete || problem.corrupt.is_none());
        let mut commits: Vec<_> =
            lacking.clone().flat_map(|problem| problem.commits.iter().copied()).collect();
        commits.sort_unstable();
        commits.dedup();
        for commit in &commits {
            self.set_partial(commit, Some(Partial::FoundByFsck))?;
        }
        for problem in lacking.filter(|problem| problem.corrupt.is_some()) {
            self.delete_object(problem.name)?;
        }
        report.newly_partial = commits;
        Ok(())
    }
}

/// Returns the problem with an object that an error stands for, if it does.
fn problem(error: &anyhow::Error) -> Option<Problem> {
    let (name, corrupt) = match error.chain().find_map(|cause| cause.downcast_ref())? {
        RepoError::NoMetadata(name) => (*name, None),
        RepoError::NoFile(checksum) => (ObjectName::new(*checksum, ObjectType::File), None),
        RepoError::Corrupt { name, reason } => (*name, Some(reason.clone())),
        _ => return None,
    };
    Some(Problem { name, corrupt, commits: Vec::new() })
}

/// Puts what is wrong with an object into the report, once; all else is an error of the check itself.
fn note(report: &mut Report, error: anyhow::Error) -> Result<()> {
    let found = problem(&error).ok_or(error)?;
    if !report.problems.iter().any(|known| known.name == found.name) {
        report.problems.push(found);
    }
    Ok(())
}

struct Checker<'a> {
    repo: &'a Repo,
    xattrs: xattr::Reader,
    buffer: Vec<u8>,
    header: Vec<u8>,
}

impl<'a> Checker<'a> {
    fn new(repo: &'a Repo) -> Self {
        Self { repo, xattrs: xattr::Reader::new(), buffer: vec![0; PIECE], header: Vec::new() }
    }

    fn check(&mut self, name: ObjectName) -> Result<()> {
        if name.kind == ObjectType::File {
            return self.check_file(name);
        }
        let data = self.repo.load_metadata(name)?;
        name.check_structure(&data).map_err(|error| crate::read::corrupt(name, &error))
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
