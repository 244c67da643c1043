// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making stateroots, in a directory where every name is somebody's.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use test_world::{STATEROOT, World};

/// The name of a temporary file of a write that was never finished.
const UNFINISHED: &str = ".ostree-tmp-0123456789abcdef-0000000000000001";

fn init(world: &World, name: &str) -> Result<(), String> {
    let sysroot = world.sysroot();
    let made = deploy::init_stateroot(&sysroot.lock(|| ()).unwrap(), name);
    made.map_err(|error| format!("{error:#}"))
}

fn stateroot(world: &World, name: &str) -> PathBuf {
    world.root().join("ostree/deploy").join(name)
}

#[test]
fn a_new_stateroot_takes_nothing_of_others() {
    test_world::needs_root!();
    let world = World::new();
    let others = ["foo.tmp", ".tmp-abc", ".new-0123456789abcdef", "foo.new", UNFINISHED];
    for name in others {
        fs::create_dir_all(stateroot(&world, name).join("var/data")).unwrap();
    }
    init(&world, "foo").unwrap();
    let var = stateroot(&world, "foo").join("var");
    assert_eq!(fs::read_dir(&var).unwrap().count(), 0, "it is new");
    for dir in [stateroot(&world, "foo"), var] {
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    }
    // Nor does any change of the deployments.
    world.commit("main", "1", |_| ());
    world.deploy("main");
    world.deploy("main");
    let sysroot = world.sysroot();
    deploy::cleanup(&sysroot.lock(|| ()).unwrap()).unwrap();
    for name in others {
        assert!(stateroot(&world, name).join("var/data").exists(), "{name}");
    }
}

#[test]
fn what_is_there_stays_as_it_is() {
    test_world::needs_root!();
    let world = World::new();
    fs::create_dir(stateroot(&world, "empty")).unwrap();
    fs::write(stateroot(&world, "file"), "text").unwrap();
    let before = world.snapshot();
    for name in [STATEROOT, "empty", "file"] {
        let error = init(&world, name).unwrap_err();
        assert!(error.contains("File exists"), "{error}");
    }
    assert!(init(&world, "a/b").unwrap_err().contains("one word"));
    assert_eq!(world.snapshot(), before);
}

#[test]
fn what_an_interruption_has_left_goes_with_the_next_one() {
    test_world::needs_root!();
    let world = World::new();
    let left = world.root().join("ostree").join(UNFINISHED);
    fs::create_dir_all(left.join("var")).unwrap();
    let similar = world.root().join("ostree").join(format!("{UNFINISHED}0"));
    fs::create_dir(&similar).unwrap();
    init(&world, "foo").unwrap();
    assert!(!left.exists() && similar.exists());
    // Or with a cleanup, once there is something to boot.
    fs::create_dir_all(left.join("var")).unwrap();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    let sysroot = world.sysroot();
    deploy::cleanup(&sysroot.lock(|| ()).unwrap()).unwrap();
    assert!(!left.exists() && similar.exists());
}

/// Another `/var` that was prepared beside the one that is there stays.
#[test]
fn what_lies_beside_var_stays() {
    test_world::needs_root!();
    let world = World::new();
    let at = |name: &str| stateroot(&world, STATEROOT).join(name);
    for name in ["var.new", "var.tmp", "deploy.tmp", "backing.tmp"] {
        fs::create_dir_all(at(name).join("data")).unwrap();
    }
    fs::create_dir_all(at(UNFINISHED).join("lib")).unwrap();
    world.commit("main", "1", |tree| fs::create_dir(tree.join("var/lib/x")).unwrap());
    world.deploy("main");
    for name in ["var.new", "var.tmp", "deploy.tmp", "backing.tmp"] {
        assert!(at(name).join("data").exists(), "{name}");
    }
    assert!(at("var/lib/x").exists() && !at("var/data").exists());
    assert!(!at(UNFINISHED).exists(), "a half of /var");
}

#[test]
fn the_plan_of_a_stateroot_is_what_happens() {
    test_world::needs_root!();
    let world = World::new();
    fs::create_dir(world.root().join("ostree").join(UNFINISHED)).unwrap();
    let plan = deploy::plan_stateroot(&world.sysroot(), "foo").unwrap();
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        steps[..2],
        [format!("remove  /ostree/{UNFINISHED}"), "make    /ostree/deploy/foo with an empty var".to_owned()]
    );
    assert!(!stateroot(&world, "foo").exists() && world.root().join("ostree").join(UNFINISHED).exists());
    init(&world, "foo").unwrap();
    assert!(stateroot(&world, "foo").exists() && !world.root().join("ostree").join(UNFINISHED).exists());
    // Refused for the same.
    let again = deploy::plan_stateroot(&world.sysroot(), "foo").map(drop).unwrap_err();
    assert_eq!(format!("{again:#}"), init(&world, "foo").unwrap_err());
    // All of an init-fs is there.
    let plan = deploy::plan_init_fs(&world.root(), deploy::Epoch::Modern).unwrap();
    assert_eq!(plan.steps, [deploy::Step::Sync { path: "/".to_owned() }]);
}
