// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tree that is as it should be, and each thing that can be wrong with it.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use repair::{Severity, lint};

const MODULES: &str = "usr/lib/modules/6.1.0";

fn good(tree: &Path) {
    for dir in ["boot", "dev", "etc", "proc", "run", "sys", "sysroot", "usr/etc", "var", MODULES] {
        fs::create_dir_all(tree.join(dir)).unwrap();
    }
    fs::write(tree.join("usr/etc/machine-id"), "uninitialized\n").unwrap();
    fs::write(tree.join(MODULES).join("vmlinuz"), "kernel").unwrap();
    symlink("sysroot/ostree", tree.join("ostree")).unwrap();
    symlink("usr/bin", tree.join("bin")).unwrap();
    // An archive with one file, the program; not compressed.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ostree-prepare-root"), "program").unwrap();
    let archive = fs::File::create(tree.join(MODULES).join("initramfs.img")).unwrap();
    let done = std::process::Command::new("sh")
        .args(["-c", "find . | cpio --quiet -o -H newc"])
        .current_dir(dir.path())
        .stdout(archive)
        .status();
    assert!(done.unwrap().success(), "cpio is needed");
}

/// An edit of the good tree, and what it leads to: severity, path, a word of the text.
type Case = (fn(&Path), Severity, &'static str, &'static str);

const CASES: &[Case] = &[
    (|t| fs::remove_dir(t.join("sysroot")).unwrap(), Severity::Error, "/sysroot", "mounts on it"),
    (|t| fs::remove_dir(t.join("boot")).unwrap(), Severity::Warning, "/boot", "no directory"),
    (|t| fs::remove_file(t.join("ostree")).unwrap(), Severity::Error, "/ostree", "sysroot/ostree"),
    (|t| symlink("/var/home", t.join("home")).unwrap(), Severity::Error, "/home", "absolute link"),
    (|t| fs::write(t.join("etc/x"), "").unwrap(), Severity::Error, "/etc", "neither is /usr/etc"),
    (|t| fs::remove_dir_all(t.join("usr/etc")).unwrap(), Severity::Error, "/usr/etc", "no defaults"),
    (
        |t| {
            fs::remove_dir(t.join("etc")).unwrap();
            fs::rename(t.join("usr/etc"), t.join("etc")).unwrap();
        },
        Severity::Warning,
        "/etc",
        "move it",
    ),
    (
        |t| fs::write(t.join("usr/etc/machine-id"), "0123456789abcdef0123456789abcdef\n").unwrap(),
        Severity::Error,
        "/usr/etc/machine-id",
        "the same",
    ),
    (|t| fs::create_dir(t.join("var/lib")).unwrap(), Severity::Warning, "/var", "never updated"),
    (|t| fs::create_dir(t.join("run/x")).unwrap(), Severity::Warning, "/run", "nobody sees"),
    (
        |t| fs::remove_file(t.join(MODULES).join("vmlinuz")).unwrap(),
        Severity::Error,
        "/usr/lib/modules",
        "No kernel",
    ),
    (
        |t| {
            fs::create_dir(t.join("usr/lib/modules/6.0.0")).unwrap();
            fs::write(t.join("usr/lib/modules/6.0.0/vmlinuz"), "").unwrap();
        },
        Severity::Warning,
        "/usr/lib/modules",
        "2 kernels (6.0.0, 6.1.0)",
    ),
    (
        |t| fs::remove_file(t.join(MODULES).join("initramfs.img")).unwrap(),
        Severity::Warning,
        "/usr/lib/modules/6.1.0/vmlinuz",
        "no initramfs.img",
    ),
    (
        |t| fs::write(t.join(MODULES).join("initramfs.img"), "x").unwrap(),
        Severity::Warning,
        "/usr/lib/modules/6.1.0/vmlinuz",
        "cannot be told",
    ),
    (
        |t| {
            fs::create_dir_all(t.join("usr/lib/ostree")).unwrap();
            fs::write(t.join("usr/lib/ostree/prepare-root.conf"), "[etc]\ntransient=true\n").unwrap();
        },
        Severity::Error,
        "/usr/lib/ostree/prepare-root.conf",
        "etc.transient=true",
    ),
    (
        |t| {
            fs::create_dir_all(t.join("usr/etc/selinux/targeted")).unwrap();
            fs::write(t.join("usr/etc/selinux/config"), "SELINUX=enforcing\n").unwrap();
        },
        Severity::Error,
        "/usr/etc/selinux",
        "is enforced: nothing can be labelled",
    ),
];

#[test]
fn each_fault_is_named_with_what_to_do() {
    for (edit, severity, path, word) in CASES {
        let tree = tempfile::tempdir().unwrap();
        good(tree.path());
        assert_eq!(lint(tree.path()).unwrap(), [], "before {path}: {word}");
        edit(tree.path());
        let found = lint(tree.path()).unwrap();
        let is = |f: &&repair::Finding| f.path == *path && f.text.contains(word) && !f.fix.is_empty();
        let finding = found.iter().find(is);
        assert_eq!(finding.map(|f| f.severity), Some(*severity), "{path}: {word}: {found:#?}");
    }
}

#[test]
fn a_record_of_the_initramfs_is_written_beside_it() {
    let tree = tempfile::tempdir().unwrap();
    good(tree.path());
    assert_eq!(repair::record_initramfs(tree.path()).unwrap(), format!("{MODULES}/ostree-initramfs.json"));
    assert_eq!(lint(tree.path()).unwrap(), []);
}
