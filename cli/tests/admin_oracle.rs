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
use std::process::{Command, ExitCode};

use test_world::run_trials;
use world::{World, beside};

/// One step of a story.
enum Step {
    /// An `ostree` command that must succeed.
    Run(&'static str),
    /// One that must fail, with status 1 and a line on stderr.
    Refused(&'static str),
    /// An edit of an administrator without `ostree`.
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
    // Layers of containers, and names beside those of deployments.
    Run("--repo=root/ostree/repo refs --create=ostree/container/blob/sha256_3A_ab t/x"),
    Run("--repo=root/ostree/repo refs --create=ostree/mybranch t/x"),
    Run("--repo=root/ostree/repo refs --create=ostree/2/0/0 t/x"),
    Run("--repo=root/ostree/repo refs --create=ostree/00/1/0 t/x"),
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
        beside("names_beside_refs_of_deployments", names_beside_refs_of_deployments),
        beside("same_kernel_arguments", same_kernel_arguments),
        beside("same_boot_checksum_through_links", same_boot_checksum_through_links),
    ];
    run_trials(trials)
}

/// Several arguments in one text, and the order that edits leave. (An open quote makes the C tools abort, and so does
/// `set-kargs --merge` where an argument with quotes is there.)
fn same_kernel_arguments(peer: &Path) {
    let [ours, theirs] = [&ours(), peer].map(|program| {
        let world = world::empty();
        make_tree(&world);
        world.make_root(program);
        world.ok_as(program, "--repo=root/ostree/repo commit --branch=x tree");
        let deploy = ["deploy", "--os=testos", "x"];
        let mut lines = Vec::new();
        for words in [
            &["--karg=a=1", "--karg=b=2", "--karg-append=a=3"][..],
            &["--karg=a=5", "--karg=c=1"],
            &["--karg-append=m=1 n=2 a=5"],
            &["--karg=b=9", "--karg=z=7 z=8"],
            &["--karg-delete=m=1 z=8"],
            &["kargs", "edit-in-place", "--append-if-missing=e=1 f=2"],
            &["kargs", "edit-in-place", "--append-if-missing=e=1 f=2"],
            &["instutil", "set-kargs", "--merge", "--append=g h=1"],
            &["--karg-append=q=\"x y\" r"],
            &["--karg-delete=none"],
            &["--karg-delete=q=\"x y\" g"],
        ] {
            let mut command = Command::new(program);
            command.args(["admin", "--sysroot=root"]).current_dir(world.path("."));
            if words[0].starts_with("--") {
                command.args(deploy);
            }
            let output = command.args(words).output().unwrap();
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
            lines.push(format!("{words:?}: {}", options_of_default(&world)));
        }
        lines
    });
    assert_eq!(ours, theirs);
}

/// The `options` of the default, with its `ostree=` cut short.
fn options_of_default(world: &World) -> String {
    let entries = fs::read_dir(world.path("root/boot/loader/entries")).unwrap();
    let last = entries.map(|entry| entry.unwrap().path()).max().unwrap();
    let text = fs::read_to_string(last).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("options ")).unwrap().to_owned();
    let words = line.split(' ').map(|word| if word.starts_with("ostree=") { "ostree=" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The contents of what links lead to count for both, so that each finds the boot files of the other.
fn same_boot_checksum_through_links(peer: &Path) {
    let [ours, theirs] = [&ours(), peer].map(|program| {
        let world = world::empty();
        fs::create_dir(world.path("root")).unwrap();
        make_tree(&world);
        let at = world.path("tree/usr/lib/modules/6.1.0");
        fs::create_dir(at.join("dtb")).unwrap();
        fs::write(at.join("dtb/a.dtb"), "device tree").unwrap();
        symlink("a.dtb", at.join("dtb/b.dtb")).unwrap();
        world.ok_as(program, "admin init-fs --modern root");
        world.ok_as(program, "admin --sysroot=root stateroot-init testos");
        world.ok_as(program, "--repo=root/ostree/repo commit --branch=x tree");
        world.ok_as(program, "admin --sysroot=root deploy --os=testos x");
        let boot = fs::read_dir(world.path("root/boot/ostree")).unwrap().next().unwrap().unwrap();
        let text = fs::read_to_string(boot.path().join("dtb/b.dtb")).unwrap();
        (boot.file_name(), text)
    });
    assert_eq!(ours, theirs);
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

/// Theirs takes everything below `ostree/N/M/` for refs of deployments, ours only numbers.
fn names_beside_refs_of_deployments(peer: &Path) {
    let left = |ostree: &Path| {
        let world = world::empty();
        fs::create_dir(world.path("root")).unwrap();
        make_tree(&world);
        for words in [
            "admin init-fs --modern root",
            "admin --sysroot=root stateroot-init testos",
            "--repo=root/ostree/repo commit --branch=t/x tree",
            "--repo=root/ostree/repo refs --create=ostree/0/1/foo t/x",
            "--repo=root/ostree/repo refs --create=ostree/0/1/007 t/x",
            "--repo=root/ostree/repo refs --create=ostree/0/1/7 t/x",
            "--repo=root/ostree/repo refs --create=ostree/2/0/0 t/x",
            "admin --sysroot=root deploy --os=testos t/x",
        ] {
            world.ok_as(ostree, words);
        }
        world.ok_as(ostree, "--repo=root/ostree/repo refs")
    };
    let mut theirs = left(peer);
    assert_eq!(theirs, "ostree/1/1/0\nostree/2/0/0\nt/x\n");
    theirs.insert_str(0, "ostree/0/1/007\nostree/0/1/foo\n");
    assert_eq!(left(&ours()), theirs);
}

/// How a story ended.
struct Told {
    /// The output of each step.
    said: Vec<String>,
    /// Every path with its kind and content.
    disk: Vec<String>,
}

/// Tells the story with the program that `who` names for each step.
fn tell(who: impl Fn(usize) -> PathBuf) -> Told {
    let world = world::empty();
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
