// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin` of ours beside another one, which `OSTREE_PEER` names: the same output and the same files on the
//! disk, and each goes on where the other stopped. Without that variable every test is reported as ignored.
//!
//! Deployments are made immutable, so these tests run as root.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::Arguments;
use world::{World, beside};

/// What one step of a story does.
enum Step {
    /// An `ostree` command that must succeed.
    Run(&'static str),
    /// One that must fail, with status 1 and a line on stderr.
    Refused(&'static str),
    /// What an administrator does without `ostree`.
    Edit(fn(&World)),
}
use Step::{Edit, Refused, Run};

/// From an empty root over upgrades, local changes and another kernel to cleaning up.
const STORY: &[Step] = &[
    Run("admin init-fs --modern root"),
    Run("admin --sysroot=root status"),
    Run("admin --sysroot=root stateroot-init testos"),
    Refused("admin --sysroot=root stateroot-init testos"),
    Run("--repo=root/ostree/repo commit --branch=t/x --add-metadata-string=version=1.0 tree"),
    Refused("admin --sysroot=root deploy t/x"),
    Refused("admin --sysroot=root deploy --os=absent t/x"),
    Refused("admin --sysroot=root deploy --os=testos t/absent"),
    Run("admin --sysroot=root deploy --os=testos --karg=root=LABEL=r --karg=rw t/x"),
    Run("admin --sysroot=root deploy --os=testos --karg-append=a=b t/x"),
    Edit(change_etc),
    Run("admin --sysroot=root config-diff --os=testos"),
    Edit(new_kernel),
    Run("--repo=root/ostree/repo commit --branch=t/x --add-metadata-string=version=2.0 tree"),
    Run("admin --sysroot=root deploy --os=testos --retain t/x"),
    Run("admin --sysroot=root status"),
    Run("admin --sysroot=root pin 2"),
    Run("admin --sysroot=root pin 2"),
    Run("admin --sysroot=root deploy --os=testos --not-as-default --karg-delete=a=b t/x"),
    Run("admin --sysroot=root stateroot-init other"),
    Run("admin --sysroot=root deploy --os=other --karg-none t/x"),
    Run("admin --sysroot=root set-default 1"),
    Refused("admin --sysroot=root set-default 9"),
    Run("admin --sysroot=root instutil set-kargs --merge --append=last"),
    Run("admin --sysroot=root pin --unpin 3"),
    Run("admin --sysroot=root undeploy 2"),
    Refused("admin --sysroot=root undeploy 9"),
    Run("admin --sysroot=root cleanup"),
    Run("admin --sysroot=root status"),
    Run("admin --sysroot=root status --is-default"),
    Run("--repo=root/ostree/repo fsck --quiet"),
    Run("--repo=root/ostree/repo refs"),
];

fn main() -> ExitCode {
    let trials = vec![
        beside("same_output_and_same_disk", same_output_and_same_disk),
        beside("each_goes_on_where_the_other_stopped", each_goes_on_where_the_other_stopped),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn ours() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ostree"))
}

fn same_output_and_same_disk(peer: &Path) {
    let (ours, theirs) = (tell(|_| ours()), tell(|_| peer.to_owned()));
    for ((step, our), their) in STORY.iter().zip(&ours.said).zip(&theirs.said) {
        if let Run(words) = step {
            assert_eq!(our, their, "{words}");
        }
    }
    assert_eq!(only_in_one(&ours.disk, &theirs.disk), [""; 0]);
}

/// The lines that not both disks have.
fn only_in_one<'a>(one: &'a [String], other: &'a [String]) -> Vec<&'a str> {
    let missing = |of: &'a [String], lines: &'a [String]| lines.iter().filter(|line| !of.contains(line));
    missing(other, one).chain(missing(one, other)).map(String::as_str).collect()
}

fn each_goes_on_where_the_other_stopped(peer: &Path) {
    let pure = tell(|_| ours());
    for first in [0, 1] {
        let mixed = tell(|index| if index % 2 == first { ours() } else { peer.to_owned() });
        let who = if first == 0 { "ours" } else { "theirs" };
        assert_eq!(only_in_one(&mixed.disk, &pure.disk), [""; 0], "{who} first");
    }
}

/// How a story ended.
struct Told {
    /// What each step printed.
    said: Vec<String>,
    /// Every path with its kind and content.
    disk: Vec<String>,
}

/// Tells the story with the program that `who` names for each step.
fn tell(who: impl Fn(usize) -> PathBuf) -> Told {
    let world = World::empty();
    fs::create_dir(world.path("root")).unwrap();
    make_tree(&world);
    let mut said = Vec::new();
    for (index, step) in STORY.iter().enumerate() {
        said.push(match step {
            Run(words) => told(&world.ok_as(&who(index), words)),
            Refused(words) => {
                let output = world.run_as(&who(index), words);
                let text = String::from_utf8(output.stderr).unwrap();
                assert_eq!(output.status.code(), Some(1), "{words}: {text}");
                assert!(
                    text.trim_end().rsplit('\n').next().unwrap().starts_with("error: "),
                    "{words}: {text}"
                );
                String::new()
            }
            Edit(edit) => {
                edit(&world);
                String::new()
            }
        });
    }
    let disk = disk(&world);
    Told { said, disk }
}

/// Without what only one of the two does: labelling, and telling what was freed.
fn told(text: &str) -> String {
    let ours = |line: &&str| !line.starts_with("Relabeling /var") && !line.starts_with("Freed objects:");
    text.lines().filter(ours).map(|line| format!("{line}\n")).collect()
}

fn disk(world: &World) -> Vec<String> {
    let root = world.path("root");
    let mut lines = Vec::new();
    for (path, mode, content) in world.snapshot("root") {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let temporary = name.starts_with("ostree/repo/tmp") || name == "ostree/repo/.lock";
        // Room for going back on a full disk, and which edits met a newer default.
        let ours = ["ostree/.reserve", "boot/.ostree-reserve"].iter().any(|part| name.starts_with(part))
            || name.ends_with("/etc-conflicts.json");
        if temporary || ours || name.ends_with(".ostree-selabeled") || name.contains("/objects/") {
            continue;
        }
        lines.push(format!("{name} {mode:o} {:?}", String::from_utf8_lossy(&content)));
    }
    lines
}

/// A tree with something in each place that deploying treats in a way of its own.
fn make_tree(world: &World) {
    world.make_bootable_tree();
    for dir in ["tree/usr/etc/d", "tree/var/lib/x"] {
        fs::create_dir_all(world.path(dir)).unwrap();
    }
    world.write("tree/usr/etc/d/more", "default\n");
    world.write("tree/usr/etc/gone", "default\n");
    symlink("conf", world.path("tree/usr/etc/link")).unwrap();
}

/// Changes the `/etc` of the default deployment: one with an older and one with a newer default, and more.
fn change_etc(world: &World) {
    let dir = world.path("root/ostree/deploy/testos/deploy");
    let newest = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let newest =
        newest.filter(|path| path.extension().is_some_and(|serial| serial == "1")).collect::<Vec<_>>();
    let etc = newest[0].join("etc");
    fs::write(etc.join("conf"), "local\n").unwrap();
    fs::remove_file(etc.join("gone")).unwrap();
    fs::create_dir(etc.join("mine")).unwrap();
    fs::write(etc.join("mine/file"), "local\n").unwrap();
}

fn new_kernel(world: &World) {
    world.write("tree/usr/lib/modules/6.1.0/vmlinuz", "another kernel");
    world.write("tree/usr/etc/conf", "default 2\n");
    world.write("tree/usr/etc/d/more", "default 2\n");
}
