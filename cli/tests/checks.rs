// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that look and say what is wrong: their exit status, and what a program reads. Deployments are made immutable, so
//! this takes root.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::fs;

use serde_json::Value;
use world::World;

fn deployed() -> World {
    let world = world::empty();
    world.make_bootable_tree();
    world.make_root(world::OSTREE);
    world.ok("--repo=root/ostree/repo commit --branch=x tree");
    world.ok("admin --sysroot=root deploy --os=testos --karg=root=LABEL=r x");
    world
}

/// The exit status and the output.
fn said(world: &World, words: &str) -> (i32, String) {
    let output = world.run(words);
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn fsck_boot_finds_and_repairs() {
    test_world::needs_root!();
    let world = deployed();
    let fsck = "admin --sysroot=root fsck-boot";
    let (code, text) = said(&world, fsck);
    assert_eq!(
        (code, text.as_str()),
        (0, "Every boot entry leads to whole boot files and to a deployment.\n")
    );

    fs::remove_file(world.path("root/boot/loader")).unwrap();
    let before = world.snapshot("root");
    let (code, text) = said(&world, fsck);
    assert_eq!(code, 2, "{text}");
    assert!(
        text.starts_with("/boot/loader: is missing\n")
            && text.contains("\n  make /boot/loader a link to loader.")
    );
    assert!(text.ends_with("Nothing was written; --repair does it.\n"), "{text}");
    let (code, json) = said(&world, &format!("{fsck} --json"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["found"]["problems"][0]["topic"]), (2, &Value::from("loader")));
    assert_eq!(json["found"]["repair"][0]["action"], "choose");
    assert!(json["after-repair"].is_null());
    let (code, json) = said(&world, &format!("{fsck} --repair --dry-run --json"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["schema"], &json["operation"]), (0, &1.into(), &"fsck-boot".into()));
    assert_eq!(json["steps"][0]["path"], "/boot/.ostree-repair-loader.old");
    let (code, text) = said(&world, &format!("{fsck} --repair --dry-run"));
    assert!(
        code == 0 && text.contains("\n  rename  /boot/.ostree-repair-loader.old to /boot/loader\n"),
        "{text}"
    );
    assert!(world.snapshot("root") == before, "a check has written something");

    let (code, text) = said(&world, &format!("{fsck} --repair"));
    assert_eq!(code, 0, "{text}");
    assert!(
        text.ends_with("Now every boot entry leads to whole boot files and to a deployment.\n"),
        "{text}"
    );
    assert_eq!(said(&world, fsck).0, 0);

    // A damage beyond repair: all that was in /boot is gone.
    fs::remove_dir_all(world.path("root/boot")).unwrap();
    fs::create_dir(world.path("root/boot")).unwrap();
    for words in [fsck.to_owned(), format!("{fsck} --repair")] {
        let (code, text) = said(&world, &words);
        assert!(code == 2 && text.contains("by hand: mount the boot file system"), "{text}");
    }
    assert_eq!(said(&world, "admin --sysroot=nowhere fsck-boot").0, 1);
}

#[test]
fn fsck_boot_looks_at_a_boot_that_is_elsewhere() {
    test_world::needs_root!();
    let world = deployed();
    fs::rename(world.path("root/boot"), world.path("elsewhere")).unwrap();
    fs::create_dir(world.path("root/boot")).unwrap();
    assert_eq!(said(&world, "admin --sysroot=root fsck-boot").0, 2);
    assert_eq!(said(&world, "admin --sysroot=root fsck-boot --boot=elsewhere").0, 0);
    let link = fs::read_link(world.path("elsewhere/loader")).unwrap();
    fs::remove_file(world.path("elsewhere/loader")).unwrap();
    assert_eq!(said(&world, "admin --sysroot=root fsck-boot --boot=elsewhere --repair").0, 0);
    assert_eq!(fs::read_link(world.path("elsewhere/loader")).unwrap(), link);
}

#[test]
fn lint_ends_with_what_it_has_found() {
    let world = world::empty();
    world.make_bootable_tree();
    let (code, text) = said(&world, "admin lint tree");
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with("warning: /usr/lib/modules/6.1.0/vmlinuz what is in the initramfs cannot be told")
    );
    fs::write(world.path("tree/usr/etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let (code, text) = said(&world, "admin lint --json tree");
    let json: Value = serde_json::from_str(&text).unwrap();
    let severities: Vec<_> = json["findings"].as_array().unwrap().iter().map(|f| &f["severity"]).collect();
    assert_eq!((code, severities), (2, vec![&Value::from("error"), &Value::from("warning")]));
    assert_eq!(said(&world, "admin lint nowhere").0, 1);
    assert_eq!(said(&world, "admin lint --record tree").0, 1, "it cannot be read");
}

#[test]
fn post_copy_says_that_there_is_nothing_to_do() {
    test_world::needs_root!();
    let world = deployed();
    let (code, text) = said(&world, "admin --sysroot=root post-copy");
    assert_eq!((code, text.as_str()), (0, "The repository does not ask for fs-verity: nothing to do\n"));
}
