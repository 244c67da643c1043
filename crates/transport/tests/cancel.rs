// SPDX-License-Identifier: MIT OR Apache-2.0
//! A pull that its caller ends leaves neither objects nor refs.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use formats::object::{Commit, DirMeta, FileMeta, Xattrs};
use repo::tree::Tree;
use repo::{InitOptions, Mode, Progress, Repo, RepoError};
use transport::local::{Options, pull_with};

struct AtOnce;

impl Progress for AtOnce {
    fn is_cancelled(&self) -> bool {
        true
    }
}

#[test]
fn a_cancelled_pull_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let init = |name: &str| {
        Repo::init(place.path().join(name), &InitOptions { mode: Mode::Archive, collection_id: None })
            .unwrap()
    };
    let (source, repo) = (init("source"), init("repo"));
    let mut transaction = source.begin().unwrap();
    let mut tree = Tree::new();
    let meta = FileMeta { uid: 0, gid: 0, mode: 0o040_755, xattrs: Xattrs::empty() };
    tree.set_meta(transaction.write_dirmeta(&DirMeta::new(meta).unwrap()).unwrap());
    let (root, meta) = tree.write(&mut transaction).unwrap();
    let commit = transaction.write_commit(&Commit::new(root, meta)).unwrap();
    transaction.set_ref("main".parse().unwrap(), commit);
    transaction.commit().unwrap();

    let options = Options::new(vec!["main".to_owned()]);
    let error = pull_with(&repo, &source, &options, &mut AtOnce).unwrap_err();
    assert!(
        error.chain().any(|cause| matches!(cause.downcast_ref(), Some(RepoError::Cancelled))),
        "{error:#}"
    );
    assert!(repo.list_refs(None).unwrap().is_empty() && repo.list_commits().unwrap().is_empty());

    let mut objects = 0;
    pull_with(&repo, &source, &options, &mut |done: u64, _: Option<u64>| objects = done).unwrap();
    assert_eq!(objects, 3);
    assert_eq!(repo.list_commits().unwrap(), [commit]);
}
