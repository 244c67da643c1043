// SPDX-License-Identifier: MIT OR Apache-2.0
//! A physical root in a temporary directory, and small trees to deploy on it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test world says what it expects by unwrapping it")]
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use formats::Checksum;
use formats::gvariant::{DictBuilder, Value};
use formats::object::Commit;
use repo::commit::{TreeOptions, add_directory};
use repo::tree::Tree;
use sysroot::deploy::{DeployOptions, Deployed};
use sysroot::{Epoch, Status, Sysroot, init_fs};

/// The stateroot of every world.
pub(crate) const STATEROOT: &str = "testos";

pub(crate) struct World {
    dir: tempfile::TempDir,
    disk: Option<Disk>,
}

/// A file system of its own in an image, mounted at `root` of the world.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.0));
    }
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

impl World {
    /// An initialised root with an empty stateroot. Deployments are made immutable, so this takes root.
    pub(crate) fn new() -> Self {
        Self::initialised(|_| None)
    }

    /// The same on an ext4 of `mebibytes`.
    pub(crate) fn on_small_disk(mebibytes: u64) -> Self {
        Self::initialised(|dir| {
            let (image, mount) = (dir.join("image"), dir.join("root"));
            fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
            run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image));
            run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount));
            Some(Disk(mount))
        })
    }

    /// The same on an xfs, in as small an image as it takes.
    pub(crate) fn on_xfs() -> Self {
        Self::initialised(|dir| {
            let (image, mount) = (dir.join("image"), dir.join("root"));
            fs::File::create(&image).unwrap().set_len(320 << 20).unwrap();
            run(Command::new("mkfs.xfs").arg("-q").arg(&image));
            run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount));
            Some(Disk(mount))
        })
    }

    fn initialised(mount: impl FnOnce(&Path) -> Option<Disk>) -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests set the immutable flag: run them as root");
        let mut world = Self { dir: tempfile::tempdir().unwrap(), disk: None };
        fs::create_dir(world.root()).unwrap();
        world.disk = mount(world.dir.path());
        init_fs(&world.root(), Epoch::Modern).unwrap();
        world.sysroot().init_stateroot(STATEROOT).unwrap();
        world
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn sysroot(&self) -> Sysroot {
        Sysroot::open(&self.root()).unwrap()
    }

    /// A bootable tree on which `edit` has the last word, committed as `branch`.
    pub(crate) fn commit(&self, branch: &str, version: &str, edit: impl FnOnce(&Path)) -> Checksum {
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
    pub(crate) fn object(&self, commit: &Checksum, path: &str) -> PathBuf {
        let Ok(repo::Entry::File(checksum)) = self.sysroot().repo().lookup(commit, path) else {
            panic!("{path} is no file of the commit")
        };
        let name = checksum.to_string();
        self.root().join("ostree/repo/objects").join(&name[..2]).join(format!("{}.file", &name[2..]))
    }

    pub(crate) fn options(&self, refspec: &str) -> DeployOptions {
        DeployOptions { stateroot: Some(STATEROOT.to_owned()), ..DeployOptions::new(refspec) }
    }

    pub(crate) fn try_deploy(&self, options: &DeployOptions) -> anyhow::Result<Deployed> {
        let sysroot = self.sysroot();
        let lock = sysroot.lock(|| ())?;
        sysroot.deploy(&lock, options)
    }

    pub(crate) fn deploy(&self, refspec: &str) -> Deployed {
        self.try_deploy(&self.options(refspec)).unwrap()
    }

    pub(crate) fn status(&self) -> Status {
        self.sysroot().status().unwrap()
    }

    /// `CHECKSUM.SERIAL` of each deployment in the menu.
    pub(crate) fn menu(&self) -> Vec<String> {
        self.status().deployments.iter().map(|row| format!("{}.{}", row.checksum, row.serial)).collect()
    }

    /// The directory of a deployment in the menu.
    pub(crate) fn deployment(&self, index: usize) -> PathBuf {
        self.root().join("ostree/deploy").join(STATEROOT).join("deploy").join(&self.menu()[index])
    }

    /// Every path below the root with its kind and content, less the repository's temporary files: what must not
    /// change when something is refused.
    pub(crate) fn snapshot(&self) -> Vec<String> {
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
        // Immutable deployments would survive the temporary directory.
        let done = Command::new("chattr").args(["-R", "-f", "-i"]).arg(self.dir.path()).status();
        assert!(done.is_ok(), "chattr is needed to remove what was deployed");
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

fn bootable_tree(tree: &Path) {
    for dir in [
        "usr/bin",
        "usr/etc/d",
        "usr/lib/modules/6.1.0",
        "var/lib",
        "boot",
        "run",
        "proc",
        "sys",
        "dev",
        "sysroot",
    ] {
        fs::create_dir_all(tree.join(dir)).unwrap();
    }
    for (path, text) in [
        ("usr/lib/modules/6.1.0/vmlinuz", "kernel"),
        ("usr/lib/modules/6.1.0/initramfs.img", "initramfs"),
        ("usr/lib/os-release", "ID=testos\nPRETTY_NAME=\"Test OS\"\n"),
        ("usr/etc/conf", "default\n"),
        ("usr/etc/d/more", "default\n"),
        ("usr/bin/tool", "#!/bin/sh\n"),
    ] {
        fs::write(tree.join(path), text).unwrap();
    }
    symlink("sysroot/ostree", tree.join("ostree")).unwrap();
}
