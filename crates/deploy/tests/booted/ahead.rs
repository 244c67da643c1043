// SPDX-License-Identifier: MIT OR Apache-2.0
//! Staging does a part of the switch, which then need not be done at shutdown and cannot fail there.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use deploy::{DeployOptions, Edits};
use rustix::fs::IFlags;

use crate::peer::peer;
use test_world::namespace::{Case, Need};
use test_world::system::{RECORD, default_entry, finalize, list, open, running, stage, try_stage};

pub(crate) const CASES: &[Case] = &[
    ("entries_wait_where_nobody_reads_them", Need::Nothing, wait),
    ("entries_that_have_changed_are_written_anew", Need::Nothing, changed),
    ("entries_go_with_what_they_are_for", Need::Nothing, gone),
    ("what_the_switch_cannot_write_is_found_when_it_is_staged", Need::Nothing, found_at_once),
    ("the_c_tools_leave_entries_alone_that_wait", Need::EachPeer, beside_the_c_tools),
];

/// Where they wait.
const AHEAD: &str = "/boot/.ostree-staged-loader";

fn waiting() -> String {
    fs::read_to_string(format!("{AHEAD}/entries/ostree-2.conf")).unwrap()
}

fn wait() {
    running();
    let before = default_entry();
    stage();
    assert_eq!(default_entry(), before);
    assert!(waiting().contains("\noptions root=LABEL=r rw ostree=/ostree/boot."), "{}", waiting());
    let (text, inode) = (waiting(), fs::metadata(format!("{AHEAD}/entries/ostree-2.conf")).unwrap().ino());
    finalize();
    assert_eq!(default_entry(), text);
    let entry = fs::metadata("/boot/loader/entries/ostree-2.conf").unwrap();
    assert_eq!(entry.ino(), inode, "nothing was written for it");
    assert!(!Path::new(AHEAD).exists());
}

fn changed() {
    running();
    stage();
    fs::write(format!("{AHEAD}/entries/ostree-1.conf"), "title damaged\n").unwrap();
    let sysroot = open();
    let append = Edits { append: vec!["late".to_owned()], ..Edits::default() };
    deploy::edit_kernel_args(&sysroot.lock(|| ()).unwrap(), None, &append).unwrap();
    finalize();
    assert!(default_entry().contains(" late\n"), "{}", default_entry());
    assert_eq!(list(), ["2", "1*"]);
    // Else it would be the same entries, and only their links would change.
    let stage_with = |word: &str| {
        let mut options = DeployOptions::new("main");
        options.kernel_args.append.push(word.to_owned());
        try_stage(&options, false).unwrap();
    };
    stage_with("another");
    fs::remove_dir_all(AHEAD).unwrap();
    finalize();
    stage_with("one more");
    fs::write(format!("{AHEAD}/entries/ostree-2.conf"), "title damaged\n").unwrap();
    finalize();
    assert_eq!(list(), ["2", "1*"]);
    assert!(default_entry().contains("(ostree:0)"), "{}", default_entry());
}

fn gone() {
    running();
    stage();
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::cleanup(&lock).unwrap();
    assert!(Path::new(AHEAD).exists(), "they are waited for");
    deploy::undeploy(&lock, 0).unwrap();
    assert!(!Path::new(AHEAD).exists());
    // Without a record nobody waits.
    drop(lock);
    stage();
    fs::remove_file(RECORD).unwrap();
    fs::remove_file("/sysroot/ostree/staged-deployment").unwrap();
    let good = deploy::boot_good(&sysroot.lock(|| ()).unwrap()).unwrap();
    assert!(good.swept.iter().any(|path| path == AHEAD), "{good:?}");
}

fn found_at_once() {
    running();
    let other = match fs::read_link("/boot/loader").unwrap().to_str().unwrap() {
        "loader.0" => "/boot/loader.1",
        _ => "/boot/loader.0",
    };
    for dir in [other, AHEAD] {
        fs::create_dir_all(format!("{dir}/entries")).unwrap();
        fs::write(format!("{dir}/entries/x.conf"), "").unwrap();
        let immutable = |on: bool| {
            let opened = fs::File::open(format!("{dir}/entries")).unwrap();
            let flags = rustix::fs::ioctl_getflags(opened.as_fd()).unwrap();
            let flags = if on { flags | IFlags::APPEND } else { flags - IFlags::APPEND };
            rustix::fs::ioctl_setflags(opened.as_fd(), flags).unwrap();
        };
        immutable(true);
        let error = try_stage(&DeployOptions::new("main"), false).map_err(|error| format!("{error:#}"));
        immutable(false);
        let error = error.unwrap_err();
        assert!(error.contains("x.conf"), "{error}");
        assert!(!Path::new(RECORD).exists());
        assert_eq!(list(), ["1*"]);
    }
    stage();
    finalize();
    assert_eq!(list(), ["2", "1*"]);
}

fn beside_the_c_tools() {
    running();
    stage();
    peer("cleanup");
    assert!(Path::new(AHEAD).exists());
    peer("finalize-staged");
    assert_eq!(list(), ["2", "1*"]);
    let sysroot = open();
    deploy::cleanup(&sysroot.lock(|| ()).unwrap()).unwrap();
    assert!(!Path::new(AHEAD).exists());
}
