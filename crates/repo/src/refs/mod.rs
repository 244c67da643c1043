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
    statat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::{Repo, RepoError, bytes, scan};

mod alias;
mod name;
mod walk;

pub use alias::Alias;
use name::{HEADS, REMOTES, is_component};
pub use name::{RefName, RefPrefix, Refspec};

/// A commit that a ref keeps.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The ref; none for a mirrored one.
    pub(crate) refspec: Option<Refspec>,
    /// The name for messages.
    pub(crate) name: String,
    pub(crate) commit: Checksum,
}

const MIRRORS: &str = "refs/mirrors";

impl Repo {
    /// The commit of a ref, if there is such a ref. A name without remote that is not among the heads may be `REMOTE/NAME`,
    /// else it is looked for among all remotes, as the C tools do.
    pub fn read_ref(&self, refspec: &Refspec) -> Result<Option<Checksum>> {
        let own = self.read_ref_file(&refspec.path())?;
        if own.is_some() || refspec.remote.is_some() {
            return Ok(own);
        }
        let with_remote = self.read_ref_file(&format!("{REMOTES}/{}", refspec.name))?;
        if with_remote.is_some() {
            return Ok(with_remote);
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
        let advice = "give the ref a commit with `ostree reset`, or remove it with `ostree refs --delete`";
        let step = || format!("Reading {}/{path}: Invalid rev; {advice}", self.path().display());
        parse_ref(&data).map(Some).with_context(step)
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

    /// Lists the heads and the refs of remotes with their commits, or those that a prefix stands for, sorted.
    ///
    /// # Errors
    /// A ref is damaged, or cannot be read.
    #[context("Listing refs")]
    pub fn list_refs(&self, prefix: Option<&RefPrefix>) -> Result<Vec<(Refspec, Checksum)>> {
        let mut out = Vec::new();
        for refspec in self.ref_names(prefix)? {
            if let Some(commit) = self.read_ref_file(&refspec.path())? {
                out.push((refspec, commit));
            }
        }
        Ok(out)
    }

    /// Lists the names of the same refs, whatever their files say. An alias of no ref is none.
    ///
    /// # Errors
    /// A directory of refs cannot be read.
    #[context("Listing refs")]
    pub fn ref_names(&self, prefix: Option<&RefPrefix>) -> Result<Vec<Refspec>> {
        let mut out = Vec::new();
        self.each_ref(|refspec, kind, path| {
            let is_wanted = prefix.is_none_or(|prefix| prefix.has(&refspec));
            if is_wanted && (kind != FileType::Symlink || statat(self.dir(), path, AtFlags::empty()).is_ok())
            {
                out.push(refspec);
            }
            Ok(())
        })?;
        out.sort_by_cached_key(Refspec::to_string);
        Ok(out)
    }

    /// Returns the text of a ref's file, less white space at its end, if there is a ref of just this name. It may be damaged.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn ref_text(&self, refspec: &Refspec) -> Result<Option<String>> {
        let text = self.read_ref_bytes(&refspec.path())?;
        Ok(text.map(|text| String::from_utf8_lossy(text.trim_ascii_end()).into_owned()))
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

    /// The commits that refs keep, mirrored ones too. A ref without a checksum keeps nothing.
    #[context("Listing refs")]
    pub(crate) fn kept_by_refs(&self) -> Result<Vec<Kept>> {
        let mut paths = Vec::new();
        self.each_ref(|refspec, _, path| {
            paths.push((Some(refspec.clone()), format!("ref {refspec}"), path.to_owned()));
            Ok(())
        })?;
        walk::files(self.dir(), MIRRORS, |path, _| {
            let name = path.strip_prefix(MIRRORS).unwrap_or(path).trim_start_matches('/');
            paths.push((None, format!("mirrored ref {name}"), path.to_owned()));
            Ok(())
        })?;
        let mut out = Vec::new();
        for (refspec, name, path) in paths {
            match self.read_ref_bytes(&path)?.as_deref().map(parse_ref) {
                Some(Ok(commit)) => out.push(Kept { refspec, name, commit }),
                Some(Err(error)) => {
                    log::warn!("The {name} keeps nothing: {}/{path}: {error:#}", self.path().display());
                }
                None => {}
            }
        }
        Ok(out)
    }

    /// Lists all aliases, or those that a prefix stands for, sorted.
    ///
    /// # Errors
    /// A directory of refs cannot be read.
    #[context("Listing aliases")]
    pub fn list_aliases(&self, prefix: Option<&RefPrefix>) -> Result<Vec<Alias>> {
        let mut out = Vec::new();
        self.each_ref(|refspec, kind, path| {
            if kind == FileType::Symlink && prefix.is_none_or(|prefix| prefix.has(&refspec)) {
                let target = readlinkat(self.dir(), path, Vec::new()).with_context(|| path.to_owned())?;
                out.push(Alias::new(refspec, &target.to_string_lossy(), self.path()));
            }
            Ok(())
        })?;
        out.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(out)
    }

    /// Tells whether `from` is `to`, or an alias that leads to it, at once or through others.
    ///
    /// # Errors
    /// A directory of refs cannot be read.
    pub fn leads_to(&self, from: &Refspec, to: &Refspec) -> Result<bool> {
        let aliases = self.list_aliases(None)?;
        let (mut at, to) = (from.path(), to.path());
        // In a circle of links nothing leads out, so as many steps as there are aliases tell all.
        for _ in 0..=aliases.len() {
            if at == to {
                return Ok(true);
            }
            match aliases.iter().find(|alias| alias.name.path() == at) {
                Some(alias) => alias.path.clone_into(&mut at),
                None => break,
            }
        }
        Ok(false)
    }

    /// Lists the mirrored refs by collection and name, with their commits, sorted.
    pub(crate) fn mirrored_refs(&self) -> Result<Vec<(String, String, Checksum)>> {
        let mut out = Vec::new();
        for collection in walk::directories(self.dir(), MIRRORS)? {
            let root = format!("{MIRRORS}/{collection}");
            walk::files(self.dir(), &root, |path, _| {
                let name = path.strip_prefix(&root).unwrap_or_default().trim_start_matches('/');
                if let Some(commit) = self.read_ref_file(path)? {
                    out.push((collection.clone(), name.to_owned(), commit));
                }
                Ok(())
            })?;
        }
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

    /// Checks that a ref can have this name: that no directory with something in it has it, that nothing else is where its directories
    /// are to be, and that it does not read as a commit.
    ///
    /// # Errors
    /// It cannot, or the file system does not say.
    #[context("Looking at the place of ref {refspec}")]
    pub fn check_ref_place(&self, refspec: &Refspec) -> Result<()> {
        if refspec.remote.is_none() && refspec.name.as_str().parse::<Checksum>().is_ok() {
            bail!("Rev name '{refspec}' looks like a checksum, and as one it would be read");
        }
        let path = refspec.path();
        for (at, _) in path.match_indices('/') {
            let parent = path.get(..at).unwrap_or_default();
            match statat(self.dir(), parent, AtFlags::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR) => break,
                stat => {
                    if FileType::from_raw_mode(stat.with_context(|| parent.to_owned())?.st_mode)
                        != FileType::Directory
                    {
                        bail!("{parent} is a ref: Not a directory");
                    }
                }
            }
        }
        self.empty_directories(&path).map(drop)
    }

    /// Lists the directory at the place of a ref, if there is one, and all below it.
    ///
    /// # Errors
    /// Something else is in them.
    fn empty_directories(&self, path: &str) -> Result<Vec<String>> {
        match statat(self.dir(), path, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
            stat => {
                let stat = stat.with_context(|| path.to_owned())?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    return Ok(Vec::new());
                }
            }
        }
        let directories = walk::all_directories(self.dir(), path)?;
        for directory in &directories {
            let dir = openat(self.dir(), directory.as_str(), crate::dirs::DIR_FLAGS, Permissions::empty());
            scan::entries(dir.with_context(|| directory.clone())?, |name, _| {
                let entry = format!("{directory}/{}", String::from_utf8_lossy(name));
                if directories.contains(&entry) {
                    return Ok(());
                }
                let below = entry.strip_prefix(path).unwrap_or(&entry).trim_start_matches('/');
                bail!("Conflict: {below} exists under {path}: Is a directory");
            })?;
        }
        Ok(directories)
    }

    /// Makes the place of a ref free: a ref below its name was deleted, and the directories stayed.
    fn remove_empty_directories(&self, path: &str) -> Result<()> {
        for directory in self.empty_directories(path)?.iter().rev() {
            unlinkat(self.dir(), directory.as_str(), AtFlags::REMOVEDIR)
                .with_context(|| format!("Removing the empty directory {directory}"))?;
        }
        Ok(())
    }

    /// Points a ref at a commit, durably, after the objects are.
    #[context("Writing ref {refspec}")]
    pub fn set_ref(&self, refspec: &Refspec, commit: &Checksum) -> Result<()> {
        let path = refspec.path();
        self.check_ref_place(refspec)?;
        self.make_parents(&path)?;
        self.remove_empty_directories(&path)?;
        bytes::replace(self.dir(), &path, format!("{commit}\n").as_bytes())?;
        self.touch()
    }

    /// Makes `alias` a link to the head `target`, in place of a ref or alias of that name.
    #[context("Writing alias {alias}")]
    pub fn set_alias(&self, alias: &RefName, target: &RefName) -> Result<()> {
        let path = format!("{HEADS}/{alias}");
        self.check_ref_place(&Refspec { remote: None, name: alias.clone() })?;
        self.make_parents(&path)?;
        self.remove_empty_directories(&path)?;
        let up = "../".repeat(alias.as_str().matches('/').count());
        let (parent, name) = path.rsplit_once('/').unwrap_or((HEADS, &path));
        let parent = openat(self.dir(), parent, crate::dirs::DIR_FLAGS, Permissions::empty())
            .with_context(|| format!("Opening {parent}"))?;
        durable::switch_link(parent.as_fd(), name, &format!("{up}{target}"))?;
        self.touch()
    }

    /// Removes a ref or alias.
    #[context("Deleting ref {refspec}")]
    pub fn delete_ref(&self, refspec: &Refspec) -> Result<()> {
        let path = refspec.path();
        unlinkat(self.dir(), path.as_str(), AtFlags::empty()).with_context(|| path.clone())?;
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
        let not_found = || RepoError::RefNotFound(rev.trim_end_matches('^').to_owned()).into();
        self.try_resolve_rev(rev)?.ok_or_else(not_found)
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
        if name.is_empty() {
            // The only commit of the repository.
            return match self.unique_commit(name)? {
                None => Err(RepoError::InvalidRef(String::new()).into()),
                found => Ok(found),
            };
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
}
