// SPDX-License-Identifier: MIT OR Apache-2.0
//! One physical root that ours and the C tools change in turn: whoever began, each goes on where the other has stopped.
//!
//! Deployments are made immutable, so these tests run as root.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use test_world::peer::{RELEASES, Release};
use test_world::run_trials;
use world::World;

/// The cases with each of them.
type Case = (&'static str, fn(&Path));
const CASES: [Case; 4] = [
    ("ours_first", |peer| tell(peer, true)),
    ("theirs_first", |peer| tell(peer, false)),
    ("kernel_arguments_in_place", kernel_arguments_in_place),
    ("links_among_device_trees", links_among_device_trees),
];

/// The program of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The one that made the root.
    First,
    /// The other one.
    Second,
}
use Who::{First, Second};

/// A command, and the deployments after it: version, `p` if it is pinned, and how many kernel arguments were added.
/// All are commands that the oldest release knows.
const STORY: &[(Who, &str, &str)] = &[
    (First, "admin init-fs --modern root", ""),
    (First, "admin --sysroot=root os-init testos", ""),
    (First, "--repo=root/ostree/repo commit --branch=x --add-metadata-string=version=1 tree", ""),
    (First, "--repo=root/ostree/repo refs --create=ostree/container/blob/ab x", ""),
    (First, "admin --sysroot=root deploy --os=testos --karg=root=LABEL=r --karg=rw x", "1"),
    (First, "--repo=root/ostree/repo commit --branch=x --add-metadata-string=version=2 tree", "1"),
    (First, "admin --sysroot=root deploy --os=testos x", "2 1"),
    (Second, "--repo=root/ostree/repo commit --branch=x --add-metadata-string=version=3 tree", "2 1"),
    (Second, "admin --sysroot=root deploy --os=testos --karg-append=add1 x", "3+1 2"),
    (Second, "admin --sysroot=root pin 1", "3+1 2p"),
    (First, "--repo=root/ostree/repo commit --branch=x --add-metadata-string=version=4 tree", "3+1 2p"),
    (First, "admin --sysroot=root deploy --os=testos x", "4+1 3+1 2p"),
    (First, "admin --sysroot=root pin --unpin 2", "4+1 3+1 2"),
    (First, "admin --sysroot=root pin 1", "4+1 3+1p 2"),
    (Second, "admin --sysroot=root instutil set-kargs --merge --append=add2", "4+2 3+1p 2"),
    (First, "admin --sysroot=root instutil set-kargs --merge --append=add3", "4+3 3+1p 2"),
    (Second, "admin --sysroot=root undeploy 2", "4+3 3+1p"),
    (Second, "admin --sysroot=root deploy --os=testos --retain --karg-delete=add1 x", "4+2 4+3 3+1p"),
    (First, "admin --sysroot=root undeploy 0", "4+3 3+1p"),
    (Second, "admin --sysroot=root cleanup", "4+3 3+1p"),
    (First, "admin --sysroot=root deploy --os=testos --not-as-default x", "4+3 4+3 3+1p"),
    (Second, "admin --sysroot=root undeploy 1", "4+3 3+1p"),
    (First, "admin --sysroot=root cleanup", "4+3 3+1p"),
    (First, "--repo=root/ostree/repo fsck --quiet", "4+3 3+1p"),
    (Second, "--repo=root/ostree/repo fsck --quiet", "4+3 3+1p"),
];

fn main() -> ExitCode {
    let each = |release: Release| {
        CASES.map(|(name, case)| test_world::beside(release, format!("{name}_{}", release.name), case))
    };
    run_trials(RELEASES.into_iter().flat_map(each).collect())
}

fn tell(peer: &Path, ours_first: bool) {
    let world = world::empty();
    let ours = Path::new(env!("CARGO_BIN_EXE_ostree"));
    fs::create_dir(world.path("root")).unwrap();
    world.make_bootable_tree();
    let mut last = "";
    for (who, words, expected) in STORY {
        world.ok_as(if (*who == First) == ours_first { ours } else { peer }, words);
        check(&world, expected, words);
        if words.contains("commit ") {
            // The next version has another kernel, and another default of a file that is changed locally.
            world.write("tree/usr/lib/modules/6.1.0/vmlinuz", words);
            world.write("tree/usr/etc/conf", words);
        }
        if *expected == "2 1" && last == "1" {
            let etc = rows(&world)[0].directory.join("etc");
            fs::write(etc.join("conf"), "local").unwrap();
            fs::write(etc.join("mine"), "local").unwrap();
        }
        // Both see the same.
        if !words.contains("init") {
            let status = "admin --sysroot=root status";
            assert_eq!(world.ok_as(ours, status), world.ok_as(peer, status), "{words}");
        }
        last = expected;
    }
    check_tidy(&world);
    let kept = "--repo=root/ostree/repo ls ostree/container/blob/ab /usr/etc/conf";
    assert_eq!(world.ok_as(ours, kept), world.ok_as(peer, kept));
}

/// Theirs edits the entries where they are; 2022.7 under names of its own, beside ours.
fn kernel_arguments_in_place(peer: &Path) {
    let world = world::empty();
    fs::create_dir(world.path("root")).unwrap();
    world.make_bootable_tree();
    for words in [
        "admin init-fs --modern root",
        "admin --sysroot=root stateroot-init testos",
        "--repo=root/ostree/repo commit --branch=x --add-metadata-string=version=1 tree",
        "admin --sysroot=root deploy --os=testos --karg=root=LABEL=r --karg=rw x",
        "admin --sysroot=root deploy --os=testos x",
    ] {
        world.ok(words);
    }
    let edit = "admin --sysroot=root kargs edit-in-place --append-if-missing=add1";
    world.ok_as(peer, edit);
    check(&world, "1+1 1+1", edit);
    let deploy = "admin --sysroot=root deploy --os=testos --karg-append=add2 x";
    world.ok(deploy);
    check(&world, "1+2 1+1", deploy);
    let status = "admin --sysroot=root status";
    assert_eq!(world.ok(status), world.ok_as(peer, status));
    check_tidy(&world);
}

/// They install such links as they are, wherever those lead in `/boot`.
fn links_among_device_trees(peer: &Path) {
    let world = world::empty();
    fs::create_dir(world.path("root")).unwrap();
    world.make_bootable_tree();
    let modules = fs::read_dir(world.path("tree/usr/lib/modules")).unwrap().next().unwrap().unwrap().path();
    fs::create_dir(modules.join("dtb")).unwrap();
    fs::create_dir_all(world.path("tree/usr/share/dt")).unwrap();
    for path in [modules.join("dtb/a.dtb"), world.path("tree/usr/share/dt/c.dtb")] {
        fs::write(&path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
    }
    for (name, target) in [("b.dtb", "a.dtb"), ("c.dtb", "../../../../share/dt/c.dtb")] {
        std::os::unix::fs::symlink(target, modules.join("dtb").join(name)).unwrap();
    }
    for words in [
        "admin init-fs --modern root",
        "admin --sysroot=root stateroot-init testos",
        "--repo=root/ostree/repo commit --branch=x --add-metadata-string=version=1 tree",
    ] {
        world.ok(words);
    }
    world.ok_as(peer, "admin --sysroot=root deploy --os=testos --karg=root=LABEL=r --karg=rw x");
    let edit = "admin --sysroot=root kargs --append=add1";
    world.ok(edit);
    check(&world, "1+1", edit);
    let boot = fs::read_dir(world.path("root/boot/ostree")).unwrap().next().unwrap().unwrap().path();
    for (name, text) in [("a.dtb", "a.dtb"), ("b.dtb", "a.dtb"), ("c.dtb", "c.dtb")] {
        assert_eq!(fs::read_to_string(boot.join("dtb").join(name)).unwrap(), text, "{name}");
    }
    assert!(boot.join("dtb/b.dtb").is_symlink(), "what can be read needs no other file");
    world.ok("admin --sysroot=root fsck-boot");
    // The C tools would stop at the link that they have made themselves.
    let deploy = "admin --sysroot=root deploy --os=testos x";
    world.ok(deploy);
    check(&world, "1+1 1+1", deploy);
    check_tidy(&world);
}

/// A deployment in the menu.
struct Row {
    version: u64,
    /// As in [`STORY`].
    text: String,
    directory: PathBuf,
    arguments: String,
}

fn rows(world: &World) -> Vec<Row> {
    let status: serde_json::Value =
        serde_json::from_str(&world.ok("admin --sysroot=root status --json")).unwrap();
    let row = |row: &serde_json::Value| {
        let word = |key: &str| row[key].as_str().unwrap().to_owned();
        let arguments = word("kernel-args");
        let added = arguments.split(' ').filter(|arg| arg.starts_with("add")).count();
        let mut text = word("version");
        if added > 0 {
            text += &format!("+{added}");
        }
        if row["pinned"].as_bool().unwrap() {
            text += "p";
        }
        let directory = format!(
            "root/ostree/deploy/testos/deploy/{}.{}",
            word("checksum"),
            row["serial"].as_u64().unwrap()
        );
        let version = word("version").parse().unwrap();
        Row { version, text, directory: world.path(&directory), arguments }
    };
    status["deployments"].as_array().unwrap().iter().map(row).collect()
}

fn check(world: &World, expected: &str, words: &str) {
    let rows = rows(world);
    let found = rows.iter().map(|row| row.text.as_str()).collect::<Vec<_>>().join(" ");
    assert_eq!(found, *expected, "{words}");
    for row in &rows {
        assert!(row.arguments.starts_with("root=LABEL=r rw "), "{words}: {}", row.arguments);
        if row.version > 2 {
            for name in ["conf", "mine"] {
                assert_eq!(
                    fs::read_to_string(row.directory.join("etc").join(name)).unwrap(),
                    "local",
                    "{words}"
                );
            }
        }
    }
}

fn is_of_deployment(name: &str) -> bool {
    name.starts_with("ostree/") && !name.starts_with("ostree/container/")
}

/// Checks that no superfluous file is there.
fn check_tidy(world: &World) {
    let rows = rows(world);
    let count = |path: &str| fs::read_dir(world.path(path)).unwrap().count();
    assert_eq!(count("root/ostree/deploy/testos/deploy"), 2 * rows.len());
    assert_eq!(count("root/boot/loader/entries"), rows.len());
    let kernels: BTreeSet<_> = rows.iter().map(|row| row.version).collect();
    assert_eq!(count("root/boot/ostree"), kernels.len());
    let refs = world.ok("--repo=root/ostree/repo refs");
    assert_eq!(refs.lines().filter(|name| is_of_deployment(name)).count(), rows.len(), "{refs}");
    let unneeded = world.ok("--repo=root/ostree/repo prune --refs-only --depth=0 --no-prune");
    assert!(unneeded.contains("No unreachable objects"), "{unneeded}");
}
