// SPDX-License-Identifier: MIT OR Apache-2.0
//! Remotes: repositories to pull from.
//!
//! ```text
//! [remote "NAME"]           in the repository's config, or in a file of /etc/ostree/remotes.d
//! url=file:///srv/repo      http://, https:// and mirrorlist= are read, and refused when they are used
//! branches=a;b;             what `pull` takes if it is not told
//! gpg-verify=false          true unless it is set
//! unconfigured-state=TEXT   why nothing can be pulled until an administrator did something
//! ```
//!
//! Remotes are read when they are asked for, so that commands that need none are not slowed down.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fn_error_context::context;
use formats::keyfile::Keyfile;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::{Repo, bytes, scan};

/// Where the running system finds its repository, and what is configured for it.
const SYSTEM_REPO: &str = "/ostree/repo";
const NO_SIGNATURES: &str = "signatures cannot be checked; set it to false to trust the remote without them";
const DROP_INS: &str = "etc/ostree/remotes.d";

/// The errors of remotes that callers tell apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// There is no remote of that name.
    #[error("Remote \"{0}\" not found")]
    NotFound(String),
    /// There is one already.
    #[error("Remote configuration for \"{name}\" already exists: {place}")]
    Exists {
        /// Its name.
        name: String,
        /// The file that it stands in; the repository's own is `(in config)`.
        place: String,
    },
    /// It cannot be a directory below `refs/remotes`.
    #[error("Invalid remote name {0}")]
    InvalidName(String),
    /// A key that is needed is not set.
    #[error("No \"{key}\" option in remote \"{name}\"")]
    NoKey {
        /// The remote.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// The remote says that it cannot be used yet.
    #[error("remote unconfigured-state: {0}")]
    Unconfigured(String),
    /// It asks for something that is not built.
    #[error("Remote \"{name}\" sets {key}, which is not supported yet; {advice}")]
    NotSupported {
        /// The remote.
        name: String,
        /// The key, and where it helps its value.
        key: String,
        /// A way out, for a person.
        advice: &'static str,
    },
    /// Two files name it.
    #[error("Multiple specifications found for remote \"{0}\"")]
    Twice(String),
}

/// All remotes of a repository.
#[derive(Debug)]
pub struct Remotes {
    files: Vec<ConfigFile>,
    /// The directory of drop-ins, and whether new remotes go there.
    dir: Option<(PathBuf, bool)>,
}

/// A file that remotes stand in; the first one is the repository's own.
#[derive(Debug)]
struct ConfigFile {
    path: Option<PathBuf>,
    file: Keyfile,
}

/// One remote.
#[derive(Debug, Clone, Copy)]
pub struct Remote<'a> {
    name: &'a str,
    file: &'a Keyfile,
}

/// A remote to be added.
#[derive(Debug, Clone, Default)]
pub struct NewRemote {
    /// Its name.
    pub name: String,
    /// Its URL, or `metalink=` and that of a metalink.
    pub url: String,
    /// The branches that a pull takes if none is named.
    pub branches: Vec<String>,
    /// Further keys and their values, in that order; the last of two equal ones wins.
    pub items: Vec<(String, String)>,
}

impl NewRemote {
    fn check(&self) -> Result<()> {
        // A remote's refs are a directory of that name.
        if self.name.contains('/') || self.name.parse::<crate::RefName>().is_err() {
            return Err(RemoteError::InvalidName(self.name.clone()).into());
        }
        let is_key = |key: &str| {
            !key.is_empty()
                && key == key.trim()
                && !key.contains(['[', ']', '=', '\n'])
                && !key.starts_with('#')
        };
        match self.items.iter().find(|(key, _)| !is_key(key)) {
            Some((key, _)) => bail!("Invalid key '{key}' for remote {}", self.name),
            None => Ok(()),
        }
    }

    fn write_to(&self, file: &mut Keyfile) {
        let group = group(&self.name);
        file.remove_group(&group);
        match self.url.strip_prefix("metalink=") {
            Some(metalink) => file.set_string(&group, "metalink", metalink),
            None => file.set_string(&group, "url", &self.url),
        }
        if !self.branches.is_empty() {
            file.set_list(&group, "branches", &self.branches);
        }
        for (key, value) in &self.items {
            file.set_string(&group, key, value);
        }
    }
}

/// The treatment of a remote that is there when one of its name is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// An error.
    Fail,
    /// It stays as it is.
    Keep,
    /// It is replaced.
    Replace,
}

impl Remotes {
    /// Reads the remotes of a repository. `sysroot` is the physical root that it belongs to, if it was opened by
    /// that; the drop-ins of its `/etc` count then. The repository of the running system has those of `/etc`.
    #[context("Reloading remotes")]
    pub fn load(repo: &Repo, sysroot: Option<&Path>) -> Result<Self> {
        let config = repo.read_config()?;
        let system = is_system(repo);
        let root = if system { Some(Path::new("/")) } else { sysroot };
        let dir = root.map(|root| root.join(DROP_INS));
        let into_dir = config.boolean("core", "add-remotes-config-dir")?.unwrap_or(system);
        let mut files = vec![ConfigFile { path: None, file: config }];
        for path in dir.iter().map(|dir| drop_ins(dir)).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            let step = || format!("Failed to parse {}", path.display());
            let text = String::from_utf8(bytes::read_file(CWD, &path.to_string_lossy()).with_context(step)?);
            let file = Keyfile::parse(&text.with_context(step)?).with_context(step)?;
            for name in file.groups().into_iter().filter_map(remote_name) {
                if files.iter().any(|other| other.file.has_group(&group(name))) {
                    return Err(RemoteError::Twice(name.to_owned()).into());
                }
            }
            files.push(ConfigFile { path: Some(path), file });
        }
        Ok(Self { files, dir: dir.map(|dir| (dir, into_dir)) })
    }

    /// The names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let groups = self.files.iter().flat_map(|file| file.file.groups());
        let mut names: Vec<_> = groups.filter_map(remote_name).collect();
        names.sort_unstable();
        names
    }

    /// The remote of that name.
    pub fn get<'a>(&'a self, name: &'a str) -> Result<Remote<'a>, RemoteError> {
        let at = self.find(name).ok_or_else(|| RemoteError::NotFound(name.to_owned()))?;
        self.files
            .get(at)
            .map(|file| Remote { name, file: &file.file })
            .ok_or_else(|| RemoteError::NotFound(name.to_owned()))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.files.iter().position(|file| file.file.has_group(&group(name)))
    }

    /// Adds a remote, durably; says whether that changed anything.
    ///
    /// Errors: [`RemoteError::InvalidName`], [`RemoteError::Exists`].
    pub fn add(&mut self, repo: &Repo, new: &NewRemote, if_exists: IfExists) -> Result<bool> {
        new.check()?;
        let found = self.find(&new.name);
        match (found, if_exists) {
            (Some(_), IfExists::Keep) => return Ok(false),
            (Some(at), IfExists::Fail) => {
                let path = self.files.get(at).and_then(|file| file.path.as_ref());
                let place = path.map_or_else(|| "(in config)".to_owned(), |path| path.display().to_string());
                return Err(RemoteError::Exists { name: new.name.clone(), place }.into());
            }
            _ => {}
        }
        let at = found.unwrap_or_else(|| self.place_for(&new.name));
        let place = self.files.get_mut(at).context("There is no config")?;
        new.write_to(&mut place.file);
        place.write(repo).with_context(|| format!("Adding remote {}", new.name))?;
        Ok(true)
    }

    /// The file that a remote of that name is to stand in.
    fn place_for(&mut self, name: &str) -> usize {
        let Some((dir, true)) = &self.dir else { return 0 };
        let path = dir.join(format!("{name}.conf"));
        let there = self.files.iter().position(|file| file.path.as_ref() == Some(&path));
        there.unwrap_or_else(|| {
            self.files.push(ConfigFile { path: Some(path), file: Keyfile::default() });
            self.files.len() - 1
        })
    }

    /// Removes a remote, durably. What was pulled from it stays. A drop-in that holds nothing else is removed.
    pub fn delete(&mut self, repo: &Repo, name: &str) -> Result<()> {
        let at = self.find(name).ok_or_else(|| RemoteError::NotFound(name.to_owned()))?;
        let Some(place) = self.files.get_mut(at) else { bail!("There is no config") };
        place.file.remove_group(&group(name));
        match &place.path {
            Some(path) if place.file.groups().is_empty() => {
                std::fs::remove_file(path).with_context(|| format!("Removing {}", path.display()))?;
                let dir = path.parent().context("A drop-in has a directory")?;
                bytes::sync_dir(CWD, &dir.to_string_lossy())
            }
            _ => place.write(repo),
        }
    }
}

impl ConfigFile {
    fn write(&self, repo: &Repo) -> Result<()> {
        let text = self.file.to_string();
        match &self.path {
            None => bytes::replace(repo.dir(), "config", text.as_bytes()),
            Some(path) => {
                let step = || format!("Writing {}", path.display());
                let dir = path.parent().context("A drop-in has a directory").with_context(step)?;
                std::fs::create_dir_all(dir).with_context(step)?;
                bytes::replace(CWD, &path.to_string_lossy(), text.as_bytes()).with_context(step)?;
                let dir = std::fs::File::open(dir).with_context(step)?;
                durable::sweep_stale_temps(dir.as_fd(), repo.settings().tmp_expiry).with_context(step)?;
                Ok(())
            }
        }
    }
}

impl Remote<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// A key's value.
    pub fn string(&self, key: &str) -> Result<Option<String>> {
        Ok(self.file.string(&group(self.name), key)?)
    }

    /// Where it is; may begin with `mirrorlist=`.
    pub fn url(&self) -> Result<String> {
        self.string("url")?
            .ok_or_else(|| RemoteError::NoKey { name: self.name.to_owned(), key: "url" }.into())
    }

    /// The branches that a pull takes if none is named.
    pub fn branches(&self) -> Result<Vec<String>> {
        Ok(self.file.list(&group(self.name), "branches")?.unwrap_or_default())
    }

    /// Whether it may be asked for anything.
    pub fn check_configured(&self) -> Result<()> {
        if let Some(message) = self.string("unconfigured-state")? {
            return Err(RemoteError::Unconfigured(message).into());
        }
        if let Some(backend) = self.string("custom-backend")? {
            return Err(
                self.refuse(format!("custom-backend={backend}"), "use the tool that brings its content")
            );
        }
        ["gpg-verify-summary", "sign-verify-summary"].iter().try_for_each(|key| self.check_unverified(key))
    }

    /// Whether commits may be taken from it: it is configured, and asks for no check that is not built. A check
    /// that it asks for is never left out silently.
    pub fn check_usable(&self) -> Result<()> {
        self.check_configured()?;
        if self.string("gpg-verify")?.is_none() {
            return Err(self.refuse("gpg-verify=true (the default)".to_owned(), NO_SIGNATURES));
        }
        ["gpg-verify", "sign-verify"].iter().try_for_each(|key| self.check_unverified(key))
    }

    /// Refuses a key that asks for verification. `sign-verify` may also be a list of the kinds of signature.
    fn check_unverified(&self, key: &str) -> Result<()> {
        match self.string(key)? {
            Some(value) if !matches!(value.trim(), "false" | "0") => {
                Err(self.refuse(format!("{key}={value}"), NO_SIGNATURES))
            }
            _ => Ok(()),
        }
    }

    fn refuse(&self, key: String, advice: &'static str) -> anyhow::Error {
        RemoteError::NotSupported { name: self.name.to_owned(), key, advice }.into()
    }
}

impl Repo {
    /// The `config` as it is now.
    fn read_config(&self) -> Result<Keyfile> {
        let step = || format!("Reading {}/config", self.path().display());
        let text = String::from_utf8(bytes::read_file(self.dir(), "config").with_context(step)?);
        Keyfile::parse(&text.with_context(step)?).with_context(step)
    }
}

fn group(name: &str) -> String {
    format!("remote \"{name}\"")
}

fn remote_name(group: &str) -> Option<&str> {
    group.strip_prefix("remote \"")?.strip_suffix('"').filter(|name| !name.is_empty())
}

/// Whether this is the repository of the running system.
fn is_system(repo: &Repo) -> bool {
    let identity = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    match (rustix::fs::stat(SYSTEM_REPO), rustix::fs::fstat(repo.dir())) {
        (Ok(system), Ok(this)) => identity(system) == identity(this),
        _ => false,
    }
}

/// The `*.conf` of a directory, sorted; none if it is not there.
fn drop_ins(dir: &Path) -> Result<Vec<PathBuf>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = match openat(CWD, dir, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        open => open.with_context(|| format!("Opening {}", dir.display()))?,
    };
    let mut paths = Vec::new();
    scan::entries(&open, |name, _| {
        let Ok(name) = str::from_utf8(name) else { return Ok(()) };
        if name.ends_with(".conf") {
            let stat = statat(&open, name, AtFlags::empty()).with_context(|| name.to_owned())?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                paths.push(dir.join(name));
            }
        }
        Ok(())
    })?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable(items: &str) -> Result<(), String> {
        let file = Keyfile::parse(&format!("[remote \"r\"]\nurl=x\n{items}")).unwrap();
        Remote { name: "r", file: &file }.check_usable().map_err(|error| error.to_string())
    }

    #[test]
    fn no_check_is_left_out() {
        for (items, names) in [
            ("", "gpg-verify=true (the default)"),
            ("gpg-verify=true", "gpg-verify=true"),
            ("gpg-verify=perhaps", "perhaps"),
            ("gpg-verify=", "gpg-verify="),
            ("gpg-verify=false\nsign-verify=true", "sign-verify=true"),
            ("gpg-verify=false\nsign-verify=ed25519;", "sign-verify=ed25519"),
            ("gpg-verify=false\ngpg-verify-summary=true", "gpg-verify-summary"),
            ("gpg-verify=false\nsign-verify-summary=true", "sign-verify-summary"),
            ("gpg-verify=false\ncustom-backend=fp", "custom-backend=fp"),
            ("unconfigured-state=Register first", "remote unconfigured-state: Register first"),
        ] {
            let error = usable(items).unwrap_err();
            assert!(error.contains(names), "{items}: {error}");
        }
        usable("gpg-verify=false\nsign-verify=false\ngpg-verify-summary=false").unwrap();
    }

    #[test]
    fn groups_of_remotes() {
        for (group, name) in
            [("remote \"a\"", Some("a")), ("remote \"\"", None), ("remote a", None), ("core", None)]
        {
            assert_eq!(remote_name(group), name, "{group}");
        }
    }
}
