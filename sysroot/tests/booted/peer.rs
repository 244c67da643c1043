// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C tools on the same system: what one has staged the other one finalizes.

use std::fs;
use std::path::Path;
use std::process::Command;

use sysroot::Finalized;

use crate::harness::{Case, Need};
use crate::system::{
    RECORD, STAMP, default_entry, deployment, finalize, list, open, record, running, stage, succeed,
    try_finalize,
};

pub(crate) const CASES: &[Case] = &[
    ("staged_by_theirs_and_finalized_by_ours", Need::Peer, theirs_then_ours),
    ("staged_by_ours_and_finalized_by_theirs", Need::Peer, ours_then_theirs),
    ("the_records_are_the_same_bytes", Need::Peer, same_bytes),
    ("locks_of_one_bind_the_other", Need::Peer, locks),
    ("one_cleans_up_and_goes_back_beside_the_other", Need::Peer, other_changes),
    ("a_failure_of_ours_is_told_by_theirs", Need::Peer, failure),
];

fn peer(arguments: &str) -> String {
    let mut command = Command::new("peer");
    command.arg("admin").args(arguments.split(' ')).env("INVOCATION_ID", "1");
    String::from_utf8(succeed(&mut command).stdout).unwrap()
}

/// What both must have brought about.
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
        let mut options = sysroot::deploy::DeployOptions::new("main");
        if edit.contains('=') {
            options.kernel_args.append = vec![edit.to_owned()];
        }
        crate::system::try_stage(&options, edit == "lock").unwrap();
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
    let set = |on| sysroot.lock_finalization(&sysroot.lock(|| ()).unwrap(), on).unwrap();
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
    peer("set-default 1");
    assert_eq!(list(), ["1*"]);
    peer("deploy --stage main");
    let sysroot = open();
    assert!(sysroot.cleanup(&sysroot.lock(|| ()).unwrap()).unwrap().deployments.is_empty());
    assert_eq!(list(), ["2s", "1*"], "ours keeps what theirs has staged");
    finalize();
    // And after it.
    peer("set-default 1");
    assert_eq!(list(), ["1*", "2"]);
    sysroot.set_default(&sysroot.lock(|| ()).unwrap(), 1).unwrap();
    assert_eq!(list(), ["2", "1*"]);
    peer("undeploy 0");
    assert_eq!(list(), ["1*"]);
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
