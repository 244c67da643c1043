// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page `docs/status.md` has every key, reason and topic of the JSON form of a status, and no others.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by unwrapping it")]

use std::collections::BTreeSet;

use serde_json::Value;
use sysroot::{NextBoot, Note, Reason, Row, Status, Topic};

const DOCUMENT: &str = include_str!("../../../docs/status.md");

/// The first column of the table whose first head is `head`.
fn documented(head: &str) -> BTreeSet<String> {
    let start = format!("| {head} |");
    let table = DOCUMENT.lines().skip_while(|line| !line.starts_with(&start));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let first = |line: &str| line.split('|').nth(1).unwrap().trim().trim_matches('`').to_owned();
    rows.map(first).collect()
}

/// With a value for every key.
fn full() -> Status {
    let text = || "x".to_owned();
    let row = Row {
        checksum: text(),
        stateroot: text(),
        refspec: Some(text()),
        serial: 0,
        index: 0,
        booted: false,
        pending: false,
        rollback: false,
        finalization_locked: false,
        soft_reboot_target: false,
        staged: false,
        pinned: Some(false),
        unlocked: Some("none"),
        version: Some(text()),
        source_title: Some(text()),
        boot_checksum: text(),
        kernel_args: text(),
        commit_time: Some(0),
        deploy_time: Some(0),
        unlisted: false,
        has_origin: true,
    };
    let next_boot = NextBoot { index: Some(0), reason: Reason::Default, because: text() };
    let note = Note { topic: Topic::Loader, text: text() };
    Status { schema: 1, deployments: vec![row], next_boot, notes: vec![note] }
}

/// Every key below a value, with the way to it.
fn keys(value: &Value, way: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let way = if way.is_empty() { key.clone() } else { format!("{way}.{key}") };
                keys(value, &way, found);
                found.insert(way);
            }
        }
        Value::Array(array) => array.iter().for_each(|value| keys(value, &format!("{way}[]"), found)),
        _ => {}
    }
}

fn names<T: serde::Serialize>(all: &[T]) -> BTreeSet<String> {
    all.iter().map(|one| serde_json::to_value(one).unwrap().as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_key_is_documented() {
    let mut found = BTreeSet::new();
    keys(&serde_json::to_value(full()).unwrap(), "", &mut found);
    assert_eq!(found, documented("key"));
}

#[test]
fn every_reason_is_documented() {
    use Reason::*;
    let all = [
        Staged,
        StagedBehind,
        FinalizationLocked,
        FinalizationFailed,
        Default,
        LoaderOrder,
        Nothing,
        NotKnown,
    ];
    // Does not compile with one that is not in the list.
    all.iter().for_each(|reason| match reason {
        Staged | StagedBehind | FinalizationLocked | FinalizationFailed => {}
        Default | LoaderOrder | Nothing | NotKnown => {}
    });
    assert_eq!(names(&all), documented("reason"));
}

#[test]
fn every_topic_is_documented() {
    use Topic::*;
    let all = [
        FinalizationFailed,
        StagedAgain,
        StagedOnDisk,
        StagedUnusable,
        BootedNotInMenu,
        EtcLeftBehind,
        EtcConflicts,
        SelinuxPolicy,
        Loader,
        EntryUnreadable,
        EntryDangling,
        EntryAmbiguous,
        ForeignEntryFirst,
        SwitchUnproven,
        LoaderNotUpdated,
        LoaderElsewhere,
        NotKnown,
    ];
    // Does not compile with one that is not in the list.
    all.iter().for_each(|topic| match topic {
        FinalizationFailed | StagedUnusable | BootedNotInMenu | EtcLeftBehind | EtcConflicts
        | SelinuxPolicy | Loader => {}
        StagedAgain | StagedOnDisk | LoaderNotUpdated | LoaderElsewhere | NotKnown => {}
        EntryUnreadable | EntryDangling | EntryAmbiguous | ForeignEntryFirst | SwitchUnproven => {}
    });
    assert_eq!(names(&all), documented("topic"));
}

#[test]
fn the_long_form_has_the_lines_of_the_short_one() {
    let status = full();
    let (short, long) = (status.to_string(), status.long().to_string());
    let mut lines = long.lines();
    assert!(short.lines().all(|line| lines.any(|other| other == line)), "{short}\n{long}");
}
