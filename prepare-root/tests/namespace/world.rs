// SPDX-License-Identifier: MIT OR Apache-2.0
//! A physical root with one deployment, built by hand, and the programs that prepare it.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use formats::kernel_args::KernelArgs;
use prepare_root::{Calls, Config, Error, MountPlan, apply, facts};

pub(crate) const CHECKSUM: &str = "11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa";
pub(crate) const BOOT: &str = "22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb22bb";
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ostree-prepare-root");

/// A mount namespace with a `/run` of its own and a physical root at `sysroot`.
pub(crate) struct World {
    pub(crate) sysroot: PathBuf,
    _temp: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let sysroot = temp.path().join("sysroot");
        fs::create_dir(&sysroot).unwrap();
        run("mount", &["-t", "tmpfs", "run", "/run"]);
        run("mount", &["-t", "tmpfs", "disk", sysroot.to_str().unwrap()]);
        let world = Self { sysroot, _temp: temp };
        for directory in ["usr/bin", "etc", "sysroot", "var", "boot"] {
            world.mkdir(&format!("{}/{directory}", deployment()));
        }
        world.write(&format!("{}/usr/bin/true", deployment()), "");
        world.write(&format!("{}/etc/fstab", deployment()), "");
        world.mkdir("ostree/deploy/debian/var/lib");
        world.write("ostree/repo/config", "[core]\nrepo_version=1\nmode=bare\n");
        world.mkdir(&format!("ostree/boot.1.1/debian/{BOOT}"));
        world.link("boot.1.1", "ostree/boot.1");
        world.boot_link("0", &format!("../../../deploy/debian/deploy/{CHECKSUM}.0"));
        world
    }

    /// A boot loader starts from the physical root.
    pub(crate) fn add_loader(&self) {
        self.mkdir("boot/loader.1/entries");
        self.link("loader.1", "boot/loader");
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.sysroot.join(path)
    }

    pub(crate) fn mkdir(&self, path: &str) {
        fs::create_dir_all(self.at(path)).unwrap();
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    pub(crate) fn link(&self, target: &str, path: &str) {
        symlink(target, self.at(path)).unwrap();
    }

    pub(crate) fn boot_link(&self, name: &str, target: &str) {
        self.link(target, &format!("ostree/boot.1.1/debian/{BOOT}/{name}"));
    }

    /// Sets `[sysroot] readonly` where it does not depend on the root of the machine: in the repository.
    pub(crate) fn set_readonly(&self) {
        self.write("ostree/repo/config", "[core]\nmode=bare\n[sysroot]\nreadonly=true\n");
    }

    /// Runs the program with SYSROOT, a command line and options.
    pub(crate) fn program(&self, options: &[&str], line: &str) -> Output {
        Command::new(PROGRAM).args(options).arg(&self.sysroot).arg(line).output().unwrap()
    }

    /// Does what the program does, with a choice of kernel calls.
    pub(crate) fn prepare_with(&self, calls: &Calls) -> Result<MountPlan, Error> {
        let arguments = KernelArgs::parse(&argument("0"));
        let config = Config::parse(&[])?;
        let sysroot = fs::File::open(&self.sysroot).unwrap();
        let target = prepare_root::resolve(sysroot.as_fd(), &arguments)?;
        let facts = facts::gather(sysroot.as_fd(), &config, &target, calls);
        let plan = MountPlan::new(&config, &target.deployment, &facts)?;
        apply::apply(&plan, &self.sysroot, sysroot.as_fd(), &target, calls)?;
        Ok(plan)
    }
}

/// Where the deployment lies in the physical root.
pub(crate) fn deployment() -> String {
    format!("ostree/deploy/debian/deploy/{CHECKSUM}.0")
}

/// The kernel command line that names the boot link `name`.
pub(crate) fn argument(name: &str) -> String {
    format!("quiet ostree=/ostree/boot.1/debian/{BOOT}/{name} rw")
}

pub(crate) fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// Whether files can be created in a directory.
pub(crate) fn writable(directory: &Path) -> bool {
    let probe = directory.join("probe");
    let created = fs::write(&probe, "").is_ok();
    if created {
        fs::remove_file(probe).unwrap();
    }
    created
}
