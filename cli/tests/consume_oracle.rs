// SPDX-License-Identifier: MIT OR Apache-2.0
//! `commit --consume`, before our `ostree` and before another one, which `OSTREE_PEER` names. Without that variable every test is
//! reported as ignored.
//!
//! Trees get owners and file systems are mounted, so these tests run as root.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness of its own, where clippy sees no tests")]

mod world;

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use test_world::run_trials;
use world::{World, beside};

const MODES: [&str; 3] = ["bare", "bare-user", "archive"];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for mode in MODES {
        let name = |name: &str| format!("{name}_{mode}");
        trials.push(beside(name("the_same_commit"), move |peer| the_same_commit(peer, mode)));
        trials.push(beside(name("what_cannot_succeed"), move |_| what_cannot_succeed(mode)));
        trials.push(beside(name("a_failure_loses_nothing"), move |_| a_failure_loses_nothing(mode)));
        for text in [false, true] {
            let what = if text { "text" } else { "noise" };
            let name = name(&format!("no_more_room_than_the_peer_{what}"));
            trials.push(beside(name, move |peer| no_more_room_than_the_peer(peer, mode, text)));
        }
    }
    run_trials(trials)
}

fn ours() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ostree"))
}

/// Paths below a directory, with inodes.
fn inodes(world: &World, name: &str) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut left = vec![world.path(name)];
    while let Some(path) = left.pop() {
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.push((path, meta.ino()));
    }
    found.sort();
    found
}

/// The commit is that of a tree that stays, and the tree is gone.
fn the_same_commit(peer: &Path, mode: &str) {
    for options in
        ["", "--canonical-permissions ", "--no-xattrs ", "--owner-uid=7 ", "--statoverride=statoverride "]
    {
        let world = world::with_repo(mode);
        world.ok_as(peer, &format!("--repo=peers init --mode={mode}"));
        world.write("statoverride", "2048 /usr/bin/tool\n");
        std::fs::hard_link(world.path("tree/hello.txt"), world.path("tree/again")).unwrap();
        rustix::fs::setxattr(
            world.path("tree/usr/bin/tool"),
            "user.a",
            b"1",
            rustix::fs::XattrFlags::empty(),
        )
        .unwrap();
        let before = inodes(&world, "tree");
        // As long as a file is open, no new one gets its inode.
        let files = before.iter().filter(|(path, _)| path.symlink_metadata().unwrap().is_file());
        let held: Vec<_> = files.map(|(path, _)| std::fs::File::open(path).unwrap()).collect();
        let wanted = world.ok_as(peer, &format!("--repo=peers commit --branch=main {options}tree"));
        let found = world.ok(&format!("--repo=repo commit --branch=main --consume {options}tree"));
        assert_eq!(found, wanted, "{options}");
        assert!(!world.path("tree").exists(), "{options}");
        assert!(world.ok_as(peer, "--repo=repo fsck").contains("no errors found"));
        // A file that its object can be has become the object.
        let objects: Vec<u64> =
            world.objects(".file").iter().map(|path| path.symlink_metadata().unwrap().ino()).collect();
        let linked = |name: &str| {
            let inode = before.iter().find(|(path, _)| *path == world.path(name)).unwrap().1;
            objects.contains(&inode)
        };
        assert_eq!(linked("tree/usr/large"), mode == "bare" && !options.contains("owner"), "{options}");
        assert_eq!(linked("tree/usr/bin/tool"), mode == "bare" && options.is_empty(), "{options}");
        assert!(!linked("tree/hello.txt"), "it has another name");
        drop(held);
        for path in world.objects(".file") {
            assert_eq!(path.symlink_metadata().unwrap().mtime() * i64::from(path.is_file()), 0, "{path:?}");
        }
        assert_eq!(std::fs::read_dir(world.path("repo/tmp")).unwrap().count(), 1);
        // The same again changes nothing, and goes as well.
        world.ok("--repo=repo checkout -U main tree");
        let commit = "--repo=repo commit --branch=other --consume --no-xattrs --canonical-permissions";
        let first = world.ok(&format!("{commit} tree"));
        world.ok("--repo=repo checkout -U main tree");
        assert_eq!(world.ok(&format!("{commit} --skip-if-unchanged tree")), first);
        assert!(!world.path("tree").exists());
    }
}

/// It is refused before the first file is touched.
fn what_cannot_succeed(mode: &str) {
    type Damage = fn(&World);
    let user = "setpriv --reuid=1000 --regid=1000 --clear-groups";
    let cases: [(&str, Damage, &str); 14] = [
        ("--skip-list=list tree", |world| world.write("list", "/usr\n"), "skip list"),
        ("--skip-list=list tree", |world| world.write("list", "/nope\n"), "skip list"),
        (
            "--statoverride=list tree",
            |world| world.write("list", "2048 /hello.txt\n2048 /sudo\n"),
            "Unmatched statoverride paths: /sudo",
        ),
        ("tree", |world| mkfifo(world, "tree/usr/zz"), "tree/usr/zz: Unsupported file type"),
        (
            "tree",
            |world| {
                std::fs::write(
                    std::ffi::OsStr::from_bytes(
                        &[world.path("tree/zz").as_os_str().as_bytes(), b"\xff"].concat(),
                    ),
                    "",
                )
                .unwrap();
            },
            "a file name is not UTF-8",
        ),
        (
            "tree",
            |world| immutable(world, "tree/usr/share/empty", true),
            "tree/usr/share/empty: It is immutable",
        ),
        ("--bootable tree", |_| (), "Could not find kernel"),
        ("--keep-metadata=k tree", |_| (), "--keep-metadata"),
        ("--body-file=nope tree", |_| (), "nope"),
        ("--tree=dir=tree --tree=ref=nope", |_| (), "nope"),
        (
            "--tree=dir=tree --tree=dir=over",
            |world| {
                std::fs::create_dir(world.path("over")).unwrap();
                world.write("over/usr", "a file");
            },
            "Can't replace directory with file",
        ),
        ("--tree=dir=tree --tree=dir=tree/usr", |_| (), "tree/usr is to be consumed twice"),
        (".", |_| (), "is the repository"),
        (
            "--branch=taken/x tree",
            |world| {
                world.ok("--repo=repo commit --branch=taken --no-bindings over2");
            },
            "refs/heads/taken is a ref: Not a directory",
        ),
    ];
    for (words, damage, wanted) in cases {
        let world = world::with_repo(mode);
        std::fs::create_dir(world.path("over2")).unwrap();
        damage(&world);
        let (before, refs) = (inodes(&world, "tree"), world.ok("--repo=repo refs"));
        let branch = if words.contains("--branch") { "" } else { "--branch=main " };
        let error = world.fails(&format!("--repo=repo commit --consume {branch}{words}"));
        immutable(&world, "tree/usr/share/empty", false);
        assert!(error.contains(wanted), "{words}: {error}");
        assert_eq!(inodes(&world, "tree"), before, "{words}");
        assert_eq!(world.ok("--repo=repo refs"), refs, "{words}");
    }
    // As a user: what cannot be read, and what cannot be removed.
    if mode == "bare" {
        return;
    }
    for (path, bits, wanted) in
        [("tree/hello.txt", 0o000, "It cannot be read"), ("tree/usr/bin", 0o555, "could not be removed")]
    {
        let world = world::with_repo(mode);
        std::fs::create_dir(world.path("bin")).unwrap();
        std::fs::copy(ours(), world.path("bin/ostree")).unwrap();
        world.ok_as(Path::new("chown"), "-R 1000:1000 . repo tree");
        world.ok_as(Path::new("chmod"), "755 . bin");
        std::fs::set_permissions(world.path(path), std::os::unix::fs::PermissionsExt::from_mode(bits))
            .unwrap();
        let before = inodes(&world, "tree");
        let words = format!("{} bin/ostree --repo=repo commit --branch=main --consume tree", &user[8..]);
        let output = world.run_as(Path::new("setpriv"), &words);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(wanted) && error.contains(path), "{error}");
        assert_eq!(inodes(&world, "tree"), before, "{path}");
    }
}

fn mkfifo(world: &World, name: &str) {
    world.ok_as(Path::new("mkfifo"), name);
}

fn immutable(world: &World, name: &str, set: bool) {
    let file = std::fs::File::open(world.path(name)).unwrap();
    let flags = if set { rustix::fs::IFlags::IMMUTABLE } else { rustix::fs::IFlags::empty() };
    rustix::fs::ioctl_setflags(&file, flags).unwrap();
}

/// Runs a script with a file system of its own at `m`, in memory.
fn with_disk(world: &World, script: &str) -> std::process::Output {
    world.write("script", script);
    world.run_as(Path::new("unshare"), "--mount sh script")
}

/// When the disk is full on the way, each file is there, or an object; and it is said which have gone.
fn a_failure_loses_nothing(mode: &str) {
    let world = world::empty();
    let script = format!(
        "set -e; P={}; mkdir -p m out t; mount -t tmpfs -o size=24M none m; $P --repo=m/r init --mode={mode}
         $P --repo=m/r config set core.min-free-space-percent 0; mkdir m/t
         for i in 1 2 3 8 7 4 5 6; do head -c $((i * 500000)) /dev/urandom >m/t/f$i; done; cp -r m/t full
         head -c 4000000 /dev/zero >m/ballast
         $P --repo=m/r commit --branch=main --consume --canonical-permissions --statoverride=so m/t >out/commit 2>out/error && exit 9
         cp -r m/t/. t; find m/r/objects -type f -name '*.file*' >out/objects; $P --repo=m/r refs >out/refs
         rm m/ballast; $P --repo=m/r fsck >out/fsck 2>&1
         for f in full/*; do [ -e t/${{f#full/}} ] || echo ${{f#full/}}; done >out/gone
         ls m/t | wc -l >out/left",
        ours().display()
    );
    // So that a bare repository has to copy them.
    world.write("so", "1 /f1\n1 /f2\n1 /f3\n1 /f4\n1 /f5\n1 /f6\n1 /f7\n1 /f8\n");
    let output = with_disk(&world, &script);
    assert!(
        output.status.success(),
        "{:?} {}",
        output,
        std::fs::read_to_string(world.path("out/error")).unwrap_or_default()
    );
    let (error, gone) = (world.read("out/error"), world.read("out/gone"));
    assert_eq!(world.read("out/refs"), "");
    assert!(error.contains("No space left on device"), "{error}");
    let gone: Vec<_> = gone.lines().collect();
    let objects = world.read("out/objects").lines().count();
    // Each file that has gone is an object; one that has not may be one as well.
    assert!(gone.len() <= objects && gone.len() < 8, "{gone:?} {objects}");
    assert_eq!(world.read("out/left").trim(), (8 - gone.len()).to_string());
    match gone.len() {
        0 => assert!(!error.contains("consumed"), "{error}"),
        1 => assert!(error.contains(&format!("m/t/{} was consumed", gone[0])), "{error}"),
        count => assert!(error.contains(&format!("{count} files were consumed, m/t/")), "{error}"),
    }
}

/// A file system on which the peer just succeeds is large enough.
fn no_more_room_than_the_peer(peer: &Path, mode: &str, text: bool) {
    let world = world::empty();
    let script = format!(
        "set -e; mkdir t; for i in 1 2 3 4 5 6 7 8 9; do {fill} >t/f$i; done
         for i in 1 2 3; do {fill}; done >t/f55
         mkdir t/small; for i in $(seq 100); do head -c 3000 /dev/urandom >t/small/$i; done",
        // Bytes that deflate makes half of, or nothing less.
        fill = if text {
            "head -c 500000 /dev/urandom | od -An -v -tx1 | head -c 1000000"
        } else {
            "head -c 1000000 /dev/urandom"
        }
    );
    world.write("make", &script);
    world.ok_as(Path::new("sh"), "make");
    let succeeds = |program: &Path, size: u64| {
        let script = format!(
            "set -e; mkdir -p m; mount -t tmpfs -o size={size}k none m; cp -r t m/t; {p} --repo=m/r init --mode={mode}
             {p} --repo=m/r config set core.min-free-space-percent 0
             exec {p} --repo=m/r commit --branch=main --consume m/t",
            p = program.display()
        );
        with_disk(&world, &script).status.success()
    };
    let (mut fails, mut works) = (11_000, 20_000);
    assert!(succeeds(peer, works));
    while works - fails > 150 {
        let middle = (fails + works) / 2;
        if succeeds(peer, middle) { works = middle } else { fails = middle }
    }
    // Nothing of it is by chance but the bytes.
    assert!(succeeds(ours(), works + 100), "{works} KiB");
}
