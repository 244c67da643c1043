// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kit of a session: the programs under test, commits to deploy, and the files of those commits.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::program::run;
use crate::snapshot::Snapshot;
use crate::workshop::text;

/// Where a session sees the commits, as a repository.
pub const SOURCE: &str = "/run/kit/source";

/// The programs that are tested: ours or the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Ours.
    Ours,
    /// Debian's.
    Theirs,
}

/// Where programs are found, from the environment that `./run` sets.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Our programs as a distribution installs them.
    pub installed: PathBuf,
    /// Our `ostree` with the cargo feature `faults`.
    pub with_faults: PathBuf,
    /// The tree of Debian's `ostree`.
    pub peer: PathBuf,
}

impl Programs {
    /// Reads `OSTREE_RS_DESTDIR`, `OSTREE_RS_FAULTS` and `OSTREE_PEER_DIR`.
    pub fn from_environment() -> Result<Self> {
        let path = |name: &str| -> Result<PathBuf> {
            let value =
                std::env::var_os(name).with_context(|| format!("{name} is not set; use ./run crash"))?;
            let path = PathBuf::from(value);
            ensure!(path.exists(), "{name}: there is no {}", path.display());
            Ok(path)
        };
        Ok(Self {
            installed: path("OSTREE_RS_DESTDIR")?,
            with_faults: path("OSTREE_RS_FAULTS")?,
            peer: path("OSTREE_PEER_DIR")?,
        })
    }

    /// Our program of the initramfs.
    pub(crate) fn prepare_root(&self) -> PathBuf {
        self.installed.join("usr/lib/ostree/ostree-prepare-root")
    }
}

/// Programs and commits, in a directory that sessions see as `/run/kit`.
#[derive(Debug, Clone)]
pub struct Kit {
    directory: PathBuf,
    peer: PathBuf,
    /// The files of each commit, by its checksum.
    pub commits: BTreeMap<String, Snapshot>,
}

/// The branches of the source: name, kernel, and a file that differs.
///
/// `two` has another kernel than `one`, so its deployment changes boot entries; `same` has the same, so only the links behind
/// an entry change. `main` has the tree of `two`, as what an upgrade finds.
const BRANCHES: [(&str, &str, &str); 5] = [
    ("one", "6.1.0", "1"),
    ("two", "6.2.0", "2"),
    ("three", "6.3.0", "3"),
    ("same", "6.1.0", "4"),
    ("main", "6.2.0", "2"),
];

/// Finalizes what is staged while another deployment is staged: that one holds the lock until the finalization waits for it.
const STAGE_AGAIN: &str = "cd /run/out && rm -f paused waits
DURABLE_PAUSE=checkout:/run/out/paused ostree-with-faults admin deploy --stage three & staging=$!
while [ ! -e paused ] && kill -0 $staging; do sleep 0.02; done
ostree admin finalize-staged 2>waits & finalizing=$!
while ! grep -q 'Waiting for the lock' waits && kill -0 $finalizing; do sleep 0.02; done
rm -f paused
wait $staging || exit
wait $finalizing || { cat waits >&2; exit 1; }";

impl Kit {
    /// Lays out the programs of one side and the commits in an empty directory.
    #[context("Laying out programs and commits")]
    pub fn new(programs: &Programs, directory: &Path) -> Result<Self> {
        let mut kit =
            Self { directory: directory.to_owned(), peer: programs.peer.clone(), commits: BTreeMap::new() };
        let installed = &programs.installed;
        kit.copy(&installed.join("usr/bin/ostree"), "ostree")?;
        for name in ["ostree-boot-complete", "ostree-boot-good"] {
            kit.copy(&installed.join("usr/lib/ostree").join(name), name)?;
        }
        kit.copy(&programs.with_faults, "ostree-with-faults")?;
        kit.script("systemctl", "exit 0")?;
        kit.script("peer", &peer_command("ostree"))?;
        kit.script("stage-again", STAGE_AGAIN)?;
        kit.make_commits()?;
        Ok(kit)
    }

    /// The same with other programs under the name `ostree`, in another directory.
    #[context("Laying out other programs")]
    pub fn variant(&self, directory: &Path, side: Side, mutant: Option<&str>) -> Result<Self> {
        let kit = Self { directory: directory.to_owned(), ..self.clone() };
        copy_directory(&self.directory, directory)?;
        match (side, mutant) {
            (Side::Theirs, _) => kit.script("ostree", &peer_command("ostree"))?,
            (Side::Ours, Some(mutant)) => {
                let line = format!("DURABLE_MUTANT={mutant} exec /run/kit/ostree-with-faults \"$@\"");
                kit.script("ostree", &line)?;
            }
            (Side::Ours, None) => {}
        }
        Ok(kit)
    }

    /// The directory with everything.
    pub(crate) fn programs(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn peer_directory(&self) -> &Path {
        &self.peer
    }

    fn copy(&self, from: &Path, name: &str) -> Result<()> {
        let to = self.directory.join(name);
        fs::copy(from, &to).with_context(|| format!("Copying {}", from.display()))?;
        Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755))?)
    }

    fn script(&self, name: &str, line: &str) -> Result<()> {
        let path = self.directory.join(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, format!("#!/bin/sh\n{line}\n"))?;
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
    }

    fn make_commits(&mut self) -> Result<()> {
        let ostree = self.directory.join("ostree").display().to_string();
        let source = self.directory.join("source").display().to_string();
        run(&ostree, ["--repo", &source, "init", "--mode=archive"])?;
        for (branch, kernel, version) in BRANCHES {
            let tree = self.directory.join(format!("tree-{branch}"));
            make_tree(&tree, kernel, version)?;
            self.commit(branch, version, &tree)?;
        }
        Ok(())
    }

    fn commit(&mut self, branch: &str, version: &str, tree: &Path) -> Result<()> {
        let ostree = self.directory.join("ostree").display().to_string();
        let source = self.directory.join("source").display().to_string();
        let path = tree.display().to_string();
        let (branch, version) =
            (format!("--branch={branch}"), format!("--add-metadata-string=version={version}"));
        let commit = run(&ostree, ["--repo", &source, "commit", &branch, &version, &path])?;
        self.commits.insert(commit, Snapshot::of(tree)?);
        Ok(())
    }

    /// Adds the commits `full-one`, a whole Debian system, and `full-two`, the same with another initramfs and new documentation. The
    /// trees are made in an empty directory.
    #[context("Committing a whole Debian system")]
    pub(crate) fn add_full_size(&mut self, debian: &Path, directory: &Path) -> Result<()> {
        let (one, two) = (directory.join("one"), directory.join("two"));
        run("cp", ["-a", "-T", &text(debian), &text(&one)])?;
        // Files are shared by the two, so that what is changed must be made anew.
        run("cp", ["-al", "-T", &text(&one), &text(&two)])?;
        let kernel = fs::read_dir(two.join("usr/lib/modules"))?.next().context("There is no kernel")??.path();
        let initramfs = kernel.join("initramfs.img");
        let mut bytes = fs::read(&initramfs)?;
        // The kernel ignores zeros behind an archive.
        bytes.extend([0; 512]);
        fs::remove_file(&initramfs)?;
        fs::write(&initramfs, bytes)?;
        let documentation = two.join("usr/share/doc/full-two");
        fs::create_dir_all(&documentation)?;
        for index in 0..200 {
            fs::write(documentation.join(format!("{index}")), noise(&format!("full {index}"), 40 * index))?;
        }
        self.commit("full-one", "1", &one)?;
        self.commit("full-two", "2", &two)
    }
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    run("cp", ["-al", "-T", &from.display().to_string(), &to.display().to_string()]).map(drop)
}

/// Debian's program, run by its own loader and libraries.
fn peer_command(name: &str) -> String {
    let (loader, libraries) = match std::env::consts::ARCH {
        "aarch64" => ("lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
        _ => ("lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
    };
    let peer = "/run/peer";
    format!(
        "exec {peer}/{loader} --library-path {peer}/usr/lib/{libraries} --argv0 {name} {peer}/usr/bin/{name} \"$@\""
    )
}

/// A bootable tree of some dozens of files.
fn make_tree(tree: &Path, kernel: &str, version: &str) -> Result<()> {
    let modules = format!("usr/lib/modules/{kernel}");
    let dirs =
        ["usr/bin", "usr/etc/d", "var", "boot", "run", "proc", "sys", "dev", "sysroot", "tmp", &modules];
    for dir in dirs {
        fs::create_dir_all(tree.join(dir))?;
    }
    let write = |path: &str, text: &str| fs::write(tree.join(path), text);
    write("usr/lib/os-release", &format!("ID=testos\nPRETTY_NAME=\"Test OS {version}\"\n"))?;
    write("usr/etc/conf", &format!("default {version}\n"))?;
    write("usr/etc/d/more", "default\n")?;
    write("usr/version", version)?;
    // Several blocks each, so that a part of one can be missing.
    fs::write(tree.join(&modules).join("vmlinuz"), noise(kernel, 20_000))?;
    fs::write(tree.join(&modules).join("initramfs.img"), noise(version, 30_000))?;
    for index in 0..40 {
        let dir = tree.join(format!("usr/share/d{}", index % 8));
        fs::create_dir_all(&dir)?;
        // Half of the files are shared by all versions.
        let seed = if index % 2 == 0 { "shared" } else { version };
        fs::write(
            dir.join(format!("f{index}")),
            noise(&format!("{seed} {index}"), 37 * index * index % 9000),
        )?;
    }
    // For the programs of this machine, which are mounted over usr when the tree is booted.
    for name in ["lib", "lib64", "bin", "sbin"] {
        symlink(format!("usr/{name}"), tree.join(name))?;
    }
    symlink("sysroot/ostree", tree.join("ostree"))?;
    Ok(())
}

/// Bytes that no two names have in common.
fn noise(name: &str, length: usize) -> Vec<u8> {
    let seed = name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut random = crate::random::Random::new(seed);
    std::iter::repeat_with(|| random.number().to_le_bytes()).flatten().take(length).collect()
}
