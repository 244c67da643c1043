// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks at deploy time for faults that the initramfs would find too late.
//!
//! All that a tree lacks is looked for in the commit, before anything is written, and told at once. What can be ignored is ignored by the
//! name of its check; then the deployment says what it has ignored, and so does its plan.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use bootloader::{FileKind, KernelError, KernelFiles, ReadTree};
use fn_error_context::context;
use formats::kernel_args::KernelArgs;
use formats::staged::Staged;
use prepare_root::config::{COMPOSEFS_ARGUMENT, Config};
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use serde::Serialize;
use sysroot::Sysroot;
use sysroot::commit_tree::CommitTree;
use sysroot::directory::read_text;

use crate::{tree_config, tree_initramfs};

/// Directories on which the boot mounts something; a deployment is immutable, so nothing can add them later.
pub const MOUNT_POINTS: [&str; 8] = ["sysroot", "usr", "etc", "var", "run", "proc", "sys", "dev"];

/// One thing that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A kernel. Without one there is nothing to boot.
    Kernel,
    /// Defaults for `/etc`, in one place. Without them there is nothing to make it from.
    Etc,
    /// The directories on which the boot mounts something.
    MountPoints,
    /// The settings in `prepare-root.conf` of the tree.
    PrepareRootConf,
    /// The settings in `prepare-root.conf` of the initramfs, which are those that count.
    Initramfs,
    /// Arguments that the program in the initramfs obeys, or would misread.
    KernelArguments,
}

impl Check {
    /// Those that can be ignored.
    pub const IGNORABLE: [Self; 4] =
        [Self::MountPoints, Self::PrepareRootConf, Self::Initramfs, Self::KernelArguments];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Etc => "etc",
            Self::MountPoints => "mount-points",
            Self::PrepareRootConf => "prepare-root-conf",
            Self::Initramfs => "initramfs",
            Self::KernelArguments => "kernel-arguments",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Check {
    type Err = UnknownCheck;

    fn from_str(text: &str) -> Result<Self, UnknownCheck> {
        let found = Self::IGNORABLE.into_iter().find(|check| check.name() == text);
        found.ok_or_else(|| UnknownCheck(text.to_owned()))
    }
}

/// No check that can be ignored has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no check that can be ignored: {names}", names = Check::IGNORABLE.map(Check::name).join(", "))]
pub struct UnknownCheck(String);

/// Something that a tree lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lack {
    /// The check that found it.
    pub check: Check,
    /// The finding, and the way to mend it.
    pub text: String,
}

/// All that keeps a tree from being booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotBootable(pub Vec<Lack>);

impl fmt::Display for NotBootable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, lack) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{}", lack.text)?;
        }
        let mut names: Vec<&str> = Vec::new();
        for lack in &self.0 {
            if Check::IGNORABLE.contains(&lack.check) && !names.contains(&lack.check.name()) {
                names.push(lack.check.name());
            }
        }
        if !names.is_empty() && self.0.iter().all(|lack| Check::IGNORABLE.contains(&lack.check)) {
            write!(f, " (to deploy it all the same: --ignore={})", names.join(" --ignore="))?;
        }
        Ok(())
    }
}

impl std::error::Error for NotBootable {}

/// The findings of a check, as it goes on.
#[derive(Debug, Default)]
struct Lacks(Vec<Lack>);

impl Lacks {
    fn add(&mut self, check: Check, text: impl Into<String>) {
        self.0.push(Lack { check, text: text.into().replace('\n', " ") });
    }
}

/// Looks at all of a commit and of the kernel arguments. Errors are of what cannot be read.
///
/// The initramfs is unpacked even where the deployment before has the same one: that may have been made by the C tools, which do not look
/// into it, or with what was found being ignored.
#[context("Checking whether the tree can be booted")]
pub(crate) fn of_commit(
    tree: &CommitTree<'_>,
    files: &Result<KernelFiles, KernelError>,
    arguments: &KernelArgs,
) -> Result<Vec<Lack>> {
    let mut lacks = Lacks::default();
    match files {
        Ok(_) => {}
        Err(error @ (KernelError::None | KernelError::Mismatch(..) | KernelError::Loop(_))) => {
            lacks.add(Check::Kernel, format!("Looking for the kernel of the tree: {error}"));
        }
        // It is told by who reads the files.
        Err(_) => return Ok(Vec::new()),
    }
    let defaults = ["usr/etc", "etc"].map(|path| tree.names(path));
    let [usr_etc, etc] = defaults.map(|names| names.map(|names| names.map(|names| names.len())));
    match (usr_etc?, etc?) {
        (Some(1..), Some(1..)) => {
            lacks.add(Check::Etc, "Tree contains both /etc and /usr/etc: keep the defaults in /usr/etc only");
        }
        (Some(0), Some(1..)) => {
            lacks.add(Check::Etc, "/usr/etc is empty but /etc is not: move the defaults to /usr/etc");
        }
        (None, None | Some(0)) => lacks
            .add(Check::Etc, "No such file or directory: /usr/etc (a bootable tree has its defaults there)"),
        _ => {}
    }
    for name in MOUNT_POINTS.into_iter().filter(|&name| name != "etc") {
        if !tree.is_directory(name)? {
            lacks.add(Check::MountPoints, no_directory(name));
        }
    }
    if let Err(text) = supported(|path| tree.read_text(path)) {
        lacks.add(Check::PrepareRootConf, text);
    }
    if let Ok(files) = files {
        for (kind, path) in &files.no_files {
            let text = format!("/{path} of the tree is no file, or a link to none");
            match kind {
                FileKind::Initramfs => lacks.add(
                    Check::Initramfs,
                    format!("{text}, so there would be no initramfs: put it there, or remove the name"),
                ),
                _ => log::warn!("{text}, and is left out of /boot"),
            }
        }
        match tree_initramfs::check(tree, files) {
            Ok(notes) => notes.iter().for_each(|note| log::warn!("{note}")),
            Err(error) => lacks.add(Check::Initramfs, format!("{error:#}")),
        }
    }
    lacks.0.extend(of_arguments(arguments));
    Ok(lacks.0)
}

/// Looks at a tree that is there and has its `/etc`, before anything refers to it.
#[context("Checking whether the tree can be booted")]
pub(crate) fn check(tree: BorrowedFd<'_>, ignored: &[Check]) -> Result<()> {
    let mut lacks = Lacks::default();
    for name in MOUNT_POINTS {
        let found = match rustix::fs::statat(tree, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error).with_context(|| format!("Reading /{name}")),
        };
        if found != Some(FileType::Directory) {
            lacks.add(Check::MountPoints, no_directory(name));
        }
    }
    if let Err(text) = supported(|path| read_text(tree, path)) {
        lacks.add(Check::PrepareRootConf, text);
    }
    Ok(refuse(lacks.0, ignored).map(drop)?)
}

/// Looks at kernel arguments that the program in the initramfs obeys, or that of the C tools misreads.
pub(crate) fn of_arguments(arguments: &KernelArgs) -> Vec<Lack> {
    let mut lacks = Lacks::default();
    let composefs = || -> Result<()> {
        let mut config = Config::parse(&[])?;
        config.override_with(arguments)?;
        Ok(config.check_supported()?)
    };
    if let Err(error) = composefs() {
        let text = format!("Checking the kernel argument {COMPOSEFS_ARGUMENT}=: {error:#}");
        lacks.add(Check::KernelArguments, text);
    }
    // It splits the line at each blank, whatever is quoted.
    let hidden = |arg: &&str| arg.split([' ', '\t']).skip(1).any(|word| word.starts_with("ostree="));
    for arg in arguments.iter().filter(hidden) {
        lacks.add(
            Check::KernelArguments,
            format!("The kernel argument {arg} has an ostree= inside of its quotes, which an initramfs of the C tools would take: leave it out"),
        );
    }
    lacks.0
}

/// Refuses arguments for what is wrong with them, and was not with the `former` ones. No option of an edit ignores that.
pub(crate) fn check_edit(former: &KernelArgs, now: &KernelArgs) -> Result<()> {
    let before = of_arguments(former);
    let new = of_arguments(now).into_iter().filter(|lack| !before.contains(lack));
    let texts: Vec<String> = new.map(|lack| lack.text).collect();
    ensure!(
        texts.is_empty(),
        "{} (to set it all the same: OSTREE_SYSROOT_OPTS=no-preflight)",
        texts.join("; ")
    );
    Ok(())
}

/// Refuses what was found, but for what may be ignored, and gives that.
pub(crate) fn refuse(lacks: Vec<Lack>, ignored: &[Check]) -> Result<Vec<Lack>, NotBootable> {
    let may_stay = |lack: &Lack| ignored.contains(&lack.check) && Check::IGNORABLE.contains(&lack.check);
    if lacks.iter().all(may_stay) { Ok(lacks) } else { Err(NotBootable(left(lacks, may_stay))) }
}

fn left(lacks: Vec<Lack>, may_stay: impl Fn(&Lack) -> bool) -> Vec<Lack> {
    lacks.into_iter().filter(|lack| !may_stay(lack)).collect()
}

/// The checks of these names; one that is not known any more ignores nothing.
pub(crate) fn checks(names: &[String]) -> Vec<Check> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// Lists the checks to ignore of a staged deployment that is checked again at shutdown.
pub(crate) fn ignored_at_shutdown(sysroot: &Sysroot, record: &Staged) -> Vec<Check> {
    if sysroot.options().no_preflight { Check::IGNORABLE.to_vec() } else { checks(&record.ignore) }
}

fn no_directory(name: &str) -> String {
    format!("the tree has no directory /{name}: add it, the boot mounts on it")
}

/// Whether all that the tree's configuration asks for is built.
fn supported(read: impl Fn(&str) -> Result<Option<String>>) -> Result<(), String> {
    let supported = tree_config::load(read).and_then(|config| Ok(config.check_supported()?));
    supported.map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests;
