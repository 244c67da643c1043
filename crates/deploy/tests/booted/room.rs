// SPDX-License-Identifier: MIT OR Apache-2.0
//! A `/boot` with room for one large kernel, and another one comes.

use std::fs;
use std::io::Write;

use deploy::{DeployOptions, Deployed};
use sysroot::Options;

use crate::mounts::BootDisk;
use test_world::World;
use test_world::namespace::{Case, Need};
use test_world::system::{
    Boot, boot, default_entry, finalize, list, mount, open, status, try_finalize, try_stage,
};

pub(crate) const CASES: &[Case] = &[
    ("what_goes_anyway_goes_first_where_room_is_short", Need::Nothing, rotated_out),
    ("where_that_would_not_help_nothing_goes", Need::Nothing, no_help),
    ("staging_makes_room_as_well", Need::Nothing, staged),
    ("a_boot_that_is_full_at_shutdown", Need::Nothing, full_at_shutdown),
    ("what_goes_first_is_not_relied_upon", Need::Nothing, gone_first),
];

/// A running system whose `/boot` has room for one of the kernels `one` and `two`, each of which is a branch; `huge` fits nowhere.
fn running() {
    let world = World::on_small_disk(192);
    let disk = BootDisk::new(&world);
    let point = world.root().join("boot");
    mount(&[&disk.device], &point);
    disk.detach();
    let fs = rustix::fs::statvfs(&point).unwrap();
    let room = usize::try_from(fs.f_bavail * fs.f_frsize).unwrap();
    for (branch, byte, size) in [("one", 1, room / 5 * 3), ("two", 2, room / 5 * 3), ("huge", 4, room)] {
        world.commit(branch, branch, |tree| {
            fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), vec![byte; size]).unwrap();
        });
    }
    boot(world, &Boot::Mounted);
}

fn try_deploy(options: &DeployOptions) -> anyhow::Result<Deployed> {
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::deploy(&lock, options)
}

fn rotated_out() {
    running();
    try_deploy(&DeployOptions::new("one")).unwrap();
    assert_eq!(list(), ["one", "1*"]);
    // Unless nothing shall go early.
    let wishes = Options { no_early_prune: true, ..Options::default() };
    let sysroot = open().with_options(&wishes);
    let lock = sysroot.lock(|| ()).unwrap();
    let error = format!("{:#}", deploy::deploy(&lock, &DeployOptions::new("two")).unwrap_err());
    assert!(error.contains("/boot has "), "{error}");
    drop(lock);
    drop(sysroot);
    assert_eq!(list(), ["one", "1*"]);
    try_deploy(&DeployOptions::new("two")).unwrap();
    assert_eq!(list(), ["two", "1*"]);
    assert_eq!(fs::read_dir("/boot/ostree").unwrap().count(), 2);
    assert!(status().notes.is_empty(), "{:?}", status().notes);
}

fn no_help() {
    running();
    try_deploy(&DeployOptions::new("one")).unwrap();
    let error = format!("{:#}", try_deploy(&DeployOptions::new("huge")).unwrap_err());
    assert!(error.contains("`ostree admin undeploy` of") && error.contains("(ostree:0) frees"), "{error}");
    assert_eq!(list(), ["one", "1*"]);
    // A deployment that is to stay does not go, though that would help.
    let mut retain = DeployOptions::new("two");
    retain.retention.all = true;
    let error = format!("{:#}", try_deploy(&retain).unwrap_err());
    assert!(error.contains("/boot has "), "{error}");
    assert_eq!(list(), ["one", "1*"]);
}

fn staged() {
    running();
    try_deploy(&DeployOptions::new("one")).unwrap();
    try_stage(&DeployOptions::new("two"), false).unwrap();
    assert_eq!(list(), ["twos", "1*"]);
    // And takes that of an earlier one which was not booted.
    try_stage(&DeployOptions::new("one"), false).unwrap();
    try_stage(&DeployOptions::new("two"), false).unwrap();
    assert_eq!(list(), ["twos", "1*"]);
    finalize();
    assert_eq!(list(), ["two", "1*"]);
}

/// The sweep that makes room takes the entries and the boot files of an update that waits.
fn gone_first() {
    running();
    try_stage(&DeployOptions::new("one"), false).unwrap();
    try_deploy(&DeployOptions::new("two")).unwrap();
    assert_eq!(list(), ["two", "1*"]);
    try_stage(&DeployOptions::new("one"), false).unwrap();
    fill();
    fs::remove_dir_all("/boot/.ostree-reserve").unwrap_or_default();
    let mut options = DeployOptions::new("one");
    options.kernel_args.append.push("another".to_owned());
    try_stage(&options, false).unwrap();
    fs::remove_file("/boot/filler").unwrap();
    finalize();
    assert_eq!(list(), ["one", "1*"]);
}

/// Writes to `/boot` until not a block is left, but for those that a file system reserves for its owner.
fn fill() {
    let mut file = fs::File::create("/boot/filler").unwrap();
    let free = || rustix::fs::statvfs("/boot").unwrap().f_bavail;
    while free() > 0 {
        let size = if free() > 4096 { 1 << 20 } else { 1024 };
        file.write_all(&vec![1; size]).and_then(|()| file.sync_all()).unwrap();
    }
}

/// The boot files are there since it was staged, and the entries wait; for the rest there is a reserve. Without that, the old menu stays.
fn full_at_shutdown() {
    running();
    try_stage(&DeployOptions::new("one"), false).unwrap();
    fill();
    finalize();
    assert_eq!(list(), ["one", "1*"]);
    fs::remove_file("/boot/filler").unwrap();
    let mut options = DeployOptions::new("one");
    options.kernel_args.append.push("another".to_owned());
    try_stage(&options, false).unwrap();
    fs::remove_dir_all("/boot/.ostree-reserve").unwrap_or_default();
    fill();
    let before = default_entry();
    let error = format!("{:#}", try_finalize().unwrap_err());
    assert!(error.contains("/boot has "), "{error}");
    assert_eq!(default_entry(), before);
    assert_eq!(list(), ["one", "1*"]);
}
