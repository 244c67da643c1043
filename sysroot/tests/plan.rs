// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plans: they touch nothing, they say what happens, and they are not carried out on another system than they were made for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by unwrapping it")]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount_bind, mount_remount, unmount};
use sysroot::deploy::{DeployOptions, Edits};
use sysroot::{Applied, Changed, Plan, Request, Step, Sysroot};
use world::World;

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
    let world = two();
    let sysroot = world.sysroot();
    for request in requests(&world) {
        let before = contents(&world);
        let plan = sysroot.plan(&request).unwrap();
        assert_eq!(contents(&world), before, "{request:?}: planning has written something");
        let lock = sysroot.lock(|| ()).unwrap();
        sysroot.apply(&lock, &plan).unwrap();
        drop(lock);
        let after = contents(&world);
        check(&plan, &before, &after);
        let listed: Vec<_> = sysroot.load().unwrap().deployments.into_iter().map(|d| d.path).collect();
        assert_eq!(plan.after, listed, "{plan}");
    }
}

/// Nothing else changes than the plan says, and everything that it says does.
fn check(plan: &Plan, before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let below =
        |path: &str, top: &str| path == top || path.strip_prefix(top).is_some_and(|p| p.starts_with('/'));
    for path in paths.into_iter().filter(|path| before.get(*path) != after.get(*path)) {
        let gone = !after.contains_key(path);
        let told = plan.steps.iter().any(|step| match step {
            Step::SetRef { .. } => path.starts_with("/ostree/repo/refs/heads/ostree"),
            Step::Prune => gone && path.starts_with("/ostree/repo/"),
            Step::Remove { path: top } => gone && below(path, top),
            // The directories on the way to it come along.
            Step::Write { path: made, .. }
            | Step::Copy { to: made, .. }
            | Step::Link { path: made, .. }
            | Step::Switch { path: made, .. }
            | Step::FillVar { path: made }
            | Step::MakeDirectory { path: made }
            | Step::CheckOut { to: made, .. } => below(made, path) || below(path, made),
            Step::CopyEtc { .. } | Step::MergeEtc { .. } => false,
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
            Step::Remove { path } => assert!(!after.contains_key(path), "{path} is still there\n{plan}"),
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
    let world = two();
    let requests = requests(&world);
    let before = contents(&world);
    mount_bind(world.root(), world.root()).unwrap();
    mount_remount(world.root(), MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
    let sysroot = Sysroot::open(&world.root()).unwrap();
    let plans: Vec<_> = requests.iter().map(|request| sysroot.plan(request)).collect();
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
    let world = two();
    let sysroot = world.sysroot();
    let plans: Vec<_> = requests(&world).iter().map(|request| sysroot.plan(request).unwrap()).collect();
    world.deploy("main");
    let before = contents(&world);
    let lock = sysroot.lock(|| ()).unwrap();
    for plan in plans {
        let error = sysroot.apply(&lock, &plan).unwrap_err();
        assert!(error.is::<Changed>(), "{}: {error:#}", plan.operation);
    }
    drop(lock);
    assert_eq!(contents(&world), before);
}

#[test]
fn a_commit_that_is_pruned_meanwhile_is_not_deployed() {
    let world = two();
    let commit = world.commit("other", "3", |tree| fs::write(tree.join("usr/other"), "3").unwrap());
    let sysroot = world.sysroot();
    let plan = sysroot.plan(&Request::Deploy(world.options(&commit.to_string()))).unwrap();
    let before = world.menu();
    let repo = repo::Repo::open(world.root().join("ostree/repo")).unwrap();
    repo.delete_ref(&"other".parse().unwrap()).unwrap();
    let only_refs = repo::prune::Options { refs_only: true, ..repo::prune::Options::default() };
    assert!(repo.prune(&only_refs).unwrap().pruned > 0);
    let lock = sysroot.lock(|| ()).unwrap();
    let error = format!("{:#}", sysroot.apply(&lock, &plan).unwrap_err());
    assert!(error.contains("has been pruned since; pull it again"), "{error}");
    assert_eq!(world.menu(), before);
}

#[test]
fn what_is_refused_is_refused_by_the_plan() {
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
        let error = format!("{:#}", sysroot.plan(&request).unwrap_err());
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_outcome_is_that_of_the_request() {
    let world = two();
    let sysroot = world.sysroot();
    let lock = sysroot.lock(|| ()).unwrap();
    let apply = |request| sysroot.apply(&lock, &sysroot.plan(&request).unwrap()).unwrap();
    assert!(matches!(apply(Request::Deploy(world.options("main"))), Applied::Deployed(_)));
    assert!(matches!(apply(Request::Rollback), Applied::Switched(_)));
    assert!(matches!(apply(Request::Cleanup), Applied::Cleaned(_)));
    assert!(matches!(apply(Request::Pin { indices: vec![0], on: true }), Applied::Pinned(1)));
    assert!(matches!(apply(Request::Pin { indices: vec![0], on: true }), Applied::Pinned(0)));
}

/// `docs/plans.md` has every key and every step, and no other.
#[test]
fn the_json_form_is_described() {
    let world = two();
    let plan = world.sysroot().plan(&Request::Deploy(world.options("main"))).unwrap();
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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plans.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let described: BTreeSet<String> = rows.map(|(key, _)| key.to_owned()).collect();
    assert_eq!(described, keys);
}

fn every_step() -> Vec<Step> {
    let text = String::new;
    vec![
        Step::SetRef { name: text(), commit: text() },
        Step::CheckOut { commit: text(), to: text() },
        Step::CopyEtc { to: text() },
        Step::MergeEtc { from: text(), to: text() },
        Step::FillVar { path: text() },
        Step::MakeDirectory { path: text() },
        Step::Write { path: text(), text: Some(text()) },
        Step::Copy { from: text(), to: text(), bytes: Some(1) },
        Step::Link { path: text(), target: text() },
        Step::Switch { path: text(), target: text() },
        Step::Run { command: text() },
        Step::Sync { path: text() },
        Step::Verify,
        Step::Prove,
        Step::Remove { path: text() },
        Step::Prune,
    ]
}
