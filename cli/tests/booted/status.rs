// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin status`, in a system that believes it was booted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::programs::{boot, boot_world};
use test_world::namespace::{Case, Need};
use test_world::system::{self, Boot, RECORD, STAMP};

pub(crate) const CASES: &[Case] = &[
    ("the_next_boot_is_told_with_its_reason", Need::Nothing, next_boot),
    ("what_is_older_than_the_running_system_lacks_nothing", Need::Nothing, older),
    ("a_loader_that_sorts_otherwise_is_believed", Need::Nothing, loader_order),
    ("what_deserves_a_look_is_noted", Need::Nothing, notes),
    ("a_terminal_shows_more_than_a_pipe", Need::Nothing, terminal),
    ("nothing_is_needed_to_look", Need::Nothing, nothing_needed),
    ("signatures_are_refused_by_name", Need::Nothing, signatures),
    ("a_pipe_gets_the_lines_of_the_c_tools", Need::NewestPeer, beside_theirs),
];

fn output(program: &str, arguments: &str) -> Output {
    Command::new(program).arg("admin").args(arguments.split(' ')).output().unwrap()
}

/// Gives the output of our command when it succeeds, which it must.
fn ok(arguments: &str) -> String {
    let Output { status, stdout, stderr } = output("ostree", arguments);
    assert!(status.success(), "{arguments}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn json() -> Value {
    serde_json::from_str(&ok("status --json")).unwrap()
}

/// Index and reason of the next boot.
fn next() -> (Option<u64>, String) {
    let next = &json()["next-boot"];
    (next["index"].as_u64(), next["reason"].as_str().unwrap().to_owned())
}

fn is_next(index: u64, reason: &str) {
    assert_eq!(next(), (Some(index), reason.to_owned()), "{}", ok("status --long"));
}

/// The notes' topics.
fn topics() -> Vec<String> {
    let topic = |note: &Value| note["topic"].as_str().unwrap().to_owned();
    json()["notes"].as_array().unwrap().iter().map(topic).collect()
}

fn entry(name: &str) -> PathBuf {
    Path::new("/boot/loader/entries").join(name)
}

fn next_boot() {
    boot();
    is_next(0, "default");
    ok("deploy --stage main");
    is_next(0, "staged");
    ok("lock-finalization");
    is_next(1, "finalization-locked");
    ok("deploy --stage --not-as-default main");
    is_next(1, "staged-behind");
    ok("deploy --stage main");
    ok("finalize-staged");
    is_next(0, "default");
    assert!(ok("status --long").ends_with(
        "\nRunning: 1 (version 1)\n\
         Next boot: 0 (version 2): it is first in the boot menu, in front of the running system\n"
    ));
    ok("rollback");
    is_next(0, "default");
    assert!(ok("status --long").contains(": it is the running system, and first in the boot menu\n"));
    fs::write(STAMP, "no space\nleft").unwrap();
    is_next(0, "finalization-failed");
    fs::remove_file(STAMP).unwrap();
    fs::remove_dir_all("/boot/loader/entries").unwrap();
    assert_eq!(next(), (None, "nothing".to_owned()));
}

fn older() {
    let world = system::installed(&Boot::Bound);
    world.deploy("main");
    boot_world(world);
    fs::write("/etc/edited", "").unwrap();
    ok("rollback");
    is_next(0, "default");
    assert!(!topics().contains(&"etc-left-behind".to_owned()), "{}", ok("status --long"));
    ok("deploy main");
    fs::write("/etc/edited-later", "").unwrap();
    assert!(topics().contains(&"etc-left-behind".to_owned()));
}

fn loader_order() {
    boot();
    ok("deploy main");
    is_next(0, "default");
    fs::rename(entry("ostree-2.conf"), entry("ostree-2+1-2.conf")).unwrap();
    is_next(0, "default");
    // Its last try was used up: a loader puts it last.
    fs::rename(entry("ostree-2+1-2.conf"), entry("ostree-2+0-3.conf")).unwrap();
    is_next(1, "loader-order");
    assert!(ok("status --long").contains("ostree-2+0-3.conf was tried as often as allowed"));
    // A staged deployment makes all entries anew.
    ok("deploy --stage main");
    is_next(0, "staged");
}

fn notes() {
    boot();
    // A boot later, so to speak.
    let _ = fs::remove_file("/sysroot/ostree/boot-switch");
    assert_eq!(topics(), Vec::<String>::new());
    fs::write(STAMP, "no space\nleft").unwrap();
    assert_eq!(topics(), ["finalization-failed"]);
    ok("deploy --stage main");
    assert_eq!(topics(), Vec::<String>::new());
    fs::write(RECORD, "nonsense").unwrap();
    fs::write(entry("ostree-9.conf"), "title x\n").unwrap();
    fs::write(entry("z.conf"), "title x\n").unwrap();
    fs::write("/sysroot/ostree/boot-switch", record("1")).unwrap();
    let all = [
        "finalization-failed",
        "staged-on-disk",
        "staged-unusable",
        "entry-unreadable",
        "foreign-entry-first",
        "switch-unproven",
    ];
    assert_eq!(topics(), all);
    let long = ok("status --long");
    let said: Vec<_> = long.lines().filter(|line| line.starts_with("Note: ")).collect();
    assert!(said.len() == all.len() && said[0].ends_with(": no space left"), "{long}");
    let piped = output("ostree", "status");
    let errors = String::from_utf8(piped.stderr).unwrap();
    assert!(errors.lines().count() == all.len() && errors.lines().all(|line| line.starts_with("warning: ")));
    assert!(!String::from_utf8(piped.stdout).unwrap().contains("Note"));
    // Of another boot, and of a set that was not chosen in the end.
    for other in [record("1").replace("boot-id=", "boot-id=x"), record("0")] {
        fs::write("/sysroot/ostree/boot-switch", other).unwrap();
        assert!(!topics().contains(&"switch-unproven".to_owned()));
    }
    fs::remove_file(entry("ostree-1.conf")).unwrap();
    assert!(topics().contains(&"booted-not-in-menu".to_owned()));
}

/// The note of a switch under this boot.
fn record(boot_version: &str) -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    format!("boot-id={}\nboot-version={boot_version}\n", id.trim())
}

fn terminal() {
    boot();
    system::mount(&["-t", "devpts", "devpts"], Path::new("/dev/pts"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", "ostree admin status", "/dev/null"]);
    let shown = String::from_utf8(test_world::run(&mut script).stdout).unwrap().replace('\r', "");
    assert_eq!(shown, ok("status --long"));
    let piped = ok("status");
    assert!(shown.starts_with(&piped) && shown.contains("    Committed: "), "{shown}");
    assert!(!piped.contains("Committed") && !piped.contains("Next boot"), "{piped}");
}

fn nothing_needed() {
    boot();
    let all = || (ok("status"), ok("status --long"), ok("status --json"), ok("status --is-default"));
    let before = all();
    let sysroot = system::open();
    let lock = sysroot.lock(|| ()).unwrap();
    let full = Command::new("dd").args(["if=/dev/zero", "of=/sysroot/full", "bs=64k"]).output().unwrap();
    assert!(String::from_utf8_lossy(&full.stderr).contains("No space left"));
    assert_eq!(all(), before);
    drop(lock);
    drop(sysroot);
    for point in ["/sysroot", "/boot", "/"] {
        system::mount(&["-o", "remount,bind,ro"], Path::new(point));
    }
    assert!(fs::write("/sysroot/x", "").is_err() && fs::write("/x", "").is_err());
    assert_eq!(all(), before);
}

fn signatures() {
    boot();
    let refused = output("ostree", "status --verify");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(said, "error: --verify is not supported yet: signatures cannot be checked\n");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(ok("status --skip-signatures"), ok("status"));
}

fn beside_theirs() {
    boot();
    let same = |with: &str| {
        for arguments in ["status", "status --is-default"] {
            let theirs = String::from_utf8(output("peer", arguments).stdout).unwrap();
            assert_eq!(ok(arguments), theirs, "{with}");
        }
    };
    same("one deployment");
    let titled = "--add-metadata-string=ostree.source-title=Made of x";
    let commit = ["--repo=/ostree/repo", "commit", "--branch=titled", "--tree=ref=main", titled];
    test_world::run(Command::new("ostree").args(commit));
    ok("deploy titled");
    same("source title, pending");
    let name = json()["deployments"][0]["checksum"].as_str().unwrap().to_owned() + ".0";
    let origin = system::deployment(&name).with_extension("0.origin");
    for text in
        ["", "[origin]\n", "[origin]\nrefspec=x:y\nunlocked=hotfix\n", "[origin]\nunlocked=development\n"]
    {
        fs::write(&origin, text).unwrap();
        same(text);
    }
    fs::remove_file(&origin).unwrap();
    same("no origin");
    let flags = Path::new("/run/ostree/deployment-state").join(&name);
    fs::create_dir_all(&flags).unwrap();
    for how in ["transient", "development"] {
        fs::write(flags.join(format!("unlocked-{how}")), "").unwrap();
        same(how);
        assert!(ok("status").contains(&format!("    Unlocked: {how}\n")));
    }
    ok("pin 0");
    ok("rollback");
    same("pinned, behind the running system");
    ok("deploy --stage main");
    same("staged");
    ok("lock-finalization");
    same("locked");
    fs::write(RECORD, "nonsense").unwrap();
    ok("stateroot-init another");
    ok("deploy --os=another --retain main");
    assert_eq!(json()["deployments"].as_array().unwrap().len(), 3);
    same("another stateroot");
}
