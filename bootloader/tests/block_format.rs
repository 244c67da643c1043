// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shape of `/boot/ostree` on xfs: its names are in a block whatever is made and removed, so that no boot loader finds it between an
//! inode and a block. Needs root, loop devices and `mkfs.xfs`.
#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do

mod world;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use test_world::Disk;
use world::World;

const BLOCK: u64 = 4096;

fn size(boot: &Path) -> u64 {
    fs::metadata(boot.join("ostree")).unwrap().size()
}

/// The names of boot files, without those that keep the shape.
fn kernels(boot: &Path) -> Vec<String> {
    kernels_of(&boot.join("ostree"))
}

fn kernels_of(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with(".keep-"));
    names.sort();
    names
}

#[test]
fn a_new_one_has_its_names_in_a_block_from_the_beginning() {
    test_world::needs_root!();
    let disk = Disk::new("xfs", 320);
    let world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    let entries: Vec<_> = (1..8).map(|n| world.nth(n, &n.to_string())).collect();
    for new in &entries {
        world.switch(std::slice::from_ref(new));
        assert_eq!((size(disk.mount()), kernels(disk.mount()).len()), (BLOCK, 1));
    }
    // Many at once, and none of them any more.
    world.switch(&entries);
    assert_eq!((size(disk.mount()), kernels(disk.mount()).len()), (BLOCK, 7));
    world.switch(&entries[..1]);
    assert_eq!((size(disk.mount()), kernels(disk.mount()).len()), (BLOCK, 1));
    assert!(!disk.mount().join(".ostree-aside-ostree").exists());
}

/// As the C tools leave it: two kernels, whose names are in the inode; or four, in a block that goes with the third.
#[test]
fn that_of_others_is_exchanged_for_one() {
    test_world::needs_root!();
    for count in [2, 4] {
        let disk = Disk::new("xfs", 320);
        let boot = disk.mount();
        let world = World::with_boot(tempfile::tempdir().unwrap(), boot);
        let entries: Vec<_> = (1..=count).map(|n| world.nth(n, &n.to_string())).collect();
        world.switch(&entries);
        for name in fs::read_dir(boot.join("ostree")).unwrap().map(|entry| entry.unwrap().path()) {
            if name.file_name().unwrap().to_str().unwrap().starts_with(".keep-") {
                fs::remove_file(name).unwrap();
            }
        }
        assert_eq!(size(boot) < BLOCK, count == 2);
        let (before, directory) = (kernels(boot), fs::metadata(boot.join("ostree")).unwrap().ino());
        let inode = |kernel: &str| {
            let files = fs::read_dir(boot.join("ostree").join(kernel)).unwrap();
            files.map(|file| file.unwrap().metadata().unwrap().ino()).min().unwrap()
        };
        let files: Vec<u64> = before.iter().map(|kernel| inode(kernel)).collect();

        let mut next = entries.clone();
        next.push(world.nth(9, "nine"));
        world.switch(&next);
        assert_ne!(fs::metadata(boot.join("ostree")).unwrap().ino(), directory);
        assert_eq!(before.iter().map(|kernel| inode(kernel)).collect::<Vec<_>>(), files, "not copied");
        assert_eq!((size(boot), kernels(boot).len()), (BLOCK, usize::from(count) + 1));
        assert!(!boot.join(".ostree-aside-ostree").exists());
        let directory = fs::metadata(boot.join("ostree")).unwrap().ino();
        world.switch(&entries[..1]);
        assert_eq!(fs::metadata(boot.join("ostree")).unwrap().ino(), directory, "once is enough");
    }
}

/// Nor is anything removed from one that would move with it.
#[test]
fn a_sweep_exchanges_it_too() {
    test_world::needs_root!();
    let disk = Disk::new("xfs", 320);
    let boot = disk.mount();
    let world = World::with_boot(tempfile::tempdir().unwrap(), boot);
    world.switch(&[world.nth(1, "one")]);
    fs::rename(boot.join("ostree"), boot.join("former")).unwrap();
    fs::create_dir(boot.join("ostree")).unwrap();
    let kept = kernels_of(&boot.join("former")).remove(0);
    fs::rename(boot.join("former").join(&kept), boot.join("ostree").join(&kept)).unwrap();
    fs::create_dir(boot.join("ostree").join(format!("testos-{}", "ab".repeat(32)))).unwrap();
    let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert_eq!((size(boot), kernels(boot)), (BLOCK, vec![kept]));
}

/// The exchange, cut before and after: the old directory or the new one, with the same kernels; what is left goes with the next sweep.
#[test]
fn what_an_interruption_leaves_is_swept() {
    test_world::needs_root!();
    let disk = Disk::new("xfs", 320);
    let world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    world.switch(&[world.nth(1, "one")]);
    let there = |name: &str| disk.mount().join(name).exists();
    let temporary = ".ostree-tmp-0123456789abcdef-0123456789abcdef";
    for name in [".ostree-aside-ostree", temporary, "ostree.tmp"] {
        fs::create_dir_all(disk.mount().join(name).join("x")).unwrap();
    }
    let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert!(!there(".ostree-aside-ostree") && !there(temporary));
    assert!(there("ostree.tmp"), "of somebody");
    // An earlier release has made this one.
    let keep = fs::read_dir(disk.mount().join("ostree")).unwrap().map(|name| name.unwrap().file_name());
    let keep = keep.into_iter().find(|name| name.to_str().unwrap().starts_with(".keep-0")).unwrap();
    fs::write(disk.mount().join("ostree.tmp").join(keep), "").unwrap();
    let (_, _) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert!(!there("ostree.tmp"));
}
