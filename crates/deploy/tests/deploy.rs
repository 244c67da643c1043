// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deploying, from an empty root on.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::unix::fs::MetadataExt;

use deploy::{Base, DeployOptions, Edits, Selinux};
use test_world::World;

fn kargs(text: &[&str]) -> Edits {
    Edits { set: text.iter().map(|&arg| arg.to_owned()).collect(), ..Edits::default() }
}

/// A fault that the program in the initramfs will refuse is refused before anything is written. So it is with each tree
/// that has it.
#[test]
fn an_initramfs_that_would_not_boot_is_refused_unless_that_is_ignored() {
    test_world::needs_root!();
    let world = World::new();
    let inside = tempfile::tempdir().unwrap();
    fs::create_dir_all(inside.path().join("usr/lib/ostree")).unwrap();
    fs::write(inside.path().join("usr/lib/ostree/prepare-root.conf"), "[composefs]\nenabled=yes\n").unwrap();
    let archive = std::process::Command::new("sh")
        .args(["-c", "find usr | cpio --quiet -o -H newc"])
        .current_dir(inside.path())
        .output()
        .unwrap();
    assert!(archive.status.success());
    let commit = |version: &str| {
        let path = "usr/lib/modules/6.1.0/initramfs.img";
        world.commit("main", version, |tree| fs::write(tree.join(path), &archive.stdout).unwrap())
    };
    commit("1");
    let before = world.snapshot();
    let error = format!("{:#}", world.try_deploy(&world.options("main")).unwrap_err());
    assert!(
        error.contains("composefs.enabled=yes") && error.contains("build the initramfs again"),
        "{error}"
    );
    assert!(error.ends_with("(to deploy it all the same: --ignore=initramfs)"), "{error}");
    assert_eq!(world.snapshot(), before);
    let ignoring = DeployOptions { ignore: vec![deploy::Check::Initramfs], ..world.options("main") };
    let done = world.try_deploy(&ignoring).unwrap();
    assert_eq!(done.ignored.iter().map(|lack| lack.check).collect::<Vec<_>>(), [deploy::Check::Initramfs]);
    assert!(done.warnings().any(|warning| warning.starts_with("ignored (initramfs): ")));
    // That it was ignored once, or deployed by the C tools, says nothing of the next boot.
    commit("2");
    let before = world.snapshot();
    let error = format!("{:#}", world.try_deploy(&world.options("main")).unwrap_err());
    assert!(error.ends_with("(to deploy it all the same: --ignore=initramfs)"), "{error}");
    assert_eq!(world.snapshot(), before);
    assert_eq!(world.try_deploy(&ignoring).unwrap().ignored.len(), 1);
}

/// An initramfs by name only would be found out at boot. A tree that was deployed with one can still be worked with.
#[test]
fn a_link_that_leads_to_no_initramfs_is_refused() {
    test_world::needs_root!();
    let world = World::new();
    let commit = |version: &str| {
        world.commit("main", version, |tree| {
            let at = tree.join("usr/lib/modules/6.1.0");
            fs::remove_file(at.join("initramfs.img")).unwrap();
            std::os::unix::fs::symlink("gone", at.join("initramfs.img")).unwrap();
        })
    };
    commit("1");
    let before = world.snapshot();
    let error = format!("{:#}", world.try_deploy(&world.options("main")).unwrap_err());
    assert!(error.contains("/usr/lib/modules/6.1.0/initramfs.img of the tree is no file"), "{error}");
    assert!(error.ends_with("(to deploy it all the same: --ignore=initramfs)"), "{error}");
    assert_eq!(world.snapshot(), before);

    let ignoring = DeployOptions { ignore: vec![deploy::Check::Initramfs], ..world.options("main") };
    assert_eq!(world.try_deploy(&ignoring).unwrap().ignored.len(), 1);
    world.commit("main", "2", |_| ());
    assert_eq!(world.deploy("main").ignored, []);
    let sysroot = world.sysroot();
    deploy::set_default(&sysroot.lock(|| ()).unwrap(), 1).unwrap();
}

#[test]
fn the_first_deployment() {
    test_world::needs_root!();
    let world = World::new();
    let commit = world.commit("main", "1.0", |_| ());
    let options = DeployOptions { kernel_args: kargs(&["root=LABEL=r", "rw"]), ..world.options("main") };
    let done = world.try_deploy(&options).unwrap();
    assert_eq!(
        done.switched.summary(),
        "Bootloader updated; bootconfig swap: yes; bootversion: boot.1.1, deployment count change: 1"
    );
    assert_eq!(world.menu(), [format!("{commit}.0")]);
    let status = world.status();
    assert_eq!(
        status.to_string(),
        format!("  testos {commit}.0\n    Version: 1.0\n    origin refspec: main\n")
    );
    let boot_checksum = &status.deployments[0].boot_checksum;
    let entry = fs::read_to_string(world.root().join("boot/loader/entries/ostree-1.conf")).unwrap();
    let link = format!("/ostree/boot.1/testos/{boot_checksum}/0");
    assert!(entry.contains(&format!("options root=LABEL=r rw ostree={link}\n")), "{entry}");
    let tree = world.root().join(&link[1..]);
    assert_eq!(fs::read_to_string(tree.join("etc/conf")).unwrap(), "default\n");
    let inode = |path: &str| fs::metadata(tree.join(path)).unwrap().ino();
    assert_ne!(inode("etc/conf"), inode("usr/etc/conf"), "/etc must not share files with the repository");
    assert!(
        fs::metadata(tree.join("usr/bin/tool")).unwrap().nlink() > 1,
        "/usr shares files with the repository"
    );
    assert!(fs::write(tree.join("new"), "").is_err(), "the top of a deployment is immutable");
    assert!(world.root().join("ostree/deploy/testos/var/lib").is_dir());
    assert_eq!(
        fs::read_to_string(world.root().join("ostree/repo/refs/heads/ostree/1/1/0")).unwrap().trim(),
        commit.to_string()
    );
}

#[test]
fn an_upgrade_keeps_one_to_go_back_to() {
    test_world::needs_root!();
    let world = World::new();
    let first = world.commit("main", "1", |_| ());
    world.deploy("main");
    fs::write(world.deployment(0).join("etc/conf"), "local\n").unwrap();
    let second =
        world.commit("main", "2", |tree| fs::write(tree.join("usr/etc/conf"), "default 2\n").unwrap());
    let done = world.deploy("main");
    assert_eq!(done.etc, Some([1, 0, 0]));
    assert_eq!(world.menu(), [format!("{second}.0"), format!("{first}.0")]);
    assert_eq!(fs::read_to_string(world.deployment(0).join("etc/conf")).unwrap(), "local\n");
    let third = world.commit("main", "3", |_| ());
    world.deploy("main");
    assert_eq!(world.menu(), [format!("{third}.0"), format!("{second}.0")]);
    assert_eq!(fs::read_dir(world.deployment(0).parent().unwrap()).unwrap().count(), 4, "the oldest is gone");
    let has = |commit: &formats::Checksum| world.sysroot().repo().load_commit(commit).is_ok();
    assert!(has(&second) && !has(&first), "its commit is pruned");
}

#[test]
fn the_same_commit_again_changes_only_the_inner_link() {
    test_world::needs_root!();
    let world = World::new();
    let commit = world.commit("main", "1", |_| ());
    world.deploy("main");
    world.deploy("main");
    assert_eq!(world.menu(), [format!("{commit}.1"), format!("{commit}.0")]);
    let done = world.deploy("main");
    assert_eq!(
        done.switched.summary(),
        "Transaction complete; bootconfig swap: no; bootversion: boot.0.0, deployment count change: 0"
    );
    assert_eq!(world.menu(), [format!("{commit}.2"), format!("{commit}.1")]);
}

#[test]
fn kernel_arguments_are_inherited_and_edited() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.try_deploy(&DeployOptions { kernel_args: kargs(&["a=1", "b"]), ..world.options("main") }).unwrap();
    let edits =
        Edits { append: vec!["c=\"x y\"".to_owned()], delete: vec!["b".to_owned()], ..Edits::default() };
    world.try_deploy(&DeployOptions { kernel_args: edits, ..world.options("main") }).unwrap();
    let args = |index: usize| world.status().deployments[index].kernel_args.clone();
    assert!(args(0).starts_with("a=1 ostree=") && args(0).ends_with(" c=\"x y\""), "{}", args(0));
    let none = Edits { base: Base::Empty, ..Edits::default() };
    world.try_deploy(&DeployOptions { kernel_args: none, ..world.options("main") }).unwrap();
    assert!(args(0).starts_with("ostree="), "{}", args(0));
}

#[test]
fn what_cannot_be_booted_is_refused_and_nothing_changes() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("good", "1", |_| ());
    world.deploy("good");
    let remove =
        |path: &'static str| move |tree: &std::path::Path| fs::remove_dir_all(tree.join(path)).unwrap();
    world.commit("no-etc", "2", remove("usr/etc"));
    world.commit("no-kernel", "2", remove("usr/lib/modules"));
    world.commit("no-sysroot", "2", remove("sysroot"));
    world.commit("composefs", "2", |tree| {
        fs::create_dir_all(tree.join("usr/lib/ostree")).unwrap();
        fs::write(tree.join("usr/lib/ostree/prepare-root.conf"), "[composefs]\nenabled=yes\n").unwrap();
    });
    world.commit("enforcing", "2", |tree| {
        fs::create_dir_all(tree.join("usr/etc/selinux/targeted")).unwrap();
        fs::write(tree.join("usr/etc/selinux/config"), "SELINUX=enforcing\nSELINUXTYPE=targeted\n").unwrap();
    });
    let before = world.snapshot();
    for (refspec, words) in [
        ("no-etc", "/usr/etc"),
        ("no-kernel", "kernel"),
        ("no-sysroot", "no directory /sysroot"),
        ("composefs", "composefs"),
        ("enforcing", "--selinux=ignore"),
        ("nowhere", "nowhere"),
    ] {
        let error = format!("{:#}", world.try_deploy(&world.options(refspec)).unwrap_err());
        assert!(error.contains(words) && !error.contains('\n'), "{refspec}: {error}");
        assert_eq!(world.snapshot(), before, "{refspec} left something behind");
    }
    let absent = DeployOptions { stateroot: Some("absent".to_owned()), ..world.options("good") };
    assert!(format!("{:#}", world.try_deploy(&absent).unwrap_err()).contains("stateroot-init absent"));
    let ignore = DeployOptions { selinux: Selinux::Ignore, ..world.options("enforcing") };
    world.try_deploy(&ignore).unwrap();
}

#[test]
fn a_held_lock_is_told_and_waited_for() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    let config = world.root().join("ostree/repo/config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}lock-timeout-secs=0\n")).unwrap();
    let sysroot = world.sysroot();
    let held = sysroot.lock(|| ()).unwrap();
    let error = world.try_deploy(&world.options("main")).unwrap_err();
    assert!(format!("{error:#}").contains("ostree/lock is held by another process"), "{error:#}");
    drop(held);
    world.deploy("main");
}

#[test]
fn a_plan_touches_nothing() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    let before = world.snapshot();
    let plan = deploy::plan(&world.sysroot(), &deploy::Request::Deploy(world.options("main"))).unwrap();
    assert!(plan.to_string().contains("Boot menu:\n  0: ostree/deploy/testos/deploy/"), "{plan}");
    assert_eq!(world.snapshot(), before);
}

#[test]
fn foreign_entries_come_along() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let memtest = "title Memtest\nlinux /memtest\n";
    fs::write(world.root().join("boot/loader/entries/memtest.conf"), memtest).unwrap();
    world.commit("main", "2", |_| ());
    world.deploy("main");
    let after = fs::read_to_string(world.root().join("boot/loader/entries/memtest.conf")).unwrap();
    assert_eq!(after, memtest);
    assert_eq!(world.menu().len(), 2);
}

#[test]
fn a_running_system_has_a_link_to_the_physical_root() {
    test_world::needs_root!();
    let world = World::new();
    let commit = world.commit("main", "1", |_| ());
    world.deploy("main");
    // As the initramfs leaves it: the deployment is `/`, the physical root is at `/sysroot`, `/boot` is mounted.
    let top = tempfile::tempdir().unwrap();
    for (target, name) in
        [(world.root(), "sysroot"), ("sysroot/ostree".into(), "ostree"), (world.root().join("boot"), "boot")]
    {
        std::os::unix::fs::symlink(target, top.path().join(name)).unwrap();
    }
    let running = sysroot::Sysroot::open(top.path()).unwrap();
    assert_eq!(running.load().unwrap().deployments[0].path.checksum, commit);
    let lock = running.lock(|| ()).unwrap();
    deploy::deploy(&lock, &world.options("main")).unwrap();
    assert_eq!(world.menu(), [format!("{commit}.1"), format!("{commit}.0")]);
}

#[test]
fn a_damaged_origin_is_in_nobodys_way() {
    test_world::needs_root!();
    let world = World::new();
    let commit = world.commit("main", "1", |_| ());
    world.deploy("main");
    let origin = world.deployment(0).with_extension("0.origin");
    for damage in ["no key file", "[origin]\nrefspec=\\x\n"] {
        fs::write(&origin, damage).unwrap();
        assert_eq!(world.status().deployments[0].refspec, None, "{damage}");
    }
    fs::remove_file(&origin).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(&origin).status().unwrap();
    assert!(pipe.success());
    world.deploy("main");
    assert_eq!(world.menu(), [format!("{commit}.1"), format!("{commit}.0")]);
}

/// GRUB with a configuration that never changes and reads the entries, as bootupd installs it.
#[test]
fn a_first_deployment_beside_a_static_grub() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    let boot = world.root().join("boot");
    fs::create_dir(boot.join("grub2")).unwrap();
    fs::write(boot.join("grub2/grub.cfg"), "blscfg\n").unwrap();
    let state =
        r#"{"installed": {}, "static-configs": {"timestamp": "2026-01-01T00:00:00Z", "version": "1"}}"#;
    fs::write(boot.join("bootupd-state.json"), state).unwrap();
    world.deploy("main");
    assert_eq!(world.menu().len(), 1);
    assert_eq!(fs::read_to_string(boot.join("grub2/grub.cfg")).unwrap(), "blscfg\n");
    assert!(!boot.join("loader/grub.cfg").exists(), "it needs nothing but the entries");
}

/// GRUB sorts by file names, others by `version`, systemd-boot by its own rule; ten is more than nine for all of them.
#[test]
fn every_loader_has_the_same_order_and_other_titles() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    let keep = sysroot::Retention { all: true, ..sysroot::Retention::default() };
    for _ in 0..11 {
        world.try_deploy(&DeployOptions { retention: keep, ..world.options("main") }).unwrap();
    }
    let menu = world.menu();
    let loaded = world.sysroot().load().unwrap();
    let titles: std::collections::BTreeSet<_> = loaded.boot.entries.iter().map(|e| e.entry.title()).collect();
    assert_eq!(titles.len(), 11);
    let shown = |entries: &[&bootloader::PresentEntry]| -> Vec<String> {
        entries.iter().map(|entry| entry.deployment.as_ref().unwrap().name()).collect()
    };
    let newest = |a: &str, b: &str| formats::version::compare(b, a);
    let mut entries: Vec<_> = loaded.boot.entries.iter().rev().collect();
    formats::bls::sort(&mut entries, |entry| (&entry.name, &entry.entry));
    assert_eq!(shown(&entries), menu, "systemd-boot");
    entries.reverse();
    entries.sort_by(|a, b| newest(&a.name.id, &b.name.id));
    assert_eq!(shown(&entries), menu, "by file name");
    entries.reverse();
    entries.sort_by(|a, b| newest(a.entry.version().unwrap(), b.entry.version().unwrap()));
    assert_eq!(shown(&entries), menu, "by version");
}

/// A file of a deployment that cannot be removed is told, and the rest goes. The switch that has made it unneeded counts.
#[test]
fn an_immutable_file_keeps_nothing_else() {
    test_world::needs_root!();
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    world.commit("main", "2", |tree| fs::write(tree.join("usr/etc/conf"), "2").unwrap());
    world.deploy("main");
    let tree = world.deployment(0);
    let flag = |flags: &str| {
        let done = std::process::Command::new("chattr").arg(flags).arg(tree.join("etc/conf")).status();
        assert!(done.unwrap().success());
    };
    flag("+i");
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let switched = deploy::undeploy(&lock, 0).unwrap();
    let left: Vec<&String> = switched.cleaned.left.iter().filter(|left| left.contains("etc/conf")).collect();
    assert_eq!(left.len(), 1, "{:?}", switched.cleaned);
    assert!(left[0].contains("not permitted"), "{left:?}");
    assert_eq!(world.menu().len(), 1, "the switch is made");
    assert!(tree.join("etc/conf").exists() && !tree.join("usr").exists(), "the rest of it is gone");
    flag("-i");
    assert_eq!(deploy::cleanup(&lock).unwrap().deployments.len(), 1);
    assert!(!tree.exists());
}
