// SPDX-License-Identifier: MIT OR Apache-2.0
//! Damages on a disk without a free block.

use std::fs;

use libtest_mimic::Trial;
use test_world::as_root;
use test_world::disk::fill;

use crate::damages::{DAMAGES, entry, file};
use crate::disk::{KERNEL, Root};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    // Links and renames take no block.
    for name in [
        "the_loader_is_missing",
        "the_loader_leads_to_what_is_not_there",
        "the_loader_is_a_directory",
        "the_outer_link_is_missing",
        "the_outer_link_leads_to_what_is_not_there",
        "the_root_has_only_the_other_set_of_links",
        "an_inner_link_leads_to_no_deployment",
        "the_first_deployment_is_gone",
    ] {
        for separate in [false, true] {
            let place = if separate { "both_full" } else { "full" };
            trials.push(as_root(format!("{name}_{place}"), move || links_on_a_full_disk(name, separate)));
        }
    }
    trials.push(as_root("a_full_boot_says_the_one_file_to_remove", one_file_to_remove));
    trials.push(as_root("a_full_boot_frees_what_no_entry_names", frees_first));
    trials.push(as_root("a_full_root_says_the_one_file_to_remove", full_root));
    trials
}

fn links_on_a_full_disk(name: &str, separate: bool) {
    let root = Root::with_two_deployments(separate);
    let before = root.menu();
    let damage = DAMAGES.iter().find(|damage| damage.name == name).unwrap();
    (damage.make)(&root);
    let mut fillers = vec![fill(&root.path(""), 0)];
    if root.is_separate() {
        fillers.push(fill(&root.path("boot"), 0));
    }
    let left = root.repair().unwrap();
    assert!(left.is_clean(), "{left:#?}");
    let wanted = if name == "the_first_deployment_is_gone" { &before[1..] } else { &before[..] };
    root.check_whole(wanted);
    fillers.iter().for_each(|filler| fs::remove_file(filler).unwrap());
}

/// Nothing is written, and after the advice it works.
fn one_file_to_remove() {
    let root = Root::with_two_deployments(true);
    let before = root.menu();
    fs::remove_file(file(&root, 0, "linux")).unwrap();
    fs::write(root.path("boot/small"), vec![0; KERNEL / 3]).unwrap();
    fs::write(root.path("boot/enough"), vec![0; KERNEL + 20_000]).unwrap();
    fill(&root.path("boot"), 0);
    let snapshot = root.world.snapshot();
    let error = format!("{:#}", root.repair().unwrap_err());
    assert!(error.contains("remove /boot/enough and try again") && !error.contains('\n'), "{error}");
    assert!(root.world.snapshot() == snapshot, "something was written");
    fs::remove_file(root.path("boot/enough")).unwrap();
    assert!(root.repair().unwrap().is_clean());
    root.check_whole(&before);
}

/// Boot files that no entry of either set names go, and nothing else.
fn frees_first() {
    let root = Root::with_two_deployments(true);
    let before = root.menu();
    let leftover = root.path(&format!("boot/ostree/testos-{}", "ab".repeat(32)));
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("vmlinuz-6.0.0"), vec![0; KERNEL + 20_000]).unwrap();
    fs::remove_file(file(&root, 1, "linux")).unwrap();
    fs::write(entry(&root, 0), "").unwrap();
    let filler = fill(&root.path("boot"), 0);
    let left = root.repair().unwrap();
    assert!(left.is_clean(), "{left:#?}");
    assert!(!leftover.exists());
    fs::remove_file(filler).unwrap();
    root.check_whole(&before);
}

/// Links need directories, and those need blocks.
fn full_root() {
    let root = Root::with_two_deployments(true);
    let before = root.menu();
    (DAMAGES.iter().find(|damage| damage.name == "all_links_are_gone").unwrap().make)(&root);
    let log = root.path("ostree/deploy/testos/var/log/messages");
    fs::write(&log, vec![0; 100_000]).unwrap();
    let filler = fill(&root.path(""), 0);
    let error = format!("{:#}", root.repair().unwrap_err());
    assert!(error.contains("remove /ostree/deploy/testos/var/log/messages"), "{error}");
    fs::remove_file(log).unwrap();
    assert!(root.repair().unwrap().is_clean());
    fs::remove_file(filler).unwrap();
    root.check_whole(&before);
}
