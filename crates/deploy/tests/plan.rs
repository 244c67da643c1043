// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plans: they touch nothing, they say what happens, and they are not carried out on another system than they were made for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use deploy::{Applied, Changed, DeployOptions, Edits, Plan, Request, Step};
use rustix::mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount};
use sysroot::Sysroot;
use test_world::World;

/// Path and what is there.
fn contents(world: &World) -> BTreeMap<String, String> {
    let entry = |line: String| match line.split_once(' ') {
        Some((path, rest)) => (format!("/{path}"), rest.to_owned()),
        None => (format!("/{}", line.trim_end_matches('/')), String::new()),
    };
    world.snapshot().into_iter().map(entry).collect()
}

fn kargs(arg: &str) -> Edits {
    Edits { append: vec![arg.to_owned()], ..Edits::default() }
}

/// Two deployments, and a newer commit with another kernel.
fn two() -> World {
    let world = World::new();
    world.commit("main", "1", |_| ());
    world.deploy("main");
    fs::write(world.deployment(0).join("etc/conf"), "local").unwrap();
    world.commit("main", "2", |_| ());
    world.deploy("main");
    world.commit("main", "3", |tree| {
        fs::write(tree.join("usr/lib/modules/6.1.0/vmlinuz"), "another kernel").unwrap();
    });
    world
}

fn requests(world: &World) -> Vec<Request> {
    let with_kargs = DeployOptions { kernel_args: kargs("quiet"), ..world.options("main") };
    vec![
        Request::Deploy(world.options("main")),
        Request::Deploy(with_kargs),
        Request::SetDefault(1),
        Request::Rollback,
        Request::KernelArgs { index: Some(0), edits: kargs("a=1") },
        Request::KernelArgs { index: None, edits: kargs("b=1") },
        Request::Pin { indices: vec![0, 1], on: true },
        Request::Pin { indices: vec![1], on: false },
        Request::Cleanup,
        Request::Undeploy(1),
    ]
}

#[test]
fn a_plan_says_what_happens() {
    test_world::needs_root!();
    let world = two();
    let sysroot = world.sysroot();
    for request in requests(&world) {
        let before = contents(&world);
        let plan = deploy::plan(&sysroot, &request).unwrap();
        assert_eq!(contents(&world), before, "{request:?}: planning has written something");
        let lock = sysroot.lock(|| ()).unwrap();
        deploy::apply(&lock, &plan).unwrap();
        drop(lock);
        let after = contents(&world);
        check(&plan, &before, &after);
        let listed: Vec<_> = sysroot.load().unwrap().deployments.into_iter().map(|d| d.path).collect();
        assert_eq!(plan.after, listed, "{plan}");
    }
}

/// The file of a ref.
fn head(name: &str) -> String {
    format!("/ostree/repo/refs/heads/{name}")
}

/// Names below `ostree/` that are not of deployments, and the same in places of their own.
const OTHERS: [&str; 9] = [
    "heads/ostree/container/blob/sha256_3A_ab",
    "heads/ostree/mybranch",
    "heads/ostree/0/1/foo",
    "heads/ostree/1/1/007",
    "heads/ostree/1/0/x/9",
    "heads/ostree/2/0/0",
    "heads/ostree/00/1/0",
    "remotes/r/ostree/0/0/3",
    "mirrors/org.x.Y/ostree/1/1/3",
];

fn keep(world: &World, name: &str, commit: &str) {
    let path = world.root().join("ostree/repo/refs").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("{commit}\n")).unwrap();
}

#[test]
fn refs_of_others_stay_with_their_commits() {
    test_world::needs_root!();
    let world = two();
    let mut commits = Vec::new();
    for name in OTHERS {
        let commit = world.commit("made", name, |tree| fs::write(tree.join("usr/other"), name).unwrap());
        keep(&world, name, &commit.to_string());
        commits.push((name, commit));
    }
    let sysroot = world.sysroot();
    sysroot.repo().delete_ref(&"made".parse().unwrap()).unwrap();
    // Left by who was killed: these are of deployments that were.
    let main = sysroot.repo().resolve_rev("main").unwrap().to_string();
    for name in ["heads/ostree/0/0/8", "heads/ostree/0/1/9", "heads/ostree/1/0/10", "heads/ostree/1/1/11"] {
        keep(&world, name, &main);
    }
    let check = |step: &dyn std::fmt::Debug| {
        for (name, commit) in &commits {
            let text = fs::read_to_string(world.root().join("ostree/repo/refs").join(name)).unwrap();
            assert_eq!(text, format!("{commit}\n"), "{step:?}");
            assert!(world.object(commit, "usr/other").exists(), "{name} after {step:?}");
        }
    };
    for request in requests(&world) {
        let lock = sysroot.lock(|| ()).unwrap();
        deploy::apply(&lock, &deploy::plan(&sysroot, &request).unwrap()).unwrap();
        check(&request);
        deploy::cleanup(&lock).unwrap();
        check(&"cleanup");
    }
    let names = sysroot.repo().list_refs(None).unwrap().into_iter().map(|(refspec, _)| refspec.to_string());
    let left: Vec<_> = names.filter(|name| name.ends_with("/8") || name.ends_with("/10")).collect();
    assert_eq!(left, [""; 0]);
}

/// A ref of somebody else that cannot be read is none of our business.
#[test]
fn what_others_have_broken_stops_no_cleanup() {
    test_world::needs_root!();
    let world = two();
    let sysroot = world.sysroot();
    let plan = deploy::plan(&sysroot, &Request::SetDefault(1)).unwrap();
    keep(&world, "heads/ostree/mybranch", "no checksum");
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::apply(&lock, &plan).unwrap();
    let Some(slot) = ["1/1", "1/0", "0/1", "0/0"].iter().find(|slot| {
        let refs = world.root().join("ostree/repo/refs/heads/ostree").join(slot);
        refs.join("0").exists() && refs.join("1").exists()
    }) else {
        panic!("the deployments have no refs")
    };
    assert!(plan.to_string().contains(&format!("ostree/{slot}/0")), "{plan}");
}

/// A ref added after the plan was made is for the next one.
#[test]
fn the_refs_that_go_are_those_of_the_plan() {
    test_world::needs_root!();
    let world = two();
    let sysroot = world.sysroot();
    let main = sysroot.repo().resolve_rev("main").unwrap().to_string();
    keep(&world, "heads/ostree/1/0/20", &main);
    let plan = deploy::plan(&sysroot, &Request::Cleanup).unwrap();
    keep(&world, "heads/ostree/1/0/21", &main);
    let there = |name: &str| world.root().join("ostree/repo/refs/heads").join(name).exists();
    let lock = sysroot.lock(|| ()).unwrap();
    deploy::apply(&lock, &plan).unwrap();
    assert!(!there("ostree/1/0/20") && there("ostree/1/0/21"), "{plan}");
    assert!(plan.to_string().contains("  unref   ostree/1/0/20\n"), "{plan}");
    deploy::cleanup(&lock).unwrap();
    assert!(!there("ostree/1/0/21"));
}

/// A pin, or another origin of a deployment, changes the facts that a plan relies on.
#[test]
fn a_plan_relies_on_origins() {
    test_world::needs_root!();
    let world = two();
    let sysroot = world.sysroot();
    let requests = [Request::Deploy(world.options("main")), Request::Undeploy(1), Request::Cleanup];
    let plans: Vec<_> = requests.iter().map(|request| deploy::plan(&sysroot, request).unwrap()).collect();
    let pin = deploy::plan(&sysroot, &Request::Pin { indices: vec![1, 1], on: true }).unwrap();
    let lock = sysroot.lock(|| ()).unwrap();
    let path = sysroot.load().unwrap().deployments[1].path.clone();
    let origin = sysroot::Origin::new("r:elsewhere");
    deploy::set_origin(&lock, &path, &origin).unwrap();
    for plan in plans {
        let error = deploy::apply(&lock, &plan).unwrap_err();
        assert!(error.is::<Changed>(), "{}: {error:#}", plan.operation);
    }
    // A pin changes its own key, and nothing else.
    assert!(matches!(deploy::apply(&lock, &pin).unwrap(), Applied::Pinned(1)));
    let now = sysroot.load().unwrap().deployments[1].origin.clone();
    assert_eq!((now.pinned(), now.refspec().as_deref()), (true, Some("r:elsewhere")));
    assert!(!deploy::pin(&lock, &path, true).unwrap());
}

/// Nothing else changes than the plan says, and everything that it says does.
fn check(plan: &Plan, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let below =
        |path: &str, top: &str| path == top || path.strip_prefix(top).is_some_and(|p| p.starts_with('/'));
    for path in paths.into_iter().filter(|path| before.get(*path) != after.get(*path)) {
        let gone = !after.contains_key(path);
        let told = plan.steps.iter().any(|step| match step {
            // The directories on the way to it come along.
            Step::SetRef { name, .. } => below(&head(name), path),
            Step::DeleteRef { name } => gone && *path == head(name),
            Step::Prune => gone && path.starts_with("/ostree/repo/"),
            Step::Remove { path: top } | Step::Forget { path: top } => gone && below(path, top),
            Step::TrimCache { path: top } | Step::FillReserve { path: top } => below(path, top),
            Step::Record { path: made } => path == made,
            // The directories on the way to it come along.
            Step::Write { path: made, .. }
            | Step::Copy { to: made, .. }
            | Step::Link { path: made, .. }
            | Step::Switch { path: made, .. }
            | Step::FillVar { path: made }
            | Step::MakeDirectory { path: made }
            | Step::MakeStateroot { path: made }
            | Step::CheckOut { to: made, .. } => below(made, path) || below(path, made),
            Step::Rename { from, to } => path == from || path == to,
            Step::RemakeDirectory { path: made } => below(path, made),
            Step::CopyEtc { .. } | Step::MergeEtc { .. } => false,
            Step::RefreshPolicy { .. } | Step::Label { .. } | Step::Seal { .. } | Step::Notify { .. } => {
                false
            }
            Step::WriteObjects => below(path, "/ostree/repo/objects"),
            Step::Run { .. } | Step::Sync { .. } | Step::Verify | Step::Prove => false,
        });
        assert!(told, "{path} has changed, and is not in the plan\n{plan}");
    }
    for (index, step) in plan.steps.iter().enumerate() {
        let later = &plan.steps[index + 1..];
        let removed = |path: &str| {
            later.iter().any(|step| match step {
                Step::Remove { path: top } => below(path, top),
                Step::Switch { path: to, .. } => to == "/boot/loader" && path == "/boot/loader.tmp",
                _ => false,
            })
        };
        match step {
            Step::Remove { path } => {
                let is_made_again = later.iter().any(|step| match step {
                    Step::MakeDirectory { path: made } | Step::Link { path: made, .. } => made == path,
                    _ => false,
                });
                assert!(!after.contains_key(path) || is_made_again, "{path} is still there\n{plan}");
            }
            Step::DeleteRef { name } => assert!(!after.contains_key(&head(name)), "{name}\n{plan}"),
            Step::SetRef { name, .. } => {
                let deleted = later.contains(&Step::DeleteRef { name: name.clone() });
                assert_eq!(after.contains_key(&head(name)), !deleted, "{name}\n{plan}");
            }
            Step::Write { path, .. } | Step::Copy { to: path, .. } | Step::Link { path, .. } => {
                assert!(after.contains_key(path) || removed(path), "{path} was not made\n{plan}");
            }
            Step::Switch { path, target } => {
                assert_eq!(after.get(path), Some(&format!("-> {target}")), "{path}\n{plan}");
            }
            Step::CheckOut { to, .. } | Step::CopyEtc { to } => assert!(after.contains_key(to), "{to}"),
            _ => {}
        }
    }
}

#[test]
fn planning_needs_nothing_that_can_be_written_to() {
    test_world::needs_root!();
    let world = two();
    let requests = requests(&world);
    let before = contents(&world);
    mount_bind(world.root(), world.root()).unwrap();
    mount_remount(world.root(), MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
    let sysroot = Sysroot::open(&world.root()).unwrap();
    let plans: Vec<_> = requests.iter().map(|request| deploy::plan(&sysroot, request)).collect();
    let refused = rustix::fs::mkdirat(fs::File::open(world.root()).unwrap().as_fd(), "x", 0o755.into());
    drop(sysroot);
    unmount(world.root(), UnmountFlags::DETACH).unwrap();
    assert_eq!(refused, Err(rustix::io::Errno::ROFS));
    for (plan, request) in plans.into_iter().zip(requests) {
        let plan = plan.unwrap_or_else(|error| panic!("{request:?}: {error:#}"));
        assert!(!plan.to_string().is_empty());
    }
    assert_eq!(contents(&world), before);
}

#[test]
fn a_plan_for_another_system_is_not_carried_out() {
    test_world::needs_root!();
    let world = two();
    let sysroot = world.sysroot();
    let plans: Vec<_> =
        requests(&world).iter().map(|request| deploy::plan(&sysroot, request).unwrap()).collect();
    world.deploy("main");
    let before = contents(&world);
    let lock = sysroot.lock(|| ()).unwrap();
    for plan in plans {
        let error = deploy::apply(&lock, &plan).unwrap_err();
        assert!(error.is::<Changed>(), "{}: {error:#}", plan.operation);
    }
    drop(lock);
    assert_eq!(contents(&world), before);
}

#[test]
fn a_commit_that_is_pruned_meanwhile_is_not_deployed() {
    test_world::needs_root!();
    let world = two();
    let commit = world.commit("other", "3", |tree| fs::write(tree.join("usr/other"), "3").unwrap());
    let sysroot = world.sysroot();
    let plan = deploy::plan(&sysroot, &Request::Deploy(world.options(&commit.to_string()))).unwrap();
    let before = world.menu();
    let repo = repo::Repo::open(world.root().join("ostree/repo")).unwrap();
    repo.delete_ref(&"other".parse().unwrap()).unwrap();
    let only_refs = repo::prune::Options { refs_only: true, ..repo::prune::Options::default() };
    assert!(repo.prune(&only_refs).unwrap().pruned > 0);
    let lock = sysroot.lock(|| ()).unwrap();
    let error = format!("{:#}", deploy::apply(&lock, &plan).unwrap_err());
    assert!(error.contains("has been pruned since; pull it again"), "{error}");
    assert_eq!(world.menu(), before);
}

#[test]
fn what_is_refused_is_refused_by_the_plan() {
    test_world::needs_root!();
    let world = two();
    world.commit("no-kernel", "4", |tree| fs::remove_dir_all(tree.join("usr/lib/modules")).unwrap());
    let sysroot = world.sysroot();
    for (request, words) in [
        (Request::Deploy(world.options("no-kernel")), "No kernel in the tree"),
        (Request::Deploy(world.options("nowhere")), "nowhere"),
        (Request::Stage { options: world.options("main"), locked: false }, "Not currently booted"),
        (Request::Undeploy(9), "Out of range"),
        (Request::Pin { indices: vec![9], on: true }, "Out of range"),
    ] {
        let error = format!("{:#}", deploy::plan(&sysroot, &request).unwrap_err());
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_outcome_is_that_of_the_request() {
    test_world::needs_root!();
    let world = two();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let apply = |request| deploy::apply(&lock, &deploy::plan(&sysroot, &request).unwrap()).unwrap();
    assert!(matches!(apply(Request::Deploy(world.options("main"))), Applied::Deployed(_)));
    assert!(matches!(apply(Request::Rollback), Applied::Switched(_)));
    assert!(matches!(apply(Request::Cleanup), Applied::Cleaned(_)));
    assert!(matches!(apply(Request::Pin { indices: vec![0], on: true }), Applied::Pinned(1)));
    assert!(matches!(apply(Request::Pin { indices: vec![0], on: true }), Applied::Pinned(0)));
}

/// `docs/plans.md` has every key and every step, and no other.
#[test]
fn the_json_form_is_described() {
    test_world::needs_root!();
    let world = two();
    let plan = deploy::plan(&world.sysroot(), &Request::Deploy(world.options("main"))).unwrap();
    let json = serde_json::to_value(&plan).unwrap();
    let mut keys: BTreeSet<String> = json.as_object().unwrap().keys().cloned().collect();
    // Left out where /boot is on the root.
    keys.insert("boot".to_owned());
    keys.extend(json["deployment"].as_object().unwrap().keys().map(|key| format!("deployment.{key}")));
    keys.extend(json["root"].as_object().unwrap().keys().map(|key| format!("root.{key}")));
    for step in every_step() {
        let json = serde_json::to_value(&step).unwrap();
        let name = json["step"].as_str().unwrap().to_owned();
        let fields: Vec<_> = json.as_object().unwrap().keys().filter(|key| *key != "step").cloned().collect();
        keys.insert(format!("{name}: {}", fields.join(", ")).trim_end_matches(": ").to_owned());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plans.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let described: BTreeSet<String> = rows.map(|(key, _)| key.to_owned()).collect();
    assert_eq!(described, keys);
}

fn every_step() -> Vec<Step> {
    let text = String::new;
    vec![
        Step::WriteObjects,
        Step::SetRef { name: text(), commit: Some(text()) },
        Step::DeleteRef { name: text() },
        Step::CheckOut { commit: text(), to: text() },
        Step::CopyEtc { to: text() },
        Step::MergeEtc { from: text(), to: text() },
        Step::FillVar { path: text() },
        Step::MakeDirectory { path: text() },
        Step::MakeStateroot { path: text() },
        Step::Write { path: text(), text: Some(text()) },
        Step::Copy { from: text(), to: text(), bytes: Some(1) },
        Step::Rename { from: text(), to: text() },
        Step::RemakeDirectory { path: text() },
        Step::Link { path: text(), target: text() },
        Step::Switch { path: text(), target: text() },
        Step::Run { command: text() },
        Step::Sync { path: text() },
        Step::Verify,
        Step::Prove,
        Step::Remove { path: text() },
        Step::Prune,
        Step::Forget { path: text() },
        Step::Record { path: text() },
        Step::RefreshPolicy { path: text() },
        Step::Label { path: text() },
        Step::Seal { path: text() },
        Step::Notify { path: text() },
        Step::TrimCache { path: text() },
        Step::FillReserve { path: text() },
    ]
}
