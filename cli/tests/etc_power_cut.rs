// SPDX-License-Identifier: MIT OR Apache-2.0
//! The merged `/etc` on the disk when the power goes: the image behind a mounted file system is copied while the command
//! stands still at a point, and the copy mounted. Takes root and loop devices.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_world::{Disk, STATEROOT, World, run};

/// The exit status of a process that `DURABLE_STOP` ends.
const STOPPED: i32 = 77;

/// As many files as make a file system put off writing some of them.
const FILES: usize = 16;

fn ostree(world: &World, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostree"));
    command.arg("admin").args(words.split(' ')).arg("--sysroot").arg(world.root());
    command
}

/// A `/boot` of its own, so that nothing which is synced there brings the deployments to the disk as well.
fn mount_boot(world: &World) -> Disk {
    Disk::mounted_at(&world.root().join("boot"), "ext4", 32, &[])
}

/// Two commits, the first one deployed with local changes, all of which is on the disk.
fn installed(world: World) -> (World, Disk) {
    let boot = mount_boot(&world);
    world.commit("main", "1", |_| {});
    run(&mut ostree(&world, &format!("deploy --os={STATEROOT} main")));
    world.commit("main", "2", |tree| fs::write(tree.join("usr/etc/conf"), "default 2\n").unwrap());
    edit(&world.deployment(0), "first");
    rustix::fs::syncfs(fs::File::open(world.root()).unwrap()).unwrap();
    (world, boot)
}

fn edit(tree: &Path, text: &str) {
    for i in 0..FILES {
        fs::write(tree.join(format!("etc/d/local-{i}")), format!("{text} {i}")).unwrap();
    }
}

/// The local files of a tree as they would be found after a power cut now.
fn after_a_cut<T>(world: &World, look: impl FnOnce(&Path) -> T) -> T {
    // A journal is replayed, as a boot does it.
    world.disk().unwrap().look(true, look)
}

/// Reads the local files of a tree; `None` where one is missing.
fn contents(tree: &Path) -> Vec<Option<String>> {
    (0..FILES).map(|i| fs::read_to_string(tree.join(format!("etc/d/local-{i}"))).ok()).collect()
}

fn is_whole(tree: &Path, text: &str) -> bool {
    contents(tree).iter().enumerate().all(|(i, found)| found.as_deref() == Some(&format!("{text} {i}")))
}

/// The tree that is not the first one's, below `top`.
fn second_tree(world: &World, top: &Path) -> Option<PathBuf> {
    let first = world.deployment(0);
    let folder = top.join("ostree/deploy").join(STATEROOT).join("deploy");
    let trees = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    trees.filter(|path| path.is_dir()).find(|path| path.file_name() != first.file_name())
}

/// Stops a deployment before the first write that is about the boot menu, and says whether its `/etc` is on the disk.
fn merged_before_the_switch(world: World, mutant: Option<&str>) -> bool {
    let (world, _boot) = installed(world);
    let mut command = ostree(&world, &format!("deploy --os={STATEROOT} main"));
    command.env("DURABLE_STOP", "note");
    if let Some(mutant) = mutant {
        command.env("DURABLE_MUTANT", mutant);
    }
    assert_eq!(command.status().unwrap().code(), Some(STOPPED));
    assert!(is_whole(&second_tree(&world, &world.root()).unwrap(), "first"), "it is written");
    after_a_cut(&world, |top| second_tree(&world, top).is_some_and(|tree| is_whole(&tree, "first")))
}

#[test]
fn the_merged_etc_is_on_the_disk_before_the_switch() {
    test_world::needs_root!();
    assert!(merged_before_the_switch(World::on_small_disk(128), None), "ext4");
    assert!(merged_before_the_switch(World::on_xfs(), None), "xfs");
    assert!(!merged_before_the_switch(World::on_small_disk(128), Some("no-file-sync")), "the control");
}

/// A cut at any file of those that are carried into a deployment: each is the old or the new one, and once the command has
/// ended, the new one.
#[test]
fn later_edits_are_old_or_new() {
    test_world::needs_root!();
    for world in [World::on_small_disk(128), World::on_xfs()] {
        let (world, _boot) = installed(world);
        run(&mut ostree(&world, &format!("deploy --os={STATEROOT} main")));
        rustix::fs::syncfs(fs::File::open(world.root()).unwrap()).unwrap();
        let (new, running) = (world.deployment(0), world.deployment(1));
        assert!(is_whole(&new, "first"));
        edit(&running, "later");
        let into = "etc-merge --from 1 --into 0";
        let below = new.strip_prefix(world.root()).unwrap().to_owned();
        let mut command = ostree(&world, into);
        assert_eq!(command.env("DURABLE_STOP", "etc-copied").status().unwrap().code(), Some(STOPPED));
        let seen = after_a_cut(&world, |top| contents(&top.join(&below)));
        assert!(seen.iter().all(Option::is_some));
        // Killed at every third file, again and again until it comes to its end.
        let mut cuts = 0;
        loop {
            let ours = ostree(&world, into);
            let mut killed = Command::new("strace");
            killed.args([
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "inject=renameat,renameat2,rename:signal=KILL:when=3",
            ]);
            let done = killed.arg(ours.get_program()).args(ours.get_args()).output().unwrap();
            for (i, found) in after_a_cut(&world, |top| contents(&top.join(&below))).iter().enumerate() {
                let allowed = [format!("first {i}"), format!("later {i}")];
                assert!(
                    found.as_ref().is_some_and(|text| allowed.contains(text)),
                    "cut {cuts}, {i}: {found:?}"
                );
            }
            if done.status.success() {
                break;
            }
            cuts += 1;
        }
        assert_eq!(cuts, FILES / 2 - 1, "each try renames two more, the last one as well");
        assert!(after_a_cut(&world, |top| is_whole(&top.join(&below), "later")));
        let names = fs::read_dir(new.join("etc/d")).unwrap();
        assert!(
            names.map(|name| name.unwrap().file_name()).all(|name| !name.to_str().unwrap().starts_with(".#"))
        );
    }
}

/// A file system of somebody else that does not answer must not hold up a deployment.
#[test]
fn only_the_file_systems_of_the_sysroot_are_synced() {
    test_world::needs_root!();
    let (world, _boot) = installed(World::on_small_disk(128));
    edit(&world.deployment(0), "later");
    let trace = world.root().with_file_name("trace");
    for words in [
        format!("deploy --os={STATEROOT} main"),
        "etc-merge --from 1 --into 0".to_owned(),
        "cleanup".to_owned(),
        format!("deploy --os={STATEROOT} --retain main"),
        "undeploy 0".to_owned(),
    ] {
        let ours = ostree(&world, &words);
        let mut traced = Command::new("strace");
        traced.args(["-f", "-y", "-e", "trace=sync,syncfs", "-o"]).arg(&trace);
        run(traced.arg(ours.get_program()).args(ours.get_args()));
        let text = fs::read_to_string(&trace).unwrap();
        let synced: Vec<&str> = text.lines().filter(|line| line.contains("sync")).collect();
        assert!(words.contains("cleanup") || !synced.is_empty(), "{words}: strace has seen something");
        let ours = format!("<{}", world.root().display());
        for line in synced {
            assert!(line.contains("syncfs(") && line.contains(&ours), "{words}: {line}");
        }
    }
}
