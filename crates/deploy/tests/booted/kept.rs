// SPDX-License-Identifier: MIT OR Apache-2.0
//! Updates that outlive a power cut: what is kept of them, who takes them up, and what makes them go.

use std::fs;
use std::path::Path;

use deploy::{DeployOptions, Edits, Finalized, Resumed};
use sysroot::{Retention, Topic};

use crate::peer::peer;
use test_world::namespace::{Case, Need};
use test_world::system::{
    RECORD, deployment, finalize, list, open, record, running, stage, status, told, try_finalize, try_stage,
};

pub(crate) const CASES: &[Case] = &[
    ("an_update_outlives_a_cut", Need::Nothing, cut),
    ("an_update_that_failed_is_tried_again", Need::Nothing, failed),
    ("an_update_that_fails_twice_is_given_up", Need::Nothing, twice),
    ("how_often_is_tried_is_configured", Need::Nothing, configured),
    ("a_half_merged_etc_is_made_anew", Need::Nothing, half_merged),
    ("what_changes_the_deployments_cancels_it", Need::Nothing, cancelled),
    ("what_leaves_it_alone_does_not", Need::Nothing, left_alone),
    ("what_does_not_fit_is_given_up", Need::Nothing, unfit),
    ("a_switch_that_was_made_is_not_made_again", Need::Nothing, made),
    ("a_cleanup_spares_it", Need::Nothing, cleanup),
    ("what_cannot_be_read_is_given_up", Need::Nothing, unreadable),
    ("what_is_not_kept_is_not_staged", Need::Nothing, half_kept),
    ("an_edit_that_is_not_kept_leaves_what_is_staged", Need::Nothing, half_edited),
    ("a_cleanup_that_fails_makes_no_failed_update", Need::Nothing, cleaned_in_part),
    ("the_other_tools_are_not_hurt_by_it", Need::EachPeer, beside_theirs),
    ("a_change_of_theirs_cancels_it", Need::EachPeer, cancelled_by_theirs),
    ("they_finalize_our_options", Need::EachPeer, their_finalization),
];

const KEPT: &str = "/sysroot/ostree/staged-deployment";

fn is_kept() -> bool {
    Path::new(KEPT).exists()
}

/// The power goes, and the system comes up again.
fn power_cut() {
    let _absent = fs::remove_dir_all("/run/ostree");
    let _absent = fs::remove_file("/run/systemctl.log");
}

fn take_up() -> Resumed {
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::resume(&lock).unwrap()
}

/// The next attempt, if it is staged again.
fn attempt() -> Option<(u32, u32)> {
    match take_up() {
        Resumed::Staged { attempt, of, .. } => Some((attempt, of)),
        _ => None,
    }
}

/// Why it is given up, and whether it has failed.
fn given_up() -> (String, bool) {
    match take_up() {
        Resumed::Discarded { why, failed, .. } => (why, failed),
        other => panic!("{other:?}"),
    }
}

fn topics() -> Vec<Topic> {
    status().notes.into_iter().map(|note| note.topic).collect()
}

fn cut() {
    running();
    let mut options = DeployOptions::new("main");
    options.kernel_args.append = vec!["more".to_owned()];
    let name = try_stage(&options, false).unwrap();
    let before = record();
    power_cut();
    assert_eq!(list(), ["1*"]);
    assert_eq!(topics(), [Topic::StagedOnDisk]);
    fs::write("/etc/conf", "local\n").unwrap();
    let kept = fs::read(KEPT).unwrap();
    assert_eq!(attempt(), Some((1, 2)));
    assert_eq!(fs::read(KEPT).unwrap(), kept, "a cut in between must not make it false");
    assert_eq!(list(), ["2s", "1*"]);
    assert_eq!(record(), before);
    assert_eq!(topics(), []);
    let started = fs::read_to_string("/run/systemctl.log").unwrap();
    assert_eq!(
        started, "start --no-block ostree-finalize-staged.service\n",
        "who waits in a boot waits for ever"
    );
    assert_eq!(take_up(), Resumed::Nothing, "once is enough");
    // Another one before the next shutdown.
    power_cut();
    assert_eq!(attempt(), Some((1, 2)));
    finalize();
    assert_eq!(list(), ["2", "1*"]);
    assert!(!is_kept());
    assert_eq!(fs::read_to_string(deployment(&name).join("etc/conf")).unwrap(), "local\n");
    power_cut();
    assert_eq!(take_up(), Resumed::Nothing);
}

/// A finalization that fails, and the next boot.
fn fail() {
    fs::rename("/boot/loader", "/boot/elsewhere").unwrap();
    try_finalize().unwrap_err();
    fs::rename("/boot/elsewhere", "/boot/loader").unwrap();
    power_cut();
}

fn failed() {
    running();
    stage();
    fail();
    assert!(told().is_some());
    assert_eq!(attempt(), Some((2, 2)));
    assert_eq!(topics(), [Topic::StagedAgain]);
    finalize();
    assert_eq!(list(), ["2", "1*"]);
    assert!(!is_kept());
}

fn twice() {
    running();
    stage();
    fail();
    assert_eq!(attempt(), Some((2, 2)));
    fail();
    assert_eq!(given_up(), ("2 of 2 attempts have failed".to_owned(), true));
    assert!(!is_kept() && !Path::new(RECORD).exists());
    assert_eq!(list(), ["1*"]);
    assert!(matches!(try_finalize().unwrap(), Finalized::NothingStaged));
}

fn configured() {
    running();
    let config = "/sysroot/ostree/repo/config";
    let text = fs::read_to_string(config).unwrap();
    for attempts in [0, 1, 3] {
        fs::write(config, format!("{text}\n[sysroot]\nfinalize-attempts={attempts}\n")).unwrap();
        stage();
        power_cut();
        for number in 1..=attempts {
            assert_eq!(attempt(), Some((number, attempts)));
            fail();
        }
        assert!(given_up().0.starts_with(&format!("{attempts} of {attempts} attempts")));
    }
}

/// A file that an attempt has carried over, and that is gone from `/etc` before the next one.
fn half_merged() {
    running();
    let name = stage();
    fail();
    let etc = deployment(&name).join("etc");
    fs::write(etc.join("early"), "").unwrap();
    fs::remove_file(etc.join("new")).unwrap();
    assert_eq!(attempt(), Some((2, 2)));
    finalize();
    assert!(!etc.join("early").exists() && etc.join("new").exists());
}

fn cancelled() {
    running();
    type Change = fn();
    let changes: [(&str, Change); 4] = [
        ("deploy", || {
            let sysroot = open();
            let options = DeployOptions { as_default: false, ..DeployOptions::new("main") };
            deploy::deploy(&sysroot.lock(|| ()).unwrap(), &options).unwrap();
        }),
        ("set-default", || {
            let sysroot = open();
            let last = sysroot.load().unwrap().deployments.len() - 1;
            deploy::set_default(&sysroot.lock(|| ()).unwrap(), last).unwrap();
        }),
        ("rollback", || {
            let sysroot = open();
            deploy::rollback(&sysroot.lock(|| ()).unwrap()).unwrap();
        }),
        ("undeploy", || {
            let sysroot = open();
            let index = sysroot.load().unwrap().deployments.iter().position(|d| !d.booted).unwrap();
            deploy::undeploy(&sysroot.lock(|| ()).unwrap(), index).unwrap();
        }),
    ];
    for (name, change) in changes {
        // While it is staged, and before a boot has taken it up.
        for cut_first in [false, true] {
            if list().len() < 2 {
                changes[0].1();
            }
            stage();
            if cut_first {
                power_cut();
            }
            change();
            assert!(!is_kept(), "{name} {cut_first}");
            power_cut();
            assert_eq!(take_up(), Resumed::Nothing, "{name} {cut_first}");
        }
    }
}

fn left_alone() {
    running();
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::deploy(&lock, &DeployOptions::new("main")).unwrap();
    deploy::stage(&lock, &DeployOptions::new("main"), false).unwrap();
    let booted = sysroot.load().unwrap().deployments.into_iter().find(|d| d.booted).unwrap();
    deploy::pin(&lock, &booted.path, true).unwrap();
    deploy::lock_finalization(&lock, true).unwrap();
    deploy::undeploy(&lock, 1).unwrap();
    let edits = Edits { append: vec!["late".to_owned()], ..Edits::default() };
    deploy::edit_kernel_args(&lock, None, &edits).unwrap();
    deploy::cleanup(&lock).unwrap();
    let before = record();
    drop(lock);
    power_cut();
    assert_eq!(attempt(), Some((1, 2)));
    assert_eq!(record(), before);
    assert_eq!(list(), ["2sl", "1*"]);
}

fn unfit() {
    running();
    type Change = fn(&Path);
    let changes: [(Change, &str, bool); 4] = [
        (|_| fs::write("/sysroot/ostree/deploy/x", "").unwrap(), "were changed after", false),
        (|_| fs::remove_file("/boot/loader/entries/ostree-1.conf").unwrap(), "were changed after", false),
        (|tree| fs::remove_dir_all(tree.join("usr/lib/modules")).unwrap(), "No kernel in the tree", true),
        (
            |tree| {
                let kernel = tree.join("usr/lib/modules/6.1.0/vmlinuz");
                fs::remove_file(&kernel).unwrap();
                fs::write(kernel, "kernel X").unwrap();
            },
            "boot files are damaged",
            true,
        ),
    ];
    let entry = fs::read("/boot/loader/entries/ostree-1.conf").unwrap();
    for (change, words, failed) in changes {
        let tree = deployment(&stage());
        power_cut();
        change(&tree);
        let (why, as_failed) = given_up();
        assert!(why.contains(words) && failed == as_failed, "{why}");
        assert!(!is_kept());
        fs::write("/boot/loader/entries/ostree-1.conf", &entry).unwrap();
        let _absent = fs::remove_file("/sysroot/ostree/deploy/x");
        assert_eq!(list(), ["1*"]);
        let sysroot = open();
        deploy::cleanup(&sysroot.lock(|| ()).unwrap()).unwrap();
        assert!(!tree.exists());
    }
}

/// The cut came when the switch was made, and before its end.
fn made() {
    running();
    stage();
    let kept = fs::read(KEPT).unwrap();
    finalize();
    fs::write(KEPT, kept).unwrap();
    power_cut();
    assert_eq!(take_up(), Resumed::Nothing);
    assert!(!is_kept());
    assert_eq!(list(), ["2", "1*"]);
}

fn cleanup() {
    running();
    let tree = deployment(&stage());
    power_cut();
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    assert!(deploy::is_settled(&sysroot).unwrap());
    assert!(deploy::cleanup(&lock).unwrap().deployments.is_empty());
    assert!(tree.exists());
    assert_eq!(fs::read_dir("/boot/ostree").unwrap().count(), 2, "its kernel is there");
    drop(lock);
    assert_eq!(attempt(), Some((1, 2)));
}

fn unreadable() {
    running();
    stage();
    power_cut();
    fs::write(KEPT, "no record").unwrap();
    assert_eq!(list(), ["1*"]);
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    let error = format!("{:#}", deploy::resume(&lock).unwrap_err());
    assert!(error.contains("stage it again") && error.contains("/ostree/staged-deployment"), "{error}");
    assert!(!is_kept());
}

/// A staged deployment has a tree and two records, and an error half-way leaves none of them.
fn half_kept() {
    running();
    fs::create_dir_all(format!("{KEPT}/in the way")).unwrap();
    let error = format!("{:#}", try_stage(&DeployOptions::new("main"), false).unwrap_err());
    assert!(error.contains("/ostree/staged-deployment"), "{error}");
    assert!(!Path::new(RECORD).exists());
    assert_eq!(list(), ["1*"]);
    assert!(!topics().contains(&Topic::StagedUnusable));
    fs::remove_dir_all(KEPT).unwrap();
    stage();
    finalize();
    assert_eq!(list(), ["2", "1*"]);
}

fn half_edited() {
    running();
    stage();
    fs::remove_file(KEPT).unwrap();
    fs::create_dir_all(format!("{KEPT}/in the way")).unwrap();
    let before = fs::read(RECORD).unwrap();
    let sysroot = open();
    let lock = sysroot.lock(|| ()).unwrap();
    let edits = Edits { append: vec!["more".to_owned()], ..Edits::default() };
    let error = format!("{:#}", deploy::edit_kernel_args(&lock, Some(0), &edits).unwrap_err());
    assert!(error.contains("/ostree/staged-deployment"), "{error}");
    drop(lock);
    drop(sysroot);
    assert_eq!(list(), ["2s", "1*"]);
    assert!(!before.is_empty() && Path::new(RECORD).exists());
    fs::remove_dir_all(KEPT).unwrap();
    finalize();
    assert_eq!(list(), ["2", "1*"]);
}

fn cleaned_in_part() {
    running();
    stage();
    fail();
    assert_eq!(attempt(), Some((2, 2)));
    // A ref that cannot be set: a directory has its name.
    for slot in ["0/0", "0/1", "1/0", "1/1"] {
        let place = format!("/sysroot/ostree/repo/refs/heads/ostree/{slot}/0");
        let _absent = fs::remove_file(&place);
        fs::create_dir_all(format!("{place}/in the way")).unwrap();
    }
    finalize();
    assert_eq!(list(), ["2", "1*"]);
    assert_eq!(told(), None);
}

fn beside_theirs() {
    running();
    let name = stage();
    assert!(peer("status").starts_with(&format!("  testos {name} (staged)\n")));
    peer("finalize-staged");
    assert_eq!(list(), ["2", "1*"]);
    assert!(is_kept(), "they do not know of it");
    power_cut();
    assert_eq!(take_up(), Resumed::Nothing);
    assert!(!is_kept());
}

fn cancelled_by_theirs() {
    running();
    for change in ["undeploy 0", "deploy --stage main", "deploy main"] {
        stage();
        peer(change);
        power_cut();
        assert!(!given_up().1, "{change}");
        assert!(!is_kept());
    }
}

/// With keys of ours in the record, which they pass over.
fn their_finalization() {
    running();
    let keep = Retention { all: true, ..Retention::default() };
    let options = DeployOptions { retention: keep, as_default: false, ..DeployOptions::new("main") };
    let name = try_stage(&options, false).unwrap();
    assert!(!record().retain.is_empty() && record().not_as_default);
    peer("finalize-staged");
    assert_eq!(list(), ["2", "1*"]);
    assert!(deployment(&name).join("etc/conf").exists());
}
