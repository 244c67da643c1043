// SPDX-License-Identifier: MIT OR Apache-2.0
//! A caller sees each object of a transaction, and may end it; nothing is left of it then.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::path::PathBuf;

use formats::object::Commit;
use repo::commit::{TreeOptions, add_directory};
use repo::fsck;
use repo::tree::Tree;
use repo::{InitOptions, Mode, Progress, Repo, RepoError};
use rustix::fs::CWD;

struct World {
    _dir: tempfile::TempDir,
    tree: PathBuf,
    repo: Repo,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir_all(&tree).unwrap();
    for name in ["a", "b", "c"] {
        std::fs::write(tree.join(name), name).unwrap();
    }
    let options = InitOptions { mode: Mode::Archive, collection_id: None };
    let repo = Repo::init(dir.path().join("repo"), &options).unwrap();
    World { _dir: dir, tree, repo }
}

fn commit(world: &World, progress: &mut dyn Progress) -> anyhow::Result<()> {
    let mut transaction = world.repo.begin_with(progress)?;
    let mut tree = Tree::new();
    let options = TreeOptions { canonical_permissions: true, ..TreeOptions::default() };
    add_directory(&mut transaction, &mut tree, CWD, &world.tree, &options)?;
    let (root, meta) = tree.write(&mut transaction)?;
    let commit = transaction.write_commit(&Commit::new(root, meta))?;
    transaction.set_ref("main".parse()?, commit);
    transaction.commit().map(drop)
}

fn objects(repo: &Repo) -> u64 {
    let mut count = 0;
    repo.each_object(|_, _, _| {
        count += 1;
        Ok(())
    })
    .unwrap();
    count
}

/// Cancels when this many objects are done.
struct Until(u64, u64);

impl Progress for Until {
    fn advance(&mut self, done: u64, _: Option<u64>) {
        self.1 = done;
    }

    fn is_cancelled(&self) -> bool {
        self.1 >= self.0
    }
}

#[test]
fn every_object_is_told() {
    let world = world();
    let mut told = Vec::new();
    commit(&world, &mut |done: u64, total: Option<u64>| told.push((done, total))).unwrap();
    // Three files, the directory's metadata, the directory and the commit.
    assert_eq!(told, (1..=6).map(|done| (done, None)).collect::<Vec<_>>());
    assert_eq!(objects(&world.repo), 6);
    let mut last = (0, None);
    let options = fsck::Options::default();
    world.repo.fsck(options, &mut |done: u64, total: Option<u64>| last = (done, total)).unwrap();
    assert_eq!(last, (6, Some(6)));
}

#[test]
fn a_cancelled_transaction_leaves_nothing() {
    let world = world();
    for objects_before in 1..=6 {
        let error = commit(&world, &mut Until(objects_before, 0)).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(RepoError::Cancelled)), "{error:#}");
        assert_eq!(objects(&world.repo), 0);
        assert!(world.repo.list_refs(None).unwrap().is_empty());
    }
    commit(&world, &mut ()).unwrap();
    let error = world.repo.fsck(fsck::Options::default(), &mut Until(2, 0)).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(RepoError::Cancelled)), "{error:#}");
}
