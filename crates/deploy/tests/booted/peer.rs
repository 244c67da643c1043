// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C tools on the same system: what one has staged the other one finalizes.

use std::fs;
use std::path::Path;
use std::process::Command;

use deploy::{DeployOptions, Finalized};

use test_world::STATEROOT;
use test_world::namespace::{Case, Need};
use test_world::system::{
    RECORD, STAMP, default_entry, deployment, finalize, list, open, record, running, stage, status,
    try_finalize, try_stage,
};

pub(crate) const CASES: &[Case] = &[
    ("staged_by_theirs_and_finalized_by_ours", Need::EachPeer, theirs_then_ours),
    ("staged_by_ours_and_finalized_by_theirs", Need::EachPeer, ours_then_theirs),
    ("the_records_are_the_same_bytes", Need::NewestPeer, same_bytes),
    ("locks_of_one_bind_the_other", Need::NewestPeer, locks),
    ("a_lock_of_ours_binds_theirs", Need::EachPeer, locked_by_ours),
    ("one_cleans_up_and_goes_back_beside_the_other", Need::EachPeer, other_changes),
    ("one_makes_the_default_what_the_other_has_deployed", Need::NewestPeer, defaults),
    ("what_is_left_over_is_swept_by_the_other", Need::EachPeer, leftovers),
    ("a_failure_of_ours_is_told_by_theirs", Need::NewestPeer, failure),
];

/// Runs a command of theirs, which must succeed, and gives its output.
pub(crate) fn peer(arguments: &str) -> String {
    let mut command = Command::new("peer");
    command.arg("admin").args(arguments.split(' ')).env("INVOCATION_ID", "1");
    String::from_utf8(test_world::run(&mut command).stdout).unwrap()
}

/// Checks the state that both must have brought about.
fn check_updated(name: &str) {
    assert_eq!(list(), ["2", "1*"]);
    assert!(peer("status").starts_with(&format!("  testos {name} (pending)\n")), "{}", peer("status"));
    let etc = deployment(name).join("etc");
    for (path, text) in [("conf", "local\n"), ("late", "late\n"), ("new", "default\n")] {
        assert_eq!(fs::read_to_string(etc.join(path)).unwrap(), text);
    }
    assert!(fs::write(deployment(name).join("x"), "").is_err(), "the top of a deployment is immutable");
    assert!(!Path::new(RECORD).exists());
    assert!(
        default_entry().contains("\noptions root=LABEL=r rw ostree=/ostree/boot."),
        "{}",
        default_entry()
    );
}

fn edit_etc() {
    fs::write("/etc/conf", "local\n").unwrap();
    fs::write("/etc/late", "late\n").unwrap();
}

fn theirs_then_ours() {
    running();
    peer("deploy --stage main");
    assert_eq!(list(), ["2s", "1*"]);
    let name = record().target.path.name();
    edit_etc();
    finalize();
    check_updated(&name);
}

fn ours_then_theirs() {
    running();
    let name = stage();
    assert!(peer("status").starts_with(&format!("  testos {name} (staged)\n")), "{}", peer("status"));
    edit_etc();
    peer("finalize-staged");
    check_updated(&name);
}

fn same_bytes() {
    running();
    for (theirs, edit) in [
        ("deploy --stage main", ""),
        ("deploy --stage --karg-append=a=1 main", "a=1"),
        ("deploy --lock-finalization main", "lock"),
    ] {
        peer(theirs);
        let written = fs::read(RECORD).unwrap();
        peer("undeploy 0");
        let mut options = DeployOptions::new("main");
        if edit.contains('=') {
            options.kernel_args.append = vec![edit.to_owned()];
        }
        try_stage(&options, edit == "lock").unwrap();
        assert_eq!(fs::read(RECORD).unwrap(), written, "{theirs}");
        peer("undeploy 0");
        assert!(!Path::new(RECORD).exists() && list() == ["1*"]);
    }
}

fn locks() {
    running();
    stage();
    assert_eq!(peer("lock-finalization"), "Staged deployment is now finalization locked\n");
    assert_eq!(list(), ["2sl", "1*"]);
    assert!(matches!(try_finalize().unwrap(), Finalized::Locked(_)));
    let sysroot = open();
    let set = |on| deploy::lock_finalization(&sysroot.lock(|| ()).unwrap(), on).unwrap();
    assert_eq!(set(false), Some(true));
    assert_eq!(peer("lock-finalization -u"), "Staged deployment is already prepared for finalization\n");
    assert_eq!(set(true), Some(true));
    peer("finalize-staged");
    assert_eq!(list(), ["2sl", "1*"]);
    assert!(peer("status").contains(" (finalization locked)\n"), "{}", peer("status"));
}

fn other_changes() {
    running();
    let name = stage();
    peer("cleanup");
    assert_eq!(list(), ["2s", "1*"], "theirs keeps what ours has staged");
    assert!(deployment(&name).exists());
    // Going back before the shutdown.
    peer("undeploy 0");
    assert_eq!(list(), ["1*"]);
    assert!(!deployment(&name).exists());
    peer("deploy --stage main");
    let sysroot = open();
    assert!(deploy::cleanup(&sysroot.lock(|| ()).unwrap()).unwrap().deployments.is_empty());
    assert_eq!(list(), ["2s", "1*"], "ours keeps what theirs has staged");
    finalize();
    // And after it, what theirs has staged and ours has switched to, and the other way round.
    let rollback = || deploy::rollback(&sysroot.lock(|| ()).unwrap()).unwrap();
    rollback();
    assert_eq!(list(), ["1*", "2"]);
    rollback();
    assert_eq!(list(), ["2", "1*"]);
    peer("undeploy 0");
    assert_eq!(list(), ["1*"]);
    stage();
    peer("finalize-staged");
    rollback();
    assert_eq!(list(), ["1*", "2"]);
    peer("undeploy 1");
    assert_eq!(list(), ["1*"]);
    check_tidy();
}

fn defaults() {
    running();
    stage();
    peer("set-default 1");
    assert_eq!(list(), ["1*"], "what was staged is given up");
    stage();
    finalize();
    peer("set-default 1");
    assert_eq!(list(), ["1*", "2"]);
    let sysroot = open();
    deploy::set_default(&sysroot.lock(|| ()).unwrap(), 1).unwrap();
    assert_eq!(list(), ["2", "1*"]);
    check_tidy();
}

/// Checks that the disk has all that the deployments need, and nothing else.
fn check_tidy() {
    let names = |path: &str| {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let rows = status().deployments;
    let mut wanted: Vec<String> = rows
        .iter()
        .flat_map(|row| {
            [format!("{}.{}", row.checksum, row.serial), format!("{}.{}.origin", row.checksum, row.serial)]
        })
        .collect();
    wanted.sort();
    assert_eq!(names(&format!("/sysroot/ostree/deploy/{STATEROOT}/deploy")), wanted);
    let mut wanted: Vec<String> =
        rows.iter().map(|row| format!("{STATEROOT}-{}", row.boot_checksum)).collect();
    wanted.sort();
    wanted.dedup();
    assert_eq!(names("/boot/ostree"), wanted);
    assert_eq!(names("/boot/loader/entries").len(), rows.len());
    let sets = names("/boot").into_iter().filter(|name| name.starts_with("loader."));
    assert_eq!(sets.count(), 1, "{:?}", names("/boot"));
    let links =
        names("/sysroot/ostree").into_iter().filter(|name| name.starts_with("boot.")).collect::<Vec<_>>();
    assert_eq!(links.len(), 2, "{links:?}");
    let refs = open().repo().list_refs(Some(&"ostree".parse().unwrap())).unwrap();
    assert_eq!(refs.len(), rows.len(), "{refs:?}");
}

/// Makes the leftovers of an interruption: a tree without an entry, boot files without one, the other sets.
fn leave_something() {
    let stray = format!("{}.7", "ab".repeat(32));
    fs::create_dir_all(deployment(&stray).join("usr")).unwrap();
    fs::write(format!("{}.origin", deployment(&stray).display()), "[origin]\n").unwrap();
    let files = format!("/boot/ostree/{STATEROOT}-{}", "cd".repeat(32));
    fs::create_dir_all(&files).unwrap();
    fs::write(format!("{files}/vmlinuz-1"), "").unwrap();
    let chosen = fs::read_link("/boot/loader").unwrap();
    let other = if chosen.ends_with("loader.0") { 1 } else { 0 };
    fs::create_dir_all(format!("/boot/loader.{other}/entries")).unwrap();
    fs::create_dir_all(format!("/sysroot/ostree/boot.{other}.0")).unwrap();
    std::os::unix::fs::symlink(format!("boot.{other}.0"), format!("/sysroot/ostree/boot.{other}")).unwrap();
}

fn leftovers() {
    running();
    let sysroot = open();
    stage();
    finalize();
    check_tidy();
    leave_something();
    peer("cleanup");
    check_tidy();
    leave_something();
    deploy::cleanup(&sysroot.lock(|| ()).unwrap()).unwrap();
    check_tidy();
    assert_eq!(list(), ["2", "1*"]);
}

fn locked_by_ours() {
    running();
    try_stage(&DeployOptions::new("main"), true).unwrap();
    peer("finalize-staged");
    assert_eq!(list(), ["2sl", "1*"]);
    let sysroot = open();
    deploy::lock_finalization(&sysroot.lock(|| ()).unwrap(), false).unwrap();
    peer("finalize-staged");
    assert_eq!(list(), ["2", "1*"]);
}

fn failure() {
    running();
    let name = stage();
    fs::remove_dir_all(deployment(&name).join("usr/lib/modules")).unwrap();
    try_finalize().unwrap_err();
    let reason = fs::read_to_string(STAMP).unwrap();
    let output =
        Command::new("peer").args(["admin", "boot-complete"]).env("INVOCATION_ID", "1").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains(&reason), "{told}");
    assert!(!Path::new(STAMP).exists());
}
