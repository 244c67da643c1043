// SPDX-License-Identifier: MIT OR Apache-2.0
//! A root on an ext4, with `/boot` in it or on a second one.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use formats::kernel_args::KernelArgs;
use prepare_root::calls::Calls;
use prepare_root::{Config, MountPlan, facts, resolve};
use rustix::fs::FallocateFlags;
use sysroot::deploy::{DeployOptions, Edits};
use sysroot::{BootCheck, Sysroot};

use crate::world::World;

/// The size of the kernels, in bytes: some blocks each.
pub(crate) const KERNEL: usize = 300_000;

pub(crate) struct Root {
    // The first to go: it is mounted in the other.
    boot: Option<Boot>,
    pub(crate) world: World,
}

/// The second file system.
struct Boot {
    mount: PathBuf,
    _image: tempfile::TempDir,
}

impl Drop for Boot {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.mount));
    }
}

fn run(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Root {
    /// Two deployments with kernels of their own; the second one is the default.
    pub(crate) fn with_two_deployments(separate: bool) -> Self {
        let world = World::on_small_disk(48);
        let boot = separate.then(|| {
            let image = tempfile::tempdir().unwrap();
            let (file, mount) = (image.path().join("boot"), world.root().join("boot"));
            fs::File::create(&file).unwrap().set_len(8 << 20).unwrap();
            run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&file));
            run(Command::new("mount").args(["-o", "loop"]).arg(&file).arg(&mount));
            Boot { mount, _image: image }
        });
        let root = Self { boot, world };
        for (version, byte) in [("1", 1), ("2", 2)] {
            root.world.commit("main", version, |tree| {
                let kernel = tree.join("usr/lib/modules/6.1.0/vmlinuz");
                fs::write(kernel, vec![byte; KERNEL]).unwrap();
            });
            let kernel_args = Edits { append: vec![format!("v={version}")], ..Edits::default() };
            let options = DeployOptions { kernel_args, ..root.world.options("main") };
            root.world.try_deploy(&options).unwrap();
        }
        root
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.world.root().join(path)
    }

    pub(crate) fn sysroot(&self) -> Sysroot {
        self.world.sysroot()
    }

    pub(crate) fn sysroot_option(&self) -> String {
        format!("--sysroot={}", self.world.root().display())
    }

    pub(crate) fn is_separate(&self) -> bool {
        self.boot.is_some()
    }

    /// Repairs what there is; gives what is left.
    pub(crate) fn repair(&self) -> anyhow::Result<BootCheck> {
        let sysroot = self.sysroot();
        let lock = sysroot.lock(|| ()).ok();
        let found = sysroot.check_boot()?;
        let left = sysroot.repair_boot(lock.as_ref(), &found)?;
        Ok(if left.is_clean() { left } else { found })
    }

    /// The paths of the deployments in the menu.
    pub(crate) fn menu(&self) -> Vec<String> {
        let loaded = self.sysroot().look().unwrap();
        loaded.deployments.iter().map(|d| d.path.to_string()).collect()
    }

    /// Looks at every entry as a boot loader and the initramfs do.
    pub(crate) fn check_whole(&self, wanted: &[String]) {
        assert_eq!(self.menu(), wanted);
        let sysroot = self.sysroot();
        let loaded = sysroot.look().unwrap();
        let notes = sysroot.status().unwrap().notes;
        assert!(notes.is_empty(), "{notes:?}");
        loaded.boot.check().unwrap();
        let top = fs::File::open(self.world.root()).unwrap();
        for d in &loaded.deployments {
            let options = KernelArgs::parse(&d.entry.options());
            // What `ostree-prepare-root --plan` does.
            let target = resolve(top.as_fd(), &options).unwrap();
            assert_eq!(target.deployment.path, d.path);
            let config = Config::parse(&[]).unwrap();
            let found = facts::gather(top.as_fd(), &config, &target, &Calls::ALL);
            MountPlan::new(&config, &target.deployment, &found).unwrap();

            let tree = self.path(&d.path.to_string()).join("usr/lib/modules/6.1.0");
            for (key, source) in [("linux", "vmlinuz"), ("initrd", "initramfs.img")] {
                let named = d.entry.get(key).unwrap().trim_start_matches('/');
                let copy = fs::read(self.path("boot").join(named)).unwrap();
                assert!(copy == fs::read(tree.join(source)).unwrap(), "{named} is not that of {}", d.path);
            }
            assert!(options.iter().any(|arg| arg.starts_with("v=")), "its arguments are lost: {options}");
        }
    }
}

/// Takes all blocks but `free` bytes of them; gives the file that has them.
pub(crate) fn fill(dir: &Path, free: u64) -> PathBuf {
    let path = dir.join("filler");
    let file = fs::File::create(&path).unwrap();
    let mut length = 0;
    for chunk in [1 << 20, 4 << 10] {
        while rustix::fs::fallocate(&file, FallocateFlags::empty(), length, chunk).is_ok() {
            length += chunk;
        }
    }
    file.set_len(length.saturating_sub(free)).unwrap();
    path
}
