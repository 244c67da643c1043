// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our `ostree` beside another one, which `OSTREE_PEER` names: same checksums, same output, and each works with
//! what the other wrote. Without that variable every test is reported as ignored.
//!
//! Trees get owners and xattrs, so these tests run as root.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness of its own, where clippy sees no tests")]

mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use test_world::run_trials;
use world::{World, beside};

const MODES: [&str; 3] = ["bare", "bare-user", "archive"];

/// Options that change what a commit says of a tree.
const COMMITS: &[&str] = &[
    "",
    "--no-xattrs ",
    "--canonical-permissions ",
    "--owner-uid=7 --owner-gid=8 ",
    "--owner-uid=-2 --owner-gid=-1 ",
    "--table-output ",
    "--mode-ro-executables ",
    "--statoverride=statoverride ",
    "--skip-list=skip ",
    "--orphan ",
    "--no-bindings ",
    "--bind-ref=other ",
    "--add-metadata-string=version=1 --add-metadata=n=uint32(5) --subject=S --body=B ",
    "--timestamp=2020-01-01 ",
    "--tree=dir=tree --tree=dir=over ",
];

/// Commands whose output is compared, on a repository with some commits.
const READERS: &[&str] = &[
    "refs",
    "refs -r",
    "refs --list a",
    "ls main",
    "ls -R main",
    "ls -RCX main /usr /etc",
    "ls -d main /usr",
    "ls --nul-filenames-only -R main",
    "cat main /hello.txt /usr/bin/tool",
    "log main",
    "log --raw main",
    "show main",
    "show --raw main",
    "show --list-metadata-keys main",
    "show --print-metadata-key=ostree.ref-binding main",
    "rev-parse main main^",
    "diff main^ main",
    "config get core.mode",
    "fsck",
    "prune --no-prune",
    "prune --refs-only --depth=0 --no-prune",
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    let mut add = |name: String, test: Box<dyn Fn(&Path) + Send>| trials.push(beside(name, test));
    for mode in MODES {
        add(format!("same_checksums_{mode}"), Box::new(move |peer| same_checksums(peer, mode)));
        add(format!("same_output_{mode}"), Box::new(move |peer| same_output(peer, mode)));
        add(format!("same_layout_{mode}"), Box::new(move |peer| same_layout(peer, mode)));
        for other in MODES {
            add(format!("pulls_cross_{mode}_{other}"), Box::new(move |peer| pulls_cross(peer, mode, other)));
        }
    }
    add("same_errors".to_owned(), Box::new(same_errors));
    run_trials(trials)
}

fn ours() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ostree"))
}

/// A world with trees of all kinds, and empty repositories `ours` and `peers`.
fn two_repos(peer: &Path, mode: &str) -> World {
    let world = world::empty();
    world.make_tree();
    std::fs::create_dir_all(world.path("over/usr")).unwrap();
    world.write("over/usr/empty", "no more");
    world.write("statoverride", "2048 /usr/bin/tool\n=420 /usr/empty\n");
    world.write("skip", "/etc\n");
    std::os::unix::fs::lchown(world.path("tree/usr/empty"), Some(1000), Some(5)).unwrap();
    std::os::unix::fs::lchown(world.path("tree/bin"), Some(1000), Some(5)).unwrap();
    for (name, attr, value) in
        [("tree/usr", "user.a", "1"), ("tree/hello.txt", "user.b", "2"), ("tree/hello.txt", "user.a", "3")]
    {
        rustix::fs::setxattr(world.path(name), attr, value.as_bytes(), rustix::fs::XattrFlags::empty())
            .unwrap();
    }
    world.ok_as(ours(), &format!("--repo=ours init --mode={mode}"));
    world.ok_as(peer, &format!("--repo=peers init --mode={mode}"));
    world
}

fn same_checksums(peer: &Path, mode: &str) {
    let world = two_repos(peer, mode);
    for options in COMMITS {
        let tree = if options.contains("--tree") { "" } else { "tree" };
        let words = format!("commit --branch=main {options}{tree}");
        let words = words.replace("uint32(5)", "5");
        let words = words.trim_end();
        let ours = world.ok_as(ours(), &format!("--repo=ours {words}"));
        assert_eq!(ours, world.ok_as(peer, &format!("--repo=peers {words}")), "{words}");
    }
    // Each checks and lists what the other wrote, and checks it out to the same tree.
    for (program, repo) in [(peer, "ours"), (ours(), "peers")] {
        assert!(world.ok_as(program, &format!("--repo={repo} fsck")).contains("no errors found"));
        world.ok_as(program, &format!("--repo={repo} checkout main out-{repo}"));
    }
    let relative = |name: &str| {
        let root = world.path(name);
        let strip = |(path, mode, content): (PathBuf, u32, Vec<u8>)| {
            (path.strip_prefix(&root).unwrap().to_owned(), mode, content)
        };
        world.snapshot(name).into_iter().map(strip).collect::<Vec<_>>()
    };
    assert_eq!(relative("out-ours"), relative("out-peers"));
}

fn same_output(peer: &Path, mode: &str) {
    let world = two_repos(peer, mode);
    for (program, repo) in [(ours(), "ours"), (peer, "peers")] {
        world.ok_as(program, &format!("--repo={repo} commit --branch=main --subject=one tree"));
        world.ok_as(program, &format!("--repo={repo} commit --branch=main --tree=dir=tree --tree=dir=over"));
        world.ok_as(program, &format!("--repo={repo} commit --branch=a/b over"));
    }
    for words in READERS {
        let wanted = world.ok_as(peer, &format!("--repo=peers {words}"));
        for repo in ["ours", "peers"] {
            assert_eq!(world.ok_as(ours(), &format!("--repo={repo} {words}")), wanted, "{words}");
        }
    }
}

/// Every file of the repositories has the same path, mode and content, but for compressed ones, whose deflate
/// streams may differ.
fn same_layout(peer: &Path, mode: &str) {
    let world = two_repos(peer, mode);
    for (program, repo) in [(ours(), "ours"), (peer, "peers")] {
        world.ok_as(program, &format!("--repo={repo} commit --branch=main tree"));
    }
    let files = |repo: &str| {
        let root = world.path(repo);
        let strip = |(path, mode, content): (PathBuf, u32, Vec<u8>)| {
            let path = path.strip_prefix(&root).unwrap().to_owned();
            let content =
                if path.extension().is_some_and(|suffix| suffix == "filez") { Vec::new() } else { content };
            (path, mode, content)
        };
        world.snapshot(repo).into_iter().map(strip).collect::<Vec<_>>()
    };
    assert_eq!(files("ours"), files("peers"));
}

fn pulls_cross(peer: &Path, from: &str, to: &str) {
    let world = two_repos(peer, from);
    for (writer, repo, reader) in [(ours(), "ours", peer), (peer, "peers", ours())] {
        let commit = world.ok_as(writer, &format!("--repo={repo} commit --branch=main tree"));
        world.ok_as(writer, &format!("--repo=to-{repo} init --mode={to}"));
        world.ok_as(reader, &format!("--repo=to-{repo} pull-local {repo} main"));
        for program in [peer, ours()] {
            assert_eq!(world.ok_as(program, &format!("--repo=to-{repo} rev-parse main")), commit);
            assert!(world.ok_as(program, &format!("--repo=to-{repo} fsck")).contains("no errors found"));
        }
    }
}

fn same_errors(peer: &Path) {
    let world = two_repos(peer, "archive");
    for (program, repo) in [(ours(), "ours"), (peer, "peers")] {
        world.ok_as(program, &format!("--repo={repo} commit --branch=main tree"));
    }
    for words in [
        "rev-parse nope",
        "checkout nope",
        "log nope",
        "rev-parse main^",
        "ls main /nope",
        "ls main /hello.txt/",
        "cat main /nope",
        "cat main /usr",
        "show --print-metadata-key=nope main",
        "show --list-detached-metadata-keys main",
        "show --print-detached-metadata-key=nope main",
        "commit --branch=../x tree",
        "commit tree",
        "commit --branch=x nope",
        "commit --branch=x --keep-metadata=k tree",
        "config get core.nope",
        "refs --create=main main",
        "reset main nope",
        "checkout --union-identical main out",
    ] {
        let wanted = world.run_as(peer, &format!("--repo=peers {words}"));
        let found = world.run_as(ours(), &format!("--repo=ours {words}"));
        assert_eq!(
            String::from_utf8_lossy(&found.stderr),
            String::from_utf8_lossy(&wanted.stderr),
            "{words}"
        );
        assert_eq!(found.status.code(), wanted.status.code(), "{words}");
    }
}
