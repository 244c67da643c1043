// SPDX-License-Identifier: MIT OR Apache-2.0
//! The repository commands, as people and scripts run them.
//!
//! The tour is taken as root and as a user, so these tests run as root.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, which clippy takes for none")]

mod world;

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

const MODES: [&str; 3] = ["bare", "bare-user", "archive"];

/// The tour of the introduction as a shell script: what it prints is what the words promise.
const TOUR: &str = r#"set -e
ostree --repo=repo init
mkdir tree; echo "Hello world!" > tree/hello.txt
ostree --repo=repo commit --branch=foo tree/
ostree --repo=repo refs
ostree --repo=repo ls foo
ostree --repo=repo cat foo /hello.txt
ostree --repo=repo checkout foo tree-checkout/
cat tree-checkout/hello.txt
"#;

#[test]
fn the_tour_of_the_introduction() {
    test_world::needs_root!();
    let listing = "d00755 0 0      0 /\n-00644 0 0     13 /hello.txt\n";
    assert_eq!(tour("umask 022", &[]), format!("foo\n{listing}Hello world!\nHello world!\n"));
}

#[test]
fn the_tour_as_a_user() {
    test_world::needs_root!();
    let listing = "d00775 1000 1000      0 /\n-00664 1000 1000     13 /hello.txt\n";
    let user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
    assert_eq!(tour("umask 002", &user), format!("foo\n{listing}Hello world!\nHello world!\n"));
}

/// Takes the tour in a directory of its own, as the user that `prefix` makes of root, and gives the output after the checksum
/// of the commit.
fn tour(umask: &str, prefix: &[&str]) -> String {
    assert!(
        rustix::process::geteuid().is_root(),
        "the tour is taken as root and as a user: run this as root"
    );
    let world = world::empty();
    // The program may be in a place that a user cannot reach.
    std::fs::create_dir(world.path("bin")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_ostree"), world.path("bin/ostree")).unwrap();
    for path in ["", "bin"] {
        std::fs::set_permissions(world.path(path), Permissions::from_mode(0o777)).unwrap();
    }
    let script = format!("{umask}\n{TOUR}");
    let words = [prefix, &["sh", "-c", &script]].concat();
    let output = std::process::Command::new(words[0])
        .args(&words[1..])
        .current_dir(world.path(""))
        .env("PATH", format!("{}:/usr/bin:/bin", world.path("bin").display()))
        .output()
        .unwrap();
    let (printed, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let (checksum, rest) = printed.split_once('\n').unwrap();
    assert_eq!(checksum.len(), 64);
    rest.to_owned()
}

#[test]
fn what_was_committed_comes_back() {
    for mode in MODES {
        let world = world::with_commit(mode);
        world.ok("--repo=repo checkout main tree2");
        let strip = |name: &str| {
            let root = world.path(name);
            let relative = |(path, mode, content): (std::path::PathBuf, u32, Vec<u8>)| {
                (path.strip_prefix(&root).unwrap().to_owned(), mode, content)
            };
            world.snapshot(name).into_iter().map(relative).collect::<Vec<_>>()
        };
        assert_eq!(strip("tree"), strip("tree2"), "{mode}");
        assert!(world.ok("--repo=repo fsck").contains("no errors found"), "{mode}");
        assert!(std::fs::read_dir(world.path("repo/tmp")).unwrap().count() == 1, "{mode}: left-overs in tmp");
    }
}

#[test]
fn modes_agree_on_checksums() {
    test_world::needs_root!();
    let commits = MODES.map(|mode| {
        let world = world::with_repo(mode);
        world.ok("--repo=repo commit --orphan --no-xattrs --owner-uid=0 --owner-gid=0 --canonical-permissions tree")
    });
    assert!(commits.iter().all(|commit| *commit == commits[0]), "{commits:?}");
}

#[test]
fn objects_travel_between_modes() {
    for from in MODES {
        for to in MODES {
            let world = world::with_commit(from);
            world.ok(&format!("--repo=other init --mode={to}"));
            world.ok("--repo=other pull-local repo main");
            assert_eq!(world.ok("--repo=other rev-parse main"), world.ok("--repo=repo rev-parse main"));
            assert!(world.ok("--repo=other fsck").contains("no errors found"), "{from} to {to}");
        }
    }
}

#[test]
fn metadata_only_pulls_are_partial_until_the_tree_comes() {
    let world = world::with_commit("archive");
    world.ok("--repo=other init --mode=bare-user");
    world.ok("--repo=other pull-local --commit-metadata-only --remote=origin repo main");
    assert_eq!(world.ok("--repo=other refs"), "origin:main\n");
    assert!(world.ok("--repo=other fsck").contains("1 partial commits not verified"));
    assert!(world.fails("--repo=other ls origin:main").contains("No such metadata object"));
    world.ok("--repo=other pull-local --untrusted repo main");
    assert!(world.ok("--repo=other ls -R main").contains("/hello.txt"));
    assert!(!world.ok("--repo=other fsck").contains("partial"));
}

#[test]
fn whiteouts_become_devices_only_where_asked() {
    test_world::needs_root!();
    let world = world::with_commit("bare");
    world.ok("--repo=repo checkout main plain");
    assert!(world.path("plain/etc/.ostree-wh.gone").exists());
    // Making a device needs root, as a whole root file system does.
    assert!(std::fs::metadata("/proc/self").unwrap().uid() == 0, "run this test as root");
    world.ok("--repo=repo checkout --process-passthrough-whiteouts main deployed");
    let meta = std::fs::symlink_metadata(world.path("deployed/etc/gone")).unwrap();
    assert_eq!((meta.mode() & 0o170_000, meta.rdev()), (0o020_000, 0));
}

#[test]
fn prune_keeps_what_refs_need() {
    let world = world::with_commit("bare");
    world.write("tree/new", "new");
    world.ok("--repo=repo commit --branch=main tree");
    assert!(world.ok("--repo=repo prune").contains("No unreachable objects"));
    assert!(
        world.ok("--repo=repo prune --refs-only --depth=0 --no-prune").contains("Would delete: 2 objects")
    );
    assert!(world.ok("--repo=repo prune --refs-only --depth=0").contains("Deleted 2 objects"));
    world.ok("--repo=repo fsck");
    world.ok("--repo=repo refs --delete main");
    world.ok("--repo=repo prune --refs-only");
    assert!(world.objects("").is_empty());
}

#[test]
fn bad_words_are_told_in_one_line() {
    let world = world::with_commit("archive");
    for (words, error) in [
        ("--repo=repo rev-parse nope", "Refspec 'nope' not found"),
        ("--repo=repo checkout nope", "Refspec 'nope' not found"),
        ("--repo=repo commit --branch=../x tree", "Invalid refspec ../x"),
        ("--repo=repo commit tree", "A branch must be specified with --branch, or use --orphan"),
        ("--repo=repo commit --branch=x missing", "opendir(missing): No such file or directory"),
        (
            "--repo=repo commit --branch=x --gpg-zign=k tree",
            "Unknown option --gpg-zign=k; see ostree commit --help",
        ),
        (
            "--repo=repo commit --branch=x --gpg-sign=k tree",
            "--gpg-sign is not supported yet: signatures cannot be made; leave it out, and sign with another ostree \
             afterwards",
        ),
        (
            "--repo=repo commit --branch=x --tree=tar=a.tar",
            "--tree=tar= is not supported yet; unpack it and use --tree=dir=",
        ),
        ("--repo=repo cat main /nope", "No such file or directory: /nope"),
        ("--repo=repo ls main /nope", "Inspecting path '/nope': No such file or directory: /nope"),
        ("--repo=nope refs", "opening repo: opendir(nope): No such file or directory"),
        ("--repo=repo config get core.nope", "Key file does not have key “nope” in group “core”"),
        ("bogus", "Unknown command 'bogus'; see ostree --help"),
    ] {
        assert_eq!(world.fails(words), error, "{words}");
    }
    let commit = world.ok("--repo=repo rev-parse main");
    let error = format!("Commit {} has no parent", commit.trim_end());
    assert_eq!(world.fails("--repo=repo rev-parse main^"), error);
}

/// Runs `damage` on the first object of that kind and expects `words` to fail with its name.
fn damaged(mode: &str, suffix: &str, words: &str, damage: impl Fn(&std::path::Path)) {
    let world = world::with_commit(mode);
    let object =
        world.objects(suffix).into_iter().max_by_key(|path| path.symlink_metadata().unwrap().len()).unwrap();
    damage(&object);
    let before = world.snapshot("repo/refs");
    let error = world.fails(words);
    let name = object.file_stem().unwrap().to_str().unwrap();
    assert!(error.contains(name), "{mode} {suffix}: {error}");
    assert_eq!(world.snapshot("repo/refs"), before);
    assert!(!world.path("out").join("etc/dangling").exists());
}

#[test]
fn damaged_objects_are_named() {
    let truncate = |path: &std::path::Path| {
        let len = path.metadata().unwrap().len();
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len / 2).unwrap();
    };
    let flip = |path: &std::path::Path| {
        let mut data = std::fs::read(path).unwrap();
        let middle = data.len() / 2;
        data[middle] ^= 0x10;
        std::fs::write(path, data).unwrap();
    };
    let empty = |path: &std::path::Path| std::fs::write(path, b"").unwrap();
    for mode in MODES {
        let file = if mode == "archive" { ".filez" } else { ".file" };
        for damage in [&truncate as &dyn Fn(&std::path::Path), &flip, &empty] {
            for suffix in [".commit", ".dirtree", ".dirmeta"] {
                damaged(mode, suffix, "--repo=repo checkout main out", damage);
            }
            damaged(mode, file, "--repo=repo fsck -q", damage);
        }
    }
    damaged("archive", ".filez", "--repo=repo checkout main out", truncate);
}

#[test]
fn fsck_removes_what_is_broken_and_a_pull_brings_it_back() {
    let world = world::with_commit("archive");
    world.ok("--repo=other init --mode=archive");
    world.ok("--repo=other pull-local --untrusted repo");
    let object = world.objects(".filez").remove(0);
    std::fs::write(&object, b"broken").unwrap();
    assert_eq!(world.run("--repo=repo fsck --delete").status.code(), Some(1));
    assert!(!object.exists());
    world.ok("--repo=repo pull-local other");
    assert!(world.ok("--repo=repo fsck").contains("no errors found"));
}

#[test]
fn damaged_configurations_are_named() {
    for (text, error) in [
        ("", "repo/config"),
        ("[core", "repo/config"),
        ("[core]\nrepo_version=2\nmode=bare\n", "Invalid repository version '2'"),
        ("[core]\nrepo_version=1\nmode=bare-split-xattrs\n", "bare-split-xattrs is not supported"),
        ("[core]\nrepo_version=1\nmode=bare\nparent=/x\n", "core.parent"),
    ] {
        let world = world::with_commit("bare");
        world.write("repo/config", text);
        let found = world.fails("--repo=repo refs");
        assert!(found.contains(error), "{text:?}: {found}");
    }
}

#[test]
fn a_lock_that_another_process_holds_is_waited_for() {
    use nix::fcntl::{FcntlArg, fcntl};
    let world = world::with_commit("archive");
    world.ok("--repo=repo config set core.lock-timeout-secs 1");
    let file = std::fs::File::options().read(true).write(true).open(world.path("repo/.lock")).unwrap();
    let range = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLK(&range)).unwrap();
    let before = world.snapshot("repo");
    for words in ["--repo=repo commit --branch=main tree", "--repo=repo prune"] {
        let error = world.fails(words);
        assert!(error.contains("another process holds .lock since 1 s"), "{error}");
    }
    assert_eq!(world.snapshot("repo"), before);
    // Reading needs no lock.
    world.ok("--repo=repo ls main");
    drop(file);
    world.ok("--repo=repo commit --branch=main tree");
}

#[test]
fn free_space_is_kept() {
    let world = world::with_commit("archive");
    world.ok("--repo=repo config set core.min-free-space-size 900000TB");
    world.write("tree/new", "new content");
    let before = world.snapshot("repo");
    let error = world.fails("--repo=repo commit --branch=main tree");
    assert!(error.contains("tree/new") && error.contains("min-free-space-size"), "{error}");
    assert_eq!(world.snapshot("repo"), before);
}

#[test]
fn a_full_disk_leaves_everything_as_it_was() {
    test_world::needs_root!();
    // A file system of its own needs root and a mount namespace, which `unshare` gives.
    assert!(std::fs::metadata("/proc/self").unwrap().uid() == 0, "run this test as root");
    let world = world::empty();
    world.make_tree();
    let script = format!(
        "set -e; mkdir m; mount -t tmpfs -o size=2M none m; P={}; $P --repo=m/repo init --mode=archive; \
         $P --repo=m/repo config set core.min-free-space-percent 0; mkdir small; echo a > small/a; \
         $P --repo=m/repo commit --branch=main small >/dev/null; head -c 4000000 /dev/urandom > tree/random; \
         find m -type f | sort > before; ! $P --repo=m/repo commit --branch=main tree 2> error; \
         find m -type f | sort > after; cmp before after; $P --repo=m/repo fsck -q >/dev/null; cat error",
        env!("CARGO_BIN_EXE_ostree")
    );
    std::fs::write(world.path("script"), script).unwrap();
    let error = world.ok_as(std::path::Path::new("unshare"), "--mount sh script");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("error: tree/") && error.contains("No space left on device"), "{error}");
}

#[test]
fn repeated_checkouts_and_layers() {
    let world = world::with_commit("bare");
    world.ok("--repo=repo checkout -H main out");
    assert!(world.fails("--repo=repo checkout -H main out").contains("out"));
    world.ok("--repo=repo checkout -H --union main out");
    world.ok("--repo=repo checkout -H --union-identical main out");
    std::fs::remove_file(world.path("out/hello.txt")).unwrap();
    world.write("out/hello.txt", "other");
    assert!(world.fails("--repo=repo checkout -H --union-identical main out").contains("hello.txt"));
    world.ok("--repo=repo checkout --union-add main out");
    assert_eq!(world.read("out/hello.txt"), "other");
    world.ok("--repo=repo checkout --union main out");
    assert_eq!(world.read("out/hello.txt"), "Hello world!\n");
}

#[test]
fn version_and_help() {
    let world = world::empty();
    assert!(world.ok("--version").starts_with("libostree:\n Version: '"));
    for command in ["commit", "checkout", "fsck", "refs", "pull-local"] {
        assert!(world.ok(&format!("{command} --help")).contains("Example: ostree"), "{command}");
    }
}

/// Every name below a directory, with its times, size and kind.
fn snapshot(top: &std::path::Path) -> std::collections::BTreeMap<std::path::PathBuf, String> {
    let mut found = std::collections::BTreeMap::new();
    let mut directories = vec![top.to_owned()];
    while let Some(directory) = directories.pop() {
        let names = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        for path in names.chain([directory.clone()]) {
            let data = path.symlink_metadata().unwrap();
            let facts =
                [data.ino() as i64, data.mode().into(), data.size() as i64, data.ctime(), data.ctime_nsec()];
            if data.is_dir() && path != directory {
                directories.push(path.clone());
            }
            found.insert(path, format!("{facts:?}"));
        }
    }
    found
}

/// A dry run of each command that changes a repository prints a plan, and changes nothing.
#[test]
fn dry_runs_write_nothing() {
    let world = world::with_commit("bare-user");
    world.ok("--repo=other init --mode=bare-user");
    world.ok("--repo=repo refs --create=old main");
    let before = snapshot(&world.path(""));
    for (line, steps) in [
        ("--repo=repo commit --branch=new tree", &["write-objects", "set-ref"][..]),
        ("--repo=repo commit --orphan tree", &["write-objects"]),
        ("--repo=repo commit --orphan --consume tree", &["write-objects", "remove"]),
        (
            "--repo=other pull-local repo main old --disable-verify-bindings",
            &["write-objects", "set-ref", "set-ref"],
        ),
        ("--repo=other pull-local repo main --commit-metadata-only", &["record", "write-objects", "set-ref"]),
        ("--repo=repo prune --refs-only", &["remove-objects"]),
        ("--repo=repo prune --no-prune", &[]),
        ("--repo=repo refs --create=new main", &["set-ref"]),
        ("--repo=repo refs --create=old --alias --force main", &["set-alias"]),
        ("--repo=repo refs --delete main old", &["delete-ref", "delete-ref"]),
        ("--repo=repo reset main old", &["set-ref"]),
        ("admin init-fs --modern other/tmp", &["make-directory"; 13]),
    ] {
        let plan: serde_json::Value =
            serde_json::from_str(&world.ok(&format!("{line} --dry-run --json"))).unwrap();
        let found: Vec<_> = plan["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
        let expected =
            if line.contains("init-fs") { [steps, &["write", "sync"]].concat() } else { steps.to_vec() };
        assert_eq!(found, expected, "{line}");
        assert!(world.ok(&format!("{line} --dry-run")).contains("Steps:\n"), "{line}");
        assert!(snapshot(&world.path("")) == before, "{line} has changed something");
    }
    world.fails("--repo=repo refs --create=old main --dry-run");
    world.fails("--repo=repo refs --dry-run");
}
