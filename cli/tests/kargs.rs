// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin kargs`: what is edited in place, and what an image brings along. Deployments are made immutable, so this takes
//! root.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::fs;
use std::path::Path;
use std::process::Command;

use world::World;

const KARGS: &str = "admin --sysroot=root kargs";

fn deploy(world: &World, words: &str) {
    world.ok("--repo=root/ostree/repo commit --branch=x tree");
    world.ok(&format!("admin --sysroot=root deploy --os=testos{words} x"));
}

/// A deployment with arguments of its own.
fn deployed() -> World {
    let world = world::empty();
    world.make_bootable_tree();
    world.make_root(world::OSTREE);
    deploy(
        &world,
        " --karg=root=LABEL=r --karg-append=console=a --karg-append=console=b --karg-append=debug",
    );
    world
}

/// The arguments of the default, without `ostree=`.
fn arguments(world: &World) -> String {
    let text = world.ok(KARGS);
    let line = text.lines().next().unwrap();
    let own = line.split(' ').filter(|word| !word.starts_with("ostree="));
    own.collect::<Vec<_>>().join(" ")
}

/// The same as the boot loader reads them.
fn in_the_entry(world: &World) -> String {
    let entries = fs::read_dir(world.path("root/boot/loader/entries")).unwrap();
    let last = entries.map(|entry| entry.unwrap().path()).max().unwrap();
    let text = fs::read_to_string(last).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("options ")).unwrap();
    line.split(' ').filter(|word| !word.starts_with("ostree=")).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_edit_does_what_it_is_called() {
    test_world::needs_root!();
    let start = "root=LABEL=r console=a console=b debug";
    for (edits, expected) in [
        ("--append=debug", "root=LABEL=r console=a console=b debug debug"),
        ("--append=console=c --append=quiet", "root=LABEL=r console=a console=b debug console=c quiet"),
        ("--append-if-missing=debug", start),
        ("--append-if-missing=console=c", "root=LABEL=r console=a console=b debug console=c"),
        ("--replace=root=s", "root=s console=a console=b debug"),
        ("--replace=console=a=c", "root=LABEL=r console=c console=b debug"),
        ("--delete=debug", "root=LABEL=r console=a console=b"),
        ("--delete=console=a", "root=LABEL=r console=b debug"),
        ("--delete-if-present=console=b --delete-if-present=none", "root=LABEL=r console=a debug"),
        ("--delete-if-present=none", start),
        ("--delete=debug --append=quiet --replace=root=x", "root=x console=a console=b quiet"),
        // Several in one text, split as the kernel does.
        ("--append=c=1\td", "root=LABEL=r console=a console=b debug c=1 d"),
        ("--append=\"c=1\t2\"\td=\"\"", "root=LABEL=r console=a console=b debug \"c=1\t2\" d=\"\""),
        ("--append-if-missing=debug\tconsole=b", start),
        (
            "--append-if-missing=debug\tc\t--append-if-missing=c",
            "root=LABEL=r console=a console=b debug c --append-if-missing=c",
        ),
        ("--append-if-missing=debug\tc --append-if-missing=c", "root=LABEL=r console=a console=b debug c"),
        ("--replace=root=s\tdebug=1", "root=s console=a console=b debug=1"),
        ("--delete=debug\tconsole=a", "root=LABEL=r console=b"),
        ("--delete-if-present=debug\tnone\tconsole=a", "root=LABEL=r console=b"),
    ] {
        let world = deployed();
        assert_eq!(arguments(&world), start);
        let before = world.snapshot("root/boot");
        let planned = world.ok(&format!("{KARGS} {edits} --dry-run"));
        assert!(planned.starts_with("Boot menu:") && world.snapshot("root/boot") == before, "{planned}");
        let said = world.ok(&format!("{KARGS} {edits}"));
        let swap = if expected == start { "bootconfig swap: no" } else { "bootconfig swap: yes" };
        assert!(said.contains(swap), "{edits}: {said}");
        assert_eq!(
            (arguments(&world), in_the_entry(&world)),
            (expected.to_owned(), expected.to_owned()),
            "{edits}"
        );
    }
}

#[test]
fn what_cannot_be_edited_changes_nothing() {
    test_world::needs_root!();
    let world = deployed();
    let before = world.snapshot("root");
    for (edits, words) in [
        ("--delete=none", "none"),
        ("--delete=console", "console"),
        ("--delete=console=c", "console"),
        ("--replace=none=1", "none"),
        ("--replace=console=c", "console"),
        ("--deployment=7 --append=x", "Out of range"),
        ("--append=ostree.prepare-root.composefs=signed", "not supported"),
        ("--append=v=\"x", "never closed in 'v=\"x'"),
        ("--append-if-missing=a\tv=\"x", "never closed"),
        ("--replace=debug=\"x", "never closed"),
        ("--delete=debug\t\"", "never closed"),
        ("--delete-if-present=\"debug", "never closed"),
        ("edit-in-place --append-if-missing=v=\"x", "never closed"),
    ] {
        let error = world.fails(&format!("{KARGS} {edits}"));
        assert!(error.contains(words), "{edits}: {error}");
        assert!(world.snapshot("root") == before, "{edits}");
    }
}

#[test]
fn an_open_quote_is_refused_wherever_arguments_enter() {
    test_world::needs_root!();
    let world = deployed();
    let before = world.snapshot("root/boot");
    for words in [
        "deploy --os=testos --karg=v=\"x x",
        "deploy --os=testos --karg-append=v=\"x x",
        "deploy --os=testos --karg-delete=v=\"x x",
        "instutil set-kargs --merge --append=v=\"x",
        "instutil set-kargs --merge --replace=v=\"x",
        "instutil set-kargs v=\"x",
    ] {
        let error = world.fails(&format!("admin --sysroot=root {words}"));
        assert!(error.contains("never closed in 'v=\"x'"), "{words}: {error}");
    }
    fs::create_dir_all(world.path("tree/usr/lib/ostree/kargs.d")).unwrap();
    world.write("tree/usr/lib/ostree/kargs.d/10-a.conf", "a\nv=\"x\n");
    world.ok("--repo=root/ostree/repo commit --branch=x tree");
    let error = world.fails("admin --sysroot=root deploy --os=testos x");
    assert!(error.contains("10-a.conf: A double quote is never closed in 'v=\"x'"), "{error}");
    assert!(world.snapshot("root/boot") == before);
    let lint = world.run("admin lint tree");
    let said = String::from_utf8(lint.stdout).unwrap();
    assert!(said.contains("10-a.conf") && said.contains("never closed"), "{said}");
}

/// The C tools deploy such an image. What its entry says can be read and changed all the same.
#[test]
fn an_open_quote_in_a_deployed_image_keeps_nobody_from_its_arguments() {
    test_world::needs_root!();
    let world = deployed();
    fs::create_dir_all(world.path("tree/usr/lib/ostree/kargs.d")).unwrap();
    world.write("tree/usr/lib/ostree/kargs.d/10-a.conf", "of=image\n");
    deploy(&world, "");
    let before = arguments(&world);
    // A deployed file is a link of the object.
    let mut trees = fs::read_dir(world.path("root/ostree/deploy/testos/deploy")).unwrap();
    let file = trees.find_map(|tree| {
        let path = tree.unwrap().path().join("usr/lib/ostree/kargs.d/10-a.conf");
        path.exists().then_some(path)
    });
    fs::write(file.unwrap(), "v=\"x\n").unwrap();
    let output = world.run(KARGS);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("10-a.conf: A double quote is never closed"), "{said}");
    assert_eq!(arguments(&world), before);
    world.ok(&format!("{KARGS} --append=more --diff"));
    assert_eq!(arguments(&world), before + " more");
}

/// One that somebody has written into the entry swallows nothing that comes later.
#[test]
fn an_open_quote_that_is_there_is_closed() {
    test_world::needs_root!();
    let world = deployed();
    let path = fs::read_dir(world.path("root/boot/loader/entries")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\nlinux", " v=\"x\ty\nlinux")).unwrap();
    world.ok(&format!("{KARGS} --append=last"));
    assert!(in_the_entry(&world).ends_with(" v=\"x\ty\" last"), "{}", in_the_entry(&world));
    world.ok(&format!("{KARGS} --delete=\"v=x\ty\"\tlast --delete-if-present=v"));
}

#[test]
fn another_deployment_keeps_its_own() {
    test_world::needs_root!();
    let world = deployed();
    world.write("tree/usr/etc/conf", "2\n");
    deploy(&world, "");
    world.ok(&format!("{KARGS} --deployment=1 --append=old"));
    assert!(!arguments(&world).contains("old"));
    assert!(world.ok(&format!("{KARGS} --deployment=1")).contains(" old"));
    world.ok(&format!("{KARGS} edit-in-place --append-if-missing=all"));
    assert!(arguments(&world).ends_with(" all"));
    assert!(world.ok(&format!("{KARGS} --deployment=1")).contains(" old all"));
}

#[test]
fn what_is_different_is_shown() {
    test_world::needs_root!();
    let world = deployed();
    let said = world.ok(&format!("{KARGS} --delete=debug --append=quiet --diff"));
    let diff: Vec<&str> = said.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(diff, ["-debug", "+quiet"], "{said}");
}

#[test]
fn an_image_brings_arguments_along() {
    test_world::needs_root!();
    let world = deployed();
    fs::create_dir_all(world.path("tree/usr/lib/ostree/kargs.d")).unwrap();
    world.write("tree/usr/lib/ostree/kargs.d/10-a.conf", "# why\nimage=1\nmitigations=off\n");
    deploy(&world, "");
    assert!(arguments(&world).ends_with("debug image=1 mitigations=off"), "{}", arguments(&world));
    let said = world.ok(KARGS);
    assert!(said.contains("10-a.conf: image=1\n"), "{said}");

    // Arguments that the administrator has removed stay removed, and those that another image does not ask for go.
    world.ok(&format!("{KARGS} --delete=mitigations=off"));
    assert!(world.ok(KARGS).contains("10-a.conf: mitigations=off (not used)\n"));
    let diff = world.ok(&format!("{KARGS} --diff"));
    assert!(
        diff.contains("-mitigations=off\n") && diff.contains("+debug\n") && !diff.contains("image=1"),
        "{diff}"
    );
    world.write("tree/usr/lib/ostree/kargs.d/10-a.conf", "mitigations=off\nimage=2\n");
    deploy(&world, "");
    let own = arguments(&world);
    assert!(own.contains(" image=2") && !own.contains("image=1") && !own.contains("mitigations"), "{own}");
}

/// An edit in place has the new entry on the disk before the loader is switched to it: a cut finds old or new.
#[test]
fn edits_in_place_are_synced() {
    test_world::needs_root!();
    let world = deployed();
    let trace = world.path("trace");
    let line = format!("{KARGS} --append=synced");
    let status = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fsync,fdatasync,syncfs,rename,renameat,renameat2,symlinkat", "-o"])
        .arg(&trace)
        .arg(Path::new(env!("CARGO_BIN_EXE_ostree")))
        .args(line.split(' '))
        .current_dir(world.path("."))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let calls = fs::read_to_string(trace).unwrap();
    let at = |what: &dyn Fn(&str) -> bool| calls.lines().position(what);
    let commit = at(&|line| line.contains("rename") && line.contains("\"loader.tmp\"")).unwrap();
    let entry = at(&|line| line.contains("fsync(") && line.contains("/entries/")).unwrap();
    let directory = at(&|line| line.contains("fsync(") && line.contains("/entries>")).unwrap();
    assert!(entry < commit && directory < commit, "{calls}");
    let after = calls.lines().skip(commit).any(|line| line.contains("sync(") && line.contains("/boot>"));
    assert!(after, "{calls}");
}
