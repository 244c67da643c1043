// SPDX-License-Identifier: MIT OR Apache-2.0
//! A checkout that begins with the tree of an earlier one is the same as one that begins with nothing, whatever was done to that tree.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use formats::Checksum;
use formats::object::Commit;
use proptest::prelude::*;
use repo::commit::{TreeOptions, add_directory};
use repo::tree::Tree;
use repo::{CheckoutOptions, InitOptions, Mode, Repo, prune};
use rustix::fs::{IFlags, XattrFlags};

/// The entry that a name stands for.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    File(u8),
    Empty,
    Link(u8),
    Dir { mode: u32, xattr: Option<u8>, nodes: BTreeMap<u8, Node> },
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        4 => any::<u8>().prop_map(|byte| Node::File(byte % 16)),
        1 => Just(Node::Empty),
        1 => any::<u8>().prop_map(|byte| Node::Link(byte % 4)),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| directory(inner).boxed())
}

fn directory(inner: impl Strategy<Value = Node>) -> impl Strategy<Value = Node> {
    let mode = prop_oneof![Just(0o755), Just(0o700), Just(0o1777)];
    let xattr = proptest::option::weighted(0.2, 0..3u8);
    let nodes = proptest::collection::btree_map(0..6u8, inner, 0..6);
    (mode, xattr, nodes).prop_map(|(mode, xattr, nodes)| Node::Dir { mode, xattr, nodes })
}

fn tree() -> impl Strategy<Value = Node> {
    directory(node())
}

/// Names of which one stands for an overlay whiteout.
fn name(number: u8) -> String {
    if number == 5 { ".ostree-wh.gone".to_owned() } else { format!("n{number}") }
}

fn write(path: &Path, node: &Node) {
    match node {
        Node::File(byte) => fs::write(path, vec![*byte; 100]).unwrap(),
        Node::Empty => fs::write(path, "").unwrap(),
        Node::Link(to) => symlink(format!("to-{to}"), path).unwrap(),
        Node::Dir { mode, xattr, nodes } => {
            fs::create_dir(path).unwrap();
            for (number, node) in nodes {
                match node {
                    // Only a file of some text stands for a whiteout.
                    Node::Dir { .. } | Node::Link(_) if *number == 5 => {}
                    node => write(&path.join(name(*number)), node),
                }
            }
            if let Some(value) = xattr {
                rustix::fs::setxattr(path, "user.test", &[*value + 1], XattrFlags::empty()).unwrap();
            }
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }
}

/// Makes another tree of the one at `path`, in place, but never writes into a file: that is a link of an object.
fn change(path: &Path, node: &Node) {
    let Node::Dir { mode, xattr, nodes } = node else { return };
    for (number, node) in nodes {
        let path = path.join(format!("n{number}"));
        match (node, path.symlink_metadata().is_ok_and(|found| found.is_dir())) {
            (Node::Dir { .. }, true) => change(&path, node),
            (_, true) => {
                fs::remove_dir_all(&path).unwrap();
                write(&path, node);
            }
            _ => {
                fs::remove_file(&path).ok();
                write(&path, node);
            }
        }
    }
    if let Some(value) = xattr {
        rustix::fs::setxattr(path, "user.other", &[*value + 1], XattrFlags::empty()).unwrap();
    }
    fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
}

struct World {
    dir: tempfile::TempDir,
    repo: Repo,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions { mode: Mode::Bare, collection_id: None };
        let repo = Repo::init(dir.path().join("repo"), &options).unwrap();
        Self { dir, repo }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn commit(&self, node: &Node, branch: &str) -> Checksum {
        let source = self.at("source");
        write(&source, node);
        let mut transaction = self.repo.begin().unwrap();
        let mut root = Tree::new();
        let dir = fs::File::open(&source).unwrap();
        add_directory(&mut transaction, &mut root, dir.as_fd(), Path::new("."), &TreeOptions::default())
            .unwrap();
        let (tree, meta) = root.write(&mut transaction).unwrap();
        let commit = transaction.write_commit(&Commit::new(tree, meta)).unwrap();
        transaction.set_ref(branch.parse().unwrap(), commit);
        transaction.commit().unwrap();
        fs::remove_dir_all(source).unwrap();
        commit
    }

    fn fill_cache(&self, name: &str) {
        // Whether there is room for it is another question.
        fs::rename(self.at(name), self.cache()).unwrap();
    }

    fn cache(&self) -> PathBuf {
        self.at("repo/tmp/retired-tree")
    }

    fn check_out(&self, name: &str, commit: &Checksum) {
        self.repo.checkout(&options(), &self.at(name), commit).unwrap();
    }

    fn check_out_reusing(&self, name: &str, commit: &Checksum) {
        self.repo.checkout_reusing(&options(), rustix::fs::CWD, &self.at(name), commit).unwrap();
    }
}

fn options() -> CheckoutOptions {
    CheckoutOptions { passthrough_whiteouts: true, ..CheckoutOptions::default() }
}

/// Everything that tells two checkouts apart.
fn describe(path: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![path.to_owned()];
    while let Some(at) = left.pop() {
        let meta = at.symlink_metadata().unwrap();
        let mut text = format!("{:o} {} {}", meta.mode(), meta.uid(), meta.gid());
        if meta.is_dir() {
            left.extend(fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
            let mut xattrs = vec![0; 1000];
            let len = rustix::fs::listxattr(&at, &mut xattrs).unwrap();
            text += &format!(" {} {}", meta.mtime(), String::from_utf8_lossy(&xattrs[..len]));
            if len > 0 {
                let len = rustix::fs::getxattr(&at, "user.test", &mut xattrs).unwrap();
                text += &format!(" {:?}", &xattrs[..len]);
            }
        } else if meta.file_type().is_char_device() {
            text += &format!(" {}", meta.rdev());
        } else if meta.nlink() > 1 {
            text += &format!(" {}", meta.ino());
        } else {
            text += &format!(" {:?}", fs::read(&at).unwrap());
        }
        found.insert(at.strip_prefix(path).unwrap().to_owned(), text);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_becomes_any_other(first in tree(), second in tree(), harm in tree()) {
        let world = World::new();
        let (first, second) = (world.commit(&first, "first"), world.commit(&second, "second"));
        world.check_out("fresh", &second);
        world.check_out("old", &first);
        world.fill_cache("old");
        world.check_out_reusing("untouched", &second);
        prop_assert_eq!(describe(&world.at("untouched")), describe(&world.at("fresh")));
        change(&world.at("untouched"), &harm);
        world.fill_cache("untouched");
        world.check_out_reusing("harmed", &second);
        prop_assert_eq!(describe(&world.at("harmed")), describe(&world.at("fresh")));
        prop_assert!(!world.cache().exists());
    }
}

/// Two versions with a directory, a file and a link in common, and one of each that only the first has.
fn versions(world: &World) -> [Checksum; 2] {
    let dir =
        |nodes: &[(u8, Node)]| Node::Dir { mode: 0o755, xattr: None, nodes: nodes.iter().cloned().collect() };
    let same = dir(&[(0, Node::File(1)), (1, Node::Link(1))]);
    let first =
        dir(&[(0, same.clone()), (1, dir(&[(0, Node::File(2))])), (2, Node::File(3)), (3, Node::Link(2))]);
    let second = dir(&[(0, same), (2, Node::File(4))]);
    [world.commit(&first, "system"), world.commit(&second, "system")]
}

#[test]
fn what_is_the_same_stays_where_it_is() {
    test_world::needs_root!();
    assert!(rustix::process::geteuid().is_root(), "this sets the immutable flag: run it as root");
    let world = World::new();
    let [first, second] = versions(&world);
    world.check_out("old", &first);
    let inodes =
        ["", "n0", "n0/n0", "n0/n1"].map(|path| world.at("old").join(path).symlink_metadata().unwrap().ino());
    // Somebody was there and has left nothing but the time, and a flag.
    let dir = fs::File::open(world.at("old/n0")).unwrap();
    dir.set_modified(SystemTime::now()).unwrap();
    rustix::fs::ioctl_setflags(&dir, rustix::fs::ioctl_getflags(&dir).unwrap() | IFlags::IMMUTABLE).unwrap();
    world.fill_cache("old");
    world.check_out_reusing("new", &second);
    let now =
        ["", "n0", "n0/n0", "n0/n1"].map(|path| world.at("new").join(path).symlink_metadata().unwrap().ino());
    assert_eq!(now, inodes);
    assert!(!rustix::fs::ioctl_getflags(&dir).unwrap().contains(IFlags::IMMUTABLE));
    world.check_out("fresh", &second);
    assert_eq!(describe(&world.at("new")), describe(&world.at("fresh")));
}

#[test]
fn a_whiteout_is_made_of_what_was_a_file() {
    let world = World::new();
    let nodes = BTreeMap::from([(5, Node::File(1))]);
    let commit = world.commit(&Node::Dir { mode: 0o755, xattr: None, nodes }, "system");
    world.repo.checkout(&CheckoutOptions::default(), &world.at("old"), &commit).unwrap();
    assert!(world.at("old/.ostree-wh.gone").exists());
    world.fill_cache("old");
    world.check_out_reusing("new", &commit);
    assert!(world.at("new/gone").symlink_metadata().unwrap().file_type().is_char_device());
    assert!(!world.at("new/.ostree-wh.gone").exists());
}

#[test]
fn a_prune_frees_what_the_checkout_cache_has() {
    let world = World::new();
    let [first, _] = versions(&world);
    world.check_out("old", &first);
    fs::create_dir(world.at("old/etc")).unwrap();
    fs::write(world.at("old/etc/shadow"), "secret").unwrap();
    fs::write(world.at("old/n0/own"), "nobody's").unwrap();
    world.fill_cache("old");
    let held = fs::File::open(world.cache().join("n2")).unwrap();
    world
        .repo
        .prune(&prune::Options {
            refs_only: true,
            depth: repo::Depth::Parents(0),
            dry_run: true,
            ..Default::default()
        })
        .unwrap();
    assert!(world.cache().join("n2").exists(), "a dry run");
    let report = world
        .repo
        .prune(&prune::Options { refs_only: true, depth: repo::Depth::Parents(0), ..Default::default() })
        .unwrap();
    assert!(report.pruned > 0);
    let left: Vec<_> = describe(&world.cache()).into_keys().collect();
    assert_eq!(left, ["", "n0", "n0/n0", "n0/n1"].map(PathBuf::from));
    assert_eq!(held.metadata().unwrap().nlink(), 0);
}

#[test]
fn a_new_transaction_leaves_the_checkout_cache() {
    let world = World::new();
    let [first, _] = versions(&world);
    world.check_out("old", &first);
    world.fill_cache("old");
    // Anything else of this age is removed.
    fs::write(world.at("repo/tmp/other"), "").unwrap();
    fs::File::open(world.at("repo/tmp/other")).unwrap().set_modified(UNIX_EPOCH).unwrap();
    versions(&world);
    assert!(world.cache().join("n2").exists() && !world.at("repo/tmp/other").exists());
    world.repo.remove_checkout_cache().unwrap();
    assert!(!world.cache().exists());
    world.repo.remove_checkout_cache().unwrap();
}

#[test]
fn a_tree_that_does_not_serve_is_removed() {
    let world = World::new();
    let [first, second] = versions(&world);
    world.check_out("fresh", &second);
    world.check_out("old", &first);
    fs::create_dir(world.at("old/n0").join(OsStr::from_bytes(b"\xff"))).unwrap();
    world.fill_cache("old");
    world.check_out_reusing("new", &second);
    assert_eq!(describe(&world.at("new")), describe(&world.at("fresh")));
    assert!(!world.cache().exists());
}

#[test]
fn a_tree_that_cannot_be_removed_is_in_the_way_once() {
    test_world::needs_root!();
    assert!(rustix::process::geteuid().is_root(), "this sets the immutable flag: run it as root");
    let world = World::new();
    let [first, second] = versions(&world);
    world.check_out("fresh", &second);
    world.check_out("old", &first);
    fs::write(world.at("old/n0/own"), "").unwrap();
    let own = fs::File::open(world.at("old/n0/own")).unwrap();
    rustix::fs::ioctl_setflags(&own, IFlags::IMMUTABLE).unwrap();
    world.fill_cache("old");
    let error = world.repo.trim_checkout_cache().unwrap_err();
    assert!(format!("{error:#}").contains("/n0/own"), "{error:#}");
    let error =
        world.repo.checkout_reusing(&options(), rustix::fs::CWD, &world.at("new"), &second).unwrap_err();
    assert!(format!("{error:#}").contains("n0/own is still there"), "{error:#}");
    // Not in `tmp`, where the C tools would meet it with every transaction.
    assert!(!world.cache().exists());
    world.check_out_reusing("newer", &second);
    assert_eq!(describe(&world.at("newer")), describe(&world.at("fresh")));
    rustix::fs::ioctl_setflags(&own, IFlags::empty()).unwrap();
}

#[test]
fn what_is_mounted_in_it_is_left_alone() {
    test_world::needs_root!();
    assert!(rustix::process::geteuid().is_root(), "this mounts: run it as root");
    let world = World::new();
    let [first, second] = versions(&world);
    let home = world.at("home");
    fs::create_dir(&home).unwrap();
    for name in ["own", "n0"] {
        fs::write(home.join(name), "nobody's business").unwrap();
    }
    // Of the same file system, so the device does not tell.
    for at in ["n0", "n1"] {
        world.check_out("old", &first);
        let place = world.at("old").join(at);
        rustix::mount::mount_bind(&home, &place).unwrap();
        world.fill_cache("old");
        let place = world.cache().join(at);
        world.repo.trim_checkout_cache().unwrap_err();
        let options = |cached_checkout| prune::Options {
            refs_only: true,
            depth: repo::Depth::Parents(0),
            cached_checkout,
            ..Default::default()
        };
        assert!(at == "n0" || world.repo.prune(&options(Some(first))).unwrap().untrimmed);
        let _ = world
            .repo
            .checkout_reusing(&self::options(), rustix::fs::CWD, &world.at("new"), &second)
            .unwrap_err();
        assert_eq!(fs::read_dir(&home).unwrap().count(), 2, "{}", place.display());
        rustix::mount::unmount(world.at("new").join(at), rustix::mount::UnmountFlags::empty()).unwrap();
        fs::remove_dir_all(world.at("new")).unwrap();
        versions(&world);
    }
}
