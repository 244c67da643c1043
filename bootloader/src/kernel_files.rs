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
//! Each of these may be a link to a file anywhere in the tree, and a directory of device trees may have links in it. What goes to `/boot` is
//! the contents, under the name of the link: a FAT has no links, and nothing else of the tree is there to lead to.
//!
//! Trees of before 2017 have `vmlinuz-…-CHECKSUM`, `initramfs-…-CHECKSUM` and `devicetree-…-CHECKSUM` in
//! `usr/lib/ostree-boot` or `boot`. They count when there is no kernel in `usr/lib/modules`, or when only they
//! have an initramfs.

use std::io::{ErrorKind, Read};

use formats::{Checksum, Hasher, version};
use rustix::io::Errno;

use crate::files::FileKind;
use crate::tree::{KernelError, ReadTree};

/// Where trees of before 2017 have their kernel.
const LEGACY_DIRS: [&str; 2] = ["usr/lib/ostree-boot", "boot"];
/// Where trees have their kernels, a directory a version.
const MODULES: &str = "usr/lib/modules";
/// Device trees lie at most this deep in `dtb/` (the kernel's own are two deep).
const MAX_DEPTH: usize = 16;
/// More device trees than there are of all machines together; a loop of links makes them without end.
const MAX_DEVICE_TREES: usize = 10_000;

/// A file that goes from a tree to `/boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFile {
    /// Its kind.
    pub kind: FileKind,
    /// Its path in the tree, on which there are no links.
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
    /// Names that are there and are no file, such as a link that leads nowhere in the tree, with their paths. They are left out.
    pub no_files: Vec<(FileKind, String)>,
    /// The boot checksum that the tree's own file names state (legacy layout).
    stated: Option<Checksum>,
}

impl KernelFiles {
    /// Lists boot files that are known from elsewhere, in the order in which the boot checksum is made.
    pub fn new(files: Vec<BootFile>) -> Self {
        Self { files, no_files: Vec::new(), stated: None }
    }

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

    /// Treats the tree as one without device trees. Its boot checksum is another one then, but of a legacy layout.
    pub fn drop_device_trees(&mut self) {
        let is_device_tree = |kind| matches!(kind, FileKind::DeviceTree | FileKind::DeviceTreeOf);
        self.files.retain(|file| !is_device_tree(file.kind));
        self.no_files.retain(|(kind, _)| !is_device_tree(*kind));
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
        if tree.file(&format!("{MODULES}/{name}/vmlinuz"))?.is_some() {
            versions.push(name);
        }
    }
    let Some(kver) = versions.into_iter().max_by(|a, b| version::compare(a, b)) else { return Ok(None) };

    let at = format!("{MODULES}/{kver}");
    let there = tree.names(&at)?.unwrap_or_default();
    let (mut files, mut no_files) = (Vec::new(), Vec::new());
    let mut add = |kind, source: &str, name: String| -> Result<bool, KernelError> {
        let found = tree.file(&format!("{at}/{source}"))?;
        let is_found = found.is_some();
        // Of device trees in a directory only what is there is asked for.
        if !is_found && (kind == FileKind::DeviceTreeOf || there.iter().any(|name| name == source)) {
            no_files.push((kind, format!("{at}/{source}")));
        }
        files.extend(found.map(|(source, size)| BootFile { kind, source, name, size }));
        Ok(is_found)
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
    let dtb = format!("{at}/dtb");
    if there.iter().any(|name| name == "dtb") && tree.names(&dtb)?.is_none() {
        no_files.push((FileKind::DeviceTreeOf, dtb));
    }
    // Its other name counts.
    let has_initramfs = files.iter().any(|file| file.kind == FileKind::Initramfs);
    no_files.retain(|(kind, _)| !(has_initramfs && *kind == FileKind::Initramfs));
    Ok(Some(KernelFiles { files, no_files, stated: None }))
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
            let path = format!("{at}/{name}");
            if let Some((name, checksum)) = name.rsplit_once('-')
                && let Ok(checksum) = checksum.parse()
                && let Some((source, size)) = tree.file(&path)?
            {
                let file = BootFile { kind, source, name: name.to_owned(), size };
                return Ok(Some((file, checksum)));
            }
        }
        Ok(None)
    };
    let Some((kernel, stated)) = find(FileKind::Kernel, "vmlinuz-")? else { return Ok(None) };
    let (mut files, mut no_files) = (vec![kernel], Vec::new());
    for (kind, prefix) in [(FileKind::Initramfs, "initramfs-"), (FileKind::DeviceTree, "devicetree-")] {
        let Some((file, checksum)) = find(kind, prefix)? else {
            let name = names.iter().find(|name| is_stated(name, prefix));
            no_files.extend(name.map(|name| (kind, format!("{at}/{name}"))));
            continue;
        };
        if checksum != stated {
            let kernel = files.swap_remove(0);
            return Err(KernelError::Mismatch(kernel.source, file.source));
        }
        files.push(file);
    }
    Ok(Some(KernelFiles { files, no_files, stated: Some(stated) }))
}

/// Whether a file name of the legacy layout has this beginning, and a checksum at its end.
fn is_stated(name: &str, prefix: &str) -> bool {
    name.starts_with(prefix)
        && name.rsplit_once('-').is_some_and(|(_, checksum)| checksum.parse::<Checksum>().is_ok())
}

/// Lists all below a directory that is no directory, sorted by name at every level; `path` is its path in the answer.
fn files_below(tree: &impl ReadTree, at: &str, path: &str) -> Result<Vec<String>, KernelError> {
    let mut todo = vec![(at.to_owned(), path.to_owned(), 0)];
    let mut found = Vec::new();
    while let Some((at, path, depth)) = todo.pop() {
        let Some(mut names) = tree.names(&at)? else {
            // All else is a file, or nothing to boot with, such as a link that leads nowhere in the tree.
            if depth > 0 {
                found.push(path);
            }
            continue;
        };
        if depth == MAX_DEPTH || found.len() + todo.len() > MAX_DEVICE_TREES {
            return Err(KernelError::Loop(at));
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

    /// A tree with the kernel, these files and these links.
    fn linked(files: &[(&str, &str)], links: &[(&str, &str)]) -> (tempfile::TempDir, std::fs::File) {
        let temp = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = temp.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        files.iter().for_each(|(path, contents)| std::fs::write(make(path), contents).unwrap());
        links.iter().for_each(|(path, target)| std::os::unix::fs::symlink(target, make(path)).unwrap());
        let tree = std::fs::File::open(temp.path()).unwrap();
        (temp, tree)
    }

    const AT: &str = "usr/lib/modules/6.12.1";

    #[test]
    fn links_are_followed_inside_of_the_tree() {
        let at = |name: &str| format!("{AT}/{name}");
        let files =
            [(at("Image"), "kernel\n"), (at("dtb/a.dtb"), "dt\n"), ("usr/share/dt/c".to_owned(), "dt2\n")];
        let links = [
            (at("vmlinuz"), "Image"),
            (at("dtb/b.dtb"), "./a.dtb"),
            (at("dtb/c.dtb"), "/usr/share/dt/c"),
            (at("dtb/d.dtb"), "../../../../../../../../../../../../../usr/share/dt/../dt/c"),
            (at("dtb/e"), "/usr/share/dt"),
            (at("dtb/gone.dtb"), "nowhere"),
            (at("dtb/loop.dtb"), "loop.dtb"),
        ];
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let links: Vec<_> = links.iter().map(|(path, target)| (path.as_str(), *target)).collect();
        let (_temp, tree) = linked(&files, &links);
        let found = KernelFiles::find(tree.as_fd()).unwrap();
        let pairs: Vec<_> =
            found.files.iter().map(|f| (f.name.as_str(), f.source.as_str(), f.size)).collect();
        let no_files = ["dtb/gone.dtb", "dtb/loop.dtb"].map(|name| (FileKind::DeviceTreeOf, at(name)));
        assert_eq!(found.no_files, no_files);
        let (image, a) = (at("Image"), at("dtb/a.dtb"));
        assert_eq!(
            pairs,
            [
                ("vmlinuz-6.12.1", image.as_str(), 7),
                ("dtb/a.dtb", a.as_str(), 3),
                ("dtb/b.dtb", a.as_str(), 3),
                ("dtb/c.dtb", "usr/share/dt/c", 4),
                ("dtb/d.dtb", "usr/share/dt/c", 4),
                ("dtb/e/c", "usr/share/dt/c", 4),
            ]
        );
        let copied = [KERNEL, (a.as_str(), "dt\n"), (&at("dtb/b.dtb"), "dt\n")];
        let (_temp, tree) = linked(&copied, &[]);
        let (_other, other) = linked(&[KERNEL, copied[1]], &[(&at("dtb/b.dtb"), "a.dtb")]);
        let sum = |tree: &std::fs::File| {
            KernelFiles::find(tree.as_fd()).unwrap().boot_checksum(tree.as_fd()).unwrap()
        };
        assert_eq!(sum(&tree), sum(&other), "the contents count, as for the C tools");
    }

    #[test]
    fn what_is_there_and_is_no_file_is_told() {
        let at = |name: &str| format!("{AT}/{name}");
        let none = |files: &[(&str, &str)], links: &[(&str, &str)]| {
            let (_temp, tree) = linked(files, links);
            KernelFiles::find(tree.as_fd()).unwrap().no_files
        };
        let (image, initramfs, single) = (at("initramfs.img"), at("initramfs"), at("devicetree"));
        let hmac = at(".vmlinuz.hmac");
        assert_eq!(none(&[KERNEL], &[]), []);
        let broken = [(image.as_str(), "gone"), (&single, "/gone"), (&hmac, "..")];
        let kinds = [FileKind::Initramfs, FileKind::DeviceTree, FileKind::Hmac];
        let expected: Vec<_> = kinds.into_iter().zip(broken.map(|(path, _)| path.to_owned())).collect();
        assert_eq!(none(&[KERNEL], &broken), expected);
        assert_eq!(none(&[KERNEL], &[(&initramfs, "initramfs")]), [(FileKind::Initramfs, initramfs.clone())]);
        let directory = [KERNEL, (&at("initramfs.img/x"), "")];
        assert_eq!(none(&directory, &[]), [(FileKind::Initramfs, image.clone())]);
        assert_eq!(none(&[KERNEL, (&initramfs, "")], &[(&image, "gone")]), [], "the other name counts");
        let dtb = at("dtb");
        assert_eq!(none(&[KERNEL], &[(&dtb, "gone")]), [(FileKind::DeviceTreeOf, dtb)]);
        assert_eq!(
            none(&[KERNEL, (&at("dtb/a"), "")], &[(&single, "gone")]),
            [(FileKind::DeviceTree, single)]
        );

        let legacy = |name: &str| format!("boot/{name}-6.1-{}", "b".repeat(64));
        let (kernel, initramfs) = (legacy("vmlinuz"), legacy("initramfs"));
        let expected = [(FileKind::Initramfs, initramfs.clone())];
        assert_eq!(none(&[(&kernel, "")], &[(&initramfs, "gone"), ("boot/initramfs-x", "gone")]), expected);
    }

    #[test]
    fn a_loop_of_links_among_device_trees_ends() {
        for links in [
            &[("usr/lib/modules/6.12.1/dtb/again", ".")][..],
            &[
                ("usr/lib/modules/6.12.1/dtb/a", "/usr/lib/modules/6.12.1/dtb"),
                ("usr/lib/modules/6.12.1/dtb/b", "../dtb"),
                ("usr/lib/modules/6.12.1/dtb/c", "../dtb"),
            ],
        ] {
            let (_temp, tree) = linked(&[KERNEL, ("usr/lib/modules/6.12.1/dtb/x.dtb", "")], links);
            let error = KernelFiles::find(tree.as_fd()).unwrap_err();
            assert!(error.to_string().contains("is a link in it a loop?"), "{error}");
        }
    }

    #[test]
    fn a_tree_without_a_kernel_is_refused() {
        for files in [&[][..], &[INITRAMFS][..], &[("usr/lib/modules/6.1/vmlinuz/x", "")][..]] {
            let err = found(files).unwrap_err();
            assert_eq!(err.to_string(), "No kernel in the tree: put one in usr/lib/modules/VERSION/vmlinuz");
        }
    }
}
