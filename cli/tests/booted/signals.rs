// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ctrl-C and SIGTERM, at points of every command that changes something: the process ends by the signal, the boot menu
//! is the old or the new one, the lock is free, and the same command brings it to its end when it is run again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::programs::boot;
use test_world::namespace::{Case, Need};
use test_world::system::{self, RECORD, deployment, list};

pub(crate) const CASES: &[Case] = &[
    ("deploy_is_interrupted", Need::Nothing, deploy),
    ("staging_is_interrupted", Need::Nothing, stage),
    ("an_upgrade_is_interrupted", Need::Nothing, upgrade),
    ("finalization_is_interrupted", Need::Nothing, finalize),
    ("undeploy_is_interrupted", Need::Nothing, undeploy),
    ("kargs_is_interrupted", Need::Nothing, kargs),
    ("cleanup_is_interrupted", Need::Nothing, cleanup),
    ("a_switch_of_links_is_interrupted", Need::Nothing, links),
];

/// Points of a new set of entries: all its steps, its proof and what follows.
const SWITCH: [&str; 20] = [
    "sync-deployments",
    "note",
    "clear-slot",
    "make-dir",
    "write",
    "file-sync",
    "clear-links",
    "link",
    "choose-links",
    "stage-loader",
    "verify",
    "settle",
    "before-prove",
    "commit",
    "before-rename",
    "after-rename",
    "after-prove",
    "before-sweep",
    "sweep",
    "clean-up",
];

/// Some of them, for what differs only in what is switched to.
const SOME: [&str; 9] = [
    "note",
    "make-dir",
    "write",
    "choose-links",
    "settle",
    "commit",
    "after-rename",
    "before-sweep",
    "clean-up",
];

/// From a careful shell: what others must enter is made for them all the same.
fn ostree(arguments: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("umask 077; exec ostree {arguments}")]);
    command
}

fn ok(arguments: &str) {
    test_world::run(&mut ostree(arguments));
}

/// One kind of interruption of one command.
struct Interrupted<'a> {
    /// The command.
    command: &'a str,
    /// Leads to the state before it, from a menu with the running deployment alone.
    before: &'a dyn Fn(),
    /// The menus that may be there when it was stopped.
    menus: &'a [&'a [&'a str]],
    /// Brings it to its end then.
    again: &'a dyn Fn(),
    /// The menu after that.
    last: &'a [&'a str],
}

impl Interrupted<'_> {
    /// At each of the points, by one signal after the other.
    fn at(&self, points: &[&str]) {
        for (index, point) in points.iter().enumerate() {
            only_the_running();
            (self.before)();
            let (name, number) = if index % 2 == 0 { ("INT", 2) } else { ("TERM", 15) };
            let status =
                ostree(self.command).env("DURABLE_STOP", point).env("DURABLE_SIGNAL", name).status().unwrap();
            assert_eq!(status.signal(), Some(number), "{} at {point}: {status}", self.command);
            check_whole(point);
            assert!(
                self.menus.iter().any(|menu| list() == *menu),
                "{} at {point}: {:?}",
                self.command,
                list()
            );
            (self.again)();
            assert_eq!(list(), self.last, "{} again after {point}", self.command);
            ok("admin cleanup");
            check_tidy(point);
        }
    }
}

fn only_the_running() {
    ok("admin cleanup");
    while let Some(index) = system::status().deployments.iter().position(|row| !row.booted) {
        ok(&format!("admin undeploy {index}"));
    }
    assert_eq!(list(), ["1*"]);
}

fn entries() -> Vec<String> {
    let entries = fs::read_dir("/boot/loader/entries").unwrap();
    entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

/// Every entry names a kernel that is whole and a deployment, and nobody holds a lock.
fn check_whole(point: &str) {
    for entry in entries() {
        let value =
            |key: &str| entry.split([' ', '\n']).skip_while(|word| *word != key).nth(1).map(str::to_owned);
        let kernel = fs::read_to_string(format!("/boot{}", value("linux").unwrap())).unwrap();
        let link = entry.split([' ', '\n']).find_map(|word| word.strip_prefix("ostree=")).unwrap();
        let tree = Path::new("/sysroot").join(&link[1..]).join("usr");
        assert_eq!(fs::read_to_string(tree.join("lib/modules/6.1.0/vmlinuz")).unwrap(), kernel, "{point}");
        assert!(tree.join("etc/conf").exists() && tree.join("../etc/conf").exists(), "{point}");
    }
    let inside = |dir: &str| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    for dir in inside("/boot").chain(inside("/boot/ostree")).filter(|dir| dir.is_dir()) {
        let making = dir.file_name().and_then(|name| name.to_str()).is_some_and(durable::is_temporary);
        assert!(making || dir.metadata().unwrap().permissions().mode() & 0o777 == 0o755, "{point}: {dir:?}");
    }
    let repository = fs::read_to_string("/sysroot/ostree/repo/config").unwrap();
    let sysroot = sysroot::Sysroot::open(Path::new("/")).unwrap();
    let mut waited = false;
    drop(sysroot.lock(|| waited = true).unwrap());
    assert!(!waited && repository.starts_with("[core]"), "{point}");
}

/// Nothing is there that the menu does not need.
fn check_tidy(point: &str) {
    let names = |path: &Path| -> Vec<String> {
        let read = fs::read_dir(path).unwrap();
        let mut names: Vec<_> = read.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let mut wanted: Vec<String> = Vec::new();
    for row in system::status().deployments {
        let name = format!("{}.{}", row.checksum, row.serial);
        wanted.extend([name.clone(), format!("{name}.origin")]);
    }
    wanted.sort();
    assert_eq!(names(&deployment("")), wanted, "{point}");
    let text = entries().concat();
    for dir in names(Path::new("/boot/ostree")) {
        assert!(text.contains(&dir) || Path::new(RECORD).exists(), "{point}: {dir}");
    }
    let slot = fs::read_link("/boot/loader").unwrap().into_os_string().into_string().unwrap();
    let mut wanted = vec!["boot".to_owned(), "loader".to_owned(), slot, "ostree".to_owned()];
    if Path::new(RECORD).exists() {
        wanted.push(".ostree-staged-loader".to_owned());
    }
    wanted.sort();
    assert_eq!(names(Path::new("/boot")), wanted, "{point}");
    let links = names(Path::new("/sysroot/ostree"));
    let left = |name: &String| name.ends_with(".tmp") || name == "boot-switch" || durable::is_temporary(name);
    assert!(!links.iter().any(left), "{point}: {links:?}");
    assert_eq!(links.iter().filter(|name| name.starts_with("boot.")).count(), 2, "{point}: {links:?}");
}

const OLD: &[&str] = &["1*"];
const NEW: &[&str] = &["2", "1*"];
const NOTHING: &dyn Fn() = &|| ();

fn deploy() {
    boot();
    let command = "admin deploy main";
    let again = || ok(command);
    let case = Interrupted { command, before: NOTHING, menus: &[OLD, NEW], again: &again, last: NEW };
    case.at(&[&["checkout", "merge", "copy", "prune"][..], &SWITCH].concat());
}

fn stage() {
    boot();
    let command = "admin deploy --stage main";
    let again = || ok(command);
    let staged: &[&str] = &["2s", "1*"];
    let case = Interrupted { command, before: NOTHING, menus: &[OLD, staged], again: &again, last: staged };
    case.at(&["make-dir", "checkout", "file-sync", "copy", "before-prove", "staged", "clean-up", "prune"]);
}

fn upgrade() {
    boot();
    ok("--repo=/run/remote init --mode=archive");
    ok("--repo=/run/remote pull-local /sysroot/ostree/repo main");
    ok("admin set-origin r file:///run/remote main --set=gpg-verify=false");
    let command = "admin upgrade --allow-downgrade";
    let again = || ok(command);
    let case = Interrupted { command, before: NOTHING, menus: &[OLD, NEW], again: &again, last: NEW };
    case.at(&["checkout", "merge", "copy", "note", "write", "verify", "commit", "after-rename", "sweep"]);
}

fn finalize() {
    boot();
    let before = || ok("admin deploy --stage main");
    let command = "admin finalize-staged";
    // It counts the attempt, then forgets what is staged: a shutdown tries once.
    let again = || {
        before();
        ok(command);
    };
    let menus: &[&[&str]] = &[OLD, &["2s", "1*"], NEW];
    let case = Interrupted { command, before: &before, menus, again: &again, last: NEW };
    case.at(&[&["unstage", "merge"][..], &SWITCH].concat());
}

fn undeploy() {
    boot();
    let before = || ok("admin deploy main");
    let command = "admin undeploy 0";
    let again = || match list().len() {
        // A deployment that is gone cannot be undeployed again.
        1 => (),
        _ => ok(command),
    };
    let case = Interrupted { command, before: &before, menus: &[OLD, NEW], again: &again, last: OLD };
    case.at(&SOME);
}

fn kargs() {
    boot();
    for (index, point) in SOME.iter().enumerate() {
        let command = format!("admin kargs edit-in-place --append-if-missing=z{index}=1");
        let again = || {
            ok(&command);
            assert!(entries().iter().all(|entry| entry.contains(&format!(" z{index}=1"))));
        };
        Interrupted { command: &command, before: NOTHING, menus: &[OLD], again: &again, last: OLD }
            .at(&[point]);
    }
}

fn cleanup() {
    boot();
    let before = || {
        fs::create_dir_all(deployment(&format!("{}.0", "ab".repeat(32))).join("usr")).unwrap();
        fs::create_dir_all("/boot/loader.tmp").unwrap();
        fs::create_dir_all(format!("/boot/ostree/testos-{}", "cd".repeat(32))).unwrap();
    };
    let command = "admin cleanup";
    let again = || ok(command);
    let case = Interrupted { command, before: &before, menus: &[OLD], again: &again, last: OLD };
    case.at(&["before-prove", "after-prove", "sweep", "clean-up", "prune"]);
}

/// The same commit once more: the entries stay as they are.
fn links() {
    boot();
    let command = format!("admin deploy {}", system::status().deployments[0].checksum);
    let again = || ok(&command);
    let twice: &[&str] = &["1", "1*"];
    let case = Interrupted { command: &command, before: &again, menus: &[twice], again: &again, last: twice };
    case.at(&["checkout", "merge", "clear-links", "link", "verify", "choose-links", "clean-up"]);
}
