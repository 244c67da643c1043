// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies of files of other owners. Needs root: nobody else can give files away.
#![allow(clippy::unwrap_used)] // the helpers of tests unwrap as the tests do

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use durable::{Sharing, copy_file_new, copy_file_replace};
use rustix::fs::{XattrFlags, getxattr, setxattr};

const CAPABILITIES: &str = "security.capability";

#[test]
fn rights_outlive_the_change_of_the_owner() {
    test_world::needs_root!();
    let temp = tempfile::tempdir().unwrap();
    let dir = File::open(temp.path()).unwrap();
    let source = temp.path().join("a");
    std::fs::write(&source, "program").unwrap();
    chown(&source, Some(12), Some(34)).unwrap();
    std::fs::set_permissions(&source, PermissionsExt::from_mode(0o6755)).unwrap();
    // cap_net_raw+ep, in the second version of the attribute.
    let mut capabilities = [0; 20];
    capabilities[..8].copy_from_slice(&[1, 0, 0, 2, 0, 0x20, 0, 0]);
    setxattr(&source, CAPABILITIES, &capabilities, XattrFlags::empty()).unwrap();

    copy_file_new((dir.as_fd(), "a"), (dir.as_fd(), "new"), Sharing::Blocks).unwrap();
    std::fs::write(temp.path().join("old"), "").unwrap();
    copy_file_replace((dir.as_fd(), "a"), (dir.as_fd(), "old")).unwrap();
    for name in ["new", "old"] {
        let copy = temp.path().join(name);
        let stat = std::fs::metadata(&copy).unwrap();
        assert_eq!((stat.uid(), stat.gid(), stat.mode() & 0o7777), (12, 34, 0o6755), "{name}");
        let mut found = [0; 64];
        let length = getxattr(&copy, CAPABILITIES, &mut found).unwrap();
        assert_eq!(found[..length], capabilities, "{name}");
    }
}
