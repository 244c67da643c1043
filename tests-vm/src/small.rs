// SPDX-License-Identifier: MIT OR Apache-2.0
//! A system that boots in seconds: busybox, our programs, and the kernel of the Debian tree. For boots in which what
//! starts the kernel matters, and not what the kernel starts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::command;
use crate::environment::Environment;
use crate::guest;
use crate::image::{Commit, Tree};
use crate::peer;

/// Where it says which version it is.
pub(crate) const VERSION_FILE: &str = "usr/share/tests-vm/version";

/// The directories that every deployment has.
const DIRECTORIES: [&str; 13] = [
    "boot",
    "dev",
    "proc",
    "run",
    "sys",
    "sysroot",
    "tmp",
    "usr/bin",
    "usr/etc",
    "usr/lib/ostree",
    "usr/lib/x86_64-linux-gnu",
    "usr/share/tests-vm",
    "var",
];

/// Links of the top.
const LINKS: [(&str, &str); 5] = [
    ("bin", "usr/bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib/x86_64-linux-gnu"),
    ("ostree", "sysroot/ostree"),
    ("usr/bin/sh", "busybox"),
];

/// Commits these versions of it, to refs called `small/VERSION`, into a new repository in `directory`; the last one.
#[context("Making a small system in {}", directory.display())]
pub(crate) fn commit(
    environment: &Environment,
    tree: &Tree,
    directory: &Path,
    versions: &[&str],
) -> Result<Vec<Commit>> {
    let repo = directory.join("repo");
    let ostree = || {
        let mut command = Command::new(environment.program("usr/bin/ostree"));
        command.arg(format!("--repo={}", repo.display()));
        command
    };
    command::run(ostree().args(["init", "--mode=bare"]))?;
    let small = directory.join("tree");
    let mut commits = Vec::new();
    for version in versions {
        lay_out(environment, &tree.path, &small, version)?;
        let reference = format!("small/{version}");
        let metadata = format!("--add-metadata-string=version={version}");
        command::run(
            ostree()
                .args(["commit", "--owner-uid=0", "--owner-gid=0", &metadata])
                .args(["-b", &reference])
                .arg(&small),
        )?;
        let checksum = command::output(ostree().args(["rev-parse", &reference]))?.trim().to_owned();
        commits.push(Commit { repo: repo.clone(), reference, checksum });
        fs::remove_dir_all(&small).context("Removing the tree")?;
    }
    Ok(commits)
}

/// The tree of one version. Its initramfs tells them apart, so that each has boot files of its own.
fn lay_out(environment: &Environment, debian: &Path, small: &Path, version: &str) -> Result<()> {
    for directory in DIRECTORIES {
        fs::create_dir_all(small.join(directory)).with_context(|| format!("Creating {directory}"))?;
    }
    for (name, target) in LINKS {
        symlink(target, small.join(name)).with_context(|| format!("Making the link {name}"))?;
    }
    let copy = |from: &Path, to: &str| {
        fs::copy(from, small.join(to)).with_context(|| format!("Copying {}", from.display())).map(drop)
    };
    copy(&debian.join("usr/bin/busybox"), "usr/bin/busybox")?;
    copy(&debian.join(guest::PREPARE_ROOT_CONF), guest::PREPARE_ROOT_CONF)?;
    for program in ["usr/bin/ostree", "usr/bin/ostree-bootloader"] {
        copy(&environment.program(program), program)?;
    }
    for library in peer::runtime(debian, &environment.program("usr/bin/ostree"))? {
        let name = library.file_name().context("a library without a name")?.to_string_lossy().into_owned();
        copy(&library, &format!("usr/lib/x86_64-linux-gnu/{name}"))?;
    }
    let kernel = guest::kernel_directory(debian)?;
    let modules = format!("usr/lib/modules/{}", kernel.file_name().unwrap_or_default().to_string_lossy());
    fs::create_dir_all(small.join(&modules)).context("Creating its modules")?;
    copy(&kernel.join("vmlinuz"), &format!("{modules}/vmlinuz"))?;
    let initramfs = guest::busybox_initramfs(environment, debian, &format!("# of version {version}\n"))?;
    let files = [
        (format!("{modules}/initramfs.img"), initramfs),
        ("usr/lib/os-release".to_owned(), b"ID=small\nPRETTY_NAME=\"Small system\"\n".to_vec()),
        (VERSION_FILE.to_owned(), format!("{version}\n").into_bytes()),
    ];
    for (name, content) in files {
        fs::write(small.join(&name), content).with_context(|| format!("Writing {name}"))?;
    }
    Ok(())
}
