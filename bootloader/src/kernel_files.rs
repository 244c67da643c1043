// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a tree keeps its kernel, and what its files are called in `/boot`.
//!
//! ```text
//! usr/lib/modules/6.12.1/vmlinuz           vmlinuz-6.12.1
//! usr/lib/modules/6.12.1/initramfs.img     initramfs-6.12.1.img     (or `initramfs`)
//! usr/lib/modules/6.12.1/devicetree        devicetree-6.12.1        a single device tree, or
//! usr/lib/modules/6.12.1/dtb/…             dtb/…                    all of a directory
//! usr/lib/modules/6.12.1/.vmlinuz.hmac     .vmlinuz-6.12.1.hmac     where dracut looks for it in FIPS mode
//! usr/lib/modules/6.12.1/aboot.img         aboot-6.12.1.img
//! ```
//!
//! Trees of before 2017 have `vmlinuz-…-CHECKSUM`, `initramfs-…-CHECKSUM` and `devicetree-…-CHECKSUM` in
//! `usr/lib/ostree-boot` or `boot`. They count when there is no kernel in `usr/lib/modules`, or when only they
//! have an initramfs.

use std::io::{ErrorKind, Read};

use formats::{Checksum, Hasher, version};
use rustix::io::Errno;

use crate::tree::ReadTree;

/// Where trees of before 2017 have their kernel.
const LEGACY_DIRS: [&str; 2] = ["usr/lib/ostree-boot", "boot"];
/// Where trees have their kernels, a directory a version.
const MODULES: &str = "usr/lib/modules";
/// Device trees lie at most this deep in `dtb/` (the kernel's own are two deep).
const MAX_DEPTH: usize = 16;

/// What a file is to a boot loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// The kernel.
    Kernel,
    /// The initramfs.
    Initramfs,
    /// The only device tree.
    DeviceTree,
    /// One of a directory of device trees.
    DeviceTreeOf,
    /// The kernel's checksum for FIPS mode.
    Hmac,
    /// An Android boot image.
    Aboot,
    /// An initrd that is not part of the tree.
    OverlayInitrd,
}

/// A file that goes from a tree to `/boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFile {
    /// What it is.
    pub kind: FileKind,
    /// Its path in the tree.
    pub source: String,
    /// Its path in `/boot/ostree/STATEROOT-BOOTCHECKSUM/`.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// The boot files of one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelFiles {
    /// In the order in which the boot checksum is made: kernel, initramfs, device trees; then the others.
    pub files: Vec<BootFile>,
    /// The boot checksum that the tree's own file names state (legacy layout).
    stated: Option<Checksum>,
}

/// Why a tree cannot be booted.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No kernel in any of the places.
    #[error("No kernel in the tree: put one in usr/lib/modules/VERSION/vmlinuz")]
    None,
    /// The legacy layout's checksums must agree.
    #[error("{0} and {1} in the tree name different checksums")]
    Mismatch(String, String),
    /// A directory that cannot be read, or a file that is none.
    #[error("Reading {path} in the tree: {errno}")]
    Read {
        /// Below the tree.
        path: String,
        /// What the kernel says.
        errno: Errno,
    },
    /// A commit that cannot be read.
    #[error("{0:#}")]
    Commit(#[from] anyhow::Error),
}

impl KernelError {
    pub(crate) fn read(path: &str, errno: Errno) -> Self {
        Self::Read { path: path.to_owned(), errno }
    }
}

impl KernelFiles {
    /// Looks for the boot files in `tree`; reads names and sizes only.
    ///
    /// Of several kernels in `usr/lib/modules` the newest by version is taken: which is first in the
    /// directory is chance.
    pub fn find(tree: impl ReadTree) -> Result<Self, KernelError> {
        let legacy = legacy(&tree)?;
        match (modules(&tree)?, legacy) {
            (Some(modules), Some(legacy))
                if modules.initramfs().is_none() && legacy.initramfs().is_some() =>
            {
                Ok(legacy)
            }
            (Some(modules), _) => Ok(modules),
            (None, Some(legacy)) => Ok(legacy),
            (None, None) => Err(KernelError::None),
        }
    }

    /// The SHA-256 over kernel, initramfs and device trees, in this order; of a legacy layout what the names say.
    pub fn boot_checksum(&self, tree: impl ReadTree) -> Result<Checksum, KernelError> {
        if let Some(stated) = self.stated {
            return Ok(stated);
        }
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 1 << 17];
        for file in self.files.iter().filter(|file| !matches!(file.kind, FileKind::Hmac | FileKind::Aboot)) {
            let mut opened = tree.open(&file.source)?;
            loop {
                match opened.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                        return Err(KernelError::read(&file.source, errno));
                    }
                }
            }
        }
        Ok(hasher.finish())
    }

    /// The file of a kind that there is at most one of.
    pub fn get(&self, kind: FileKind) -> Option<&BootFile> {
        self.files.iter().find(|file| file.kind == kind)
    }

    /// The initramfs, if the tree has one.
    pub fn initramfs(&self) -> Option<&BootFile> {
        self.get(FileKind::Initramfs)
    }

    /// Whether the tree has a directory of device trees to choose from.
    pub fn has_device_trees(&self) -> bool {
        self.get(FileKind::DeviceTreeOf).is_some()
    }
}

/// The newest `usr/lib/modules/VERSION` with a kernel.
fn modules(tree: &impl ReadTree) -> Result<Option<KernelFiles>, KernelError> {
    let mut versions = Vec::new();
    for name in tree.names(MODULES)?.unwrap_or_default() {
        if tree.size(&format!("{MODULES}/{name}/vmlinuz"))?.is_some() {
            versions.push(name);
        }
    }
    let Some(kver) = versions.into_iter().max_by(|a, b| version::compare(a, b)) else { return Ok(None) };

    let at = format!("{MODULES}/{kver}");
    let mut files = Vec::new();
    let mut add = |kind, source: &str, name: String| -> Result<bool, KernelError> {
        let source = format!("{at}/{source}");
        let size = tree.size(&source)?;
        files.extend(size.map(|size| BootFile { kind, source, name, size }));
        Ok(size.is_some())
    };
    add(FileKind::Kernel, "vmlinuz", format!("vmlinuz-{kver}"))?;
    let initramfs = format!("initramfs-{kver}.img");
    if !add(FileKind::Initramfs, "initramfs.img", initramfs.clone())? {
        add(FileKind::Initramfs, "initramfs", initramfs)?;
    }
    if !add(FileKind::DeviceTree, "devicetree", format!("devicetree-{kver}"))? {
        for path in files_below(tree, &format!("{at}/dtb"), "dtb")? {
            add(FileKind::DeviceTreeOf, &path, path.clone())?;
        }
    }
    add(FileKind::Hmac, ".vmlinuz.hmac", format!(".vmlinuz-{kver}.hmac"))?;
    add(FileKind::Aboot, "aboot.img", format!("aboot-{kver}.img"))?;
    Ok(Some(KernelFiles { files, stated: None }))
}

/// The files of the legacy layout in the first of its directories that is there.
fn legacy(tree: &impl ReadTree) -> Result<Option<KernelFiles>, KernelError> {
    for path in LEGACY_DIRS {
        if let Some(names) = tree.names(path)? {
            return legacy_in(tree, path, &names);
        }
    }
    Ok(None)
}

fn legacy_in(tree: &impl ReadTree, at: &str, names: &[String]) -> Result<Option<KernelFiles>, KernelError> {
    let find = |kind, prefix: &str| -> Result<Option<(BootFile, Checksum)>, KernelError> {
        for name in names.iter().filter(|name| name.starts_with(prefix)) {
            let source = format!("{at}/{name}");
            if let Some((name, checksum)) = name.rsplit_once('-')
                && let Ok(checksum) = checksum.parse()
                && let Some(size) = tree.size(&source)?
            {
                let file = BootFile { kind, source, name: name.to_owned(), size };
                return Ok(Some((file, checksum)));
            }
        }
        Ok(None)
    };
    let Some((kernel, stated)) = find(FileKind::Kernel, "vmlinuz-")? else { return Ok(None) };
    let mut files = vec![kernel];
    for (kind, prefix) in [(FileKind::Initramfs, "initramfs-"), (FileKind::DeviceTree, "devicetree-")] {
        let Some((file, checksum)) = find(kind, prefix)? else { continue };
        if checksum != stated {
            let kernel = files.swap_remove(0);
            return Err(KernelError::Mismatch(kernel.source, file.source));
        }
        files.push(file);
    }
    Ok(Some(KernelFiles { files, stated: Some(stated) }))
}

/// The regular files below a directory, sorted by name at every level; `path` is its path in the answer.
fn files_below(tree: &impl ReadTree, at: &str, path: &str) -> Result<Vec<String>, KernelError> {
    let mut todo = vec![(at.to_owned(), path.to_owned(), 0)];
    let mut found = Vec::new();
    while let Some((at, path, depth)) = todo.pop() {
        let Some(mut names) = tree.names(&at)? else {
            // What is no directory is a file, or goes: C takes neither links nor devices for device trees.
            if depth > 0 && tree.size(&at)?.is_some() {
                found.push(path);
            }
            continue;
        };
        if depth == MAX_DEPTH {
            return Err(KernelError::read(&at, Errno::NAMETOOLONG));
        }
        names.sort();
        todo.extend(
            names.into_iter().rev().map(|name| (format!("{at}/{name}"), format!("{path}/{name}"), depth + 1)),
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    /// Makes a tree of `(path, contents)` and looks at it.
    fn found(files: &[(&str, &str)]) -> Result<(Vec<String>, String), KernelError> {
        let temp = tempfile::tempdir().unwrap();
        for (path, contents) in files {
            let path = temp.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, contents).unwrap();
        }
        let tree = std::fs::File::open(temp.path()).unwrap();
        let found = KernelFiles::find(tree.as_fd())?;
        let checksum = found.boot_checksum(tree.as_fd())?.to_string();
        Ok((found.files.into_iter().map(|file| file.name).collect(), checksum))
    }

    const KERNEL: (&str, &str) = ("usr/lib/modules/6.12.1/vmlinuz", "kernel\n");
    const INITRAMFS: (&str, &str) = ("usr/lib/modules/6.12.1/initramfs.img", "initramfs\n");

    /// The checksums are those that ostree 2025.2 gave the same trees.
    #[test]
    fn names_and_checksum_are_those_of_the_c_tools() {
        let (names, checksum) = found(&[KERNEL, INITRAMFS]).unwrap();
        assert_eq!(names, ["vmlinuz-6.12.1", "initramfs-6.12.1.img"]);
        assert_eq!(checksum, "4fd03274c5449bba753c49d797caba0e082ad7fa4ef8cdbe7e83e9127393b1b3");

        let hmac = ("usr/lib/modules/6.12.1/.vmlinuz.hmac", "hm\n");
        let dtb = ("usr/lib/modules/6.12.1/dtb/a.dtb", "dt\n");
        let deeper = ("usr/lib/modules/6.12.1/dtb/b/x.dtb", "dt2\n");
        let (names, checksum) = found(&[KERNEL, INITRAMFS, hmac, deeper, dtb]).unwrap();
        let expected =
            ["vmlinuz-6.12.1", "initramfs-6.12.1.img", "dtb/a.dtb", "dtb/b/x.dtb", ".vmlinuz-6.12.1.hmac"];
        assert_eq!(names, expected);
        assert_eq!(checksum, "3f4b8a9b72f0b0733689662250e78164aeb12ed8d9ac8dcc7f34913916bf5641");

        let single = ("usr/lib/modules/6.12.1/devicetree", "single\n");
        let (names, checksum) = found(&[KERNEL, INITRAMFS, hmac, single, dtb]).unwrap();
        let expected =
            ["vmlinuz-6.12.1", "initramfs-6.12.1.img", "devicetree-6.12.1", ".vmlinuz-6.12.1.hmac"];
        assert_eq!(names, expected);
        assert_eq!(checksum, "742bd6b973ae571e4405167af3d177f0228bf4e3cc6014998ba7b908f280f93e");
    }

    #[test]
    fn the_newest_kernel_is_taken() {
        let newer = ("usr/lib/modules/6.12.10/vmlinuz", "kernel\n");
        let none = ("usr/lib/modules/7.0/kernel/x.ko", "");
        assert_eq!(found(&[KERNEL, newer, none]).unwrap().0, ["vmlinuz-6.12.10"]);
    }

    #[test]
    fn legacy_files_count_when_they_alone_have_the_initramfs() {
        let sum = "b".repeat(64);
        let kernel = format!("usr/lib/ostree-boot/vmlinuz-3.10-{sum}");
        let initramfs = format!("usr/lib/ostree-boot/initramfs-3.10-{sum}");
        let old = [(kernel.as_str(), "k"), (initramfs.as_str(), "i")];
        let names = vec!["vmlinuz-3.10".to_owned(), "initramfs-3.10".to_owned()];
        assert_eq!(found(&old).unwrap(), (names.clone(), sum.clone()));
        assert_eq!(found(&[old[0], old[1], KERNEL]).unwrap(), (names, sum.clone()));
        assert_eq!(found(&[old[0], old[1], KERNEL, INITRAMFS]).unwrap().0.len(), 2);

        let other = format!("usr/lib/ostree-boot/initramfs-3.10-{}", "c".repeat(64));
        let err = found(&[old[0], (other.as_str(), "i")]).unwrap_err();
        assert!(matches!(err, KernelError::Mismatch(..)), "{err}");
    }

    #[test]
    fn a_tree_without_a_kernel_is_refused() {
        for files in [&[][..], &[INITRAMFS][..], &[("usr/lib/modules/6.1/vmlinuz/x", "")][..]] {
            let err = found(files).unwrap_err();
            assert_eq!(err.to_string(), "No kernel in the tree: put one in usr/lib/modules/VERSION/vmlinuz");
        }
    }
}
