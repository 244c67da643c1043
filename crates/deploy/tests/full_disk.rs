// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk that runs full at every point of a deployment.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;

use test_world::World;
use test_world::disk::fill;

#[test]
fn a_full_disk_leaves_everything_as_it_was() {
    test_world::needs_root!();
    let world = World::on_small_disk(24);
    world.commit("main", "1", |_| ());
    world.deploy("main");
    world.commit("main", "2", |tree| {
        fs::write(tree.join("usr/etc/large"), vec![7; 300_000]).unwrap();
        fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), vec![8; 300_000]).unwrap();
    });
    let filler = world.root().join("filler");
    let mut refused = 0;
    // From no free block in steps of four (of 4 KiB) to more than enough.
    for free_kib in (0..2048).step_by(16) {
        let before = world.snapshot();
        fill(&world.root(), free_kib << 10);
        let deployed = world.try_deploy(&world.options("main"));
        fs::remove_file(&filler).unwrap();
        match deployed {
            Ok(_) => break,
            Err(error) => {
                let error = format!("{error:#}");
                assert!(error.starts_with("/ostree has ") && !error.contains('\n'), "{error}");
                assert!(error.contains("`ostree admin undeploy` of 0 (1) frees up to "), "{error}");
                assert_eq!(world.snapshot(), before, "with {free_kib} KiB free");
                refused += 1;
            }
        }
    }
    assert!(refused > 3, "the disk was never full");
    assert_eq!(world.menu().len(), 2);
}
