// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refs: names of commits, one file each.
//!
//! `refs/heads/NAME` are the repository's own, `refs/remotes/REMOTE/NAME` those pulled from a remote,
//! `refs/mirrors/COLLECTION/NAME` mirrored ones. An alias is a symbolic link to another ref beside it.

use std::os::fd::AsFd;

use anyhow::{Context as _, Result, bail};
use fn_error_context::context;
use formats::Checksum;
use formats::object::{ObjectName, ObjectType};
use rustix::fs::{
    AtFlags, FileType, Mode as Permissions, Timespec, Timestamps, UTIME_NOW, mkdirat, openat, readlinkat,
    statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::{Repo, RepoError, bytes, scan};

mod name;
mod walk;

use name::{HEADS, REMOTES, is_component};
pub use name::{RefName, Refspec};

const MIRRORS: &str = "refs/mirrors";

impl Repo {
    /// The commit of a ref, if there is such a ref. A name without remote that is not among the heads is looked
    /// for among all remotes, as the C tools do.
    pub fn read_ref(&self, refspec: &Refspec) -> Result<Option<Checksum>> {
        let own = self.read_ref_file(&refspec.path())?;
        if own.is_some() || refspec.remote.is_some() {
            return Ok(own);
        }
        for remote in self.remotes()? {
            let found = self.read_ref_file(&format!("{REMOTES}/{remote}/{}", refspec.name))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn read_ref_file(&self, path: &str) -> Result<Option<Checksum>> {
        let Some(data) = self.read_ref_bytes(path)? else { return Ok(None) };
        parse_ref(&data).map(Some).with_context(|| format!("Reading {}/{path}", self.path().display()))
    }

    /// The bytes that a ref holds; none for a directory.
    fn read_ref_bytes(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match statat(self.dir(), path, AtFlags::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP) => return Ok(None),
            stat if FileType::from_raw_mode(stat.with_context(|| path.to_owned())?.st_mode)
                == FileType::Directory =>
            {
                return Ok(None);
            }
            _ => {}
        }
        let step = || format!("Reading {}/{path}", self.path().display());
        bytes::read_file(self.dir(), path).map(Some).with_context(step)
    }

    fn remotes(&self) -> Result<Vec<String>> {
        let mut out: Vec<_> = walk::directories(self.dir(), REMOTES)?;
        out.sort();
        Ok(out)
    }

    /// All heads and refs of remotes below `prefix` (a ref, or the first components of refs), sorted.
    #[context("Listing refs")]
    pub fn list_refs(&self, prefix: Option<&str>) -> Result<Vec<(Refspec, Checksum)>> {
        let mut out = Vec::new();
        self.each_ref(|refspec, _, path| {
            if prefix.is_none_or(|prefix| below(&refspec.to_string(), prefix))
                && let Some(checksum) = self.read_ref_file(path)?
            {
                out.push((refspec, checksum));
            }
            Ok(())
        })?;
        out.sort_by_cached_key(|(refspec, _)| refspec.to_string());
        Ok(out)
    }

    /// The last components of the heads that lie right in `directory`, in the order of the directory, whatever they say.
    #[context("Listing refs in {directory}")]
    pub fn heads_in(&self, directory: &RefName) -> Result<Vec<String>> {
        let path = format!("{HEADS}/{directory}");
        let mut names = Vec::new();
        let dir = match openat(self.dir(), path.as_str(), crate::dirs::DIR_FLAGS, Permissions::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(names),
            dir => dir?,
        };
        scan::entries(dir, |name, kind| {
            if let Ok(name) = str::from_utf8(name)
                && kind != FileType::Directory
                && is_component(name)
            {
                names.push(name.to_owned());
            }
            Ok(())
        })?;
        Ok(names)
    }

    /// The commits that refs keep, mirrored ones too, each with its ref's name for messages. A ref without a checksum keeps
    /// nothing.
    #[context("Listing refs")]
    pub(crate) fn kept_by_refs(&self) -> Result<Vec<(String, Checksum)>> {
        let mut paths = Vec::new();
        self.each_ref(|refspec, _, path| {
            paths.push((format!("ref {refspec}"), path.to_owned()));
            Ok(())
        })?;
        walk::files(self.dir(), MIRRORS, |path, _| {
            let name = path.strip_prefix(MIRRORS).unwrap_or(path).trim_start_matches('/');
            paths.push((format!("mirrored ref {name}"), path.to_owned()));
            Ok(())
        })?;
        let mut out = Vec::new();
        for (name, path) in paths {
            match self.read_ref_bytes(&path)?.as_deref().map(parse_ref) {
                Some(Ok(commit)) => out.push((name, commit)),
                Some(Err(error)) => {
                    log::warn!("The {name} keeps nothing: {}/{path}: {error:#}", self.path().display());
                }
                None => {}
            }
        }
        Ok(out)
    }

    /// All aliases with the text of their links, relative to the alias, sorted.
    #[context("Listing aliases")]
    pub fn list_aliases(&self, prefix: Option<&str>) -> Result<Vec<(Refspec, String)>> {
        let mut out = Vec::new();
        self.each_ref(|refspec, kind, path| {
            if kind == FileType::Symlink && prefix.is_none_or(|prefix| below(&refspec.to_string(), prefix)) {
                let target = readlinkat(self.dir(), path, Vec::new())?;
                out.push((refspec, target.to_string_lossy().into_owned()));
            }
            Ok(())
        })?;
        out.sort();
        Ok(out)
    }

    fn each_ref(&self, mut found: impl FnMut(Refspec, FileType, &str) -> Result<()>) -> Result<()> {
        let mut roots: Vec<(Option<String>, String)> = vec![(None, HEADS.to_owned())];
        roots.extend(self.remotes()?.into_iter().map(|remote| {
            let path = format!("{REMOTES}/{remote}");
            (Some(remote), path)
        }));
        for (remote, root) in roots {
            walk::files(self.dir(), &root, |path, kind| {
                let name = path.strip_prefix(&root).unwrap_or_default().trim_start_matches('/');
                match name.parse() {
                    Ok(name) => found(Refspec { remote: remote.clone(), name }, kind, path),
                    Err(_) => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    /// Removes what writers of earlier boots left beside refs, states and the configuration.
    pub(crate) fn sweep_stale_temps(&self) -> Result<()> {
        let age = self.settings().tmp_expiry;
        let sweep = |path: &str| {
            let dir = openat(self.dir(), path, crate::dirs::DIR_FLAGS, Permissions::empty());
            let swept = match dir {
                Err(Errno::NOENT) => Ok(0),
                Err(errno) => Err(errno.into()),
                Ok(dir) => durable::sweep_stale_temps(dir.as_fd(), age),
            };
            let step = || format!("Removing stale temporary files in {}/{path}", self.path().display());
            swept.map(drop).with_context(step)
        };
        [".", "state"].into_iter().try_for_each(sweep)?;
        walk::all_directories(self.dir(), "refs")?.iter().try_for_each(|path| sweep(path))
    }

    /// Checks that a ref can have this name: that no directory has it, and that nothing else is where its directories are to be.
    #[context("Looking at the place of ref {refspec}")]
    pub fn check_ref_place(&self, refspec: &Refspec) -> Result<()> {
        let path = refspec.path();
        let is_dir = |path: &str| -> Result<Option<bool>> {
            match statat(self.dir(), path, AtFlags::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
                stat => Ok(Some(FileType::from_raw_mode(stat?.st_mode) == FileType::Directory)),
            }
        };
        let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        for parent in above {
            if is_dir(parent)? == Some(false) {
                bail!("{parent} is no directory");
            }
        }
        match is_dir(&path) {
            Ok(Some(true)) => bail!("{path} is a directory"),
            looked => looked.map(drop),
        }
    }

    /// Points a ref at a commit, durably, after the objects are.
    #[context("Writing ref {refspec}")]
    pub fn set_ref(&self, refspec: &Refspec, commit: &Checksum) -> Result<()> {
        let path = refspec.path();
        self.make_parents(&path)?;
        bytes::replace(self.dir(), &path, format!("{commit}\n").as_bytes())?;
        self.touch()
    }

    /// Makes `alias` a link to the head `target`.
    #[context("Writing alias {alias}")]
    pub fn set_alias(&self, alias: &RefName, target: &RefName) -> Result<()> {
        let path = format!("{HEADS}/{alias}");
        self.make_parents(&path)?;
        let up = "../".repeat(alias.as_str().matches('/').count());
        match symlinkat(format!("{up}{target}"), self.dir(), path.as_str()) {
            Err(Errno::EXIST) => bail!("ref {alias} already exists"),
            done => done?,
        }
        bytes::sync_dir(self.dir(), path.rsplit_once('/').map_or(HEADS, |(parent, _)| parent))?;
        self.touch()
    }

    /// Removes a ref or alias.
    #[context("Deleting ref {refspec}")]
    pub fn delete_ref(&self, refspec: &Refspec) -> Result<()> {
        let path = refspec.path();
        unlinkat(self.dir(), path.as_str(), AtFlags::empty())?;
        if self.settings().fsync {
            bytes::sync_dir(self.dir(), path.rsplit_once('/').map_or(HEADS, |(parent, _)| parent))?;
        }
        self.touch()
    }

    fn make_parents(&self, path: &str) -> Result<()> {
        // The C tools list no ref without it.
        if statat(self.dir(), REMOTES, AtFlags::empty()).is_err() {
            self.furnish()?;
        }
        for (at, _) in path.match_indices('/') {
            let parent = path.get(..at).unwrap_or_default();
            match mkdirat(self.dir(), parent, Permissions::from_raw_mode(0o777)) {
                Ok(()) => {
                    bytes::sync_dir(self.dir(), parent.rsplit_once('/').map_or(".", |(above, _)| above))?
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error).with_context(|| format!("mkdir({parent})")),
            }
        }
        Ok(())
    }

    /// Notes a change for those who watch the repository's time, as the C library does.
    fn touch(&self) -> Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        utimensat(self.dir(), ".", &times, AtFlags::empty()).context("Setting the repository's time")
    }

    /// The commit that `rev` names: a checksum, the unique beginning of one, a ref, or any of these with `^`
    /// for each step to the parent.
    ///
    /// Errors: [`RepoError::RefNotFound`], [`RepoError::InvalidRef`], [`RepoError::NoParent`].
    pub fn resolve_rev(&self, rev: &str) -> Result<Checksum> {
        self.try_resolve_rev(rev)?.ok_or_else(|| RepoError::RefNotFound(rev.to_owned()).into())
    }

    /// As [`Repo::resolve_rev`], but a name that nothing has is no error.
    pub fn try_resolve_rev(&self, rev: &str) -> Result<Option<Checksum>> {
        let name = rev.trim_end_matches('^');
        let steps = rev.len() - name.len();
        let Some(mut commit) = self.resolve_name(name)? else { return Ok(None) };
        for _ in 0..steps {
            commit = self.load_commit(&commit)?.parent.ok_or(RepoError::NoParent(commit))?;
        }
        Ok(Some(commit))
    }

    fn resolve_name(&self, name: &str) -> Result<Option<Checksum>> {
        if let Ok(checksum) = name.parse() {
            return Ok(Some(checksum));
        }
        // A ref whose name looks like the beginning of a checksum stays reachable.
        let found = self.read_ref(&name.parse()?)?;
        let hex = name.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if found.is_none() && hex { self.unique_commit(name) } else { Ok(found) }
    }

    /// The only commit whose checksum begins with `digits`.
    fn unique_commit(&self, digits: &str) -> Result<Option<Checksum>> {
        let mut found = None;
        let mut more = false;
        let mut take = |name: ObjectName| {
            if name.kind == ObjectType::Commit && name.checksum.to_string().starts_with(digits) {
                more |= found.replace(name.checksum).is_some();
            }
        };
        match digits.get(..2) {
            Some(fanout) => {
                match openat(self.objects(), fanout, crate::dirs::DIR_FLAGS, Permissions::empty()) {
                    Err(Errno::NOENT) => {}
                    dir => scan::entries(dir?, |file, _| {
                        let file = str::from_utf8(file).unwrap_or_default();
                        formats::object::parse_loose(fanout, file).into_iter().for_each(&mut take);
                        Ok(())
                    })?,
                }
            }
            None => self.each_object(|name, _, _| {
                take(name);
                Ok(())
            })?,
        }
        if more {
            bail!("Refspec {digits} not unique");
        }
        Ok(found)
    }
}

/// The checksum that a ref's file holds.
fn parse_ref(data: &[u8]) -> Result<Checksum> {
    Ok(str::from_utf8(data)?.trim_ascii_end().parse()?)
}

/// Whether `name` is `prefix` or lies below it.
fn below(name: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    match name.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || prefix.ends_with(':'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_swept_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let options = crate::InitOptions { mode: crate::Mode::BareUser, collection_id: None };
        let repo = Repo::init(dir.path().join("repo"), &options).unwrap();
        repo.sweep_stale_temps().unwrap();
        std::fs::remove_dir(dir.path().join("repo/state")).unwrap();
        std::fs::write(dir.path().join("repo/state"), "").unwrap();
        let error = format!("{:#}", repo.sweep_stale_temps().unwrap_err());
        assert!(
            error.starts_with("Removing stale temporary files in") && error.contains("repo/state"),
            "{error}"
        );
    }

    #[test]
    fn prefixes_are_whole_components() {
        assert!(below("a/b", "a") && below("a/b", "a/b") && below("a/b", "a/") && below("o:a", "o:"));
        assert!(!below("ab", "a") && !below("a", "a/b"));
    }
}
