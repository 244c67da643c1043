// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sysroot with deployments that are just enough to be booted.
#![allow(dead_code, unreachable_pub)] // every test file takes what it needs
#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of tests unwrap as the tests do

pub mod disk;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bootloader::SwitchPlan;
use bootloader::{BootEntry, BootState, Execution, KernelFiles, Outcome, Places, PlanError, Settings, Step};
use formats::kernel_args::KernelArgs;

/// Writes a program, in a process of its own: one that is started by a test beside this one would hold what is open for writing here, and
/// the kernel runs nothing that is.
pub fn executable(path: &Path, text: &str) {
    let mut install = Command::new("install");
    let mut install =
        install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped()).spawn().unwrap();
    install.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(install.wait().unwrap().success(), "{}", path.display());
}

pub struct World {
    temp: tempfile::TempDir,
    pub root: File,
    pub boot: File,
    pub root_path: PathBuf,
    pub boot_path: PathBuf,
    pub settings: Settings,
}

impl World {
    /// A root with `/boot` in it, of an image that is being made: needs no privileges and no proof.
    pub fn new() -> Self {
        let mut world = Self::unprovable();
        world.settings.offline = true;
        world
    }

    /// The same of a running system, on a tmpfs, where nothing can be proven.
    pub fn unprovable() -> Self {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let boot = temp.path().join("boot");
        std::fs::create_dir(&boot).unwrap();
        Self::with_boot(temp, &boot)
    }

    /// A root in the temporary directory and a `/boot` elsewhere.
    pub fn with_boot(temp: tempfile::TempDir, boot: &Path) -> Self {
        std::fs::create_dir_all(temp.path().join("ostree/deploy")).unwrap();
        Self {
            root: File::open(temp.path()).unwrap(),
            boot: File::open(boot).unwrap(),
            root_path: temp.path().to_owned(),
            boot_path: boot.to_owned(),
            temp,
            settings: Settings::default(),
        }
    }

    /// A root that is there already, with `/boot` in it; of a mount, so that privileges are needed.
    pub fn with_root(root: &Path) -> Self {
        let mut world = Self::with_boot(tempfile::tempdir().unwrap(), &root.join("boot"));
        std::fs::create_dir_all(root.join("ostree/deploy")).unwrap();
        world.root = File::open(root).unwrap();
        world.root_path = root.to_owned();
        world
    }

    pub fn places(&self) -> Places<'_> {
        Places { root: self.root.as_fd(), boot: self.boot.as_fd() }
    }

    /// Makes a deployment of `stateroot` with these boot files.
    pub fn deployment(&self, stateroot: &str, checksum: &str, files: &[(&str, &str)]) -> BootEntry {
        let path = format!("ostree/deploy/{stateroot}/deploy/{checksum}.0");
        let tree = self.root_path.join(&path);
        for dir in ["usr", "etc", "sysroot"] {
            std::fs::create_dir_all(tree.join(dir)).unwrap();
        }
        for (name, contents) in files {
            let file = tree.join("usr/lib/modules/6.12.1").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, contents).unwrap();
        }
        let tree = File::open(tree).unwrap();
        let files = KernelFiles::find(tree.as_fd()).unwrap();
        BootEntry {
            deployment: path.parse().unwrap(),
            boot_checksum: files.boot_checksum(tree.as_fd()).unwrap(),
            files,
            os_name: "Test OS 1".to_owned(),
            version: Some("1.0".to_owned()),
            options: KernelArgs::parse("root=LABEL=x quiet"),
            overlay_initrds: Vec::new(),
            carried: Vec::new(),
            tries: None,
            environment: None,
            new_initrds: Vec::new(),
            other_initrds: Vec::new(),
            lost_initrds: Vec::new(),
            torn: Vec::new(),
        }
    }

    /// The nth deployment of `testos`, with a kernel of its own for each value of `kernel`.
    pub fn nth(&self, n: u8, kernel: &str) -> BootEntry {
        let files = [("vmlinuz", kernel), ("initramfs.img", "initramfs\n")];
        self.deployment("testos", &format!("{n:02x}").repeat(32), &files)
    }

    pub fn state(&self) -> BootState {
        BootState::read(self.places()).unwrap()
    }

    pub fn plan(&self, entries: &[BootEntry]) -> Result<SwitchPlan, PlanError> {
        SwitchPlan::new(&self.state(), entries, &self.settings)
    }

    pub fn try_switch(&self, entries: &[BootEntry]) -> anyhow::Result<Outcome> {
        self.plan(entries)?.apply(self.places(), &self.settings)
    }

    pub fn switch(&self, entries: &[BootEntry]) -> Outcome {
        self.try_switch(entries).unwrap()
    }

    /// Begins to carry a plan out, step by step.
    pub fn begin<'a>(&'a self, plan: &'a SwitchPlan) -> Execution<'a> {
        Execution::begin(plan, self.places(), &self.settings).unwrap()
    }

    /// Every link, boot file and entry as text.
    pub fn dump(&self) -> String {
        let mut paths = Vec::new();
        walk(&self.root_path, &self.root_path.join("ostree"), &mut paths);
        paths.retain(|path| path.starts_with("ostree/boot"));
        let mut boot = Vec::new();
        walk(&self.boot_path, &self.boot_path, &mut boot);
        paths.extend(boot.into_iter().map(|path| format!("boot/{path}")));
        paths.sort();
        let (mut links, mut sizes, mut texts) = (String::new(), String::new(), String::new());
        for path in paths {
            let file = match path.strip_prefix("boot/") {
                Some(below) => self.boot_path.join(below),
                None => self.root_path.join(&path),
            };
            let kind = file.symlink_metadata().unwrap();
            if kind.is_symlink() {
                links += &format!("{path} -> {}\n", std::fs::read_link(file).unwrap().display());
            } else if path.starts_with("boot/ostree") {
                sizes += &format!("{path} {}\n", kind.len());
            } else {
                let contents = std::fs::read(file).unwrap();
                texts += &format!("== {path}\n{}", String::from_utf8_lossy(&contents));
            }
        }
        links + &sizes + &texts
    }

    pub fn write(&self, path: &str, contents: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }

    pub fn path(&self, path: &str) -> PathBuf {
        match path.strip_prefix("boot/") {
            Some(below) => self.boot_path.join(below),
            None => self.root_path.join(path),
        }
    }

    /// The deployments in the menu, the default first; and that every entry which can be seen leads to a kernel
    /// and a deployment that are whole.
    pub fn visible(&self, boot: &Path) -> Vec<String> {
        let boot_fd = File::open(boot).unwrap();
        let state = BootState::read(Places { root: self.root.as_fd(), boot: boot_fd.as_fd() }).unwrap();
        assert!(state.unreadable.is_empty(), "{:?}", state.unreadable);
        let whole = |entry: &bootloader::PresentEntry| {
            let arguments = entry.options();
            let target = prepare_root::resolve::resolve(self.root.as_fd(), &arguments).unwrap();
            let tree = self.root_path.join(target.deployment.path.to_string()).join("usr/lib/modules/6.12.1");
            for (key, source) in [("linux", "vmlinuz"), ("initrd", "initramfs.img")] {
                let path = boot.join(entry.entry.get(key).unwrap().trim_start_matches('/'));
                assert_eq!(
                    std::fs::read(&path).unwrap(),
                    std::fs::read(tree.join(source)).unwrap(),
                    "{path:?}"
                );
            }
            target.deployment.path.to_string()
        };
        state.entries.iter().map(whole).collect()
    }
}

/// The files and links below `dir`, as paths below `base`.
fn walk(base: &Path, dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            walk(base, &entry.path(), found);
        } else {
            found.push(entry.path().strip_prefix(base).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// The steps up to the write that decides.
pub fn until_commit(plan: &SwitchPlan) -> Vec<Step> {
    let steps = plan.steps();
    let last = steps.iter().position(|step| step.is_commit(plan.change)).unwrap();
    steps[..=last].to_vec()
}

pub fn names(entries: &[BootEntry]) -> Vec<String> {
    entries.iter().map(|entry| entry.deployment.to_string()).collect()
}
