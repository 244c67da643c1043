// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading it.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use formats::bls::{Entry, EntryName};
use formats::bootlink::{Bootlink, DeploymentPath};
use formats::kernel_args::KernelArgs;
use formats::version;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{BootState, ForeignFile, LoaderLink, Places, PresentEntry, Unreadable};
use crate::apply::rehearse;
use crate::former::Record;
use crate::steady;

/// No boot entry is longer; what is, is cut off and reported.
const MAX_ENTRY: usize = 1 << 20;

impl BootState {
    /// Reads what is there, below two directory descriptors.
    #[fn_error_context::context("Reading the boot entries")]
    pub fn read(places: Places<'_>) -> Result<Self> {
        Self::read_with(places, None)
    }

    /// Reads it as if the link `loader` led to `loader.VERSION`.
    #[fn_error_context::context("Reading the boot entries in loader.{version}")]
    pub fn read_as_if(places: Places<'_>, version: u8) -> Result<Self> {
        Self::read_with(places, Some(LoaderLink::Version(version)))
    }

    /// Reads it as if the link `loader` led to the directory `dir`, whose boot links are not made yet.
    #[fn_error_context::context("Reading the boot entries in {dir}")]
    pub(crate) fn read_dir(places: Places<'_>, dir: &str) -> Result<Self> {
        let mut state = Self::read_with(places, Some(LoaderLink::Missing))?;
        let boot = open_dir(places.boot, ".")?.context("/boot cannot be opened")?;
        state.read_loader_dir(&boot, dir, None)?;
        state.sort();
        Ok(state)
    }

    fn read_with(places: Places<'_>, loader: Option<LoaderLink>) -> Result<Self> {
        let boot = open_dir(places.boot, ".")?.context("/boot cannot be opened")?;
        let ostree = open_dir(places.root, "ostree")?;
        let loader = match loader {
            Some(loader) => loader,
            None => read_loader(&boot)?,
        };
        let mut state = Self {
            loader,
            sub_boot_versions: [None; 2],
            entries: Vec::new(),
            foreign: Vec::new(),
            unreadable: Vec::new(),
            boot_dirs: read_boot_dirs(&boot)?,
            loader_names: Vec::new(),
            bootlink_names: Vec::new(),
            bootlinks: BTreeMap::new(),
            has_ostree: ostree.is_some(),
            boot_on_root: rustix::fs::fstat(places.boot)?.st_dev == rustix::fs::fstat(places.root)?.st_dev,
            boot_is_fat: durable::prove::is_fat(places.boot)?,
            record: None,
        };
        // Some with the name that a directory has while it is made.
        let loaders = ["loader.0", "loader.0.tmp", "loader.1", "loader.1.tmp", "loader.tmp", rehearse::DIR];
        for name in loaders.into_iter().chain(steady::TEMPORARY) {
            if kind(&boot, name)?.is_some() {
                state.loader_names.push(name.to_owned());
            }
        }
        if let Some(ostree) = &ostree {
            state.read_ostree(ostree)?;
        }
        if let LoaderLink::Version(version) = state.loader {
            state.read_loader_dir(&boot, &format!("loader.{version}"), ostree.as_ref())?;
        }
        state.sort();
        Ok(state)
    }

    /// The default first.
    fn sort(&mut self) {
        self.entries.sort_by(|a, b| {
            let version = |entry: &PresentEntry| entry.entry.version().unwrap_or_default().to_owned();
            version::compare(&version(b), &version(a))
        });
    }

    fn read_ostree(&mut self, ostree: &OwnedFd) -> Result<()> {
        for (version, sub) in self.sub_boot_versions.iter_mut().enumerate() {
            let link = format!("boot.{version}");
            let target = read_link(ostree, &link)?.unwrap_or_default();
            *sub = match target.strip_prefix(&format!("{link}.")) {
                Some("0") => Some(0),
                Some("1") => Some(1),
                _ => None,
            };
            for end in ["", ".0", ".0.tmp", ".1", ".1.tmp"] {
                let name = format!("{link}{end}");
                if kind(ostree, &name)?.is_some() {
                    self.bootlink_names.push(name);
                }
            }
        }
        let chosen = format!("boot.{}.{}", self.boot_version(), self.sub_boot_version());
        if let Some(dir) = open_dir(ostree, &chosen)? {
            self.bootlinks = read_bootlinks(&dir)?;
        }
        self.record = Record::read(ostree)?;
        Ok(())
    }

    /// Sorts the files of the chosen `loader.N` into ours, foreign and unreadable ones.
    fn read_loader_dir(&mut self, boot: &OwnedFd, loader: &str, ostree: Option<&OwnedFd>) -> Result<()> {
        let Some(dir) = open_dir(boot, loader)? else { return Ok(()) };
        self.read_files(&dir, loader, "", ostree)
    }

    /// As above for one directory, which is at `below` (empty, or with a slash at its end) in `loader.N`.
    fn read_files(
        &mut self,
        dir: &OwnedFd,
        loader: &str,
        below: &str,
        ostree: Option<&OwnedFd>,
    ) -> Result<()> {
        /// Whoever else keeps something here has two or three levels of it.
        const MAX_DEPTH: usize = 8;
        for (name, kind) in contents(dir)? {
            let path = format!("{below}{name}");
            let own = if below == "entries/" { own_name(&name) } else { None };
            let read = match (kind, own) {
                (Some(FileType::Directory), _) if below.matches('/').count() < MAX_DEPTH => {
                    if let Some(dir) = open_dir(dir, &name)? {
                        self.read_files(&dir, loader, &format!("{path}/"), ostree)?;
                    }
                    continue;
                }
                (Some(FileType::RegularFile), Some(own)) => {
                    read_entry(dir, &name, own, ostree).map(|entry| self.entries.push(entry))
                }
                (Some(FileType::RegularFile | FileType::Symlink), None) => foreign_text(dir, &name)
                    .map(|text| self.foreign.push(ForeignFile { path: path.clone(), text })),
                (None, _) => Err(anyhow::anyhow!("has a name that is not UTF-8")),
                (Some(_), _) => Err(anyhow::anyhow!("is no regular file")),
            };
            if let Err(err) = read {
                let text = if kind == Some(FileType::RegularFile) {
                    foreign_text(dir, &name)
                } else {
                    Ok(String::new())
                };
                self.unreadable.push(Unreadable {
                    path: format!("{loader}/{path}"),
                    reason: format!("{err:#}"),
                    text: text.unwrap_or_default(),
                });
            }
        }
        Ok(())
    }
}

/// What a file of others says, as far as it is text and at its beginning: a large one names no boot files.
fn foreign_text(dir: &OwnedFd, name: &str) -> Result<String> {
    let contents = match read_link(dir, name)? {
        // A link that leads nowhere is carried over as it is.
        Some(target) => {
            read_up_to(dir, name, MAX_ENTRY, OFlags::empty()).unwrap_or_else(|_| target.into_bytes())
        }
        None => read_up_to(dir, name, MAX_ENTRY, OFlags::NOFOLLOW)?,
    };
    Ok(String::from_utf8_lossy(&contents).into_owned())
}

/// Ours are `ostree-….conf`, as for the C tools.
fn own_name(file: &str) -> Option<EntryName> {
    file.parse::<EntryName>().ok().filter(|name| name.id.starts_with("ostree-"))
}

fn read_loader(boot: &OwnedFd) -> Result<LoaderLink> {
    let Some(kind) = kind(boot, "loader")? else { return Ok(LoaderLink::Missing) };
    let version = match kind {
        FileType::Directory => return Ok(LoaderLink::Directory),
        FileType::Symlink => match read_link(boot, "loader")?.unwrap_or_default().as_str() {
            "loader.0" => 0,
            "loader.1" => 1,
            other => return Ok(LoaderLink::Other(other.to_owned())),
        },
        _ => return Ok(LoaderLink::Other("loader".to_owned())),
    };
    let there = open_dir(boot, &format!("loader.{version}"))?.is_some();
    Ok(if there { LoaderLink::Version(version) } else { LoaderLink::Dangling(version) })
}

fn read_entry(dir: &OwnedFd, file: &str, name: EntryName, ostree: Option<&OwnedFd>) -> Result<PresentEntry> {
    let text = String::from_utf8(read(dir, file)?).context("is not UTF-8")?;
    let entry = Entry::parse(&text)?;
    let options = KernelArgs::parse(&entry.options());
    let bootlink = options.last("ostree").flatten().context("has no ostree= among its options")?;
    let bootlink: Bootlink = bootlink.parse()?;
    entry.linux().context("has no linux line")?;
    let deployment = ostree.map(|ostree| read_bootlink(ostree, &bootlink)).transpose()?.flatten();
    Ok(PresentEntry { name, entry, bootlink, deployment })
}

/// Follows a boot link to the deployment that it names; the deployment itself need not be there.
fn read_bootlink(ostree: &OwnedFd, bootlink: &Bootlink) -> Result<Option<DeploymentPath>> {
    let path = bootlink.to_string();
    let Some(path) = path.strip_prefix("/ostree/") else { return Ok(None) };
    Ok(read_link(ostree, path)?.as_deref().and_then(deployment_of))
}

/// The deployment that a boot link's target names.
pub(crate) fn deployment_of(target: &str) -> Option<DeploymentPath> {
    format!("ostree/{}", target.strip_prefix("../../../")?).parse().ok()
}

/// The links of a `boot.N.M`: `STATEROOT/BOOTCHECKSUM/SERIAL` and their targets.
pub(crate) fn read_bootlinks(dir: &OwnedFd) -> Result<BTreeMap<String, String>> {
    let mut links = BTreeMap::new();
    for stateroot in names(dir)? {
        let Some(stateroot_dir) = open_dir(dir, &stateroot)? else { continue };
        for checksum in names(&stateroot_dir)? {
            let Some(checksum_dir) = open_dir(&stateroot_dir, &checksum)? else { continue };
            for serial in names(&checksum_dir)? {
                if let Some(target) = read_link(&checksum_dir, &serial)? {
                    links.insert(format!("{stateroot}/{checksum}/{serial}"), target);
                }
            }
        }
    }
    Ok(links)
}

/// The directories in `/boot/ostree`, with the sizes of the files right in them.
fn read_boot_dirs(boot: &OwnedFd) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut dirs = BTreeMap::new();
    let Some(ostree) = open_dir(boot, "ostree")? else { return Ok(dirs) };
    for name in names(&ostree)? {
        if let Some(dir) = open_dir(&ostree, &name)? {
            let mut files = BTreeMap::new();
            sizes(&dir, "", &mut files, 0)?;
            dirs.insert(name, files);
        }
    }
    Ok(dirs)
}

/// Device trees lie some directories deep.
pub(crate) fn sizes(
    dir: &OwnedFd,
    prefix: &str,
    files: &mut BTreeMap<String, u64>,
    depth: u32,
) -> Result<()> {
    const MAX_DEPTH: u32 = 16;
    for name in names(dir)? {
        let stat = rustix::fs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        let path = format!("{prefix}{name}");
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                files.insert(path, u64::try_from(stat.st_size).unwrap_or(0));
            }
            FileType::Directory if depth < MAX_DEPTH => {
                if let Some(inner) = open_dir(dir, &name)? {
                    sizes(&inner, &format!("{path}/"), files, depth + 1)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens a directory that is one itself and no link; `None` for what is not there or is none.
pub(crate) fn open_dir(dir: impl AsFd, path: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, path, flags, Mode::empty()) {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(err) => Err(err).with_context(|| format!("Opening {path}")),
    }
}

/// What a name is, without following it; `None` for a name that is not there.
pub(crate) fn kind(dir: impl AsFd, name: &str) -> Result<Option<FileType>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(err) => Err(err).with_context(|| format!("Looking at {name}")),
    }
}

/// The target of a link, as far as it is text; `None` for what is not there or no link.
pub(crate) fn read_link(dir: impl AsFd, path: &str) -> Result<Option<String>> {
    match rustix::fs::readlinkat(dir, path, Vec::new()) {
        Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL | Errno::LOOP) => Ok(None),
        Err(err) => Err(err).with_context(|| format!("Reading link {path}")),
    }
}

/// The contents of a file that is one itself and no link.
pub(crate) fn read(dir: impl AsFd, name: &str) -> Result<Vec<u8>> {
    let contents = read_up_to(dir, name, MAX_ENTRY, OFlags::NOFOLLOW)?;
    anyhow::ensure!(contents.len() < MAX_ENTRY, "{name} is too long for a boot entry");
    Ok(contents)
}

/// The text of a file, through links; `None` for what is not there. What is no text is read as far as it is.
pub(crate) fn read_text(dir: impl AsFd, name: &str) -> Result<Option<String>> {
    match rustix::fs::statat(&dir, name, AtFlags::empty()) {
        Ok(_) => Ok(Some(
            String::from_utf8_lossy(&read_up_to(dir, name, MAX_ENTRY, OFlags::empty())?).into_owned(),
        )),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(err) => Err(err).with_context(|| format!("Looking at {name}")),
    }
}

fn read_up_to(dir: impl AsFd, name: &str, most: usize, follow: OFlags) -> Result<Vec<u8>> {
    let file = durable::open_to_read(dir, name, follow).with_context(|| format!("Opening {name}"))?;
    let mut contents = Vec::new();
    let file = std::fs::File::from(file);
    file.take(most as u64).read_to_end(&mut contents).with_context(|| format!("Reading {name}"))?;
    Ok(contents)
}

/// The names in a directory, sorted. One that is not UTF-8 is nobody's: no loader can name it.
#[fn_error_context::context("Reading a directory")]
pub(crate) fn names(dir: &OwnedFd) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => names.push(name.to_owned()),
        }
    }
    names.sort();
    Ok(names)
}

/// All that is in a directory, sorted, with its kind; `None` for what has a name that is no text, which is then given as
/// far as it is.
#[fn_error_context::context("Reading a directory")]
fn contents(dir: &OwnedFd) -> Result<Vec<(String, Option<FileType>)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") => {}
            Ok(name) => found.extend(kind(dir, name)?.map(|kind| (name.to_owned(), Some(kind)))),
            Err(_) => found.push((entry.file_name().to_string_lossy().into_owned(), None)),
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}
