// SPDX-License-Identifier: MIT OR Apache-2.0
//! Remotes, pulls and upgrades of ours alone: what is refused, in one line, with everything as it was.
//!
//! Deployments are made immutable, so these tests run as root.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

mod world;

use world::World;

/// A repository `src` with a commit, and a root with a deployment of it that follows `r:t/x`.
fn deployed() -> World {
    let world = world::empty();
    world.make_bootable_tree();
    let url = world.path("src").display().to_string();
    world.ok("--repo=src init --mode=archive");
    world.ok("--repo=src commit --branch=t/x --timestamp=@1000 tree");
    world.make_root(world::OSTREE);
    world.ok(&format!("remote add --sysroot=root --no-gpg-verify r {url}"));
    world.ok("--repo=root/ostree/repo pull r t/x");
    world.ok("admin --sysroot=root deploy --os=testos r:t/x");
    world
}

/// Reads all that must not change: everything but objects, lock files and temporary ones.
fn state(world: &World) -> Vec<(std::path::PathBuf, u32, Vec<u8>)> {
    let root = world.path("root");
    let keep = |path: &std::path::Path| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        !["/objects", "repo/tmp", "/.lock", "ostree/lock"].iter().any(|part| name.contains(part))
    };
    world.snapshot("root").into_iter().filter(|(path, ..)| keep(path)).collect()
}

#[test]
fn what_is_refused_leaves_everything_as_it_was() {
    test_world::needs_root!();
    let world = deployed();
    let url = world.path("src").display().to_string();
    world.ok(&format!("remote add --sysroot=root signed file://{url}"));
    world.ok(&format!(
        "remote add --sysroot=root keys file://{url} --no-gpg-verify --set=sign-verify=ed25519"
    ));
    world.ok("remote add --sysroot=root --no-gpg-verify web https://host/repo");
    world.ok("remote add --sysroot=root --no-gpg-verify gone file:///absent");
    world.ok("--repo=src commit --branch=t/x --timestamp=@500 tree");
    let before = state(&world);
    for (words, names) in [
        ("upgrade --os=testos", "chronologically older"),
        ("upgrade --os=testos --kexec", "--kexec"),
        ("upgrade --os=testos --override-commit=short", "'short'"),
        ("upgrade --os=absent", "'absent'"),
        ("upgrade", "no OS specified"),
        ("switch --os=testos signed:t/x", "gpg-verify=true (the default)"),
        ("switch --os=testos keys:t/x", "sign-verify=ed25519"),
        ("switch --os=testos web:t/x", "https is not supported"),
        ("switch --os=testos gone:t/x", "/absent"),
        ("switch --os=testos none:t/x", "\"none\" not found"),
        ("switch --os=testos r:t/none", "t/none"),
        ("switch --os=testos r:../x", "Invalid refspec"),
        ("switch --os=testos r:t/x", "equal"),
        ("switch", "REFSPEC"),
        ("set-origin --index=7 n file:///x", "index 7"),
        ("set-origin --index=0 a/b file:///x", "Invalid remote name a/b"),
        ("set-origin --index=0 n file:///x t/../x", "Invalid refspec"),
        ("set-origin --index=0 n file:///x --set=nothing", "KEY=VALUE"),
    ] {
        let line = world.fails(&format!("admin --sysroot=root {words}"));
        assert!(line.contains(names), "{words}: {line}");
        assert!(state(&world) == before, "{words}");
    }
}

#[test]
fn a_branch_that_has_ended_leads_to_its_successor() {
    test_world::needs_root!();
    let world = deployed();
    let end = "--add-metadata-string=ostree.endoflife=over --add-metadata-string=ostree.endoflife-rebase";
    world.ok("--repo=src commit --branch=t/y --timestamp=@3000 tree");
    world.ok(&format!("--repo=src commit --branch=t/x --timestamp=@2000 {end}=t/y tree"));
    let output = world.run("admin --sysroot=root upgrade --os=testos");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("r:t/x is at its end of life: over; following r:t/y from now on"), "{told}");
    assert!(world.ok("admin --sysroot=root status").contains("origin refspec: r:t/y"));
    // Two that lead to each other.
    world.ok(&format!("--repo=src commit --branch=t/x --timestamp=@5000 {end}=t/y tree"));
    world.ok(&format!("--repo=src commit --branch=t/y --timestamp=@5000 {end}=t/x tree"));
    assert!(world.fails("admin --sysroot=root upgrade --os=testos").contains("leads back to itself"));
}

#[test]
fn an_origin_that_is_not_configured_forbids_upgrades_but_not_switching() {
    test_world::needs_root!();
    let world = deployed();
    world.ok("--repo=src commit --branch=t/y --timestamp=@3000 tree");
    let dir = world.path("root/ostree/deploy/testos/deploy");
    let origin = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "origin"))
        .unwrap();
    std::fs::write(&origin, "[origin]\nrefspec=r:t/x\nunconfigured-state=Register first\n").unwrap();
    let line = world.fails("admin --sysroot=root upgrade --os=testos");
    assert_eq!(line, "origin unconfigured-state: Register first");
    world.ok("admin --sysroot=root switch --os=testos t/y");
    assert_eq!(world.ok("admin --sysroot=root upgrade --os=testos"), "No update available.\n");
}

#[test]
fn a_local_branch_is_followed_and_never_deleted() {
    test_world::needs_root!();
    let world = deployed();
    world.ok("--repo=root/ostree/repo commit --branch=mine --timestamp=@2000 tree");
    world.ok("admin --sysroot=root deploy --os=testos mine");
    assert_eq!(world.ok("admin --sysroot=root upgrade --os=testos"), "No update available.\n");
    world.ok("--repo=root/ostree/repo commit --branch=mine --timestamp=@3000 tree");
    assert!(world.ok("admin --sysroot=root upgrade --os=testos").contains("bootversion"));
    let told = world.ok("admin --sysroot=root switch --os=testos r:t/x");
    assert!(!told.contains("Deleting ref"), "{told}");
    assert!(world.ok("--repo=root/ostree/repo refs").lines().any(|line| line == "mine"));
}

#[test]
fn no_remote_is_above_the_refs() {
    test_world::needs_root!();
    let world = deployed();
    for remote in ["..", ".", "a/b", ""] {
        let line = world.fails(&format!("--repo=root/ostree/repo pull-local src t/x --remote={remote}"));
        assert!(line.contains("Invalid re"), "{remote}: {line}");
    }
    assert!(!world.path("root/ostree/repo/refs/t").exists());
}

#[test]
fn the_plan_begins_with_the_pull_and_ends_with_the_forgotten_ref() {
    test_world::needs_root!();
    let world = deployed();
    let plan = |words: &str| -> (String, Vec<serde_json::Value>) {
        let text = world.ok(&format!("admin --sysroot=root {words} --os=testos --dry-run --json"));
        let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
        let steps = plan["steps"].as_array().unwrap().clone();
        (plan["operation"].as_str().unwrap().to_owned(), steps)
    };
    let rev = |name: &str| world.ok(&format!("--repo=root/ostree/repo rev-parse {name}")).trim().to_owned();
    let pull = |name: &str, commit: &str| {
        let set = serde_json::json!({"step": "set-ref", "name": name, "commit": commit});
        [serde_json::json!({"step": "write-objects"}), set]
    };
    // Nothing newer is here: only the pull is planned, and nothing is done.
    let (before, old) = (state(&world), rev("r:t/x"));
    for words in ["upgrade", "upgrade --pull-only"] {
        assert_eq!(plan(words), ("pull".to_owned(), pull("r:t/x", &old).to_vec()), "{words}");
    }
    let deploy_only = "admin --sysroot=root upgrade --os=testos --deploy-only --dry-run";
    assert_eq!(world.ok(deploy_only), "No update available.\n");
    assert!(state(&world) == before);

    world.ok("--repo=src commit --branch=t/x --timestamp=@2000 tree");
    world.ok("admin --sysroot=root upgrade --os=testos --pull-only");
    let (operation, steps) = plan("upgrade");
    assert_eq!((operation.as_str(), &steps[..2]), ("deploy", &pull("r:t/x", &rev("r:t/x"))[..]));
    assert!(steps.len() > 20 && rev("r:t/x") != old);

    world.ok("--repo=src commit --branch=t/y --timestamp=@3000 tree");
    world.ok("--repo=root/ostree/repo pull r t/y");
    let (_, steps) = plan("switch t/y");
    assert_eq!(steps[..2], pull("r:t/y", &rev("r:t/y")));
    let forgotten = serde_json::json!({"step": "delete-ref", "name": "r:t/x"});
    assert_eq!(steps.last(), Some(&forgotten));
}

#[test]
fn a_drop_in_is_a_remote_of_the_sysroot() {
    test_world::needs_root!();
    let world = deployed();
    let url = world.path("src").display().to_string();
    std::fs::create_dir_all(world.path("root/etc/ostree/remotes.d")).unwrap();
    world.write(
        "root/etc/ostree/remotes.d/a.conf",
        &format!("[remote \"a\"]\nurl=file://{url}\ngpg-verify=false\n[remote \"b\"]\nurl=x\n"),
    );
    let told = world.ok("admin --sysroot=root switch --os=testos a:");
    assert!(told.contains("Deleting ref 'r:t/x'"), "{told}");
    let line = world.fails("remote add --sysroot=root a x");
    assert!(line.contains("already exists") && line.ends_with("remotes.d/a.conf"), "{line}");
    // The other one in the same file stays.
    world.ok("remote delete --sysroot=root a");
    assert_eq!(world.read("root/etc/ostree/remotes.d/a.conf"), "[remote \"b\"]\nurl=x\n");
    world.ok("remote delete --sysroot=root b");
    assert!(!world.path("root/etc/ostree/remotes.d/a.conf").exists());
    // Named twice, it is nobody's.
    world.write("root/etc/ostree/remotes.d/r.conf", "[remote \"r\"]\nurl=x\n");
    let line = world.fails("admin --sysroot=root switch --os=testos r:t/x");
    assert!(line.contains("Multiple specifications found for remote \"r\""), "{line}");
    world.write("root/etc/ostree/remotes.d/r.conf", "junk");
    assert!(world.fails("admin --sysroot=root switch --os=testos r:t/x").contains("remotes.d/r.conf"));
}

#[test]
fn pulls_refuse_by_name_what_is_not_built() {
    let world = world::with_commit("archive");
    world.ok("--repo=dst init --mode=bare-user");
    world.ok("--repo=dst remote add --no-gpg-verify n repo");
    for (words, names) in [
        ("pull n main --require-static-deltas", "--require-static-deltas"),
        ("pull n main --localcache-repo=x", "--localcache-repo"),
        ("pull n main --subpath=usr", "--subpath=usr"),
        ("pull n main --subpath=/usr/none", "/usr/none"),
        ("pull n main --subpath=/../x", "--subpath=/../x"),
        ("pull n main@short", "main@short"),
        ("pull n main --bareuseronly-files", "invalid mode"),
        ("pull-local repo --gpg-verify", "--gpg-verify"),
        ("remote gpg-import n --stdin", "gpg-import"),
        ("remote summary n", "summary"),
        ("remote add x y --gpg-import=f", "--gpg-import"),
        ("remote add x y --sign-verify=ed25519=inline:k", "--sign-verify"),
        ("remote add x y --set=[=1", "Invalid key"),
    ] {
        let line = world.fails(&format!("--repo=dst {words}"));
        assert!(line.contains(names), "{words}: {line}");
        assert_eq!(world.ok("--repo=dst refs"), "", "{words}");
    }
    assert_eq!(world.ok("--repo=dst remote refs n"), "n:main\n");
    world.ok("--repo=dst pull n main --per-object-fsync --http-header=a=b");
    assert_eq!(world.ok("--repo=dst refs"), "n:main\n");
}

#[test]
fn a_mirror_of_everything_has_the_summary_too() {
    let world = world::with_commit("archive");
    world.write("repo/summary", "the list");
    world.ok("--repo=mirror init --mode=archive");
    world.ok("--repo=mirror remote add --no-gpg-verify n repo");
    world.write("mirror/summary.sig", "of an older list");
    world.ok("--repo=mirror pull --mirror n main");
    assert!(!world.path("mirror/summary").exists());
    world.ok("--repo=mirror pull --mirror n");
    assert_eq!(world.ok("--repo=mirror refs"), "main\n");
    assert_eq!(world.read("mirror/summary"), "the list");
    assert!(!world.path("mirror/summary.sig").exists());
}
