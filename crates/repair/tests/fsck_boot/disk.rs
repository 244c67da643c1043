// SPDX-License-Identifier: MIT OR Apache-2.0
//! A root on an ext4, with `/boot` in it or on a second one.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;

use deploy::{DeployOptions, Edits};
use formats::kernel_args::KernelArgs;
use prepare_root::calls::Calls;
use prepare_root::{Config, MountPlan, facts, resolve};
use repair::BootCheck;
use sysroot::Sysroot;

use test_world::{Disk, World};

/// The size of the kernels, in bytes: some blocks each.
pub(crate) const KERNEL: usize = 300_000;

pub(crate) struct Root {
    // The first to go: it is mounted in the other.
    boot: Option<Disk>,
    pub(crate) world: World,
}

impl Root {
    /// Two deployments with kernels of their own; the second one is the default.
    pub(crate) fn with_two_deployments(separate: bool) -> Self {
        let world = World::on_small_disk(48);
        let mount = world.root().join("boot");
        let boot = separate.then(|| Disk::mounted_at(&mount, "ext4", 8, &["-m", "0"]));
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
        let found = repair::check_boot(&sysroot)?;
        let left = repair::repair_boot(&sysroot, lock.as_ref(), &found)?;
        Ok(if left.is_clean() { left } else { found })
    }

    /// The paths of the deployments in the menu.
    pub(crate) fn menu(&self) -> Vec<String> {
        let loaded = self.sysroot().load_lenient().unwrap();
        loaded.deployments.iter().map(|d| d.path.to_string()).collect()
    }

    /// Looks at every entry as a boot loader and the initramfs do.
    pub(crate) fn check_whole(&self, wanted: &[String]) {
        assert_eq!(self.menu(), wanted);
        let sysroot = self.sysroot();
        let loaded = sysroot.load_lenient().unwrap();
        let notes = sysroot.status().unwrap().notes;
        assert!(notes.is_empty(), "{notes:?}");
        loaded.boot.check().unwrap();
        let top = fs::File::open(self.world.root()).unwrap();
        for d in &loaded.deployments {
            let options = KernelArgs::parse(&d.entry.options());
            // The steps of `ostree-prepare-root --plan`.
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
