// SPDX-License-Identifier: MIT OR Apache-2.0
//! A physical root in a temporary directory, and small trees to deploy on it.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use deploy::{DeployOptions, Deployed, Epoch, init_fs};
use formats::Checksum;
use formats::gvariant::{DictBuilder, Value};
use formats::object::Commit;
use repo::commit::{TreeOptions, add_directory};
use repo::tree::Tree;
use sysroot::{Status, Sysroot};

use crate::{Disk, is_root, tree};

/// The stateroot of every world.
pub const STATEROOT: &str = "testos";

/// An initialised physical root with a stateroot.
///
/// Its functions panic where the libraries fail.
pub struct World {
    dir: tempfile::TempDir,
    disk: Option<Disk>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// An initialised root with an empty stateroot. Deployments are made immutable, so this takes root.
    pub fn new() -> Self {
        Self::initialised(|_| None)
    }

    /// The same on an ext4 of `mebibytes`.
    pub fn on_small_disk(mebibytes: u64) -> Self {
        Self::initialised(|root| Some(Disk::mounted_at(root, "ext4", mebibytes, &["-m", "0"])))
    }

    /// The same on an xfs, in as small an image as it takes.
    pub fn on_xfs() -> Self {
        Self::initialised(|root| Some(Disk::mounted_at(root, "xfs", 320, &[])))
    }

    /// The same with two deployments, the newer first; gives their names as well.
    pub fn with_two_deployments() -> (Self, [String; 2]) {
        let world = Self::new();
        for version in ["1", "2"] {
            world.commit("main", version, |_| ());
            world.deploy("main");
        }
        let menu = world.menu();
        let names = [menu[0].clone(), menu[1].clone()];
        (world, names)
    }

    /// The same in memory where possible: on a disk with a journal tens of thousands of directories take half a minute.
    pub fn in_memory() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Self::initialised_in(dir, |_| None)
    }

    fn initialised(mount: impl FnOnce(&Path) -> Option<Disk>) -> Self {
        Self::initialised_in(tempfile::tempdir().unwrap(), mount)
    }

    fn initialised_in(dir: tempfile::TempDir, mount: impl FnOnce(&Path) -> Option<Disk>) -> Self {
        assert!(is_root(), "deployments get the immutable flag: begin the test with needs_root!()");
        let mut world = Self { dir, disk: None };
        fs::create_dir(world.root()).unwrap();
        world.disk = mount(&world.root());
        init_fs(&world.root(), Epoch::Modern).unwrap();
        let sysroot = world.sysroot();
        deploy::init_stateroot(&sysroot.lock(|| ()).unwrap(), STATEROOT).unwrap();
        world
    }

    /// The top of the physical root.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// The file system of its own, if it has one.
    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Opens the physical root.
    pub fn sysroot(&self) -> Sysroot {
        Sysroot::open(&self.root()).unwrap()
    }

    /// A bootable tree on which `edit` has the last word, committed as `branch`.
    pub fn commit(&self, branch: &str, version: &str, edit: impl FnOnce(&Path)) -> Checksum {
        let tree = tempfile::tempdir_in(self.dir.path()).unwrap();
        bootable_tree(tree.path());
        edit(tree.path());
        let sysroot = self.sysroot();
        let mut transaction = sysroot.repo().begin().unwrap();
        let mut root = Tree::new();
        let dir = fs::File::open(tree.path()).unwrap();
        add_directory(&mut transaction, &mut root, dir.as_fd(), Path::new("."), &TreeOptions::default())
            .unwrap();
        let (tree, meta) = root.write(&mut transaction).unwrap();
        let mut commit = Commit::new(tree, meta);
        let mut metadata = DictBuilder::new();
        metadata.insert("version", Value::string(version));
        commit.metadata = metadata.build();
        let checksum = transaction.write_commit(&commit).unwrap();
        transaction.set_ref(branch.parse().unwrap(), checksum);
        transaction.commit().unwrap();
        checksum
    }

    /// Where the repository has the file at `path` of a commit.
    pub fn object(&self, commit: &Checksum, path: &str) -> PathBuf {
        let Ok(repo::Entry::File(checksum)) = self.sysroot().repo().lookup(commit, path) else {
            panic!("{path} is no file of the commit")
        };
        let name = checksum.to_string();
        self.root().join("ostree/repo/objects").join(&name[..2]).join(format!("{}.file", &name[2..]))
    }

    /// The options that deploy a refspec in the stateroot.
    pub fn options(&self, refspec: &str) -> DeployOptions {
        DeployOptions { stateroot: Some(STATEROOT.to_owned()), ..DeployOptions::new(refspec) }
    }

    /// Deploys, as the options say.
    pub fn try_deploy(&self, options: &DeployOptions) -> anyhow::Result<Deployed> {
        let sysroot = self.sysroot();
        let lock = sysroot.lock(|| ())?;
        deploy::deploy(&lock, options)
    }

    /// Deploys a refspec, which must succeed.
    pub fn deploy(&self, refspec: &str) -> Deployed {
        self.try_deploy(&self.options(refspec)).unwrap()
    }

    /// Reads the status.
    pub fn status(&self) -> Status {
        self.sysroot().status().unwrap()
    }

    /// `CHECKSUM.SERIAL` of each deployment in the menu.
    pub fn menu(&self) -> Vec<String> {
        self.status().deployments.iter().map(|row| format!("{}.{}", row.checksum, row.serial)).collect()
    }

    /// The directory of a deployment in the menu.
    pub fn deployment(&self, index: usize) -> PathBuf {
        self.root().join("ostree/deploy").join(STATEROOT).join("deploy").join(&self.menu()[index])
    }

    /// Every path below the root with its kind and content, less the repository's temporary files: what must not
    /// change when something is refused.
    pub fn snapshot(&self) -> Vec<String> {
        let mut out = Vec::new();
        walk(&self.root(), &self.root(), &mut out);
        out.sort();
        out
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.disk.take().is_some() {
            return;
        }
        tree::make_removable(self.dir.path());
    }
}

fn walk(root: &Path, at: &Path, out: &mut Vec<String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let meta = path.symlink_metadata().unwrap();
        if name.starts_with("ostree/repo/tmp") || ["ostree/repo/.lock", "lost+found"].contains(&name.as_str())
        {
            continue;
        } else if meta.is_dir() {
            // Directories of refs stay when these go, as with the C tools.
            if !name.starts_with("ostree/repo/refs/heads/ostree/") {
                out.push(format!("{name}/"));
            }
            walk(root, &path, out);
        } else if meta.is_symlink() {
            out.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
        } else {
            out.push(format!("{name} {}", Checksum::of(&fs::read(&path).unwrap())));
        }
    }
}

/// A tree with a directory of defaults for `/etc`, and one for `/var`.
fn bootable_tree(tree: &Path) {
    tree::make_bootable(tree);
    fs::create_dir_all(tree.join("var/lib")).unwrap();
    tree::write(tree, &[("usr/etc/d/more", "default\n")]);
}
