// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking at a tree before it is committed: what a deployment would refuse, what the boot would stumble over, and what machines
//! would have in common that they must not.

mod boot_files;
mod finding;
mod tree;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use anyhow::{Context, Result};
use bootloader::{FileKind, KernelError, KernelFiles};
use deploy::preflight::MOUNT_POINTS;
use deploy::tree_initramfs::{self, Known};
use fn_error_context::context;
use prepare_root::config::Config;
use rustix::fs::FileType;
use rustix::io::Errno;
use selinux::Labeler;
use sysroot::directory::{self, has_entries, read_text};
use sysroot::image_kargs;

pub use finding::{Finding, Severity};

use finding::Findings;
use tree::{kind, link, open_dir};

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
    boot_files::check_links(tree, &mut found)?;
    check_kernel_args(tree, &mut found)?;
    check_config(tree, &mut found);
    Ok(found.0)
}

/// Writes down what is in the initramfs of the tree in a directory. Gives the path of the record in the tree.
pub fn record_initramfs(path: &Path) -> Result<String> {
    let tree = File::open(path).with_context(|| format!("Opening {}", path.display()))?;
    tree_initramfs::record(tree.as_fd())
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
        // Not known, which is no finding.
        Err(KernelError::Read { path, errno: errno @ (Errno::ACCESS | Errno::PERM) }) => {
            return Err(errno).with_context(|| format!("Reading {path} in the tree"));
        }
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
    match Known::of(&tree, &files)? {
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
            match tree_initramfs::check(&tree, &files) {
                Ok(notes) => notes.into_iter().for_each(|note| found.warning(&path, note, again)),
                Err(error) => found.error(&path, format!("{error:#}"), again),
            }
        }
    }
    Ok(())
}

fn check_kernel_args(tree: BorrowedFd<'_>, found: &mut Findings) -> Result<()> {
    let Some(dir) = open_dir(tree, image_kargs::DIR)? else { return Ok(()) };
    for name in directory::names(&dir)?.iter().filter(|name| name.ends_with(".conf")) {
        let path = format!("{}/{name}", image_kargs::DIR);
        if let Err(error) = image_kargs::arguments(&read_text(tree, &path)?.unwrap_or_default()) {
            found.error(
                &format!("/{path}"),
                error.to_string(),
                "no deployment is made with it: repair the line",
            );
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
