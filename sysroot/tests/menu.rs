// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of the boot menu that make no new deployment.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::fs;

use sysroot::deploy::Edits;
use world::World;

/// Two deployments, the newer first; gives their names.
fn two() -> (World, [String; 2]) {
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    world.commit("main", "2", |_| ());
    world.deploy("main");
    let menu = world.menu();
    let names = [menu[0].clone(), menu[1].clone()];
    (world, names)
}

#[test]
fn another_default_and_back() {
    let (world, [newer, older]) = two();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    sysroot.set_default(&lock, 1).unwrap();
    assert_eq!(world.menu(), [older.clone(), newer.clone()]);
    let (index, _) = sysroot.rollback(&lock).unwrap();
    assert_eq!((index, world.menu()), (1, vec![newer, older]));
}

#[test]
fn a_removed_deployment_is_gone_with_all_that_was_its() {
    let (world, [newer, older]) = two();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let switched = sysroot.undeploy(&lock, 0).unwrap();
    assert_eq!(switched.count_change, -1);
    assert_eq!(world.menu(), std::slice::from_ref(&older));
    let stateroot = world.root().join("ostree/deploy").join(world::STATEROOT);
    for path in [format!("deploy/{newer}"), format!("deploy/{newer}.origin"), format!("backing/{newer}")] {
        assert!(!stateroot.join(&path).exists(), "{path}");
    }
    let commit = newer.split('.').next().unwrap().parse().unwrap();
    // The branch still names it.
    assert!(sysroot.repo().load_commit(&commit).is_ok());
    let error = sysroot.undeploy(&lock, 3).unwrap_err().to_string();
    assert_eq!(error, "Out of range deployment index 3, expected < 1");
    assert!(sysroot.undeploy(&lock, 0).is_err(), "nothing would be left to boot");
    assert_eq!(world.menu(), [older]);
}

#[test]
fn a_pinned_deployment_stays() {
    let (world, [_, older]) = two();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let pin = |index: usize, on| sysroot.pin(&lock, &sysroot.load().unwrap().deployments[index], on).unwrap();
    assert!(pin(1, true));
    assert!(!pin(1, true), "it is pinned already");
    drop(lock);
    world.commit("main", "3", |_| ());
    world.deploy("main");
    assert_eq!(world.menu()[2], older);
    assert!(world.status().to_string().contains("    Pinned: yes\n"));
    let lock = sysroot.lock(|| ()).unwrap();
    assert!(sysroot.pin(&lock, &sysroot.load().unwrap().deployments[2], false).unwrap());
}

#[test]
fn kernel_arguments_are_edited_in_place() {
    let (world, _) = two();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let edits = Edits { append_if_missing: vec!["zz=1".to_owned()], ..Edits::default() };
    let switched = sysroot.edit_kernel_args(&lock, None, &edits).unwrap();
    assert_eq!(switched.count_change, 0);
    for row in world.status().deployments {
        assert!(row.kernel_args.ends_with(" zz=1"), "{}", row.kernel_args);
    }
    let again = sysroot.edit_kernel_args(&lock, None, &edits).unwrap();
    assert_eq!(again.plan.change, bootloader::Change::Nothing);
}

#[test]
fn cleanup_takes_what_an_interruption_left() {
    let (world, _) = two();
    let before = world.snapshot();
    let deployments = world.deployment(0).parent().unwrap().to_owned();
    let orphan = format!("{}.0", "ab".repeat(32));
    fs::create_dir_all(deployments.join(&orphan).join("usr")).unwrap();
    fs::write(deployments.join(format!("{orphan}.origin")), "").unwrap();
    fs::create_dir_all(world.root().join("ostree/boot.0.0/testos")).unwrap();
    fs::create_dir_all(world.root().join(format!("boot/ostree/testos-{}", "cd".repeat(32)))).unwrap();
    fs::create_dir(deployments.join("not a deployment")).unwrap();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let cleaned = sysroot.cleanup(&lock).unwrap();
    drop(lock);
    assert_eq!(cleaned.deployments.len(), 1);
    fs::remove_dir(deployments.join("not a deployment")).unwrap();
    assert_eq!(world.snapshot(), before);
}

#[test]
fn changes_of_etc_are_listed() {
    let (world, _) = two();
    fs::write(world.deployment(0).join("etc/conf"), "local").unwrap();
    fs::remove_file(world.deployment(0).join("etc/d/more")).unwrap();
    let changes = world.sysroot().etc_changes(Some(world::STATEROOT)).unwrap();
    let listed: Vec<_> =
        changes.list.iter().map(|c| format!("{} {}", c.what.letter(), c.path.display())).collect();
    assert_eq!(listed, ["M conf", "D d/more"]);
    assert!(world.sysroot().etc_changes(None).unwrap_err().to_string().contains("--os="));
}

#[test]
fn status_says_where_the_menu_is_not_what_it_seems() {
    let (world, [newer, _]) = two();
    assert_eq!(world.status().notes, []);
    let entries = world.root().join("boot/loader/entries");
    fs::write(entries.join("ostree-9.conf"), "title damaged\n").unwrap();
    let link = world.status().deployments[0].kernel_args.split("ostree=/").nth(1).unwrap().to_owned();
    fs::remove_file(world.root().join(link)).unwrap();
    let notes = world.status().notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].text.contains("ostree-9.conf has no ostree= among its options"), "{notes:?}");
    assert!(notes[1].text.contains("leads to no deployment"), "{notes:?}");
    assert!(!world.menu().contains(&newer));
    fs::remove_file(world.root().join("boot/loader")).unwrap();
    std::os::unix::fs::symlink("elsewhere", world.root().join("boot/loader")).unwrap();
    assert!(world.status().notes[0].text.contains("\"elsewhere\""), "{:?}", world.status().notes);
}
