// SPDX-License-Identifier: MIT OR Apache-2.0
//! The view of a boot loader with a file of its own after every step, without replay as it reads and with it: a menu of old or
//! new deployments whose kernels are whole. Needs root, loop devices, `mkfs.ext4`, `mkfs.xfs` and `grub-fstest`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests unwrap as the tests do
#![allow(clippy::cloned_ref_to_slice_refs)] // a list of one reads as the longer ones

mod world;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use bootloader::loader::{Choice, select};
use bootloader::{AfterSwitch, BootEntry, Places, Settings, examine};
use test_world::Disk;
use world::{World, names, until_commit};

/// The deployments that the loader which begins in this `/boot` shows, each with its kernel and its boot link; or what is wrong with them.
fn shown(world: &World, boot: &Path) -> Result<Vec<String>, String> {
    let boot_fd = File::open(boot).unwrap();
    let settings =
        Settings { installed: select(Choice::Auto, boot_fd.as_fd()).unwrap(), ..Settings::default() };
    let places = Places { root: world.root.as_fd(), boot: boot_fd.as_fd() };
    let report = examine(places, &settings).unwrap();
    let mut deployments = Vec::new();
    for entry in &report.entries {
        let deployment = entry.deployment.clone().ok_or_else(|| format!("{report:#?}"))?;
        let tree = world.root_path.join(&deployment).join("usr/lib/modules/6.12.1");
        let files = [(entry.shown.linux.as_ref(), "vmlinuz"), (entry.shown.initrd.first(), "initramfs.img")];
        for (path, source) in files {
            let path = boot.join(path.unwrap().trim_start_matches('/'));
            if std::fs::read(&path).ok() != std::fs::read(tree.join(source)).ok() {
                return Err(format!("{} is not that of {deployment}", path.display()));
            }
        }
        deployments.push(deployment);
    }
    Ok(deployments)
}

/// A world with a disk for `/boot`, on which the loader's first file is made by `first`.
fn world_with(first: impl FnOnce(&World)) -> (Disk, World) {
    let disk = Disk::new("ext4", 32);
    let mut world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    first(&world);
    world.settings.installed = select(Choice::Auto, world.boot.as_fd()).unwrap();
    (disk, world)
}

fn link(world: &World, path: &str, target: &str) {
    std::fs::create_dir_all(world.path(path).parent().unwrap()).unwrap();
    symlink(target, world.path(path)).unwrap();
}

/// Goes from `old` to `new`, and looks after every step.
fn cut_everywhere(disk: &Disk, world: &mut World, old: &[BootEntry], new: &[BootEntry]) {
    world.settings.installed = select(Choice::Auto, world.boot.as_fd()).unwrap();
    let plan = world.plan(new).unwrap();
    // Where the loader has to be led to the new menu first, it shows the old one until then.
    let adopts = plan.after != AfterSwitch::Nothing;
    let steps = until_commit(&plan);
    let mut execution = world.begin(&plan);
    for (index, step) in steps.iter().enumerate() {
        execution.run(step).unwrap();
        let committed = index + 1 == steps.len() && !adopts;
        assert_eq!(disk.look(false, |boot| shown(world, boot)), Ok(names(old)), "after {step}");
        let after_replay = names(if committed { new } else { old });
        assert_eq!(disk.look(true, |boot| shown(world, boot)), Ok(after_replay), "after {step}");
    }
    let (_, swept) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert!(swept.removed.iter().any(|path| path.starts_with("/boot/loader.")), "{swept:?}");
    for replay in [false, true] {
        assert_eq!(disk.look(replay, |boot| shown(world, boot)), Ok(names(new)));
    }
}

#[test]
fn every_loader() {
    test_world::needs_root!();
    for (path, target) in [
        ("boot/grub/grub.cfg", "../loader/grub.cfg"),
        ("boot/syslinux/syslinux.cfg", "../loader/syslinux.cfg"),
        ("boot/extlinux/extlinux.conf", "../loader/extlinux.conf"),
    ] {
        let (disk, mut world) = world_with(|world| link(world, path, target));
        let (a, b, c) = (world.nth(1, "one"), world.nth(2, "two"), world.nth(3, "three"));
        world.switch(&[a.clone()]);
        cut_everywhere(&disk, &mut world, &[a.clone()], &[b.clone(), a]);
        world.switch(&[c.clone()]);
        cut_everywhere(&disk, &mut world, &[c.clone()], &[b, c]);
    }
}

/// A file as GRUB's own driver reads it from the device, which it does without replay.
fn as_grub_reads(disk: &Disk, path: &str) -> Vec<u8> {
    let output = Command::new("grub-fstest").arg(disk.image()).args(["cat", path]).output();
    let output = output.expect("grub-fstest is needed (package grub-common)");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// All that the menu names is found by GRUB, through the links on the way, with and without `/boot` before it.
#[test]
fn grub_finds_the_menu_and_what_it_names() {
    test_world::needs_root!();
    for (kind, megabytes, boot_prefix) in [("ext4", 32, false), ("ext4", 32, true), ("xfs", 320, false)] {
        let disk = Disk::new(kind, megabytes);
        let mut world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
        world.settings.boot_prefix = boot_prefix;
        link(&world, "boot/grub/grub.cfg", "../loader/grub.cfg");
        world.settings.installed = select(Choice::Auto, world.boot.as_fd()).unwrap();
        for n in 1..4 {
            world.switch(&[world.nth(n, &format!("kernel {n}"))]);
            let menu = as_grub_reads(&disk, "(loop0)/grub/grub.cfg");
            let shown = world.settings.installed.loader.parse(&String::from_utf8(menu).unwrap());
            let kernel = shown.entries[0].linux.clone().unwrap();
            assert_eq!(kernel.starts_with("/boot/"), boot_prefix);
            assert_eq!(as_grub_reads(&disk, &format!("(loop0){kernel}")), format!("kernel {n}").as_bytes());
            // Where the file on an EFI partition goes on.
            assert!(!as_grub_reads(&disk, "(loop0)/boot/loader/grub.cfg").is_empty());
        }
    }
}

/// A menu that `grub-mkconfig` has made of the entries that are there.
fn generated_menu(world: &World, path: &str) {
    let with = bootloader::loader::grub2::Generator::default();
    let entries = world.state().entries;
    let menu = bootloader::loader::grub2::generate(entries.iter().map(|entry| &entry.entry), &with, None);
    world.write(path, &format!("# DO NOT EDIT THIS FILE\n{menu}"));
}

/// From a generated menu to ours: by a link, and by the text on another file system, which is another directory here.
#[test]
fn the_first_file_is_changed_between_commit_and_sweep() {
    test_world::needs_root!();
    for path in ["boot/grub/grub.cfg", "boot/efi/EFI/debian/grub.cfg"] {
        let (disk, mut world) = world_with(|_| ());
        let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
        world.switch(&[a.clone()]);
        generated_menu(&world, path);
        durable::sync_fs(&world.boot).unwrap();
        cut_everywhere(&disk, &mut world, &[a.clone()], &[b.clone(), a.clone()]);
        cut_everywhere(&disk, &mut world, &[b.clone(), a.clone()], &[b]);
    }
}

/// The control: had the old boot links gone before the first file was changed, the check would have seen it.
#[test]
fn the_check_sees_a_sweep_before_the_change_of_the_first_file() {
    test_world::needs_root!();
    let (disk, mut world) = world_with(|_| ());
    let (a, b) = (world.nth(1, "one"), world.nth(2, "two"));
    world.switch(&[a]);
    generated_menu(&world, "boot/grub/grub.cfg");
    durable::sync_fs(&world.boot).unwrap();
    world.settings.installed = select(Choice::Auto, world.boot.as_fd()).unwrap();
    let plan = world.plan(&[b]).unwrap();
    let mut execution = world.begin(&plan);
    for step in until_commit(&plan) {
        execution.run(&step).unwrap();
    }
    drop(execution);
    std::fs::remove_dir_all(world.path("ostree/boot.1.1")).unwrap();
    assert!(disk.look(true, |boot| shown(&world, boot)).is_err());
}
