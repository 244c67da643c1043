// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refs: names of commits, one file each.
//!
//! `refs/heads/NAME` are the repository's own, `refs/remotes/REMOTE/NAME` those pulled from a remote,
//! `refs/mirrors/COLLECTION/NAME` mirrored ones. An alias is a symbolic link to another ref beside it.

use std::fmt;
use std::str::FromStr;

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

const HEADS: &str = "refs/heads";
const REMOTES: &str = "refs/remotes";

/// A ref name: components of letters, digits, `-`, `.` and `_`, joined by slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RefName {
    type Err = RepoError;

    fn from_str(text: &str) -> Result<Self, RepoError> {
        if text.split('/').all(is_component) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RepoError::InvalidRef(text.to_owned()))
        }
    }
}

/// Each component begins with a letter, digit or underscore, so that none is `.` or `..` or looks like an option.
fn is_component(part: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    part.starts_with(word) && part.chars().all(|c| word(c) || matches!(c, '-' | '.'))
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `NAME`, or `REMOTE:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Refspec {
    /// The remote that the ref was pulled from.
    pub remote: Option<String>,
    /// The ref.
    pub name: RefName,
}

impl Refspec {
    fn path(&self) -> String {
        match &self.remote {
            Some(remote) => format!("{REMOTES}/{remote}/{}", self.name),
            None => format!("{HEADS}/{}", self.name),
        }
    }
}

impl FromStr for Refspec {
    type Err = RepoError;

    fn from_str(text: &str) -> Result<Self, RepoError> {
        let invalid = || RepoError::InvalidRef(text.to_owned());
        let (remote, name) = match text.split_once(':') {
            Some((remote, name)) if is_component(remote) => (Some(remote.to_owned()), name),
            Some(_) => return Err(invalid()),
            None => (None, text),
        };
        Ok(Self { remote, name: name.parse().map_err(|_| invalid())? })
    }
}

impl fmt::Display for Refspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remote {
            Some(remote) => write!(f, "{remote}:{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

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
        match statat(self.dir(), path, AtFlags::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => return Ok(None),
            stat if FileType::from_raw_mode(stat.with_context(|| path.to_owned())?.st_mode)
                == FileType::Directory =>
            {
                return Ok(None);
            }
            _ => {}
        }
        let step = || format!("Reading {}/{path}", self.path().display());
        let text =
            String::from_utf8(bytes::read_file(self.dir(), path).with_context(step)?).with_context(step)?;
        text.trim_ascii_end().parse().map(Some).with_context(step)
    }

    fn remotes(&self) -> Result<Vec<String>> {
        let mut out = Vec::new();
        let dir = match openat(self.dir(), REMOTES, crate::open::DIR_FLAGS, Permissions::empty()) {
            Err(Errno::NOENT) => return Ok(out),
            dir => dir.context(REMOTES)?,
        };
        scan::entries(dir, |name, kind| {
            if let (Ok(name), FileType::Directory) = (str::from_utf8(name), kind) {
                out.push(name.to_owned());
            }
            Ok(())
        })?;
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

    /// Refs below `refs/mirrors`, each with its path there: they keep their commits.
    pub(crate) fn mirrored_refs(&self) -> Result<Vec<(Checksum, String)>> {
        let mut out = Vec::new();
        let mut dirs = vec!["refs/mirrors".to_owned()];
        while let Some(path) = dirs.pop() {
            let dir = match openat(self.dir(), path.as_str(), crate::open::DIR_FLAGS, Permissions::empty()) {
                Err(Errno::NOENT) => continue,
                dir => dir.with_context(|| path.clone())?,
            };
            scan::entries(dir, |name, kind| {
                let child = format!("{path}/{}", str::from_utf8(name)?);
                match kind {
                    FileType::Directory => dirs.push(child),
                    _ => out.extend(self.read_ref_file(&child)?.map(|commit| (commit, child))),
                }
                Ok(())
            })?;
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
        let mut dirs: Vec<(Option<String>, String)> = vec![(None, HEADS.to_owned())];
        dirs.extend(self.remotes()?.into_iter().map(|remote| {
            let path = format!("{REMOTES}/{remote}");
            (Some(remote), path)
        }));
        while let Some((remote, path)) = dirs.pop() {
            let dir = match openat(self.dir(), path.as_str(), crate::open::DIR_FLAGS, Permissions::empty()) {
                Err(Errno::NOENT) => continue,
                dir => dir.with_context(|| path.clone())?,
            };
            scan::entries(dir, |name, kind| {
                // Names that are no ref, such as temporary files, are nobody's business.
                let Ok(name) = str::from_utf8(name) else { return Ok(()) };
                let child = format!("{path}/{name}");
                let root = match &remote {
                    Some(remote) => format!("{REMOTES}/{remote}/"),
                    None => format!("{HEADS}/"),
                };
                let Ok(ref_name) = child.strip_prefix(&root).unwrap_or_default().parse() else {
                    return Ok(());
                };
                match kind {
                    FileType::Directory => dirs.push((remote.clone(), child)),
                    _ => found(Refspec { remote: remote.clone(), name: ref_name }, kind, &child)?,
                }
                Ok(())
            })?;
        }
        Ok(())
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
                match openat(self.objects(), fanout, crate::open::DIR_FLAGS, Permissions::empty()) {
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
    fn refspecs() {
        for good in ["a", "exampleos/x86_64/standard", "origin:a.b/c-d", "_x"] {
            assert_eq!(good.parse::<Refspec>().unwrap().to_string(), good);
        }
        for bad in ["", "/", "a/", "../a", "a/..", ".a", "-a", "a b", "a:", ":a", "a:b:c", "a//b", "a^"] {
            assert!(bad.parse::<Refspec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_are_whole_components() {
        assert!(below("a/b", "a") && below("a/b", "a/b") && below("a/b", "a/") && below("o:a", "o:"));
        assert!(!below("ab", "a") && !below("a", "a/b"));
    }
}
