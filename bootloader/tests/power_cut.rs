// SPDX-License-Identifier: MIT OR Apache-2.0
//! The device after every step, read as a boot loader does (without replay) and as the next start of the
//! system does (with it). Needs root, loop devices, `mkfs.ext4` and `mkfs.xfs`.
//!
//! This sees each write in the order in which the kernel sends it; cuts within one, and writes that a disk
//! reorders, are for the recorder of block writes.
#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do
#![allow(clippy::cloned_ref_to_slice_refs)] // a list of one reads as the longer ones

mod world;

use bootloader::BootEntry;
use durable::{Freezing, Method, Proof};
use test_world::Disk;
use world::{World, names, until_commit};

fn cut_everywhere(kind: &'static str, megabytes: u64, method: Method) {
    let disk = Disk::new(kind, megabytes);
    let world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    let (a, b, c) = (world.nth(1, "one"), world.nth(2, "two"), world.nth(3, "three"));
    let first = world.switch(&[a.clone()]);
    assert_eq!(first.proof, Proof::Proven(method));

    switch_with_cuts(&world, &disk, &[a.clone()], &[b.clone(), a.clone()], method);
    // The second one writes where the first one's predecessor was.
    switch_with_cuts(&world, &disk, &[b.clone(), a], &[c, b], method);
}

fn switch_with_cuts(world: &World, disk: &Disk, old: &[BootEntry], new: &[BootEntry], method: Method) {
    let without_replay = || disk.look(false, |boot| world.visible(boot));
    let with_replay = || disk.look(true, |boot| world.visible(boot));
    let plan = world.plan(new).unwrap();
    let steps = until_commit(&plan);
    let mut execution = world.begin(&plan);
    for (index, step) in steps.iter().enumerate() {
        execution.run(step).unwrap();
        let last = index + 1 == steps.len();
        // The control: had the loader seen the new entries already, proof and sweep would need no order.
        assert_eq!(without_replay(), names(old), "after {step}");
        assert_eq!(with_replay(), names(if last { new } else { old }), "after {step}");
    }
    assert_eq!(durable::prove(world.places().boot, Freezing::NotTheRoot).unwrap(), Proof::Proven(method));
    assert_eq!(without_replay(), names(new));
    let (_, swept) = bootloader::sweep(world.places(), &world.settings).unwrap();
    assert!(swept.removed.iter().any(|path| path.starts_with("/boot/loader.")), "{swept:?}");
    assert_eq!(without_replay(), names(new));
    assert_eq!(with_replay(), names(new));
}

#[test]
fn ext4() {
    test_world::needs_root!();
    cut_everywhere("ext4", 32, Method::Checkpoint);
}

#[test]
fn xfs() {
    test_world::needs_root!();
    cut_everywhere("xfs", 320, Method::Freeze);
}

/// Removing the old entries' links before the proof is the mistake of ostree before 2025.2 (ostree#3392): the
/// check above must see it.
#[test]
fn the_check_sees_a_sweep_before_the_proof() {
    test_world::needs_root!();
    let disk = Disk::new("ext4", 32);
    let world = World::with_boot(tempfile::tempdir().unwrap(), disk.mount());
    world.switch(&[world.nth(1, "one")]);
    let new = [world.nth(2, "two")];
    let plan = world.plan(&new).unwrap();
    let mut execution = world.begin(&plan);
    for step in until_commit(&plan) {
        execution.run(&step).unwrap();
    }
    std::fs::remove_dir_all(world.path("ostree/boot.1.1")).unwrap();
    let menu = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        disk.look(false, |boot| world.visible(boot))
    }));
    assert!(menu.is_err(), "an entry without a deployment was taken for whole");
}
