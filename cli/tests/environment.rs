// SPDX-License-Identifier: MIT OR Apache-2.0
//! `OSTREE_SYSROOT_DEBUG` and `OSTREE_SYSROOT_OPTS` mean the same to ours as to the C tools, beside the other ostree that `OSTREE_PEER`
//! names if it is set. Deployments are made immutable, so this takes root.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::fs::{IFlags, XattrFlags};
use test_world::peer::NEWEST;
use world::World;

/// Ours, and the other one if there is one.
fn programs() -> Vec<PathBuf> {
    std::iter::once(PathBuf::from(world::OSTREE)).chain(NEWEST.program()).collect()
}

/// A root with a stateroot, and a tree to deploy.
fn prepared(program: &Path) -> World {
    let world = world::empty();
    world.make_bootable_tree();
    world.make_root(program);
    world
}

fn commit(world: &World, program: &Path) {
    world.ok_as(program, "--repo=root/ostree/repo commit --branch=x tree");
}

/// `ostree admin ...` with a variable.
fn admin(world: &World, program: &Path, variable: (&str, &str), words: &str) -> Output {
    Command::new(program)
        .args(["admin", "--sysroot=root"])
        .args(words.split(' '))
        .current_dir(world.path("."))
        .env(variable.0, variable.1)
        .output()
        .unwrap()
}

fn deploy(world: &World, program: &Path, variable: (&str, &str)) -> String {
    commit(world, program);
    let output = admin(world, program, variable, "deploy --os=testos x");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    error
}

/// The directories of the deployments, the highest serial last.
fn deployments(world: &World) -> Vec<PathBuf> {
    let all = fs::read_dir(world.path("root/ostree/deploy/testos/deploy")).unwrap();
    let mut dirs: Vec<PathBuf> =
        all.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    dirs.sort_by_key(|path| path.extension().unwrap().to_owned());
    dirs
}

fn names(world: &World, path: &str) -> Vec<String> {
    let all = fs::read_dir(world.path(path)).unwrap();
    let mut names: Vec<String> = all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const DEBUG: &str = "OSTREE_SYSROOT_DEBUG";
const OPTS: &str = "OSTREE_SYSROOT_OPTS";

#[test]
fn mutable_deployments_are_not_immutable() {
    test_world::needs_root!();
    for program in programs() {
        for (words, immutable) in
            [("", true), ("mutable-deployments", false), ("no-dtb:MUTABLE_DEPLOYMENTS", false)]
        {
            let world = prepared(&program);
            assert!(!deploy(&world, &program, (DEBUG, words)).contains("warning: OSTREE"));
            let tree = fs::File::open(&deployments(&world)[0]).unwrap();
            let flags = rustix::fs::ioctl_getflags(&tree).unwrap();
            assert_eq!(flags.contains(IFlags::IMMUTABLE), immutable, "{program:?} {words:?}");
        }
    }
}

#[test]
fn without_xattrs_local_changes_come_to_etc() {
    test_world::needs_root!();
    for program in programs() {
        for (words, kept) in [("", true), ("no-xattrs", false)] {
            let world = prepared(&program);
            let set =
                |path: PathBuf| rustix::fs::setxattr(path, "user.x", b"1", XattrFlags::empty()).unwrap();
            set(world.path("tree/usr/etc/conf"));
            deploy(&world, &program, (DEBUG, words));
            let get = |path: PathBuf| rustix::fs::getxattr(path, "user.x", &mut [0; 8]).is_ok();
            let has = |index: usize, path: &str| get(deployments(&world)[index].join(path));
            // The defaults have theirs all the same.
            assert!(has(0, "usr/etc/conf") && has(0, "etc/conf"), "{program:?}");
            fs::write(deployments(&world)[0].join("etc/mine"), "mine").unwrap();
            set(deployments(&world)[0].join("etc/mine"));
            deploy(&world, &program, (DEBUG, words));
            assert_eq!(fs::read_to_string(deployments(&world)[1].join("etc/mine")).unwrap(), "mine");
            assert_eq!(has(1, "etc/mine"), kept, "{program:?}");
        }
    }
}

/// The boot checksum is that of the other one, with them and without.
#[test]
fn without_device_trees_there_are_none_in_boot() {
    test_world::needs_root!();
    let mut sums = Vec::new();
    for program in programs() {
        let world = prepared(&program);
        fs::create_dir(world.path("tree/usr/lib/modules/6.1.0/dtb")).unwrap();
        world.write("tree/usr/lib/modules/6.1.0/dtb/a.dtb", "device tree");
        deploy(&world, &program, (DEBUG, "no-dtb"));
        let dirs = names(&world, "root/boot/ostree");
        assert!(!world.path(&format!("root/boot/ostree/{}/dtb", dirs[0])).exists(), "{program:?}");
        let entry = fs::read_to_string(world.path("root/boot/loader/entries/ostree-1.conf")).unwrap();
        assert!(!entry.contains("fdtdir"), "{entry}");
        // From then on they count again.
        deploy(&world, &program, (DEBUG, ""));
        let entry = fs::read_to_string(world.path("root/boot/loader/entries/ostree-2.conf")).unwrap();
        let dir = entry.lines().find_map(|line| line.strip_prefix("fdtdir /")).unwrap();
        assert!(world.path("root/boot").join(dir).join("a.dtb").exists(), "{program:?} {entry}");
        sums.push(dirs);
    }
    assert!(sums.iter().all(|dirs| *dirs == sums[0] && dirs.len() == 1), "{sums:?}");
}

#[test]
fn a_freeze_that_fails_leaves_the_old_menu() {
    test_world::needs_root!();
    for program in programs() {
        let world = prepared(&program);
        deploy(&world, &program, (DEBUG, ""));
        let before = fs::read_link(world.path("root/boot/loader")).unwrap();
        let output = admin(&world, &program, (DEBUG, "test-fifreeze"), "deploy --os=testos --karg=x=1 x");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains("fifreeze watchdog was run"), "{error}");
        assert!(error.contains("During fsfreeze-thaw: aborting due to test-fifreeze"), "{error}");
        assert_eq!(fs::read_link(world.path("root/boot/loader")).unwrap(), before);
        world.ok_as(&program, "admin --sysroot=root status");
        deploy(&world, &program, (DEBUG, ""));
    }
}

#[test]
fn entries_can_have_the_names_of_older_tools() {
    test_world::needs_root!();
    for program in programs() {
        let world = prepared(&program);
        deploy(&world, &program, (OPTS, "skip-sync,bootloader-naming-1"));
        assert_eq!(names(&world, "root/boot/loader/entries"), ["ostree-1-testos.conf"]);
        world.write("tree/usr/lib/modules/6.1.0/vmlinuz", "newer");
        deploy(&world, &program, (OPTS, "bootloader-naming-1"));
        assert_eq!(
            names(&world, "root/boot/loader/entries"),
            ["ostree-1-testos.conf", "ostree-2-testos.conf"]
        );
        // They are ours whatever they are called.
        world.ok("admin --sysroot=root fsck-boot");
        let lost = world.path("root/boot/loader/entries/ostree-2-testos.conf");
        fs::write(&lost, "").unwrap();
        world.ok("admin --sysroot=root fsck-boot --repair");
        assert!(fs::read_to_string(&lost).unwrap().contains("\nversion 2\n"), "{program:?}");
        world.write("tree/usr/lib/modules/6.1.0/vmlinuz", "newest");
        deploy(&world, &program, (OPTS, ""));
        assert_eq!(names(&world, "root/boot/loader/entries"), ["ostree-1.conf", "ostree-2.conf"]);
    }
}

#[test]
fn unknown_words_are_told_and_known_ones_are_not() {
    test_world::needs_root!();
    let program = &programs()[0];
    let world = prepared(program);
    assert_eq!(deploy(&world, program, (OPTS, "skip-sync")).matches("warning: OSTREE").count(), 0);
    let error = deploy(&world, program, (OPTS, "skip-snyc no-dtb"));
    assert!(
        error.contains("warning: OSTREE_SYSROOT_OPTS: \"skip-snyc\" means nothing; known are "),
        "{error}"
    );
    assert!(error.contains("warning: OSTREE_SYSROOT_OPTS: \"no-dtb\" means nothing"), "{error}");
    assert_eq!(deployments(&world).len(), 2);
}

/// All that is missing is told at once, in the plan as in the deployment, before anything is written.
#[test]
fn what_a_tree_lacks_is_told_at_once_and_can_be_ignored() {
    test_world::needs_root!();
    let program = &programs()[0];
    let world = prepared(program);
    commit(&world, program);
    deploy(&world, program, (OPTS, ""));
    fs::remove_dir_all(world.path("tree/proc")).unwrap();
    fs::remove_dir_all(world.path("tree/dev")).unwrap();
    // The boot itself looks for this one.
    fs::remove_dir_all(world.path("tree/sysroot")).unwrap();
    symlink("usr", world.path("tree/dev")).unwrap();
    fs::create_dir_all(world.path("tree/usr/lib/ostree")).unwrap();
    world.write("tree/usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled=yes\n");
    commit(&world, program);
    let before = world.snapshot("root/boot");
    let words = "deploy --os=testos --karg=ostree.prepare-root.composefs=signed x";
    let told = |error: &str| {
        for part in ["no directory /proc", "no directory /dev", "composefs.enabled=yes", "signed"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let names = "--ignore=mount-points --ignore=prepare-root-conf --ignore=kernel-arguments)";
        assert!(error.contains(names), "{error}");
        assert!(!error.trim_end().contains('\n'), "{error}");
    };
    told(&world.fails(&format!("admin --sysroot=root {words}")));
    told(&world.fails(&format!("admin --sysroot=root {words} --dry-run")));
    let all = "--ignore=mount-points --ignore=prepare-root-conf --ignore=kernel-arguments";
    // One is not all.
    let error =
        world.fails(&format!("admin --sysroot=root {words} --ignore=mount-points --ignore=kernel-arguments"));
    assert!(!error.contains("/proc") && error.contains("--ignore=prepare-root-conf)"), "{error}");
    assert!(world.fails(&format!("admin --sysroot=root {words} --ignore=kernel")).contains("mount-points"));
    assert!(world.snapshot("root/boot") == before && deployments(&world).len() == 1);

    let plan = world.ok(&format!("admin --sysroot=root {words} {all} --dry-run --json"));
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let ignored = plan["deployment"]["ignored"].as_array().unwrap();
    let checks: Vec<&str> = ignored.iter().map(|lack| lack["check"].as_str().unwrap()).collect();
    assert_eq!(
        checks,
        ["mount-points", "mount-points", "mount-points", "prepare-root-conf", "kernel-arguments"]
    );
    let plan = world.ok(&format!("admin --sysroot=root {words} {all} --dry-run"));
    assert!(plan.contains("  ignored (mount-points): the tree has no directory /proc"), "{plan}");
    let output = admin(&world, program, (OPTS, ""), &format!("{words} {all}"));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && error.contains("warning: ignored (prepare-root-conf): "), "{error}");
    let output = admin(&world, program, (OPTS, "no-preflight"), words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kargs = "kargs --append=v=\"x\tostree=/y\"";
    assert!(
        world
            .fails(&format!("admin --sysroot=root {kargs}"))
            .contains("an initramfs of the C tools would take")
    );
    assert!(admin(&world, program, (OPTS, "no-preflight"), kargs).status.success());
}

/// An argument that was ignored once stops no change of other arguments; a new one is refused, in words that this command knows.
#[test]
fn kernel_arguments_are_edited_beside_one_that_was_ignored() {
    test_world::needs_root!();
    let program = &programs()[0];
    let world = prepared(program);
    commit(&world, program);
    let words = "deploy --os=testos x --karg-append=v=\"x\tostree=/y\" --ignore=kernel-arguments";
    world.ok(&format!("admin --sysroot=root {words}"));
    world.ok("admin --sysroot=root kargs --append=b=1");
    world.ok("admin --sysroot=root kargs edit-in-place --append-if-missing=c=1");
    let before = world.snapshot("root/boot");
    for new in ["w=\"x\tostree=/z\"", "ostree.prepare-root.composefs=signed"] {
        let error = world.fails(&format!("admin --sysroot=root kargs --append={new}"));
        assert!(!error.contains("v=\"x") && !error.contains("--ignore"), "{error}");
        assert!(error.ends_with("(to set it all the same: OSTREE_SYSROOT_OPTS=no-preflight)"), "{error}");
    }
    assert!(world.snapshot("root/boot") == before);
    world.ok("admin --sysroot=root kargs --delete=v");
}

/// Lacks that forbid any deployment are in the same message, and cannot be ignored.
#[test]
fn what_cannot_be_ignored_is_in_the_same_message() {
    let program = &programs()[0];
    let world = prepared(program);
    fs::remove_file(world.path("tree/usr/lib/modules/6.1.0/vmlinuz")).unwrap();
    fs::remove_dir_all(world.path("tree/usr/etc")).unwrap();
    fs::remove_dir_all(world.path("tree/sys")).unwrap();
    commit(&world, program);
    let output = admin(&world, program, (OPTS, "no-preflight"), "deploy --os=testos x");
    let error = String::from_utf8(output.stderr).unwrap();
    for part in ["No kernel in the tree", "No such file or directory: /usr/etc"] {
        assert!(!output.status.success() && error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("--ignore"), "{error}");
    let error = world.fails("admin --sysroot=root deploy --os=testos x");
    assert!(error.contains("no directory /sys") && error.contains("No kernel in the tree"), "{error}");
}
