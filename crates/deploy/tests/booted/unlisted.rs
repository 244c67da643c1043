// SPDX-License-Identifier: MIT OR Apache-2.0
//! A running system that no boot entry leads to, because somebody has edited the entries, and boot menus that are not
//! the whole truth in other ways.

use std::fs;
use std::path::Path;

use deploy::{DeployOptions, Edits};
use sysroot::Lock;

use test_world::namespace::{Case, Need};
use test_world::system::{deployment, finalize, list, open, running, stage, status};

pub(crate) const CASES: &[Case] = &[
    ("a_running_system_without_an_entry_is_shown_and_kept", Need::Nothing, shown_and_kept),
    ("every_change_of_the_menu_gives_it_an_entry", Need::Nothing, listed_again),
    ("an_empty_menu_removes_nothing", Need::Nothing, empty_menu),
];

/// A system with a newer deployment in front of what runs, whose entry is gone. Gives the name of what runs.
fn lose_entry() -> String {
    let sysroot = open();
    deploy::deploy(&sysroot.lock(|| ()).unwrap(), &DeployOptions::new("main")).unwrap();
    let entry = fs::read_dir("/boot/loader/entries").unwrap().map(|entry| entry.unwrap().path());
    fs::remove_file(entry.min().unwrap()).unwrap();
    sysroot.load().unwrap().deployments.iter().find(|d| d.booted).unwrap().path.name()
}

fn entries() -> usize {
    fs::read_dir("/boot/loader/entries").unwrap().count()
}

fn note() -> bool {
    status().notes.iter().any(|note| note.text.contains("the running system is not in the boot menu"))
}

fn shown_and_kept() {
    running();
    assert!(!note());
    let name = lose_entry();
    assert_eq!(list(), ["2", "1*"]);
    assert!(note());
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    let orphan = deployment(&format!("{}.0", "ab".repeat(32)));
    fs::create_dir_all(orphan.join("usr")).unwrap();
    fs::create_dir("/boot/loader.tmp").unwrap();
    let error = format!("{:#}", deploy::cleanup(&lock).unwrap_err());
    assert!(error.contains("`ostree admin set-default 0`") && !error.contains('\n'), "{error}");
    assert!(deploy::boot_good(&lock).is_err());
    assert!(orphan.exists() && Path::new("/boot/loader.tmp").exists(), "nothing is removed by half a menu");
    assert!(deployment(&name).join("usr/bin").exists());
    assert!(deploy::undeploy(&lock, 1).unwrap_err().to_string().contains("currently booted"));
    let booted = sysroot.load().unwrap().deployments[1].clone();
    assert!(deploy::pin(&lock, &booted.path, true).unwrap());
    assert!(sysroot.etc_changes(None).unwrap().list.is_empty());
    deploy::set_default(&lock, 0).unwrap();
    assert_eq!((list(), entries(), note()), (vec!["2".to_owned(), "1*".to_owned()], 2, false));
    assert!(!orphan.exists());
    deploy::cleanup(&lock).unwrap();
}

fn listed_again() {
    running();
    type Change = fn(&Lock<'_>);
    let changes: [(Change, &[&str]); 6] = [
        (|lock| drop(deploy::deploy(lock, &DeployOptions::new("main")).unwrap()), &["2", "1*"]),
        (|lock| drop(deploy::rollback(lock).unwrap()), &["1*", "2"]),
        (|lock| drop(deploy::set_default(lock, 1).unwrap()), &["1*", "2"]),
        (|lock| drop(deploy::undeploy(lock, 0).unwrap()), &["1*"]),
        (|lock| drop(deploy::edit_kernel_args(lock, None, &Edits::default()).unwrap()), &["2", "1*"]),
        (|lock| drop(deploy::stage(lock, &DeployOptions::new("main"), false).unwrap()), &["2", "1*"]),
    ];
    for (index, (change, expected)) in changes.into_iter().enumerate() {
        let name = lose_entry();
        let sysroot = open();
        change(&sysroot.lock(|| ()).unwrap());
        if sysroot::is_anything_staged().unwrap() {
            finalize();
        }
        assert_eq!((list(), note()), (expected.iter().map(|&s| s.to_owned()).collect(), false), "{index}");
        assert_eq!(entries(), expected.len(), "{index}");
        assert!(deployment(&name).join("usr/bin").exists());
    }
}

fn empty_menu() {
    running();
    stage();
    let name = lose_entry();
    for entry in fs::read_dir("/boot/loader/entries").unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let deployments = || fs::read_dir(deployment("")).unwrap().count();
    let (before, files) = (deployments(), fs::read_dir("/boot/ostree").unwrap().count());
    assert_eq!(list(), ["1*"]);
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    assert!(deploy::cleanup(&lock).is_err());
    assert_eq!((deployments(), fs::read_dir("/boot/ostree").unwrap().count()), (before, files));
    deploy::deploy(&lock, &DeployOptions::new("main")).unwrap();
    assert_eq!((list(), entries()), (vec!["2".to_owned(), "1*".to_owned()], 2));
    assert!(deployment(&name).join("usr/bin").exists());
}
