// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entries and the files that they name: boot files that are those of the deployment, byte for byte, and entries that have to be written.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use bootloader::{BootFile, KernelFiles, LoaderLink, Settings, SwitchPlan};
use deploy::entries::{self, Item};
use durable::Unread;
use formats::Checksum;
use formats::bls::Entry;
use formats::kernel_args::KernelArgs;
use formats::object::{ObjectName, ObjectType};
use repo::Repo;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use sysroot::commit_tree::CommitTree;
use sysroot::{Loaded, Sysroot, directory};

use super::evidence::Evidence;
use super::finding::{Action, Problem, Topic};
use super::menu::{Menu, Place, number_in};

/// The keys of an entry that name files in `/boot`, besides its initrds.
const FILE_KEYS: [&str; 2] = ["linux", "devicetree"];

/// Checks what the entries name, and plans those that have to be written.
pub(super) fn check(sysroot: &Sysroot, menu: &Menu, evidence: &Evidence<'_>) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let mut to_write = Vec::new();
    for (index, place) in menu.places.iter().enumerate() {
        let tree = directory::open(sysroot.root(), &place.deployment.to_string())?;
        let files = match sysroot.kernel_files(tree.as_fd()) {
            Ok(files) => files,
            Err(error) => {
                let path = format!("/{}", place.deployment);
                problems.push(
                    Problem::new(Topic::Deployment, path, error.to_string())
                        .by_hand("boot another entry, and deploy this one again"),
                );
                continue;
            }
        };
        let boot_dir = boot_dir(place);
        if seen.insert(boot_dir.clone()) {
            problems.extend(boot_files(sysroot, menu, evidence, place, &files, tree.as_fd())?);
        }
        let reason = place.rewrite.clone().or_else(|| missing_name(sysroot, place, &files, &boot_dir));
        to_write.extend(reason.map(|reason| (index, reason)));
    }
    if to_write.is_empty() {
        return Ok(problems);
    }
    let texts = texts(sysroot, menu).context("Making boot entries anew")?;
    for (index, reason) in to_write {
        let (Some(place), Some(text)) = (menu.places.get(index), texts.get(index)) else { continue };
        let path = format!("/boot/loader.{}/entries/{}", menu.version, place.name);
        problems.push(
            Problem::new(Topic::Entry, &path, reason).mended_by(Action::Write { path, text: text.clone() }),
        );
    }
    Ok(problems)
}

/// Below `/boot`.
fn boot_dir(place: &Place) -> String {
    format!("ostree/{}-{}", place.deployment.stateroot, place.bootlink.boot_checksum)
}

/// Compares what is in `/boot` with what the deployment has.
fn boot_files(
    sysroot: &Sysroot,
    menu: &Menu,
    evidence: &Evidence<'_>,
    place: &Place,
    files: &KernelFiles,
    tree: BorrowedFd<'_>,
) -> Result<Vec<Problem>> {
    let dir = boot_dir(place);
    let there = dir.strip_prefix("ostree/").and_then(|name| menu.state.boot_dirs.get(name));
    // A damaged source must not be copied over what may be whole.
    let damaged = match evidence.boot_checksum(&place.deployment) == Some(place.bootlink.boot_checksum) {
        true => None,
        // By another rule, if the objects are as they were pulled.
        false => check_objects(sysroot.repo(), &place.deployment.checksum, files).err(),
    };
    let mut problems = Vec::new();
    if let Some(error) = &damaged {
        let path = format!("/{}", place.deployment);
        problems.push(
            Problem::new(Topic::Deployment, path, format!("{error:#}"))
                .by_hand("boot another entry; `ostree fsck --delete`, pull the commit again and deploy it"),
        );
    }
    for file in &files.files {
        let wrong = match there.and_then(|files| files.get(&file.name)) {
            None => "is missing".to_owned(),
            Some(size) if *size != file.size => format!("has {size} bytes, and its source {}", file.size),
            Some(_) if same_contents(sysroot, &dir, file, tree)? => continue,
            Some(_) => "differs from its source".to_owned(),
        };
        let to = format!("/boot/{dir}/{}", file.name);
        let problem = Problem::new(Topic::BootFile, &to, wrong);
        problems.push(match damaged {
            Some(_) => problem.by_hand("its source is damaged as well: see the line about its deployment"),
            None => problem.mended_by(Action::Copy {
                from: format!("{}/{}", place.deployment, file.source),
                to,
                size: file.size,
            }),
        });
    }
    Ok(problems)
}

/// A name in an entry that is neither in `/boot` nor comes back with its deployment's files.
fn missing_name(sysroot: &Sysroot, place: &Place, files: &KernelFiles, boot_dir: &str) -> Option<String> {
    let initrds = place.entry.initrd().into_iter().filter(|path| !path.starts_with('$'));
    let names = FILE_KEYS.into_iter().flat_map(|key| place.entry.all(key));
    for name in names.chain(initrds) {
        let below = name.strip_prefix("/boot/").or_else(|| name.strip_prefix('/')).unwrap_or(name);
        let is_own = |file: &BootFile| below == format!("{boot_dir}/{}", file.name);
        if files.files.iter().any(is_own) {
            continue;
        }
        let found = rustix::fs::statat(sysroot.places().boot, below, AtFlags::empty());
        if !found.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile) {
            return Some(format!("names {name}, which is not there"));
        }
    }
    None
}

/// Reads the boot files of a commit as objects.
fn check_objects(repo: &Repo, commit: &Checksum, files: &KernelFiles) -> Result<()> {
    let tree = CommitTree::open(repo, commit)?;
    for file in &files.files {
        if let Some(repo::Entry::File(object)) = tree.find(&file.source)? {
            repo.check_object(ObjectName::new(object, ObjectType::File))
                .with_context(|| format!("Checking /{} of the tree", file.source))?;
        }
    }
    Ok(())
}

fn same_contents(sysroot: &Sysroot, dir: &str, file: &BootFile, tree: BorrowedFd<'_>) -> Result<bool> {
    let open = |at: BorrowedFd<'_>, path: &str| -> Result<File> {
        let opened = rustix::fs::openat(at, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        Ok(File::from(opened.with_context(|| format!("Opening {path}"))?))
    };
    let copy = open(sysroot.places().boot, &format!("{dir}/{}", file.name))?;
    let source = open(tree, &file.source)?;
    let (a, b) = (rustix::fs::fstat(&copy)?, rustix::fs::fstat(&source)?);
    if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino) {
        return Ok(true);
    }
    match durable::same_contents(source, copy) {
        Ok(same) => Ok(same),
        Err(Unread::First(error)) => Err(error.into()),
        // A copy that the disk cannot read is as good as a different one.
        Err(Unread::Second(_)) => Ok(false),
    }
}

/// The text of every entry of the menu: what a switch to it would write, with the versions and links that the entries have.
fn texts(sysroot: &Sysroot, menu: &Menu) -> Result<Vec<String>> {
    let mut boot = menu.state.clone();
    // The set that a switch would write is the one that is not chosen.
    boot.loader = LoaderLink::Version(1 - menu.version);
    let deployments = menu.places.iter().map(|place| {
        sysroot.deployment(place.deployment.clone(), place.bootlink.boot_checksum, place.entry.clone())
    });
    let loaded = Loaded { deployments: deployments.collect(), boot, ..sysroot.load_lenient()? };
    let items: Vec<Item> = (0..loaded.deployments.len()).map(Item::old).collect();
    let entries = entries::compose(sysroot, &loaded, &items)?;
    let settings = Settings { rewrite: true, ..sysroot.boot_settings(&loaded)? };
    let plan = SwitchPlan::new(&loaded.boot, &entries, &settings)?;
    let count = menu.places.len();
    let texts = plan.entries.iter().zip(&menu.places).enumerate().map(|(index, (file, place))| {
        let mut entry = Entry::parse(&file.text)?;
        let number = number_in(&place.name.id);
        let version = if number.is_empty() { (count - index).to_string() } else { number.to_owned() };
        entry.set("version", &version);
        let mut options = KernelArgs::parse(&entry.options());
        options.set_only("ostree", &place.bootlink.to_string());
        entry.set("options", &options.to_string());
        Ok(entry.to_string())
    });
    texts.collect()
}
