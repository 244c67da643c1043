// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables as libmount reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests say what they expect, too")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mounts::{Entry, Table};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn targets(table: &Table) -> Vec<String> {
    let entries = table.entries().unwrap();
    entries.iter().map(|entry| entry.target.display().to_string()).collect()
}

#[test]
fn an_fstab_is_read_as_mount_reads_it() {
    let table = Table::parse_fstab(&fixture("fstab")).unwrap();
    assert_eq!(targets(&table), ["/", "/var//", "/mnt/with blank", "none"]);
    let var = Entry {
        target: "/var//".into(),
        source: "/dev/vdb1".into(),
        root: None,
        fs_type: "xfs".into(),
        options: "defaults,nofail".into(),
    };
    for path in ["/var", "/var/", "//var"] {
        assert_eq!(table.find_target(Path::new(path)), Some(var.clone()), "{path}");
    }
    assert_eq!(table.find_target(Path::new("/home")), None);
    assert_eq!(table.find_target(Path::new("/va\0r")), None);
}

#[test]
fn the_mount_on_top_is_the_one_that_is_found() {
    let table = Table::parse_mountinfo(&fixture("mountinfo")).unwrap();
    assert_eq!(targets(&table).len(), 6);
    let var = table.find_target(Path::new("/var")).unwrap();
    assert_eq!(var.root.as_deref(), Some(Path::new("/ostree/deploy/debian/var")));
    assert_eq!(var.source, "/dev/vda1");
    assert!(table.find_target(Path::new("/mnt/with blank")).is_some());
    let usr = table.find_target(Path::new("/usr")).unwrap();
    assert!(usr.options.to_str().unwrap().split(',').any(|option| option == "ro"));
}

#[test]
fn the_root_of_this_system_is_mounted() {
    let table = Table::of_this_process().unwrap();
    assert!(table.find_target(Path::new("/")).is_some());
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let missing = Table::parse_fstab(Path::new("/nonexistent/fstab")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(Table::parse_fstab(Path::new("a\0b")).is_err());
    let temp = tempfile::tempdir().unwrap();
    let empty = temp.path().join("fstab");
    std::fs::write(&empty, "").unwrap();
    assert_eq!(targets(&Table::parse_fstab(&empty).unwrap()), Vec::<String>::new());
    std::fs::write(&empty, b"\xff\x00\x01 / \xfe").unwrap();
    assert!(Table::parse_fstab(&empty).is_ok(), "a line that is no line is passed over");
}
