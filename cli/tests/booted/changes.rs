// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program that uses the C library for long notices what we change, and only that.

use crate::programs::{boot, ok, ok_as};
use crate::user::User;
use test_world::namespace::{Case, Need};
use test_world::system::{list, status};

pub(crate) const CASES: &[Case] = &[
    ("our_changes_are_noticed", Need::EachPeer, ours_is_noticed),
    ("their_changes_are_noticed", Need::EachPeer, theirs_is_noticed),
];

/// Our commands, and whether they change anything.
const COMMANDS: &[(&str, bool)] = &[
    ("status", false),
    ("config-diff", false),
    ("deploy --dry-run main", false),
    ("cleanup", false),
    ("stateroot-init other", true),
    ("pin booted", true),
    ("pin booted", false),
    ("pin --unpin booted", true),
    ("deploy --stage main", true),
    ("lock-finalization", true),
    ("lock-finalization", false),
    ("lock-finalization --unlock", true),
    ("kargs edit-in-place --append-if-missing=more", true),
    ("undeploy 0", true),
    ("upgrade --stage", true),
    ("finalize-staged", true),
    ("finalize-staged", false),
    ("set-default 1", true),
    ("rollback", true),
    ("instutil set-kargs --merge --append=last", true),
    ("set-origin --index=0 r file:///absent main --set=gpg-verify=false", true),
    ("undeploy 0", true),
    ("deploy main", true),
];

fn ours_is_noticed() {
    boot();
    let mut user = User::start();
    for (words, changes) in COMMANDS {
        ok(words);
        let seen = user.ask("reload");
        let names = status().deployments.into_iter().map(|row| format!("{}.{}", row.checksum, row.serial));
        let names = names.collect::<Vec<_>>().join(" ");
        assert_eq!(seen, format!("{} {names}", if *changes { "changed" } else { "same" }), "{words}");
    }
}

/// Ours keeps nothing between two looks: one that has the sysroot open all the time sees it all.
fn theirs_is_noticed() {
    boot();
    let sysroot = sysroot::Sysroot::open(std::path::Path::new("/")).unwrap();
    let seen = || sysroot.load().unwrap().deployments.len();
    for (words, count) in [("deploy --stage main", 2), ("finalize-staged", 2), ("undeploy 0", 1)] {
        ok_as("peer", words);
        assert_eq!(seen(), count, "{words}");
    }
    assert_eq!(list(), ["1*"]);
}
