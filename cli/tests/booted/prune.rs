// SPDX-License-Identifier: MIT OR Apache-2.0
//! A prune or a cleanup of others while a deployment is made leaves its objects (ostree#2337).

use std::fs;
use std::path::Path;

use repo::Repo;

use crate::locks::{REPO, SYSROOT_LOCK};
use crate::programs::{boot, command};
use crate::user::User;
use crate::waiting::Started;
use test_world::namespace::{Case, Need};
use test_world::system::list;

pub(crate) const CASES: &[Case] = &[
    ("refs_that_keep_nothing_stop_no_cleanup", Need::Nothing, dangling),
    ("a_prune_beside_a_deployment", Need::EachPeer, prune),
    ("a_cleanup_beside_a_deployment", Need::EachPeer, cleanup),
    ("a_commit_waits_for_who_has_a_lease", Need::EachPeer, commit_of_a_leased_file),
];

/// A file that is copied after the tree was checked out.
const CONFIGURATION: &str = "usr/etc/new-in-this-version";

/// Makes a commit that no ref leads to, with a file of its own.
fn commit(version: &str) -> String {
    let over = Path::new("/run").join(version);
    fs::create_dir_all(over.join(CONFIGURATION).parent().unwrap()).unwrap();
    fs::write(over.join(CONFIGURATION), version).unwrap();
    let words = format!(
        "--repo={REPO} commit --orphan --add-metadata-string=version={version} --tree=ref=main --tree=dir={}",
        over.display()
    );
    let output = command("ostree", &words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Starts deploying a commit, and comes back when the tree is checked out, but no boot entry names it.
fn deploy_halfway(program: &str, words: &str, commit: &str, user: &mut User) -> Started {
    let repo = Repo::open(Path::new(REPO)).unwrap();
    let entry = repo.lookup(&commit.parse().unwrap(), &format!("/{CONFIGURATION}")).unwrap();
    let repo::Entry::File(checksum) = entry else { panic!("it is no file") };
    let name = checksum.to_string();
    user.order(&format!("lease {REPO}/objects/{}/{}.file", &name[..2], &name[2..]));
    let deploy = Started::new(command(program, &format!("admin {words} {commit}")));
    assert_eq!(user.hear(), "somebody waits");
    deploy
}

/// Everything that the commit needs is there.
fn check(commit: &str) {
    let output = command("ostree", &format!("--repo={REPO} fsck")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let repo = Repo::open(Path::new(REPO)).unwrap();
    let mut needed = repo::Reachable::new();
    needed.add_history(&repo, &commit.parse().unwrap(), repo::Depth::Parents(0), false).unwrap();
    assert!(needed.iter().all(|name| repo.has_object(*name).unwrap()), "{commit}");
}

/// A ref whose commit is gone, and one that holds nothing: objects that nothing needs go all the same, by a cleanup and by the one after
/// a deployment.
fn dangling() {
    boot();
    for (name, content) in [("gone", format!("{}\n", "a0".repeat(32))), ("empty", String::new())] {
        fs::write(Path::new(REPO).join("refs/heads").join(name), content).unwrap();
    }
    for words in ["admin cleanup", "admin deploy main"] {
        let orphan: formats::Checksum = commit(words.rsplit(' ').next().unwrap()).parse().unwrap();
        let name = formats::object::ObjectName::new(orphan, formats::object::ObjectType::Commit);
        let has = || Repo::open(Path::new(REPO)).unwrap().has_object(name).unwrap();
        assert!(has());
        let output = command("ostree", words).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && !has(), "{words}: {errors}");
        for name in ["gone", "empty"] {
            assert!(errors.contains(&format!("The ref {name} keeps nothing")), "{words}: {errors}");
        }
    }
}

fn prune() {
    boot();
    let mut user = User::start();
    for (version, words, second) in [
        ("3", "deploy", "ostree"),
        ("4", "deploy", "peer"),
        ("5", "deploy --stage", "ostree"),
        ("6", "deploy --stage", "peer"),
    ] {
        let commit = commit(version);
        let deploy = deploy_halfway("ostree", words, &commit, &mut user);
        for how in ["--refs-only", "--refs-only --depth=0"] {
            let prune = command(second, &format!("--repo={REPO} prune {how}")).output().unwrap();
            assert!(prune.status.success(), "{}", String::from_utf8_lossy(&prune.stderr));
        }
        user.order("let_go");
        deploy.finish();
        assert!(list()[0].starts_with(version), "{:?}", list());
        check(&commit);
    }
}

fn cleanup() {
    boot();
    let mut user = User::start();
    for (version, first, second) in
        [("3", "ostree", "ostree"), ("4", "ostree", "peer"), ("5", "peer", "ostree")]
    {
        let commit = commit(version);
        let deploy = deploy_halfway(first, "deploy", &commit, &mut user);
        let cleanup = command(second, "admin cleanup");
        let cleanup = match second {
            "ostree" => Started::ours_waits(cleanup),
            _ => Started::theirs_waits(cleanup, Path::new(SYSROOT_LOCK)),
        };
        user.order("let_go");
        deploy.finish();
        cleanup.finish();
        assert!(list()[0].starts_with(version), "{:?}", list());
        check(&commit);
    }
}

/// A file server may have a lease on a file that is committed: opening without blocking fails then.
fn commit_of_a_leased_file() {
    boot();
    let tree = Path::new("/run/leased");
    fs::create_dir(tree).unwrap();
    fs::write(tree.join("file"), "contents").unwrap();
    let mut user = User::start();
    user.order("lease /run/leased/file");
    let commit =
        Started::new(command("ostree", &format!("--repo={REPO} commit --orphan --tree=dir=/run/leased")));
    assert_eq!(user.hear(), "somebody waits");
    user.order("let_go");
    commit.finish();
}
