// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin` and staged deployments, in a system that believes it was booted.

use std::fs;
use std::path::Path;

use crate::programs::{boot, fails, ok, run};
use test_world::namespace::{Case, Need};
use test_world::system::{self, RECORD, default_entry, deployment, list, record};

pub(crate) const CASES: &[Case] = &[
    ("an_update_by_hand", Need::Nothing, update),
    ("an_upgrade_is_staged", Need::Nothing, upgrade),
    ("a_staged_deployment_is_locked_and_unlocked", Need::Nothing, lock),
    ("a_staged_deployment_is_given_up", Need::Nothing, give_up),
    ("a_failure_is_told_once", Need::Nothing, failure),
    ("readonly_mounts_stay_so", Need::Nothing, readonly),
    ("status_is_that_of_the_c_tools", Need::NewestPeer, status_beside_theirs),
];

fn update() {
    boot();
    let said = ok("deploy --stage --karg-append=more main");
    let name = record().target.path.name();
    assert_eq!(said, format!("Staged ostree/deploy/testos/deploy/{name}; it is applied at shutdown\n"));
    assert!(ok("status").starts_with(&format!("  testos {name} (staged)\n    Version: 2\n")));
    assert_eq!(ok("status --is-default"), "not-default\n");
    let json: serde_json::Value = serde_json::from_str(&ok("status --json")).unwrap();
    let row = &json["deployments"][0];
    assert_eq!((row["staged"].as_bool(), row["pending"].as_bool()), (Some(true), Some(true)));
    assert_eq!((row["finalization-locked"].as_bool(), row["index"].as_u64()), (Some(false), Some(0)));
    assert!(fails("pin 0").contains("Cannot pin staged deployment"));
    assert!(ok("kargs edit-in-place --append-if-missing=again").contains("bootconfig swap: yes"));
    fs::write("/etc/conf", "local").unwrap();
    assert!(ok("finalize-staged").starts_with("Copying /etc changes: 1 modified, 0 removed, 0 added\n"));
    assert_eq!(list(), ["2", "1*"]);
    assert!(default_entry().contains(" more again\n"), "{}", default_entry());
    assert_eq!(ok("finalize-staged"), "No deployment staged for finalization\n");
    assert_eq!(ok("boot-complete"), "");
}

fn upgrade() {
    boot();
    let said = ok("upgrade --stage");
    let name = record().target.path.name();
    assert_eq!(said, format!("Staged ostree/deploy/testos/deploy/{name}; it is applied at shutdown\n"));
    assert_eq!(list(), ["2s", "1*"]);
    // A remote of the running system is a drop-in of its /etc.
    ok("set-origin r file:///absent main --set=gpg-verify=false");
    let drop_in = fs::read_to_string("/etc/ostree/remotes.d/r.conf").unwrap();
    assert_eq!(drop_in, "[remote \"r\"]\nurl=file:///absent\ngpg-verify=false\n");
    assert!(fails("upgrade --stage").contains("/absent"));
    assert_eq!(list(), ["2s", "1*"]);
}

fn lock() {
    boot();
    assert_eq!(fails("lock-finalization"), "error: No staged deployment\n");
    assert!(ok("deploy --lock-finalization main").contains("it is applied once it is unlocked"));
    assert!(ok("status").contains(" (finalization locked)\n"));
    assert_eq!(ok("lock-finalization"), "Staged deployment is already finalization locked\n");
    assert!(ok("finalize-staged").starts_with("Not finalizing "));
    assert_eq!(ok("lock-finalization -u"), "Staged deployment is now queued to apply on shutdown\n");
    assert_eq!(ok("lock-finalization --unlock"), "Staged deployment is already prepared for finalization\n");
    assert_eq!(ok("lock-finalization"), "Staged deployment is now finalization locked\n");
    assert_eq!(list(), ["2sl", "1*"]);
}

fn give_up() {
    boot();
    for arguments in ["undeploy 0", "rollback", "set-default 1"] {
        ok("deploy --stage main");
        let path = record().target.path;
        let said = ok(arguments);
        assert!(said.contains(&format!("\nNo longer staged: {path}\n")), "{said}");
        assert!(!Path::new(RECORD).exists() && !deployment(&path.name()).exists());
    }
    assert!(ok("deploy --stage --dry-run main").starts_with("New deployment: "));
    assert!(!Path::new(RECORD).exists());
}

fn failure() {
    boot();
    ok("deploy --stage main");
    let name = record().target.path.name();
    fs::remove_dir_all(deployment(&name).join("usr/lib/modules")).unwrap();
    assert!(fails("finalize-staged").starts_with("error: Finalizing staged deployment: "));
    assert!(
        fails("boot-complete").starts_with("error: ostree-finalize-staged.service failed on previous boot: ")
    );
    assert_eq!(ok("boot-complete"), "");
}

fn readonly() {
    boot();
    for point in ["/sysroot", "/boot"] {
        system::mount(&["-o", "remount,bind,ro"], Path::new(point));
    }
    ok("stateroot-init another");
    ok("deploy --stage main");
    ok("pin booted");
    ok("finalize-staged");
    ok("rollback");
    ok("undeploy 1");
    ok("cleanup");
    assert_eq!(list(), ["1*"]);
    assert!(fs::write("/sysroot/x", "").is_err() && fs::write("/boot/x", "").is_err());
}

fn status_beside_theirs() {
    boot();
    let same = || assert_eq!(ok("status"), run("peer", "status").1);
    same();
    ok("deploy --stage main");
    same();
    ok("lock-finalization");
    same();
    ok("lock-finalization -u");
    ok("finalize-staged");
    same();
    assert!(run("peer", "deploy --lock-finalization main").0);
    same();
}
