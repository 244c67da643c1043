// SPDX-License-Identifier: MIT OR Apache-2.0
//! Locks of the sysroot and of the repository: each waits while the other one has them, and goes on then.

use std::fs;
use std::path::Path;

use repo::Repo;
use sysroot::Sysroot;

use crate::programs::{boot, command, ok};
use crate::user::User;
use crate::waiting::Started;
use test_world::namespace::{Case, Need};
use test_world::system::list;

pub(crate) const CASES: &[Case] = &[
    ("ours_waits_for_the_sysroot", Need::EachPeer, ours_waits_for_the_sysroot),
    ("theirs_waits_for_the_sysroot", Need::EachPeer, theirs_waits_for_the_sysroot),
    ("ours_waits_for_the_repository", Need::EachPeer, ours_waits_for_the_repository),
    ("theirs_waits_for_the_repository", Need::EachPeer, theirs_waits_for_the_repository),
];

pub(crate) const SYSROOT_LOCK: &str = "/sysroot/ostree/lock";
pub(crate) const REPO: &str = "/sysroot/ostree/repo";
const REPO_LOCK: &str = "/sysroot/ostree/repo/.lock";

/// Everything of ours that changes deployments, in an order in which each finds something to do.
const CHANGES: &[&str] = &[
    "pin booted",
    "deploy --stage main",
    "lock-finalization",
    "lock-finalization -u",
    "finalize-staged",
    "rollback",
    "set-default 1",
    "kargs edit-in-place --append-if-missing=more",
    "instutil set-kargs --merge --append=last",
    "undeploy 0",
    "upgrade",
    "set-origin --index=0 r file:///absent main --set=gpg-verify=false",
    "stateroot-init other",
    "cleanup",
];

/// Commands that take the repository's lock: alone (`true`), or together with others.
const USES: &[(bool, &str)] = &[
    (false, "--repo=/sysroot/ostree/repo commit --branch=new /run/tree"),
    (false, "--repo=/sysroot/ostree/repo pull-local /run/source other"),
    (true, "--repo=/sysroot/ostree/repo prune --refs-only"),
];

fn ours_waits_for_the_sysroot() {
    boot();
    let mut user = User::start();
    for words in CHANGES {
        user.order("lock");
        let waiter = Started::ours_waits(command("ostree", &format!("admin {words}")));
        user.order("unlock");
        waiter.finish();
    }
    // A command that only looks does not wait.
    user.order("lock");
    ok("status");
    ok("config-diff");
    ok("deploy --dry-run main");
    user.order("unlock");
    assert_eq!(list(), ["2", "1*"]);
}

fn theirs_waits_for_the_sysroot() {
    boot();
    for words in ["deploy --stage main", "finalize-staged", "pin 0", "undeploy 0", "cleanup"] {
        let sysroot = Sysroot::open(Path::new("/")).unwrap();
        let lock = sysroot.lock(|| panic!("nobody else has it")).unwrap();
        let waiter =
            Started::theirs_waits(command("peer", &format!("admin {words}")), Path::new(SYSROOT_LOCK));
        drop(lock);
        waiter.finish();
    }
    assert_eq!(list(), ["1*"]);
}

/// A tree and a repository to take objects from.
fn make_sources() {
    fs::create_dir("/run/tree").unwrap();
    fs::write("/run/tree/file", "text").unwrap();
    for words in ["--repo=/run/source init --mode=bare", "--repo=/run/source commit --branch=other /run/tree"]
    {
        assert!(command("ostree", words).status().unwrap().success());
    }
}

fn ours_waits_for_the_repository() {
    boot();
    make_sources();
    let mut user = User::start();
    for (alone, words) in USES {
        user.order("lock_repo EXCLUSIVE");
        let waiter = Started::ours_waits(command("ostree", words));
        user.order("unlock_repo EXCLUSIVE");
        waiter.finish();
        user.order("lock_repo SHARED");
        if *alone {
            let waiter = Started::ours_waits(command("ostree", words));
            user.order("unlock_repo SHARED");
            waiter.finish();
        } else {
            assert!(command("ostree", words).status().unwrap().success(), "{words}");
            user.order("unlock_repo SHARED");
        }
    }
}

fn theirs_waits_for_the_repository() {
    boot();
    make_sources();
    let repo = Repo::open(Path::new(REPO)).unwrap();
    for (alone, words) in USES {
        let lock = repo.lock_exclusive().unwrap();
        let waiter = Started::theirs_waits(command("peer", words), Path::new(REPO_LOCK));
        drop(lock);
        waiter.finish();
        let lock = repo.lock_shared().unwrap();
        if *alone {
            let waiter = Started::theirs_waits(command("peer", words), Path::new(REPO_LOCK));
            drop(lock);
            waiter.finish();
        } else {
            assert!(command("peer", words).status().unwrap().success(), "{words}");
        }
    }
}
