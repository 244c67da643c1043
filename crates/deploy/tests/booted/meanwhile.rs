// SPDX-License-Identifier: MIT OR Apache-2.0
//! State that changes while somebody waits for the lock: what is read before the lock is not acted on after it.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use deploy::{DeployOptions, Edits, Finalized};
use sysroot::{Lock, Sysroot};

use test_world::namespace::{Case, Need};
use test_world::system::{RECORD, STAMP, default_entry, deployment, list, open, running, stage};

pub(crate) const CASES: &[Case] = &[
    ("what_is_staged_while_finalization_waits_is_finalized", Need::Nothing, staged_again),
    ("what_is_given_up_while_finalization_waits_stays_so", Need::Nothing, given_up),
    ("what_is_locked_while_finalization_waits_stays_staged", Need::Nothing, locked),
    ("a_wait_is_told_before_it_ends", Need::Nothing, told_before),
];

/// Finalizes while another process has the lock and, as soon as it is waited for, makes `change` under it.
fn finalize_after(change: impl FnOnce(&Lock<'_>)) -> anyhow::Result<Finalized> {
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    let (waits, is_waited_for) = mpsc::channel();
    let finalizing = thread::spawn(move || {
        deploy::finalize_staged(&Sysroot::open_for_change(Path::new("/"))?, || waits.send(()).unwrap())
    });
    is_waited_for.recv().unwrap();
    change(&lock);
    drop(lock);
    finalizing.join().unwrap()
}

fn staged_again() {
    running();
    let first = stage();
    let edits = Edits { append: vec!["again=1".to_owned()], ..Edits::default() };
    let options = DeployOptions { kernel_args: edits, ..DeployOptions::new("main") };
    let mut second = String::new();
    let done = finalize_after(|lock| {
        second = deploy::stage(lock, &options, false).unwrap().path.name();
    });
    assert!(matches!(done.unwrap(), Finalized::Done(_)));
    assert_eq!(list(), ["2", "1*"]);
    assert!(default_entry().contains(" again=1\n"), "{}", default_entry());
    assert!(deployment(&second).exists() && !deployment(&first).exists());
    assert!(!Path::new(RECORD).exists() && !Path::new(STAMP).exists());
}

fn given_up() {
    running();
    stage();
    let done = finalize_after(|lock| drop(deploy::undeploy(lock, 0).unwrap()));
    assert!(matches!(done.unwrap(), Finalized::NothingStaged));
    assert_eq!(list(), ["1*"]);
    assert!(!Path::new(STAMP).exists());
}

fn locked() {
    running();
    stage();
    fs::write(STAMP, "of an earlier shutdown").unwrap();
    let done = finalize_after(|lock| {
        deploy::lock_finalization(lock, true).unwrap();
    });
    assert!(matches!(done.unwrap(), Finalized::Locked(_)));
    assert_eq!(list(), ["2sl", "1*"]);
    assert_eq!(fs::read_to_string(STAMP).unwrap(), "of an earlier shutdown");
}

/// A process that is killed while it waits has said why.
fn told_before() {
    running();
    stage();
    let mut stamp = String::new();
    let done = finalize_after(|_| stamp = fs::read_to_string(STAMP).unwrap());
    assert!(stamp.contains("ostree/lock"), "{stamp}");
    assert!(matches!(done.unwrap(), Finalized::Done(_)));
    assert!(!Path::new(STAMP).exists());
}
