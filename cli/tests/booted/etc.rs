// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/etc` of a running system: policies for its merge, what is written down of conflicts, and edits that are carried into another
//! deployment.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::programs::{boot, fails, ok, ok_as};
use test_world::namespace::{Case, Need};
use test_world::system;

pub(crate) const CASES: &[Case] = &[
    ("a_plan_lists_each_path", Need::Nothing, plan),
    ("what_is_forbidden_is_refused_while_somebody_reads_it", Need::Nothing, forbidden),
    ("a_shutdown_goes_on_and_writes_it_down", Need::Nothing, shutdown),
    ("both_sides_are_kept", Need::Nothing, both),
    ("a_bad_drop_in_is_told_and_stops_no_shutdown", Need::Nothing, bad_drop_in),
    ("later_edits_are_carried_into_a_pending_deployment", Need::Nothing, into_pending),
    ("later_edits_are_carried_into_the_one_to_go_back_to", Need::Nothing, into_rollback),
    ("what_cannot_be_carried_is_refused", Need::Nothing, into_refused),
    ("the_journal_is_told", Need::Nothing, journal),
    ("the_c_tools_leave_what_is_written_down_and_remove_it", Need::EachPeer, beside_theirs),
];

const ADMIN: &str = "/etc/ostree/etc-merge.d";

fn policy(lines: &str) {
    fs::create_dir_all(ADMIN).unwrap();
    fs::write(format!("{ADMIN}/test.conf"), lines).unwrap();
}

/// Changes a file that the update changes, too.
fn conflict() {
    fs::write("/etc/conf", "local\n").unwrap();
}

fn json(arguments: &str) -> Value {
    serde_json::from_str(&ok(arguments)).unwrap()
}

/// The directory of a deployment in the list.
fn tree(index: usize) -> PathBuf {
    let row = &json("status --json")["deployments"][index];
    let name = format!("{}.{}", row["checksum"].as_str().unwrap(), row["serial"]);
    system::deployment(&name)
}

fn read(index: usize, path: &str) -> Option<String> {
    fs::read_to_string(tree(index).join("etc").join(path)).ok()
}

/// The text of the note about conflicts, if there is one.
fn note() -> Option<String> {
    let status = json("status --json");
    let notes = status["notes"].as_array().unwrap();
    let note = notes.iter().find(|note| note["topic"] == "etc-conflicts")?;
    Some(note["text"].as_str().unwrap().to_owned())
}

fn topics() -> Vec<String> {
    let topic = |note: &Value| note["topic"].as_str().unwrap().to_owned();
    json("status --json")["notes"].as_array().unwrap().iter().map(topic).collect()
}

fn plan() {
    boot();
    assert!(fails("etc-merge").contains("--dry-run"), "it wants to know what");
    assert!(fails("etc-merge --dry-run").contains("nothing is staged or pending"));
    conflict();
    fs::write("/etc/mine", "").unwrap();
    ok("deploy --stage main");
    policy("take-new /etc/conf\n");
    let text = ok("etc-merge --dry-run");
    let expected = [
        "conflict    MM /etc/conf: take-new",
        "kept        A- /etc/mine",
        "updated     -A /etc/new",
        "kept        A- /etc/ostree",
        "kept        A- /etc/ostree/etc-merge.d",
        "kept        A- /etc/ostree/etc-merge.d/test.conf",
        "4 kept, 1 updated, 0 removed, 1 changed on both sides, 0 skipped",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    let plan = json("etc-merge --dry-run --json");
    assert_eq!(plan["at-shutdown"], true);
    let expected = r#"{"local":"modified","outcome":"conflict","path":"/etc/conf","policy":"take-new","update":"modified"}"#;
    assert_eq!(plan["paths"][0].to_string(), expected);
    assert_eq!(read(0, "mine"), None, "nothing is done");
    // The list is carried out.
    ok("finalize-staged");
    assert_eq!(read(0, "conf").as_deref(), Some("default 2\n"));
    assert_eq!(read(0, "mine").as_deref(), Some(""));
}

fn forbidden() {
    boot();
    policy("fail /etc/conf\n");
    ok("deploy --stage main");
    ok("undeploy 0");
    conflict();
    for words in ["deploy --stage main", "deploy main"] {
        let said = fails(words);
        assert!(said.contains("the policy `fail` forbids it: /etc/conf changed both"), "{said}");
        assert_eq!(json("status --json")["deployments"].as_array().unwrap().len(), 1);
        assert!(!Path::new(system::RECORD).exists());
        let left = fs::read_dir("/sysroot/ostree/deploy/testos/deploy").unwrap().count();
        assert_eq!(left, 2, "the running tree and its origin");
    }
    // As the update has it.
    fs::write("/etc/conf", "default 2\n").unwrap();
    ok("deploy main");
    assert_eq!(note(), None);
}

fn shutdown() {
    boot();
    ok("deploy --stage main");
    conflict();
    policy("fail /etc\n");
    let said = ok("finalize-staged");
    assert!(said.contains("/etc/conf: the local change stays: the policy `fail` cannot stop"), "{said}");
    assert_eq!(read(0, "conf").as_deref(), Some("local\n"));
    assert!(!Path::new(system::STAMP).exists(), "it is no failure");
    let note = note().unwrap();
    assert!(note.starts_with("in /etc of deployment 0: ") && note.contains("/etc/conf"), "{note}");
    let conflicts = json("etc-merge --conflicts 0 --json");
    assert_eq!(
        (conflicts[0]["path"].as_str(), conflicts[0]["side"].as_str()),
        (Some("/etc/conf"), Some("local"))
    );
    assert!(ok("etc-merge --conflicts 0").starts_with("/etc/conf: the local change stays"));
    assert_eq!(ok("etc-merge --conflicts 1"), "");
    let backing = "/sysroot/ostree/deploy/testos/backing";
    let records = || {
        fs::read_dir(backing)
            .unwrap()
            .filter(|dir| dir.as_ref().unwrap().path().join("etc-conflicts.json").exists())
    };
    assert_eq!(records().count(), 1);
    ok("undeploy 0");
    assert_eq!(records().count(), 0, "it goes with the deployment");
}

fn both() {
    boot();
    conflict();
    policy("keep-both /etc/conf\n");
    let said = ok("deploy main");
    assert!(said.contains("the new default is /etc/conf.new"), "{said}");
    assert_eq!(read(0, "conf").as_deref(), Some("local\n"));
    assert_eq!(read(0, "conf.new").as_deref(), Some("default 2\n"));
}

fn bad_drop_in() {
    boot();
    ok("deploy --stage main");
    policy("perhaps /etc/conf\n");
    let said = fails("deploy --stage main");
    assert!(said.contains("/etc/ostree/etc-merge.d/test.conf: line 1: \"perhaps\" is none of"), "{said}");
    conflict();
    let said = ok("finalize-staged");
    assert!(said.contains("it counts as empty"), "{said}");
    assert_eq!(read(0, "conf").as_deref(), Some("local\n"));
}

fn into_pending() {
    boot();
    fs::write("/etc/early", "1").unwrap();
    ok("deploy main");
    assert!(!topics().contains(&"etc-left-behind".to_owned()));
    fs::write("/etc/early", "2").unwrap();
    fs::write("/etc/late", "1").unwrap();
    fs::remove_file("/etc/d/more").unwrap();
    conflict();
    // Something that the pending deployment has for itself.
    fs::write(tree(0).join("etc/theirs"), "1").unwrap();
    assert!(topics().contains(&"etc-left-behind".to_owned()));
    let paths = |plan: &Value| {
        let path = |row: &Value| row["path"].as_str().unwrap().to_owned();
        plan["paths"].as_array().unwrap().iter().map(path).collect::<Vec<_>>()
    };
    let changed = ["/etc/conf", "/etc/d/more", "/etc/early", "/etc/late"];
    let plan = json("etc-merge --dry-run --json");
    assert_eq!(paths(&plan), changed);
    assert_eq!((&plan["schema"], &plan["operation"]), (&1.into(), &"etc-merge".into()));
    let place = |step: &Value| {
        let path = [&step["to"], &step["path"]].into_iter().find_map(Value::as_str).unwrap().to_owned();
        let path = path.split_once("/etc/").map_or("", |(_, path)| path).to_owned();
        format!("{} {path}", step["step"].as_str().unwrap())
    };
    let steps: Vec<String> = plan["steps"].as_array().unwrap().iter().map(place).collect();
    assert_eq!(&steps[..4], ["copy conf", "remove d/more", "copy early", "copy late"]);
    assert!(plan["steps"][0]["from"].as_str().unwrap().ends_with("/etc/conf"));
    assert_eq!(read(0, "early").as_deref(), Some("1"), "nothing is done");
    assert_eq!(paths(&json("etc-merge --into 0 --json")), changed);
    for (path, text) in [("early", "2"), ("late", "1"), ("conf", "local\n"), ("theirs", "1")] {
        assert_eq!(read(0, path).as_deref(), Some(text), "{path}");
    }
    assert_eq!(read(0, "d/more"), None);
    assert!(!topics().contains(&"etc-left-behind".to_owned()));
    assert!(note().unwrap().contains("/etc/conf"));
    assert!(paths(&json("etc-merge --into 0 --json")).is_empty(), "there is no more to do");
}

fn into_rollback() {
    boot();
    fs::write("/etc/conf", "of the first\n").unwrap();
    ok("deploy main");
    // The second one runs now.
    let (first, second) = (tree(1), tree(0));
    let state = formats::run_state::RunState {
        backing_root: Some({
            use std::os::unix::fs::MetadataExt;
            let stat = fs::metadata(&second).unwrap();
            (stat.dev(), stat.ino())
        }),
        ..Default::default()
    };
    fs::write("/run/ostree-booted", state.to_bytes()).unwrap();
    fs::write(second.join("etc/conf"), "of the second\n").unwrap();
    fs::write(second.join("etc/late"), "1").unwrap();
    fs::write(first.join("etc/own"), "1").unwrap();
    ok("etc-merge --into 1");
    let read = |path: &str| fs::read_to_string(first.join("etc").join(path)).ok();
    assert_eq!(read("conf").as_deref(), Some("of the second\n"));
    assert_eq!(read("late").as_deref(), Some("1"));
    assert_eq!(read("own").as_deref(), Some("1"), "edits of its own stay");
    assert_eq!(read("new"), None, "defaults of the other commit do not come along");
}

fn into_refused() {
    boot();
    assert!(fails("etc-merge --into 0").contains("name another one"));
    assert!(fails("etc-merge --into 7").contains("Out of range deployment index 7"));
    ok("deploy --stage main");
    assert!(fails("etc-merge --into 0").contains("is staged: the shutdown carries over"));
    assert!(fails("etc-merge --into 1 --from 0").contains("is the running system"));
    ok("deploy main");
    policy("fail /etc/conf\n");
    conflict();
    let said = fails("etc-merge --into 0");
    assert!(said.contains("the policy `fail` forbids it"), "{said}");
    assert_eq!(read(0, "conf").as_deref(), Some("default 2\n"));
    ok("stateroot-init other");
    ok("deploy --os=other main");
    assert!(fails("etc-merge --into 0").contains("is of another stateroot"));
}

/// A journal that listens, and what it hears from the finalization of an update.
fn journal() {
    boot();
    conflict();
    ok("deploy --stage main");
    fs::create_dir_all("/run/systemd/journal").unwrap();
    let socket = std::os::unix::net::UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
    ok("finalize-staged");
    socket.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 65536];
    let mut heard = Vec::new();
    while let Ok(length) = socket.recv(&mut buffer) {
        heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    let expected = [
        ("e8646cd63dff4625b77909a8e7a40994", "OSTREE_OSNAME=testos"),
        ("d3863baec13e4449ab0384684a8af3a7", "ETC_N_MODIFIED=1"),
        ("7b8b772dd3094b828bdbf8ef86916469", "ETC_PATH=/etc/conf"),
        ("dd440e3e549083b63d0efc7dc15255f1", "OSTREE_N_DEPLOYMENTS=2"),
    ];
    assert_eq!(heard.len(), expected.len(), "{heard:#?}");
    for ((id, field), text) in expected.iter().zip(&heard) {
        let has = |line: &str| text.lines().any(|found| found == line);
        assert!(has(&format!("MESSAGE_ID={id}")) && has(field), "{field}: {text}");
    }
}

fn beside_theirs() {
    boot();
    conflict();
    ok("deploy main");
    assert!(note().is_some());
    let name = tree(0).file_name().unwrap().to_owned();
    let record = Path::new("/sysroot/ostree/deploy/testos/backing").join(&name).join("etc-conflicts.json");
    for words in ["status", "cleanup", "pin 0", "pin -u 0"] {
        ok_as("peer", words);
        assert!(record.exists(), "{words}");
    }
    ok_as("peer", "undeploy 0");
    // A release that knows no backing directories leaves it to us.
    ok("cleanup");
    assert!(!record.exists());
    assert_eq!(note(), None);
}
