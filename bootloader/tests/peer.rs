// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files that ostree 2025.2 wrote for four deployments, one after the other, and ours for the same.
//!
//! `tests/fixtures/ostree-2025.2-N.txt` is everything in `/boot` and all boot links after the Nth `ostree admin
//! deploy`: testos with two kernel arguments; testos again with the same boot files; a stateroot `other` with a
//! directory of device trees and an HMAC; testos with a single device tree and one more kernel argument.
#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do
#![allow(clippy::cloned_ref_to_slice_refs)] // a list of one reads as the longer ones

mod world;

use bootloader::Change;
use formats::kernel_args::KernelArgs;
use world::World;

const FIRST: &str = "207e940f9c3dfdc8c19ddf453a1a446ec528dc8ddf274c59ec24a58ecf15a84b";
const SECOND: &str = "f2f5aea6be77ef1b41cf803219ae6cd987441dd346e0d72e28936e4941cf1cb6";
const THIRD: &str = "d1d23debc93c472941eab7b5b06d99bedc78468cd6022046035405b3a8d1b124";
const FOURTH: &str = "e1bad67e4b82280ef34fdc2df79d2506f57c340fdc20386487c955a285e2b2ab";

/// The keys after `initrd` stand in the order of a hash table there, which changes when an entry is rewritten;
/// `devicetree`, `aboot` and `fdtdir` bring that about. Everything else must be the same byte for byte.
fn with_sorted_tail(dump: &str) -> String {
    let mut lines: Vec<&str> = dump.lines().collect();
    for block in lines.chunk_by_mut(|_, next| !next.starts_with("==")) {
        let tail = block.iter().position(|line| line.starts_with("initrd")).map_or(block.len(), |at| at + 1);
        block[tail..].sort_unstable();
    }
    lines.join("\n")
}

#[test]
fn writes_what_the_c_tools_write() {
    let world = World::new();
    let kernel = [("vmlinuz", "kernel\n"), ("initramfs.img", "initramfs\n")];
    let hmac = (".vmlinuz.hmac", "hm\n");
    let first = world.deployment("testos", FIRST, &kernel);
    let second = world.deployment("testos", SECOND, &kernel);
    let trees = [kernel[0], kernel[1], hmac, ("dtb/a.dtb", "dt\n"), ("dtb/b/x.dtb", "dt2\n")];
    let mut third = world.deployment("other", THIRD, &trees);
    third.version = Some("2.0".to_owned());
    third.options = KernelArgs::default();
    let single = [kernel[0], kernel[1], hmac, ("devicetree", "single\n")];
    let mut fourth = world.deployment("testos", FOURTH, &single);
    fourth.version = Some("3.0".to_owned());
    fourth.options = KernelArgs::parse("root=LABEL=x quiet ostree=/of/the/merge/deployment foo=a b");

    world.switch(&[first.clone()]);
    assert_eq!(world.dump(), include_str!("fixtures/ostree-2025.2-1.txt"));
    world.switch(&[second.clone(), first.clone()]);
    assert_eq!(world.dump(), include_str!("fixtures/ostree-2025.2-2.txt"));
    world.switch(&[third.clone(), second.clone(), first.clone()]);
    let peer = include_str!("fixtures/ostree-2025.2-3.txt");
    assert_eq!(with_sorted_tail(&world.dump()), with_sorted_tail(peer));
    world.switch(&[fourth, third, second, first]);
    let peer = include_str!("fixtures/ostree-2025.2-4.txt");
    assert_eq!(with_sorted_tail(&world.dump()), with_sorted_tail(peer));
}

/// Writes a fixture into an empty world.
fn import(world: &World, fixture: &str) {
    let mut file = String::new();
    for line in fixture.lines() {
        if let Some(path) = line.strip_prefix("== ") {
            file = path.to_owned();
            world.write(&file, "");
        } else if !file.is_empty() {
            let text = std::fs::read_to_string(world.path(&file)).unwrap();
            world.write(&file, &format!("{text}{line}\n"));
        } else if let Some((path, target)) = line.split_once(" -> ") {
            std::fs::create_dir_all(world.path(path).parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, world.path(path)).unwrap();
        } else if let Some((path, size)) = line.split_once(' ') {
            world.write(path, &"x".repeat(size.parse().unwrap()));
        }
    }
}

#[test]
fn reads_what_the_c_tools_write() {
    let world = World::new();
    import(&world, include_str!("fixtures/ostree-2025.2-4.txt"));
    let state = world.state();
    assert_eq!((state.boot_version(), state.sub_boot_version()), (0, 1));
    assert!(state.foreign.is_empty() && state.unreadable.is_empty());
    let menu: Vec<String> =
        state.entries.iter().map(|entry| entry.deployment.as_ref().unwrap().checksum.to_string()).collect();
    assert_eq!(menu, [FOURTH, THIRD, SECOND, FIRST]);
    assert_eq!(state.boot_dirs.len(), 3);
}

/// Entries of the C tools need no new ones from us.
#[test]
fn finds_nothing_to_do_after_the_c_tools() {
    let world = World::new();
    import(&world, include_str!("fixtures/ostree-2025.2-2.txt"));
    let kernel = [("vmlinuz", "kernel\n"), ("initramfs.img", "initramfs\n")];
    let first = world.deployment("testos", FIRST, &kernel);
    let second = world.deployment("testos", SECOND, &kernel);
    assert_eq!(world.plan(&[second.clone(), first.clone()]).unwrap().change, Change::Nothing);
    let third = world.deployment("testos", THIRD, &kernel);
    let plan = world.plan(&[third.clone(), second.clone()]).unwrap();
    assert_eq!(plan.change, Change::Bootlinks);
    let plan = world.plan(&[third, second, first]).unwrap();
    assert_eq!((plan.change, plan.to.boot_version, plan.to.sub_boot_version), (Change::Entries, 1, 1));
}
