// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading what is there.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use formats::bls::{Entry, EntryName};
use formats::bootlink::Bootlink;
use formats::kernel_args::KernelArgs;
use formats::version;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::links::{read_bootlink, read_bootlinks};
use super::model::{BootState, ForeignFile, LoaderLink, PresentEntry, Unreadable};
use super::stale_temps::stale_temps;
use crate::block_format;
use crate::dirs::{MAX_ENTRY, contents, kind, names, open_dir, read, read_link, read_up_to, sizes};
use crate::names::{LOADER_TEMPORARY, PRESTAGED};
use crate::pending::Pending;
use crate::places::Places;
use crate::prestaged;
use crate::record::Record;
use crate::tree::ReadTree;

impl BootState {
    /// Reads the present state, below two directory descriptors.
    ///
    /// # Errors
    ///
    /// A directory or a link cannot be read; an entry that cannot be read is no error, but [`unreadable`](Self::unreadable).
    #[fn_error_context::context("Reading the boot entries")]
    pub fn read(places: Places<'_>) -> Result<Self> {
        // A test counts these.
        log::trace!("Reading the boot entries");
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
            has_ostree: ostree.is_some(),
            boot_on_root: rustix::fs::fstat(places.boot)?.st_dev == rustix::fs::fstat(places.root)?.st_dev,
            boot_is_fat: durable::prove::is_fat(places.boot)?,
            unfinished: Pending::of(places)?.map(|pending| pending.reason),
            prestaged: prestaged::read_all(places.boot)?,
            needs_block_format: block_format::is_needed(places.boot)?,
            stale_temps: stale_temps(places)?,
            ..Self::of_new_system()
        };
        state.read_boot_dirs(&boot)?;
        // Some with the name that a directory has while it is made.
        let loaders = ["loader.0", "loader.0.tmp", "loader.1", "loader.1.tmp", LOADER_TEMPORARY, PRESTAGED];
        for name in loaders {
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

    /// Reads the directories in `/boot/ostree`, with the sizes of the files in them. The C tools install links among device trees
    /// as they are: those have the size of the file that they lead to.
    fn read_boot_dirs(&mut self, boot: &OwnedFd) -> Result<()> {
        let Some(ostree) = open_dir(boot, "ostree")? else { return Ok(()) };
        self.boot_directories.insert("ostree".to_owned());
        for name in names(&ostree)? {
            let Some(dir) = open_dir(&ostree, &name)? else { continue };
            let below = sizes(&dir)?;
            let here = format!("ostree/{name}");
            self.boot_directories.extend(below.directories.iter().map(|path| format!("{here}/{path}")));
            self.boot_directories.insert(here);
            let mut files = below.files;
            for link in below.links {
                let at = format!("ostree/{name}/{link}");
                match boot.as_fd().file(&at) {
                    Ok(Some((_, size))) => drop(files.insert(link, size)),
                    _ => drop(self.dead_links.insert(at)),
                }
            }
            self.boot_dirs.insert(name, files);
        }
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
        /// Other programs keep two or three levels of directories here.
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
                // Not known is neither damaged nor gone.
                if !rustix::process::geteuid().is_root()
                    && err.chain().any(|cause| cause.downcast_ref::<Errno>() == Some(&Errno::ACCESS))
                {
                    return Err(err);
                }
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

/// Reads the beginning of another program's file, as far as it is text: a large one names no boot files.
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
    // Of several the first, as the initramfs takes it.
    let bootlink = options.first("ostree").flatten().context("has no ostree= among its options")?;
    let bootlink: Bootlink = bootlink.parse()?;
    entry.linux().context("has no linux line")?;
    let deployment = ostree.map(|ostree| read_bootlink(ostree, &bootlink)).transpose()?.flatten();
    let mut also = Vec::new();
    let unquoted = options.named("ostree").map(|arg| arg.replace('"', ""));
    let links = unquoted.filter_map(|arg| arg.strip_prefix("ostree=")?.parse::<Bootlink>().ok());
    for further in links.filter(|link| *link != bootlink) {
        also.extend(ostree.map(|ostree| read_bootlink(ostree, &further)).transpose()?.flatten());
    }
    Ok(PresentEntry { name, entry, bootlink, deployment, also })
}
