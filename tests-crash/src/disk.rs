// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk of a test: one image with one or two partitions, so that one log has the writes to root and `/boot` in the
//! order in which the disk got them.
//!
//! ```text
//! 0        partition table
//! 1 MiB    root
//!          /boot, where it is a file system of its own
//! end      one sector that is in no partition: the recorder's markers
//! ```

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use fn_error_context::context;
use rustix::mount::MountFlags;

use crate::loader::Loader;
use crate::log::SECTOR;
use crate::program::run;
use crate::workshop::{Loop, Mount, text};

const MIB: u64 = 1 << 20;

/// A kind of file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// With its default features.
    #[default]
    Ext4,
    /// With its default features.
    Xfs,
    /// With its default features.
    Btrfs,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// How it is mounted to be used. Without barriers would be quicker, and they are what is tested.
    fn options(self) -> &'static str {
        match self {
            // The checks see a fault; the kernel need not stop at it.
            Self::Ext4 => "errors=continue",
            Self::Xfs => "nouuid",
            Self::Btrfs => "",
        }
    }

    /// Returns the space that `mkfs` takes, and a little.
    fn mebibytes(self) -> u64 {
        match self {
            Self::Ext4 => 96,
            Self::Xfs => 320,
            Self::Btrfs => 256,
        }
    }

    #[context("Making {} on {}", self.name(), device.display())]
    fn make(self, device: &Path) -> Result<()> {
        let device = text(device);
        match self {
            Self::Ext4 => run("mkfs.ext4", ["-q", "-m", "0", "-E", "lazy_itable_init=0", &device]),
            Self::Xfs => run("mkfs.xfs", ["-q", "-K", &device]),
            Self::Btrfs => run("mkfs.btrfs", ["-q", "-K", &device]),
        }
        .map(drop)
    }
}

/// Which file systems there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layout {
    /// Of the root.
    pub root: Kind,
    /// Of `/boot`; a directory of the root if there is none.
    pub boot: Option<Kind>,
    /// The loader that reads it.
    pub loader: Loader,
    /// How much larger than for the small tree, in MiB.
    pub more: u64,
}

impl Layout {
    /// For the small tree, and a boot loader that reads the entries.
    pub const fn new(root: Kind, boot: Option<Kind>) -> Self {
        Self { root, boot, loader: Loader::Entries, more: 0 }
    }

    /// The same with another boot loader.
    pub const fn with(self, loader: Loader) -> Self {
        Self { loader, ..self }
    }

    fn root_size(self) -> u64 {
        (self.root.mebibytes() + self.more) * MIB
    }

    fn boot_size(self) -> u64 {
        self.boot.map_or(0, |kind| kind.mebibytes() + self.more / 4) * MIB
    }

    fn partitions(self) -> Vec<Partition> {
        let root = Partition { kind: self.root, offset: MIB, size: self.root_size() };
        let boot = |kind| Partition { kind, offset: MIB + self.root_size(), size: self.boot_size() };
        [Some(root), self.boot.map(boot)].into_iter().flatten().collect()
    }

    /// The length of the image in bytes.
    pub fn length(self) -> u64 {
        2 * MIB + self.root_size() + self.boot_size()
    }

    /// Where markers go.
    pub fn marker_sector(self) -> u64 {
        self.length() / SECTOR - 1
    }

    /// Sectors that are never torn: superblocks that are written over in place, larger than a sector, with one checksum. No
    /// file system gets over that; disks write 4 KiB whole.
    pub fn whole(self) -> Vec<Range<u64>> {
        let of = |part: &Partition| {
            // Offset and length in bytes. Btrfs has two of them on a disk of this size.
            let superblocks: &[(u64, u64)] = match part.kind {
                Kind::Ext4 => &[(1 << 10, 1 << 10)],
                Kind::Btrfs => &[(64 << 10, 4 << 10), (64 << 20, 4 << 10)],
                Kind::Xfs => &[],
            };
            let start = part.offset;
            superblocks
                .iter()
                .map(move |(offset, length)| (start + offset) / SECTOR..(start + offset + length) / SECTOR)
        };
        self.partitions().iter().flat_map(of).collect()
    }

    /// Returns GRUB's name of the partition with `/boot`.
    pub(crate) fn grub_device(self) -> &'static str {
        if self.boot.is_some() { "loop0,msdos2" } else { "loop0,msdos1" }
    }

    /// Makes an image with empty file systems.
    #[context("Making an image with {self}")]
    pub(crate) fn make(self, image: &Path) -> Result<()> {
        let file = File::create(image)?;
        file.set_len(self.length())?;
        let mut table = [0; SECTOR as usize];
        for (index, partition) in self.partitions().iter().enumerate() {
            let numbers = [partition.offset / SECTOR, partition.size / SECTOR].map(u32::try_from);
            let at = 446 + 16 * index;
            // Type 0x83, Linux; the addresses by cylinders are unused.
            table.get_mut(at + 4).map(|kind| *kind = 0x83).context("No place for a partition")?;
            for (number, at) in numbers.into_iter().zip([at + 8, at + 12]) {
                let place = table.get_mut(at..at + 4).context("No place for a partition")?;
                place.copy_from_slice(&number?.to_le_bytes());
            }
        }
        table[510..].copy_from_slice(&[0x55, 0xaa]);
        file.write_all_at(&table, 0)?;
        let attached = Attached::new(self, image)?;
        for (partition, device) in self.partitions().iter().zip(&attached.devices) {
            partition.kind.make(&device.path)?;
        }
        Ok(())
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.root.name())?;
        if let Some(boot) = self.boot {
            write!(f, "+{}", boot.name())?;
        }
        f.write_str(self.loader.suffix())
    }
}

struct Partition {
    kind: Kind,
    offset: u64,
    size: u64,
}

/// The partitions of an image as devices. The image may be changed while nothing is mounted.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) layout: Layout,
    devices: Vec<Loop>,
}

/// Both file systems, mounted; unmounted in the right order.
#[derive(Debug)]
pub(crate) struct Mounted {
    mounts: Vec<Mount>,
    /// Where the root is.
    pub(crate) root: PathBuf,
}

impl Mounted {
    /// Unmounts both, and says if that fails.
    pub(crate) fn unmount(mut self) -> Result<()> {
        while let Some(mount) = self.mounts.pop() {
            mount.unmount()?;
        }
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        while self.mounts.pop().is_some() {}
    }
}

impl Attached {
    pub(crate) fn new(layout: Layout, image: &Path) -> Result<Self> {
        let attach = |part: &Partition| Loop::attach(image, part.offset, part.size);
        Ok(Self { layout, devices: layout.partitions().iter().map(attach).collect::<Result<_>>()? })
    }

    /// Waits until nothing is mounted from it any more, in any namespace.
    pub(crate) fn wait(&self) -> Result<()> {
        self.devices.iter().try_for_each(Loop::wait)
    }

    /// Waits until no file system has it any more, and makes the kernel forget what it has read.
    pub(crate) fn forget(&self) -> Result<()> {
        self.devices.iter().try_for_each(Loop::forget)
    }

    /// Mounts the root at `at`, and `/boot` in it. Journals are replayed, and nothing is read "for the first time": times of
    /// access are not written.
    pub(crate) fn mount(&self, at: &Path) -> Result<Mounted> {
        self.forget()?;
        let mut mounted = Mounted { mounts: Vec::new(), root: at.to_owned() };
        for (partition, device) in self.layout.partitions().iter().zip(&self.devices) {
            let at = if mounted.mounts.is_empty() { at.to_owned() } else { boot_directory(at)? };
            let (kind, flags) = (partition.kind, MountFlags::NOATIME);
            mounted.mounts.push(Mount::new(&device.path, &at, kind.name(), flags, kind.options())?);
        }
        Ok(mounted)
    }
}

fn boot_directory(root: &Path) -> Result<PathBuf> {
    let boot = root.join("boot");
    if !boot.is_dir() {
        std::fs::create_dir(&boot).context("Making the directory for /boot")?;
    }
    Ok(boot)
}
