// SPDX-License-Identifier: MIT OR Apache-2.0
//! Repositories that are damaged, shared or half pulled, before our `ostree` and before another one, which `OSTREE_PEER` names.
//! Without that variable every test is reported as ignored.
//!
//! Trees get owners, so these tests run as root.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness of its own, where clippy sees no tests")]

mod world;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;

use test_world::run_trials;
use world::{World, beside};

fn main() -> ExitCode {
    let trials = vec![
        beside("temporary_names_are_nobodys", temporary_names_are_nobodys),
        beside("a_ref_is_written_beside_any_other", a_ref_is_written_beside_any_other),
        beside("a_dangling_ref_stops_no_prune", a_dangling_ref_stops_no_prune),
        beside("linked_refs_keep_their_commits", linked_refs_keep_their_commits),
        beside("directories_that_are_gone_are_made_again", directories_that_are_gone_are_made_again),
        beside("a_partial_source_gives_all_or_nothing", a_partial_source_gives_all_or_nothing),
        beside("links_keep_owner_and_mode", links_keep_owner_and_mode),
    ];
    run_trials(trials)
}

fn ours() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ostree"))
}

/// A commit that no ref names.
fn orphan(world: &World, content: &str) -> String {
    std::fs::create_dir_all(world.path("lone")).unwrap();
    world.write("lone/content", content);
    world.ok("--repo=repo commit --orphan lone").trim_end().to_owned()
}

fn has(world: &World, commit: &str) -> bool {
    world.path("repo/objects").join(&commit[..2]).join(format!("{}.commit", &commit[2..])).exists()
}

/// An interrupted write of a ref leaves a name that is a ref for neither tool, pins nothing, and goes with a later prune.
fn temporary_names_are_nobodys(peer: &Path) {
    let world = world::with_commit("archive");
    let commit = orphan(&world, "lone");
    std::fs::create_dir_all(world.path("repo/refs/remotes/origin")).unwrap();
    std::fs::create_dir_all(world.path("repo/refs/mirrors/org.example.Os")).unwrap();
    let here = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let here: String = here.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    let dirs = ["refs/heads", "refs/remotes/origin", "refs/mirrors/org.example.Os", "state", "."];
    let (old, young) = (std::time::UNIX_EPOCH, std::time::SystemTime::now());
    // Boot, number, age; whether it goes.
    let cases =
        [("00000000deadbeef", 0, old, true), ("00000000deadbeef", 1, young, false), (&here, 2, old, false)];
    let places = |case: &(&str, i32, std::time::SystemTime, bool)| {
        let name = format!(".ostree-tmp-{}-{:016x}", case.0, case.1);
        dirs.map(|dir| world.path("repo").join(dir).join(&name))
    };
    for case in &cases {
        for path in places(case) {
            std::fs::write(&path, format!("{commit}\n")).unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(case.2).unwrap();
        }
    }
    for program in [peer, ours()] {
        assert_eq!(world.ok_as(program, "--repo=repo refs"), "main\n");
        let name = format!(".ostree-tmp-{here}-{:016x}", 2);
        assert!(!world.run_as(program, &format!("--repo=repo rev-parse {name}")).status.success());
        assert!(world.ok_as(program, "--repo=repo fsck").contains("no errors found"));
        assert!(
            world
                .ok_as(program, "--repo=repo prune --refs-only --no-prune")
                .contains("Would delete: 3 objects")
        );
    }
    assert!(cases.iter().flat_map(places).all(|path| path.exists()));
    world.ok("--repo=repo prune --refs-only");
    assert!(!has(&world, &commit));
    for case in &cases {
        for path in places(case) {
            assert_eq!(path.exists(), !case.3, "{path:?}");
        }
    }
}

/// The names of refs are the user's, whatever their ends.
fn a_ref_is_written_beside_any_other(peer: &Path) {
    let world = world::with_commit("archive");
    for name in ["foo.tmp", "bar.tmp/x", "zip.tmp"] {
        world.ok(&format!("--repo=repo refs --create={name} main"));
    }
    for (program, name) in [(ours(), "foo"), (ours(), "bar"), (peer, "zip")] {
        world.ok_as(program, &format!("--repo=repo commit --branch={name} tree"));
    }
    // As long as a file's name may be.
    let long = "n".repeat(255);
    world.ok(&format!("--repo=repo commit --branch={long} tree"));
    let wanted = format!("bar\nbar.tmp/x\nfoo\nfoo.tmp\nmain\n{long}\nzip\nzip.tmp\n");
    for program in [peer, ours()] {
        assert_eq!(world.ok_as(program, "--repo=repo refs"), wanted);
    }
    // The same for the configuration and its drop-ins, and for what is noted of a commit.
    let commit = world.ok("--repo=repo rev-parse main").trim_end().to_owned();
    let own = ["repo/config.tmp".to_owned(), format!("repo/state/{commit}.commitpartial.tmp")];
    own.iter().for_each(|name| world.write(name, "somebody's"));
    world.ok("--repo=repo config set core.fsync false");
    world.ok("--repo=other init --mode=archive");
    world.ok("--repo=other pull-local --commit-metadata-only repo main");
    own.iter().for_each(|name| assert_eq!(world.read(name), "somebody's"));
    let left =
        world.snapshot("repo").into_iter().find(|(path, ..)| path.to_str().unwrap().contains(".ostree-tmp-"));
    assert_eq!(left, None);
}

/// A ref whose commit is gone, or that holds no checksum, keeps nothing; all else is pruned.
fn a_dangling_ref_stops_no_prune(peer: &Path) {
    let missing = "f430dbbd8f2dc01a3c28decdb790d2d8258f316973595ed3d3372d2427670630\n";
    for (content, place) in [
        (missing, "heads/x"),
        (missing, "remotes/origin/x"),
        (missing, "mirrors/org.example.Os/x"),
        ("", "heads/x"),
        ("garbage\n", "remotes/origin/x"),
        ("", "mirrors/org.example.Os/x"),
    ] {
        let worlds = [(peer, world::with_commit("archive")), (ours(), world::with_commit("archive"))];
        let reports = worlds.map(|(program, world)| {
            let lone = orphan(&world, "lone");
            let path = world.path("repo/refs").join(place);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            let output = world.run_as(program, "--repo=repo prune --refs-only");
            let errors = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{place} {content:?}: {errors}");
            assert!(!has(&world, &lone), "{place} {content:?}");
            assert!(world.ok_as(peer, "--repo=repo ls -R main").contains("/hello.txt"));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "the ref stays");
            assert!(program == peer || errors.contains("keeps nothing"), "{errors}");
            String::from_utf8(output.stdout).unwrap()
        });
        assert_eq!(reports[0], reports[1]);
    }
}

/// A prune keeps the commits of refs that are reached through linked directories. The peer refuses to prune then.
fn linked_refs_keep_their_commits(peer: &Path) {
    let world = world::with_commit("archive");
    let commits: Vec<_> = ["a", "b", "c"].iter().map(|content| orphan(&world, content)).collect();
    for dir in ["ext/deep", "other", "repo/refs/mirrors"] {
        std::fs::create_dir_all(world.path(dir)).unwrap();
    }
    world.write("ext/deep/x", &format!("{}\n", commits[0]));
    world.write("other/y", &format!("{}\n", commits[1]));
    world.write("ext/z", &format!("{}\n", commits[2]));
    symlink("../../../ext", world.path("repo/refs/heads/linked")).unwrap();
    symlink(world.path("other"), world.path("repo/refs/remotes/origin")).unwrap();
    symlink(world.path("ext"), world.path("repo/refs/mirrors/org.example.Os")).unwrap();
    // In circles, and to nowhere.
    symlink(".", world.path("ext/again")).unwrap();
    symlink(world.path("repo/refs/heads"), world.path("ext/deep/up")).unwrap();
    symlink("loop", world.path("repo/refs/heads/loop")).unwrap();
    for (name, commit) in
        [("linked/deep/x", &commits[0]), ("origin:y", &commits[1]), ("linked/z", &commits[2])]
    {
        for program in [peer, ours()] {
            let found = world.ok_as(program, &format!("--repo=repo rev-parse {name}"));
            assert_eq!(found.trim_end(), commit);
        }
    }
    assert!(!world.run_as(peer, "--repo=repo prune --refs-only").status.success());
    world.ok("--repo=repo prune --refs-only --depth=0");
    assert!(commits.iter().all(|commit| has(&world, commit)));
    let listed = world.ok("--repo=repo refs");
    for name in ["linked/deep/x", "linked/z", "main", "origin:y"] {
        assert!(listed.lines().any(|line| line == name), "{listed}");
    }
    std::fs::remove_file(world.path("repo/refs/heads/linked")).unwrap();
    world.ok("--repo=repo prune --refs-only --depth=0");
    assert!(has(&world, &commits[0]), "the mirror has it still");
    std::fs::remove_file(world.path("repo/refs/mirrors/org.example.Os")).unwrap();
    std::fs::remove_file(world.path("repo/refs/remotes/origin")).unwrap();
    world.ok("--repo=repo prune --refs-only --depth=0");
    assert!(!commits.iter().any(|commit| has(&world, commit)));
}

/// Commands that write make them again, so that the peer finds what it expects, too; those that read do without.
fn directories_that_are_gone_are_made_again(peer: &Path) {
    let dirs =
        ["extensions", "refs/mirrors", "refs/remotes", "state", "tmp", "tmp/cache", "refs/heads", "refs"];
    for words in ["commit --branch=main tree", "pull-local other main", "prune"] {
        let world = world::with_commit("archive");
        world.ok("--repo=other init --mode=archive");
        world.ok("--repo=other pull-local repo main");
        // Each alone, and all of them.
        for gone in dirs.iter().map(|dir| vec![*dir]).chain([vec!["extensions", "refs", "state", "tmp"]]) {
            gone.iter().for_each(|dir| std::fs::remove_dir_all(world.path("repo").join(dir)).unwrap());
            let refs =
                if gone.iter().any(|dir| ["refs", "refs/heads"].contains(dir)) { "" } else { "main\n" };
            assert_eq!(world.ok("--repo=repo refs"), refs, "{gone:?}");
            world.ok(&format!("--repo=repo {words}"));
            for dir in dirs {
                assert!(world.path("repo").join(dir).is_dir(), "{dir} after {gone:?} and {words}");
            }
            let refs = if words == "prune" { refs } else { "main\n" };
            assert_eq!(world.ok_as(peer, "--repo=repo refs"), refs, "{gone:?} {words}");
            world.ok("--repo=repo pull-local other main");
        }
        assert!(world.ok_as(peer, "--repo=repo fsck").contains("no errors found"));
    }
}

/// A ref whose tree is not there moves in neither tool; what a partial commit has is pulled.
fn a_partial_source_gives_all_or_nothing(peer: &Path) {
    let make = || {
        let world = world::with_commit("archive");
        let first = world.ok("--repo=repo rev-parse main").trim_end().to_owned();
        world.write("tree/hello.txt", "another\n");
        let commit = world.ok("--repo=repo commit --branch=main tree").trim_end().to_owned();
        let mark = world.path("repo/state").join(format!("{commit}.commitpartial"));
        std::fs::write(&mark, "").unwrap();
        world.ok("--repo=to init --mode=archive");
        (world, first, commit, mark)
    };
    // It only counts as partial: the whole tree is there.
    for program in [peer, ours()] {
        let (world, _, commit, _) = make();
        world.ok_as(program, "--repo=to pull-local repo main");
        assert_eq!(world.ok_as(peer, "--repo=to rev-parse main").trim_end(), commit);
        assert!(world.ok_as(peer, "--repo=to fsck").contains("fsck objects"), "the commit counts as whole");
        assert!(!world.path("to/state").join(format!("{commit}.commitpartial")).exists());
    }
    // A file or a directory is not there.
    for suffix in [".filez", ".dirtree"] {
        for program in [peer, ours()] {
            let (world, first, commit, _) = make();
            std::fs::remove_file(world.path("repo/state").join(format!("{commit}.commitpartial"))).unwrap();
            // Something that the first commit does not have.
            let before = world.ok("--repo=repo ls -RC main^");
            let after = world.ok("--repo=repo ls -RC main");
            let new = after.lines().find(|line| {
                !before.contains(*line) && line.starts_with(if suffix == ".filez" { '-' } else { 'd' })
            });
            let checksum = new.unwrap().split_whitespace().find(|word| word.len() == 64).unwrap();
            let (fanout, rest) = checksum.split_at(2);
            std::fs::remove_file(world.path("repo/objects").join(fanout).join(format!("{rest}{suffix}")))
                .unwrap();
            std::fs::write(world.path("repo/state").join(format!("{commit}.commitpartial")), "").unwrap();
            world.ok(&format!("--repo=to pull-local repo main@{first}"));
            let output = world.run_as(program, "--repo=to pull-local repo main");
            assert!(!output.status.success(), "{suffix}");
            assert_eq!(world.ok_as(peer, "--repo=to rev-parse main").trim_end(), first, "{suffix}");
            assert!(world.ok_as(peer, "--repo=to fsck").contains("no errors found"));
            if program == ours() {
                let error = String::from_utf8(output.stderr).unwrap();
                assert!(error.contains("is partial in repo") && error.contains(checksum), "{error}");
                // Its metadata alone may still come, and is known as such.
                world.ok("--repo=to pull-local --commit-metadata-only repo main");
                assert!(world.path("to/state").join(format!("{commit}.commitpartial")).exists());
                assert!(world.ok_as(peer, "--repo=to fsck").contains("no errors found"));
                // Nor is anything made of it.
                let error = world.fails("--repo=to commit --branch=made --tree=ref=main");
                assert!(error.contains("lacks a part of its tree"), "{error}");
                let error = world.fails(&format!("--repo=to commit --branch=made --base={commit} tree"));
                assert!(error.contains("lacks a part of its tree"), "{error}");
                // A new commit of the same is not skipped for its sake.
                world.ok("--repo=to commit --branch=main --skip-if-unchanged tree");
                assert!(world.ok_as(peer, "--repo=to ls -R main").contains("/hello.txt"));
            }
        }
    }
    // A history with a hole, as the commits of an earlier metadata-only pull: the tip is whole.
    let (world, first, commit, mark) = make();
    std::fs::remove_file(mark).unwrap();
    world.ok(&format!("--repo=to pull-local repo {commit}"));
    world.ok(&format!("--repo=to pull-local --commit-metadata-only repo {first}"));
    world.ok(&format!("--repo=to refs --create=main {commit}"));
    world.ok("--repo=third init --mode=archive");
    world.ok("--repo=third pull-local --depth=-1 to main");
    assert!(world.path("third/state").join(format!("{first}.commitpartial")).exists());
    assert!(!world.path("third/state").join(format!("{commit}.commitpartial")).exists());
    assert!(world.ok_as(peer, "--repo=third fsck").contains("1 partial commits not verified"));
    assert!(!world.run(&format!("--repo=third pull-local to {first}")).status.success());
}

/// A link of an object is what the object says, in a repository whose files cannot say it themselves.
fn links_keep_owner_and_mode(peer: &Path) {
    const OPTIONS: [&str; 7] = [
        "",
        "--owner-uid=7 ",
        "--canonical-permissions ",
        "--no-xattrs ",
        "--mode-ro-executables ",
        "--statoverride=statoverride ",
        "--devino-canonical ",
    ];
    for (mode, checkout) in [("bare-user", "checkout -U -H main co"), ("bare", "checkout -H main co")] {
        let world = world::with_repo(mode);
        world.write("statoverride", "2048 /hello.txt\n");
        for (name, uid, gid, mode) in [("tree/usr/bin/su", 0, 81, 0o4750), ("tree/hello.txt", 5, 6, 0o600)] {
            std::os::unix::fs::lchown(world.path(name), Some(uid), Some(gid)).unwrap();
            std::fs::set_permissions(world.path(name), std::os::unix::fs::PermissionsExt::from_mode(mode))
                .unwrap();
        }
        rustix::fs::setxattr(world.path("tree/hello.txt"), "user.a", b"1", rustix::fs::XattrFlags::empty())
            .unwrap();
        world.ok("--repo=repo commit --branch=main tree");
        world.ok(&format!("--repo=repo {checkout}"));
        // One that is no link.
        world.write("co/usr/bin/new", "new");
        for options in OPTIONS {
            let words = format!("--repo=repo commit --orphan --link-checkout-speedup {options}co");
            let (ours, peers) = (world.ok(&words), world.ok_as(peer, &words));
            assert_eq!(ours, peers, "{mode} {options}");
        }
        let commit = world.ok("--repo=repo commit --orphan --link-checkout-speedup --table-output co");
        let hits = commit.lines().find_map(|line| line.strip_prefix("Content Cache Hits: "));
        assert!(hits.unwrap().parse::<u32>().unwrap() > 3, "{commit}");
        assert!(world.ok("--repo=repo fsck").contains("no errors found"));
    }
}
