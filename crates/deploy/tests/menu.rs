// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of the boot menu that make no new deployment.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;

use deploy::Edits;
use test_world::{STATEROOT, World};

#[test]
fn the_last_deployment_stays() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let before = world.snapshot();
    for error in [
        deploy::undeploy(&lock, 0).unwrap_err(),
        deploy::plan(&sysroot, &deploy::Request::Undeploy(0)).unwrap_err(),
    ] {
        let words = "Cannot undeploy deployment 0: it is the last one";
        assert!(error.to_string().starts_with(words), "{error:#}");
    }
    assert_eq!(world.snapshot(), before);
}

#[test]
fn another_default_and_back() {
    test_world::needs_root!();
    let (world, [newer, older]) = World::with_two_deployments();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::set_default(&lock, 1).unwrap();
    assert_eq!(world.menu(), [older.clone(), newer.clone()]);
    let (index, _) = deploy::rollback(&lock).unwrap();
    assert_eq!((index, world.menu()), (1, vec![newer, older]));
}

#[test]
fn a_removed_deployment_is_gone_with_all_that_was_its() {
    test_world::needs_root!();
    let (world, [newer, older]) = World::with_two_deployments();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let switched = deploy::undeploy(&lock, 0).unwrap();
    assert_eq!(switched.count_change, -1);
    assert_eq!(world.menu(), std::slice::from_ref(&older));
    let stateroot = world.root().join("ostree/deploy").join(STATEROOT);
    for path in [format!("deploy/{newer}"), format!("deploy/{newer}.origin"), format!("backing/{newer}")] {
        assert!(!stateroot.join(&path).exists(), "{path}");
    }
    let commit = newer.split('.').next().unwrap().parse().unwrap();
    // The branch still names it.
    assert!(sysroot.repo().load_commit(&commit).is_ok());
    let error = deploy::undeploy(&lock, 3).unwrap_err().to_string();
    assert_eq!(error, "Out of range deployment index 3, expected < 1");
    assert!(deploy::undeploy(&lock, 0).is_err(), "nothing would be left to boot");
    assert_eq!(world.menu(), [older]);
}

#[test]
fn a_pinned_deployment_stays() {
    test_world::needs_root!();
    let (world, [_, older]) = World::with_two_deployments();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let pin =
        |index: usize, on| deploy::pin(&lock, &sysroot.load().unwrap().deployments[index].path, on).unwrap();
    assert!(pin(1, true));
    assert!(!pin(1, true), "it is pinned already");
    drop(lock);
    world.commit("main", "3", |_| ());
    world.deploy("main");
    assert_eq!(world.menu()[2], older);
    assert!(world.status().to_string().contains("    Pinned: yes\n"));
    let lock = sysroot.lock(|| ()).unwrap();
    assert!(deploy::pin(&lock, &sysroot.load().unwrap().deployments[2].path, false).unwrap());
}

#[test]
fn kernel_arguments_are_edited_in_place() {
    test_world::needs_root!();
    let (world, _) = World::with_two_deployments();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let edits = Edits { append_if_missing: vec!["zz=1".to_owned()], ..Edits::default() };
    let switched = deploy::edit_kernel_args(&lock, None, &edits).unwrap();
    assert_eq!(switched.count_change, 0);
    for row in world.status().deployments {
        assert!(row.kernel_args.ends_with(" zz=1"), "{}", row.kernel_args);
    }
    let again = deploy::edit_kernel_args(&lock, None, &edits).unwrap();
    assert_eq!(again.plan.change, bootloader::Change::Nothing);
}

/// The text of an entry, by the number in its name.
fn entry(world: &World, number: usize) -> std::path::PathBuf {
    world.root().join(format!("boot/loader/entries/ostree-{number}.conf"))
}

fn edit_entry(world: &World, number: usize, from: &str, to: &str) {
    let path = entry(world, number);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// The values of a key, each shortened to its file name.
fn values(world: &World, number: usize, key: &str) -> Vec<String> {
    let text = fs::read_to_string(entry(world, number)).unwrap();
    let values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    values.map(|value| value.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn an_entry_has_one_ostree_argument_however_the_others_were_quoted() {
    test_world::needs_root!();
    let (world, _) = World::with_two_deployments();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    for asked in ["\"ostree=/x\"", "ostree=\"/x\"", "\"ostree\"=/x", "ostree=/x ostree=/y", "os\"tree=/x\""] {
        let edits = Edits { append: vec![asked.to_owned()], ..Edits::default() };
        deploy::edit_kernel_args(&lock, None, &edits).unwrap();
        for (number, row) in [2, 1].into_iter().zip(world.status().deployments) {
            let line = fs::read_to_string(entry(&world, number)).unwrap();
            assert_eq!(line.replace('"', "").matches("ostree=").count(), 1, "{line}");
            assert!(row.kernel_args.starts_with("ostree=/ostree/boot."), "{}", row.kernel_args);
        }
    }
}

#[test]
fn initrds_and_keys_of_others_stay_in_their_order() {
    test_world::needs_root!();
    let (world, _) = World::with_two_deployments();
    for file in ["ucode.img", "extra.img", "last.img"] {
        fs::write(world.root().join("boot").join(file), "initrd").unwrap();
    }
    edit_entry(&world, 2, "\ninitrd ", "\ninitrd /ucode.img\ninitrd ");
    edit_entry(
        &world,
        2,
        "\naboot ",
        "\ninitrd /extra.img\ninitrd /last.img\nx-a 1\nx-b 2\nx-a 3\noptions more\naboot ",
    );
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let expected = ["ucode.img", "initramfs-6.1.0.img", "extra.img", "last.img"];
    deploy::set_default(&lock, 1).unwrap();
    assert_eq!(values(&world, 1, "initrd"), expected);
    assert_eq!(
        (values(&world, 1, "x-a"), values(&world, 1, "x-b")),
        (vec!["1".into(), "3".into()], vec!["2".to_owned()])
    );
    assert_eq!(values(&world, 2, "initrd"), ["initramfs-6.1.0.img"]);
    assert!(world.status().deployments[1].kernel_args.ends_with(" more"));
    deploy::set_default(&lock, 1).unwrap();
    drop(lock);

    // They follow the configuration that is taken over.
    world.commit("main", "3", |tree| fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), "newer").unwrap());
    world.deploy("main");
    assert_eq!(
        (values(&world, 2, "initrd"), values(&world, 1, "initrd")),
        (expected.map(str::to_owned).to_vec(), expected.map(str::to_owned).to_vec())
    );
    assert_eq!(world.status().notes, []);

    // A boot loader follows a link.
    let extra = world.root().join("boot/extra.img");
    fs::rename(&extra, world.root().join("boot/extra-1.img")).unwrap();
    std::os::unix::fs::symlink("extra-1.img", &extra).unwrap();
    world.commit("main", "4", |_| ());
    let done = world.deploy("main");
    let warnings = &done.switched.plan.warnings;
    assert!(!warnings.iter().any(|text| text.contains("leaves out")), "{warnings:?}");
    assert_eq!(values(&world, 2, "initrd"), expected);
    assert_eq!(values(&world, 1, "initrd"), expected);

    // One that is gone, or leads nowhere, would keep the entry from booting.
    fs::remove_file(world.root().join("boot/extra-1.img")).unwrap();
    world.commit("main", "5", |_| ());
    let done = world.deploy("main");
    let warnings = &done.switched.plan.warnings;
    assert!(warnings.iter().any(|text| text.contains("leaves out the initrd /extra.img")), "{warnings:?}");
    assert_eq!(values(&world, 2, "initrd"), ["ucode.img", "initramfs-6.1.0.img", "last.img"]);
}

#[test]
fn cleanup_takes_what_an_interruption_left() {
    test_world::needs_root!();
    let (world, _) = World::with_two_deployments();
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
    let cleaned = deploy::cleanup(&lock).unwrap();
    drop(lock);
    assert_eq!(cleaned.deployments.len(), 1);
    fs::remove_dir(deployments.join("not a deployment")).unwrap();
    assert_eq!(world.snapshot(), before);
}

#[test]
fn changes_of_etc_are_listed() {
    test_world::needs_root!();
    let (world, _) = World::with_two_deployments();
    fs::write(world.deployment(0).join("etc/conf"), "local").unwrap();
    fs::remove_file(world.deployment(0).join("etc/d/more")).unwrap();
    let changes = world.sysroot().etc_changes(Some(STATEROOT)).unwrap();
    let listed: Vec<_> =
        changes.list.iter().map(|c| format!("{} {}", c.what.letter(), c.path.display())).collect();
    assert_eq!(listed, ["M conf", "D d/more"]);
    assert!(world.sysroot().etc_changes(None).unwrap_err().to_string().contains("--os="));
}

#[test]
fn status_says_where_the_menu_is_not_what_it_seems() {
    test_world::needs_root!();
    let (world, [newer, _]) = World::with_two_deployments();
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
