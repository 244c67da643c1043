// SPDX-License-Identifier: MIT OR Apache-2.0
//! Damage and disorder: what is refused, with everything as it was, and what goes on all the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::fs;

use world::World;

/// A kernel that was damaged on the disk would be found out by the machine that does not start.
#[test]
fn a_damaged_boot_file_is_not_deployed() {
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let modules = "usr/lib/modules/6.1.0";
    let all = [("vmlinuz", "kernel 2"), ("initramfs.img", "initramfs 2"), ("devicetree", "tree 2")];
    let commit = world.commit("main", "2", |tree| {
        for (name, text) in all {
            fs::write(tree.join(modules).join(name), text).unwrap();
        }
    });
    for (name, text) in all {
        let object = world.object(&commit, &format!("{modules}/{name}"));
        // The same length, so that no size gives it away.
        fs::write(&object, text.replace('2', "3")).unwrap();
        let before = world.snapshot();
        let error = format!("{:#}", world.try_deploy(&world.options("main")).unwrap_err());
        let checksum = object.with_extension("").display().to_string();
        let checksum: String = checksum.rsplit('/').take(2).collect::<Vec<_>>().into_iter().rev().collect();
        for words in [name, &checksum, "ostree fsck --delete", "pull or commit it again"] {
            assert!(error.contains(words), "{words}: {error}");
        }
        assert!(!error.contains('\n'), "{error}");
        assert_eq!(world.snapshot(), before, "{name} left something behind");
        fs::write(&object, text).unwrap();
    }
    world.deploy("main");
    assert_eq!(world.menu()[0], format!("{commit}.0"));

    // A damaged kernel that is in use already shows when it is to be used once more.
    fs::write(world.object(&commit, &format!("{modules}/vmlinuz")), "kernel 3").unwrap();
    let error = format!("{:#}", world.try_deploy(&world.options("main")).unwrap_err());
    assert!(error.contains("vmlinuz"), "{error}");
}
