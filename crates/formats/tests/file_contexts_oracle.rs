// SPDX-License-Identifier: MIT OR Apache-2.0
//! The labels of Debian's policy beside those that `matchpathcon` gives: for every path of a Debian tree, and for paths made
//! from every line of the policy, by two versions of libselinux. Needs `OSTREE_PEER_DIR`, a Debian tree with `selinux-utils` and
//! `selinux-policy-default`, and `OSTREE_PEER_BOOKWORM_DIR`, an older one with `selinux-utils`.
#![cfg(feature = "file-contexts")]
#![allow(clippy::unwrap_used, clippy::panic)] // the helpers of tests unwrap as the tests do

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use formats::file_contexts::{FileContexts, Kind, Sources};

const FILES: &str = "etc/selinux/default/contexts/files";

/// The names of the kinds for `matchpathcon -m`.
const WORDS: [(Kind, &str); 7] = [
    (Kind::File, "file"),
    (Kind::Directory, "dir"),
    (Kind::Link, "lnk_file"),
    (Kind::BlockDevice, "blk_file"),
    (Kind::CharacterDevice, "chr_file"),
    (Kind::Pipe, "pipe"),
    (Kind::Socket, "sock_file"),
];

const NAMES: [&str; 3] = ["file_contexts", "file_contexts.homedirs", "file_contexts.subs_dist"];

/// A libselinux, and the policy of the Debian tree in text, beside which no compiled form is.
struct Peer {
    tree: PathBuf,
    policy: tempfile::TempDir,
    /// Of two lines for one path without special characters it takes the first, not the last: so do 3.8 and 3.9, and none before.
    first_counts: bool,
}

fn tree_of(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set; `./run test` sets it")).into()
}

impl Peer {
    fn all() -> [Self; 2] {
        [("OSTREE_PEER_BOOKWORM_DIR", false), ("OSTREE_PEER_DIR", true)].map(|(variable, first_counts)| {
            let (policy, from) = (tempfile::tempdir().unwrap(), tree_of("OSTREE_PEER_DIR"));
            for name in NAMES {
                fs::copy(from.join(FILES).join(name), policy.path().join(name)).unwrap();
            }
            Self { tree: tree_of(variable), policy, first_counts }
        })
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.policy.path().join(name)).unwrap()
    }

    /// Returns the label that the other program gives each path.
    fn labels(&self, kind: &str, paths: &[&str]) -> Vec<Option<String>> {
        let mut line = Command::new(self.tree.join("lib64/ld-linux-x86-64.so.2"));
        let library = |dir: &str| self.tree.join(dir).join("x86_64-linux-gnu");
        line.arg("--library-path").arg(std::env::join_paths([library("usr/lib"), library("lib")]).unwrap());
        line.arg(self.tree.join("usr/sbin/matchpathcon")).args(["-n", "-m", kind, "-f"]);
        let output = line.arg(self.policy.path().join("file_contexts")).args(paths).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let labels: Vec<_> = text.lines().map(|line| (line != "<<none>>").then(|| line.to_owned())).collect();
        assert_eq!(labels.len(), paths.len());
        labels
    }

    fn contexts(&self) -> FileContexts {
        let [policy, homedirs, subs_dist] = NAMES.map(|name| self.read(name));
        let sources =
            Sources { policy: &policy, homedirs: &homedirs, subs_dist: &subs_dist, ..Sources::default() };
        FileContexts::parse(&sources).unwrap()
    }

    /// Paths without special characters that more than one line is for, where it takes another one.
    fn disputed(&self) -> BTreeSet<String> {
        let text = [self.read("file_contexts"), self.read("file_contexts.homedirs")].concat();
        let text = String::from_utf8(text).unwrap();
        let (mut seen, mut disputed) = (BTreeSet::new(), BTreeSet::new());
        for word in text.lines().filter_map(|line| line.split_whitespace().next()) {
            if self.first_counts && !seen.insert(word) {
                disputed.insert(word.replace('\\', ""));
            }
        }
        disputed
    }
}

/// Every path of the tree, and what it is there.
fn tree(dir: &Path, inside: &str, found: &mut Vec<(String, Kind)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{inside}/{name}");
        let kind = match entry.file_type().unwrap() {
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_symlink() => Kind::Link,
            kind if kind.is_char_device() => Kind::CharacterDevice,
            _ => Kind::File,
        };
        if kind == Kind::Directory {
            tree(&entry.path(), &path, found);
        }
        found.push((path, kind));
    }
}

/// Paths that a line of the policy is about, or nearly.
fn around(expression: &str) -> Vec<String> {
    let plain = |text: &str| {
        let text = text.replace("(/.*)?", "").replace("[^/]", "n").replace(".*", "all").replace("[0-9]", "7");
        let text = text.replace("([^/]*/)?", "some/").replace(['\\', '(', ')', '?', '+', '*', '^', '$'], "");
        match text.split_once('|') {
            Some((first, _)) => first.to_owned(),
            None => text,
        }
    };
    let base = plain(expression);
    let without = expression.replace(".*", "").replace(['?', '*', '+'], "");
    vec![format!("{base}/inside"), format!("{base}x"), plain(&without), base]
}

/// How many labels are the same; one that is not fails.
fn compare(paths: &[&str], kinds: &[(Kind, &str)]) -> usize {
    let mut count = 0;
    for peer in Peer::all() {
        let (contexts, disputed) = (peer.contexts(), peer.disputed());
        let paths: Vec<&str> = paths.iter().copied().filter(|path| !disputed.contains(*path)).collect();
        for (kind, word) in kinds {
            for paths in paths.chunks(10_000) {
                for (path, theirs) in paths.iter().zip(peer.labels(word, paths)) {
                    let ours = contexts.lookup(path.as_bytes(), *kind).unwrap();
                    assert_eq!(ours, theirs.as_deref(), "{path} {word} {}", peer.tree.display());
                    count += 1;
                }
            }
        }
    }
    count
}

#[test]
#[ignore = "needs OSTREE_PEER_DIR and OSTREE_PEER_BOOKWORM_DIR"]
fn every_path_of_a_debian_tree() {
    let mut all = Vec::new();
    for dir in ["etc", "usr", "var", "boot", "root", "opt"] {
        tree(&tree_of("OSTREE_PEER_DIR").join(dir), &format!("/{dir}"), &mut all);
    }
    let mut count = 0;
    for kind in WORDS {
        let paths: Vec<&str> =
            all.iter().filter(|(_, k)| *k == kind.0).map(|(path, _)| path.as_str()).collect();
        count += compare(&paths, &[kind]);
    }
    assert!(count > 2 * 3000, "{count}");
}

#[test]
#[ignore = "needs OSTREE_PEER_DIR and OSTREE_PEER_BOOKWORM_DIR"]
fn every_line_of_the_policy_for_every_kind() {
    let [peer, _] = Peer::all();
    let mut paths = BTreeSet::new();
    for name in NAMES {
        for line in String::from_utf8(peer.read(name)).unwrap().lines() {
            let word = line.split_whitespace().next().unwrap_or_default();
            paths.extend(around(word).into_iter().filter(|path| path.starts_with('/')));
        }
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let count = compare(&paths, &WORDS);
    assert!(count > 2 * 7 * 5000, "{count}");
}
