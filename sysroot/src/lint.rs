// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking at a tree before it is committed: what a deployment would refuse, what the boot would stumble over, and what machines
//! would have in common that they must not.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use anyhow::{Context, Result};
use bootloader::{FileKind, KernelFiles};
use fn_error_context::context;
use prepare_root::config::Config;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use serde::Serialize;

use crate::directory::{self, has_entries};
use crate::initramfs::{self, Known};
use crate::labels::Labeler;
use crate::preflight::{MOUNT_POINTS, read_text};

/// One thing about a tree that should be otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// Whether it can stay.
    pub severity: Severity,
    /// Where, from the top of the tree.
    pub path: String,
    /// What is so.
    pub text: String,
    /// What to do about it.
    pub fix: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It is refused by a deployment, does not boot, or must not be on several machines.
    Error,
    /// It works, and surprises somebody later.
    Warning,
}

/// Collects what is found.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, path: &str, text: impl Into<String>, fix: &str) {
        let (path, text) = (path.to_owned(), text.into().replace('\n', " "));
        self.0.push(Finding { severity, path, text, fix: fix.to_owned() });
    }

    fn error(&mut self, path: &str, text: impl Into<String>, fix: &str) {
        self.add(Severity::Error, path, text, fix);
    }

    fn warning(&mut self, path: &str, text: impl Into<String>, fix: &str) {
        self.add(Severity::Warning, path, text, fix);
    }
}

/// Looks at the tree in a directory.
#[context("Looking at the tree in {}", path.display())]
pub fn lint(path: &Path) -> Result<Vec<Finding>> {
    let tree = File::open(path)?;
    let tree = tree.as_fd();
    let mut found = Findings::default();
    check_etc(tree, &mut found)?;
    check_top(tree, &mut found)?;
    check_var(tree, &mut found)?;
    check_machine_id(tree, &mut found)?;
    check_kernel(tree, &mut found)?;
    check_config(tree, &mut found);
    Ok(found.0)
}

/// Writes down what is in the initramfs of the tree in a directory. Gives the path of the record in the tree.
pub fn record_initramfs(path: &Path) -> Result<String> {
    let tree = File::open(path).with_context(|| format!("Opening {}", path.display()))?;
    initramfs::record(tree.as_fd())
}

fn check_etc(tree: BorrowedFd<'_>, found: &mut Findings) -> Result<()> {
    let filled = |path: &str| has_entries(open_dir(tree, path)?);
    let (etc, usr_etc) = (filled("etc")?, filled("usr/etc")?);
    match (etc, usr_etc) {
        (Some(true), Some(true)) => {
            found.error("/etc", "is not empty, and neither is /usr/etc", "move all of it to /usr/etc")
        }
        (Some(true), _) => found.warning(
            "/etc",
            "is not empty: each deployment has to move it to /usr/etc",
            "move it to /usr/etc before the commit",
        ),
        (_, Some(true)) => {}
        _ => found.error("/usr/etc", "has no defaults for /etc", "move the tree's /etc to /usr/etc"),
    }
    Ok(())
}

fn check_top(tree: BorrowedFd<'_>, found: &mut Findings) -> Result<()> {
    for name in MOUNT_POINTS {
        // A deployment makes it from /usr/etc.
        if name != "etc" && kind(tree, name) != Some(FileType::Directory) {
            found.error(
                &format!("/{name}"),
                "is no directory, and the boot mounts on it",
                "make the directory",
            );
        }
    }
    if kind(tree, "boot") != Some(FileType::Directory) {
        found.warning(
            "/boot",
            "is no directory, so no boot file system can be mounted there",
            "make it, empty",
        );
    }
    match link(tree, "ostree").as_deref() {
        Some("sysroot/ostree") => {}
        _ => found.error("/ostree", "is no link to sysroot/ostree", "ln -s sysroot/ostree TREE/ostree"),
    }
    for name in directory::names(tree)? {
        if let Some(target) = link(tree, &name).filter(|target| target.starts_with('/')) {
            found.error(
                &format!("/{name}"),
                format!(
                    "is an absolute link, to {target}: before the boot is over it leads out of the deployment"
                ),
                "make it relative",
            );
        }
    }
    Ok(())
}

fn check_var(tree: BorrowedFd<'_>, found: &mut Findings) -> Result<()> {
    if has_entries(open_dir(tree, "var")?)? == Some(true) {
        found.warning(
            "/var",
            "is not empty: it is copied with the first deployment of a stateroot, and never updated",
            "make what belongs there with tmpfiles.d, and leave /var empty",
        );
    }
    if has_entries(open_dir(tree, "run")?)? == Some(true) {
        found.warning("/run", "is not empty, and nobody sees what is in it", "empty it");
    }
    Ok(())
}

fn check_machine_id(tree: BorrowedFd<'_>, found: &mut Findings) -> Result<()> {
    for path in ["usr/etc/machine-id", "etc/machine-id"] {
        let text = read_text(tree, path)?.unwrap_or_default();
        if !matches!(text.trim(), "" | "uninitialized") {
            found.error(
                &format!("/{path}"),
                "holds an id, and all machines would have the same",
                "empty it, or write `uninitialized` into it",
            );
        }
    }
    Ok(())
}

fn check_kernel(tree: BorrowedFd<'_>, found: &mut Findings) -> Result<()> {
    let files = match KernelFiles::find(tree) {
        Ok(files) => files,
        Err(error) => {
            found.error(
                "/usr/lib/modules",
                error.to_string(),
                "put vmlinuz and initramfs.img beside the modules",
            );
            return Ok(());
        }
    };
    let kernel = files.get(FileKind::Kernel).map(|file| file.source.clone()).unwrap_or_default();
    if !kernel.starts_with("usr/lib/modules/") {
        found.warning(
            &format!("/{kernel}"),
            "is where kernels were before 2017",
            "move it to /usr/lib/modules/VERSION/vmlinuz",
        );
    }
    let mut kernels = Vec::new();
    if let Some(modules) = open_dir(tree, "usr/lib/modules")? {
        kernels = directory::names(&modules)?;
        kernels.retain(|name| kind(modules.as_fd(), &format!("{name}/vmlinuz")).is_some());
    }
    if kernels.len() > 1 {
        kernels.sort();
        let text =
            format!("has {} kernels ({}); only the newest is booted", kernels.len(), kernels.join(", "));
        found.warning("/usr/lib/modules", text, "remove the others");
    }
    match Known::of(tree, &files)? {
        Known::None => found.warning(
            &format!("/{kernel}"),
            "has no initramfs.img beside it: the kernel must find the root by itself",
            "build one, with the dracut module `ostree`",
        ),
        Known::Unknown(reason) => found.warning(
            &format!("/{kernel}"),
            format!("what is in the initramfs cannot be told: {reason}"),
            "build it with gzip or zstd; until then a deployment cannot check it",
        ),
        Known::Contents(_) => {
            let path = files.initramfs().map(|file| format!("/{}", file.source)).unwrap_or_default();
            let again = "build the initramfs again";
            match initramfs::check(tree, &files) {
                Ok(notes) => notes.into_iter().for_each(|note| found.warning(&path, note, again)),
                Err(error) => found.error(&path, format!("{error:#}"), again),
            }
        }
    }
    Ok(())
}

fn check_config(tree: BorrowedFd<'_>, found: &mut Findings) {
    let path = "/usr/lib/ostree/prepare-root.conf";
    match Config::load(tree) {
        Ok(config) => {
            if let Err(error) = config.check_supported() {
                found.error(path, error.to_string(), "change the key, and build the initramfs again");
            }
        }
        Err(error) => found.error(path, error.to_string(), "repair the file"),
    }
    if let Err(error) = Labeler::of(tree) {
        found.error(
            "/usr/etc/selinux",
            format!("has a policy by which nothing can be labelled: {error:#}"),
            "install the policy whole, or set SELINUX=disabled in /usr/etc/selinux/config",
        );
    }
}

fn open_dir(tree: BorrowedFd<'_>, path: &str) -> Result<Option<std::os::fd::OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(tree, path, flags, Mode::empty()) {
        Ok(dir) => Ok(Some(dir)),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("Opening {path}")),
    }
}

fn kind(tree: BorrowedFd<'_>, path: &str) -> Option<FileType> {
    let stat = rustix::fs::statat(tree, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

fn link(tree: BorrowedFd<'_>, name: &str) -> Option<String> {
    let target = rustix::fs::readlinkat(tree, name, Vec::new()).ok()?;
    Some(target.to_string_lossy().into_owned())
}
