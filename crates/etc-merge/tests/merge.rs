// SPDX-License-Identifier: MIT OR Apache-2.0
//! Merges of small trees, written as listings: `PATH=CONTENT` a file, `PATH/` a directory, `PATH>TARGET` a link.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use etc_merge::{Item, Plan, Report, Source, Step, Target, Trees, copy_tree};
use formats::etc_policy::{Policies, parse};

fn write_tree(root: &Path, listing: &[&str]) {
    fs::create_dir_all(root).unwrap();
    for item in listing {
        if let Some(dir) = item.strip_suffix('/') {
            fs::create_dir_all(root.join(dir)).unwrap();
        } else if let Some((path, content)) = item.split_once('=') {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), content).unwrap();
        } else if let Some((path, target)) = item.split_once('>') {
            symlink(target, root.join(path)).unwrap();
        }
    }
}

fn read_tree(root: &Path) -> Vec<String> {
    fn walk(root: &Path, at: &Path, out: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                out.push(format!("{name}/"));
                walk(root, &path, out);
            } else if kind.is_symlink() {
                out.push(format!("{name}>{}", fs::read_link(&path).unwrap().display()));
            } else {
                out.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut out = Vec::new();
    walk(root, root, &mut out);
    out.sort();
    out
}

/// The trees `old`, `local`, `new` and `merged` in a directory.
struct World(tempfile::TempDir);

impl World {
    fn new(old: &[&str], local: &[&str], new: &[&str]) -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        for (name, listing) in [("old", old), ("local", local), ("new", new)] {
            write_tree(&world.at(name), listing);
        }
        let top = world.open(".");
        copy_tree(top.as_fd(), c"new", top.as_fd(), c"merged").unwrap();
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn open(&self, name: &str) -> fs::File {
        fs::File::open(self.at(name)).unwrap()
    }

    /// Plans with these policies, and applies if there is something to apply it to.
    fn merge(&self, policies: &str, target: Option<Target>) -> (Plan, Report) {
        let policies = Policies::new([parse(policies).unwrap()]);
        let (old, local, new) = (self.open("old"), self.open("local"), self.open("new"));
        let trees = Trees { old: old.as_fd(), local: local.as_fd(), new: new.as_fd() };
        let plan = Plan::new(&trees, &policies).unwrap();
        let apply = |target| plan.apply(&trees, self.open("merged").as_fd(), target).unwrap();
        let report = target.map(apply).unwrap_or_default();
        (plan, report)
    }

    /// Applies to an `/etc` in use, and gives the steps after checking that each changed path is under one.
    fn merge_by_steps(&self, policies: &str) -> Vec<Step> {
        let (plan, _) = self.merge(policies, None);
        let (old, local, new) = (self.open("old"), self.open("local"), self.open("new"));
        let trees = Trees { old: old.as_fd(), local: local.as_fd(), new: new.as_fd() };
        let before = self.merged();
        let steps = plan.steps(&trees, self.open("merged").as_fd()).unwrap();
        assert_eq!(self.merged(), before, "planning has written something");
        self.merge(policies, Some(Target::InUse));
        let after = self.merged();
        let one_sided = |a: &[String], b: &[String]| -> Vec<PathBuf> {
            let lines = a.iter().filter(|line| !b.contains(line));
            lines.map(|line| line.split(['=', '>']).next().unwrap().trim_end_matches('/').into()).collect()
        };
        for path in one_sided(&before, &after).into_iter().chain(one_sided(&after, &before)) {
            let covers = |step: &Step| match step {
                Step::Copy { path: of, is_directory: true, .. } | Step::Remove(of) => path.starts_with(of),
                Step::Copy { path: of, .. } | Step::MakeDirectory(of) => path == *of,
                Step::SetTimes(_) => false,
            };
            assert!(steps.iter().any(covers), "no step for {}: {steps:?}", path.display());
        }
        steps
    }

    fn merged(&self) -> Vec<String> {
        read_tree(&self.at("merged"))
    }
}

/// Merges and returns what was changed locally, the tree, and the report.
fn merge(old: &[&str], local: &[&str], new: &[&str]) -> (Vec<String>, Vec<String>, Report) {
    World::new(old, local, new).merge_by_steps("");
    World::new(old, local, new).merge_by_steps("keep-both /etc/**");
    let world = World::new(old, local, new);
    let (plan, report) = world.merge("", Some(Target::Fresh));
    let listed = |item: &Item| Some(format!("{} {}", item.local?.letter(), item.path.display()));
    (plan.items.iter().filter_map(listed).collect(), world.merged(), report)
}

/// Returns the plan as lines `OUTCOME PATH`.
fn planned(old: &[&str], local: &[&str], new: &[&str]) -> Vec<String> {
    let (plan, _) = World::new(old, local, new).merge("", None);
    plan.items.iter().map(|item| format!("{} {}", item.outcome.word(), item.path.display())).collect()
}

#[test]
fn local_changes_win() {
    let (changes, tree, report) = merge(
        &["same=1", "edited=1", "gone=1", "dir/kept=1", "link>a"],
        &["same=1", "edited=2", "dir/kept=1", "dir/mine=1", "added/deep/file=1", "link>b"],
        &["same=2", "edited=3", "gone=2", "dir/kept=2", "dir/theirs=2", "link>a", "new=1"],
    );
    let added = ["A added", "A added/deep", "A added/deep/file"];
    assert_eq!(changes, [&added[..], &["A dir/mine", "M edited", "D gone", "M link"]].concat());
    assert_eq!(
        tree,
        [
            "added/",
            "added/deep/",
            "added/deep/file=1",
            "dir/",
            "dir/kept=2",
            "dir/mine=1",
            "dir/theirs=2",
            "edited=2",
            "link>b",
            "new=1",
            "same=2",
        ]
    );
    assert_eq!(report, Report::default());
}

#[test]
fn a_missing_parent_is_made_again() {
    let (_, tree, report) = merge(&["a/b/old=1"], &["a/b/old=1", "a/b/mine=1"], &["other=1"]);
    assert_eq!(tree, ["a/", "a/b/", "a/b/mine=1", "other=1"]);
    assert_eq!(report, Report::default());
}

#[test]
fn added_on_both_sides_is_merged_inside() {
    let (_, tree, report) = merge(&[], &["d/mine=1", "d/both=local"], &["d/theirs=1", "d/both=new"]);
    assert_eq!(tree, ["d/", "d/both=local", "d/mine=1", "d/theirs=1"]);
    assert_eq!(report, Report::default());
}

#[test]
fn a_clash_is_told_and_the_rest_goes_on() {
    let (_, tree, report) = merge(
        &["conf=1", "dir/x=1", "z=1"],
        &["conf=2", "dir/x=2", "z=2"],
        &["conf/new=1", "dir=now a file", "z=3"],
    );
    assert_eq!(tree, ["conf/", "conf/new=1", "dir=now a file", "z=2"]);
    let clashing: Vec<_> = report.clashes.iter().map(|clash| clash.path.to_str().unwrap()).collect();
    assert_eq!(clashing, ["conf", "dir/x"]);
}

#[test]
fn a_link_in_the_new_tree_is_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    let link = format!("dir>{}", outside.path().display());
    let (_, tree, report) = merge(&["dir/x=1"], &["dir/x=2"], &[&link]);
    assert_eq!(tree, [link.as_str()]);
    assert_eq!(report.clashes.len(), 1);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_change_of_kind_is_carried_over() {
    let (changes, tree, _) =
        merge(&["a=1", "b/", "c>x"], &["a/in=1", "b=file", "c=file"], &["a=2", "b/", "c>y"]);
    assert_eq!(changes, ["M a", "M b", "M c"]);
    assert_eq!(tree, ["a/", "a/in=1", "b=file", "c=file"]);
}

#[test]
fn modes_count_and_sockets_do_not() {
    let world = World::new(&["f=1"], &["f=1"], &["f=1"]);
    fs::set_permissions(world.at("local/f"), fs::Permissions::from_mode(0o600)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(world.at("local/socket")).unwrap();
    let (plan, report) = world.merge("", Some(Target::Fresh));
    assert_eq!(world.at("merged/f").metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(report.skipped, [Path::new("socket")]);
    assert!(!world.at("merged/socket").exists());
    assert_eq!(plan.items.iter().map(|item| item.outcome.word()).collect::<Vec<_>>(), ["kept", "skipped"]);
}

#[test]
fn each_path_has_an_outcome() {
    let old = ["same=1", "mine=1", "theirs=1", "both=1", "alike=1", "gone=1", "dropped=1", "d/x=1", "d/y=1"];
    assert_eq!(
        planned(
            &old,
            &["same=1", "mine=2", "theirs=1", "both=2", "alike=2", "dropped=1", "d/x=1", "d/y=2", "added=1"],
            &["same=1", "mine=1", "theirs=2", "both=3", "alike=2", "gone=1", "d/x=2", "d/y=1", "new=1"],
        ),
        [
            "kept added",
            "kept alike",
            "conflict both",
            "updated d/x",
            "kept d/y",
            "removed dropped",
            "kept gone",
            "kept mine",
            "updated new",
            "updated theirs",
        ]
    );
}

#[test]
fn what_becomes_of_a_directory_is_what_becomes_of_all_in_it() {
    for (old, local, new, expected) in [
        // Removed here, edited there, and the other way round.
        (&["d/x=1", "d/y=1"][..], &["d2/"][..], &["d/x=2", "d/y=1"][..], &["conflict d", "kept d2"][..]),
        (&["d/x=1", "d/y=1"], &["d/x=2", "d/y=1"], &["z=1"], &["removed d", "conflict d/x", "updated z"]),
        (&["d/x=1"], &["z=1"], &["y=1"], &["kept d", "updated y", "kept z"]),
        // It becomes a file or a link.
        (&["d/x=1", "d/y=1"], &["d/x=2", "d/y=1"], &["d=1"], &["updated d", "type-change d/x"]),
        (
            &["d/x=1"],
            &["d/x=2"],
            &["d>e", "e/x=1"],
            &["updated d", "type-change d/x", "updated e", "updated e/x"],
        ),
        (&["d/x=1"], &["d=1"], &["d/x=2", "d/y=1"], &["type-change d"]),
        (&["d/x=1"], &["d/x=1", "d/m=1"], &["d=1"], &["updated d", "type-change d/m"]),
        (&["f=1"], &["f=2"], &["f/x=1"], &["type-change f"]),
        (&["f=1"], &["f/x=1"], &["f=1"], &["kept f"]),
        (&["f=1"], &["g=1"], &["f/x=1"], &["conflict f", "kept g"]),
        // Added on both sides.
        (
            &[],
            &["d/x=1", "d/y=1"],
            &["d/x=2", "d/z=1"],
            &["kept d", "conflict d/x", "kept d/y", "updated d/z"],
        ),
    ] {
        assert_eq!(planned(old, local, new), expected, "{old:?} {local:?} {new:?}");
    }
}

/// A mode alone is a change of a directory, and none of what is in it.
#[test]
fn the_mode_of_a_directory_is_its_own() {
    let world = World::new(&["d/x=1"], &["d/x=2"], &["d/x=1"]);
    fs::set_permissions(world.at("new/d"), fs::Permissions::from_mode(0o700)).unwrap();
    let (plan, _) = world.merge("", None);
    let listed: Vec<_> = plan.items.iter().map(|i| (i.outcome.word(), i.path.to_str().unwrap())).collect();
    assert_eq!(listed, [("updated", "d"), ("kept", "d/x")]);
}

#[test]
fn policies_decide_conflicts_and_nothing_else() {
    let (old, local, new) = (
        ["conf=1", "mine=1", "theirs=1", "link>a", "gone=1", "dropped=1"],
        ["conf=2", "mine=2", "theirs=1", "link>b", "dropped=2"],
        ["conf=3", "mine=1", "theirs=2", "link>c", "gone=2"],
    );
    let unchanged = ["mine=2", "theirs=2"];
    for (policy, decided) in [
        ("keep-local", &["conf=2", "dropped=2", "link>b"][..]),
        ("fail", &["conf=2", "dropped=2", "link>b"]),
        ("take-new", &["conf=3", "gone=2", "link>c"]),
        ("keep-both", &["conf.new=3", "conf=2", "dropped=2", "gone.new=2", "link.new>c", "link>b"]),
    ] {
        let world = World::new(&old, &local, &new);
        let (plan, report) = world.merge(&format!("{policy} /etc"), Some(Target::Fresh));
        let mut expected = [decided, &unchanged].concat();
        expected.sort();
        assert_eq!(world.merged(), expected, "{policy}");
        assert_eq!(report, Report::default());
        let names = |item: &Item| item.path.to_str().unwrap().to_owned();
        let conflicts: Vec<_> = plan.conflicts().map(names).collect();
        assert_eq!(conflicts, ["conf", "dropped", "gone", "link"]);
        let refused: Vec<_> = plan.refusals().map(names).collect();
        assert_eq!(refused, if policy == "fail" { &conflicts[..] } else { &[] });
    }
}

/// The file of an earlier merge goes when there is a newer one, and stays else; one of the tree's own is never written over.
#[test]
fn what_is_put_beside_is_of_the_last_update() {
    let world = World::new(&["f=1"], &["f=2", "f.new=old", "g.new=old"], &["f=3"]);
    world.merge("keep-both /etc", Some(Target::Fresh));
    assert_eq!(world.merged(), ["f.new=3", "f=2", "g.new=old"]);
    let world = World::new(&["f=1"], &["f=2"], &["f=3", "f.new=own"]);
    let (_, report) = world.merge("keep-both /etc", Some(Target::Fresh));
    assert_eq!(world.merged(), ["f.new=own", "f=2"]);
    assert_eq!(report.clashes[0].path, Path::new("f.new"));
    // A directory in the way of a local file.
    let world = World::new(&["f=1"], &["f=2"], &["f/x=3"]);
    world.merge("keep-both /etc", Some(Target::Fresh));
    assert_eq!(world.merged(), ["f.new/", "f.new/x=3", "f=2"]);
}

/// The part of a copy that a power cut has left is no change, and not in the way.
#[test]
fn half_a_copy_is_nothing() {
    const HALF: &str = ".#ostree-etc-merge=half";
    let world = World::new(&["f=1"], &["f=2", HALF, "d/x=1"], &["f=1"]);
    write_tree(&world.at("merged"), &[HALF]);
    write_tree(&world.at("local"), &[&format!("d/{HALF}")]);
    let (plan, _) = world.merge("", Some(Target::InUse));
    assert_eq!(plan.items.len(), 3);
    assert_eq!(world.merged(), ["d/", "d/x=1", "f=2"]);
}

/// Later edits go to an `/etc` that was merged before, whatever is there by now.
#[test]
fn what_is_not_there_yet() {
    let world = World::new(&["a=1", "b=1", "c=1"], &["a=2", "b=2", "m=1", "n=1"], &["a=1", "b=1", "c=1"]);
    world.merge("", Some(Target::InUse));
    write_tree(&world.at("local"), &["a=3", "n=2", "later=1"]);
    write_tree(&world.at("merged"), &["theirs=1"]);
    let trees = [world.open("old"), world.open("local"), world.open("new")];
    let trees = Trees { old: trees[0].as_fd(), local: trees[1].as_fd(), new: trees[2].as_fd() };
    let merged = world.open("merged");
    let plan = Plan::new(&trees, &Policies::default()).unwrap();
    let plan = plan.not_done_in(merged.as_fd(), &trees).unwrap();
    let paths: Vec<_> = plan.items.iter().map(|item| item.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["a", "later", "n"]);
    plan.apply(&trees, merged.as_fd(), Target::InUse).unwrap();
    assert_eq!(world.merged(), ["a=3", "b=2", "later=1", "m=1", "n=2", "theirs=1"]);
}

fn set_attribute(path: &Path, key: &str, value: &str) {
    rustix::fs::lsetxattr(path, key, value.as_bytes(), rustix::fs::XattrFlags::empty()).unwrap();
}

fn attribute(path: &Path, key: &str) -> Option<String> {
    let mut value = [0; 64];
    let length = rustix::fs::lgetxattr(path, key, &mut value).ok()?;
    Some(String::from_utf8(value[..length].to_vec()).unwrap())
}

#[test]
fn attributes_alone_are_a_change() {
    let world = World::new(&["f=1", "d/x=1"], &["f=1", "d/x=1"], &["f=1", "d/x=1"]);
    set_attribute(&world.at("local/f"), "user.mine", "1");
    // Longer than most.
    set_attribute(&world.at("local/d"), "user.long", &"x".repeat(1000));
    world.merge("", Some(Target::Fresh));
    assert_eq!(attribute(&world.at("merged/f"), "user.mine").as_deref(), Some("1"));
    let mut value = vec![0; 2000];
    assert_eq!(rustix::fs::lgetxattr(world.at("merged/d"), "user.long", &mut value), Ok(1000));
}

/// Takes root, as setting labels does.
#[test]
fn labels_count_where_both_trees_are_labelled_alike() {
    const LABEL: &str = "security.selinux";
    for (of_etc, is_change) in [("etc_t", true), ("usr_t", false)] {
        let world = World::new(&["f=1", "g=1"], &["f=1", "g=2"], &["f=1", "g=1"]);
        for path in ["old", "local", "new", "merged", "old/f", "old/g", "new/f", "merged/f", "merged/g"] {
            set_attribute(&world.at(path), LABEL, if path.starts_with("local") { "etc_t" } else { of_etc });
        }
        for path in ["local/f", "local/g"] {
            set_attribute(&world.at(path), LABEL, "chosen_t");
        }
        let (plan, _) = world.merge("", Some(Target::Fresh));
        assert_eq!(plan.items.len(), if is_change { 2 } else { 1 }, "{of_etc}");
        let expected = if is_change { "chosen_t" } else { of_etc };
        assert_eq!(attribute(&world.at("merged/f"), LABEL).as_deref(), Some(expected));
        assert_eq!(attribute(&world.at("merged/g"), LABEL).as_deref(), Some("chosen_t"), "as it was set");
    }
}

#[test]
fn an_error_at_the_top_names_etc() {
    let world = World::new(&["kept=1"], &["kept=1"], &["kept=1"]);
    let no_directory = fs::File::open(world.at("local/kept")).unwrap();
    let error = etc_merge::Changes::between(world.open("old").as_fd(), no_directory.as_fd()).unwrap_err();
    assert!(format!("{error:#}").contains("/etc"), "{error:#}");
}

#[test]
fn each_path_that_is_written_is_a_step() {
    let world = World::new(
        &["conf=1", "gone/a=1", "gone/b=1", "kept=1", "place/f=1"],
        &["conf=2", "kept=1", "place/f=2", "n/m/f=1", "n/l>f"],
        &["conf=3", "gone/a=1", "gone/b=1", "kept=2"],
    );
    let copy = |path: &str| Step::Copy {
        from: Source::Local,
        source: path.into(),
        path: path.into(),
        is_directory: false,
    };
    let beside =
        Step::Copy { from: Source::New, source: "conf".into(), path: "conf.new".into(), is_directory: false };
    let expected = [
        beside,
        copy("conf"),
        Step::Remove("gone".into()),
        Step::MakeDirectory("n".into()),
        copy("n/l"),
        Step::MakeDirectory("n/m".into()),
        copy("n/m/f"),
        Step::MakeDirectory("place".into()),
        copy("place/f"),
        Step::SetTimes("n".into()),
        Step::SetTimes("n/m".into()),
        Step::SetTimes("place".into()),
    ];
    assert_eq!(world.merge_by_steps("keep-both /etc/conf"), expected);
}
