// SPDX-License-Identifier: MIT OR Apache-2.0
//! A consumed file stays until the commit is durable, where it becomes the object itself.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use formats::object::Commit;
use repo::commit::{TreeOptions, consume_directory};
use repo::tree::Tree;
use repo::{Consumption, InitOptions, Mode, Repo, Transaction};

struct World {
    dir: tempfile::TempDir,
    repo: Repo,
    options: TreeOptions,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions { mode: Mode::Bare, collection_id: None };
        let repo = Repo::init(dir.path().join("repo"), &options).unwrap();
        fs::create_dir_all(dir.path().join("tree/below")).unwrap();
        fs::write(dir.path().join("tree/a"), "a").unwrap();
        fs::write(dir.path().join("tree/below/large"), vec![7; 3_000_000]).unwrap();
        Self { dir, repo, options: TreeOptions::default() }
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn look(&self) -> Consumption {
        let mut consumption = Consumption::default();
        consumption.look(&self.repo, &mut Tree::new(), &self.tree(), &self.options).unwrap();
        consumption
    }

    fn consume(&self, consumption: &mut Consumption) -> Transaction<'_> {
        let (mut transaction, mut tree) = (self.repo.begin().unwrap(), Tree::new());
        consume_directory(&mut transaction, &mut tree, &self.tree(), &self.options, consumption).unwrap();
        let (root, meta) = tree.write(&mut transaction).unwrap();
        transaction.write_commit(&Commit::new(root, meta)).unwrap();
        transaction
    }

    fn objects(&self) -> Vec<PathBuf> {
        let inside = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        inside(&self.dir.path().join("repo/objects")).flat_map(|fanout| inside(&fanout)).collect()
    }
}

#[test]
fn a_name_goes_after_the_commit() {
    let world = World::new();
    let inode = world.tree().join("below/large").metadata().unwrap().ino();
    let mut consumption = world.look();
    let transaction = world.consume(&mut consumption);
    transaction.commit().unwrap();
    assert!(world.tree().join("a").exists() && world.tree().join("below/large").exists());
    assert_eq!(consumption.describe_gone(), None);
    assert_eq!(consumption.finish(), [""; 0]);
    assert!(!world.tree().exists());
    assert!(world.objects().iter().any(|path| path.metadata().unwrap().ino() == inode));
}

#[test]
fn a_transaction_that_is_given_up_changes_nothing() {
    let world = World::new();
    let mut consumption = world.look();
    drop(world.consume(&mut consumption));
    assert!(world.objects().is_empty());
    assert_eq!(fs::read(world.tree().join("a")).unwrap(), b"a");
    assert_eq!(world.tree().join("below/large").metadata().unwrap().nlink(), 1);
    assert_eq!(fs::read_dir(world.dir.path().join("repo/tmp")).unwrap().count(), 1);
}

#[test]
fn what_somebody_has_changed_stays() {
    let world = World::new();
    let mut consumption = world.look();
    world.consume(&mut consumption).commit().unwrap();
    fs::remove_file(world.tree().join("a")).unwrap();
    fs::write(world.tree().join("a"), "new").unwrap();
    fs::write(world.tree().join("below/new"), "new").unwrap();
    let left = consumption.finish();
    let says = |text: &str| left.iter().any(|line| line.contains(text));
    assert!(
        says("tree/a was changed since it was read") && says("tree/below has got something new"),
        "{left:?}"
    );
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(fs::read(world.tree().join("a")).unwrap(), b"new");
    assert!(!world.tree().join("below/large").exists());
}
