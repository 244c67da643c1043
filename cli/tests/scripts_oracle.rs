// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scripts that run our `ostree`, and another one that `OSTREE_PEER` names, with the output that both must print.
//!
//! The files in `scripts/` hold the rows. A row is `== NAME`, the script, a line `--`, and its output. The script runs in an empty
//! directory, by `bash`, with the program as `$O` and umask 022; what it writes to standard error counts too. After
//! `== NAME | REASON` the C tools print something else, for that reason: the test beside them fails where they do not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness of its own, where clippy sees no tests")]

mod world;

use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Failed, Trial};
use test_world::run_trials;

/// The files, by name.
const FILES: &[(&str, &str)] = &[
    ("checkout", include_str!("scripts/checkout.txt")),
    ("commit", include_str!("scripts/commit.txt")),
    ("plan", include_str!("scripts/plan.txt")),
    ("prune", include_str!("scripts/prune.txt")),
    ("ls", include_str!("scripts/ls.txt")),
    ("pull", include_str!("scripts/pull.txt")),
    ("names", include_str!("scripts/names.txt")),
    ("refs", include_str!("scripts/refs.txt")),
    ("repository", include_str!("scripts/repository.txt")),
    ("summary", include_str!("scripts/summary.txt")),
    ("times", include_str!("scripts/times.txt")),
    ("extensions", include_str!("scripts/extensions.txt")),
];

#[derive(Debug)]
struct Row {
    name: String,
    /// The reason for which the C tools print something else.
    ours_alone: Option<&'static str>,
    script: &'static str,
    output: &'static str,
}

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for row in FILES.iter().flat_map(|(file, text)| rows(file, text)) {
        let Row { name, ours_alone, script, output } = row;
        let run = move || match printed(Path::new(world::OSTREE), script) {
            printed if printed == output => Ok(()),
            printed => Err(Failed::from(format!("expected:\n{output}\nprinted:\n{printed}"))),
        };
        // The trees have owners, and some rows mount.
        let without_root = !rustix::process::geteuid().is_root();
        trials.push(Trial::test(format!("ours::{name}"), run).with_ignored_flag(without_root));
        trials.push(world::beside(format!("peer::{name}"), move |peer| {
            let printed = printed(peer, script);
            match ours_alone {
                None => assert_eq!(printed, output, "the C tools print the first"),
                Some(reason) => assert_ne!(printed, output, "the C tools print the same, though {reason}"),
            }
        }));
    }
    run_trials(trials)
}

fn rows(file: &str, text: &'static str) -> Vec<Row> {
    let rows: Vec<Row> = text
        .split("\n== ")
        .skip(1)
        .map(|row| {
            let (title, rest) = row.split_once('\n').unwrap();
            let (script, output) =
                rest.split_once("\n--\n").unwrap_or_else(|| panic!("{file}: {title}: no line --"));
            let (name, reason) = match title.split_once(" | ") {
                Some((name, reason)) => (name, Some(reason)),
                None => (title, None),
            };
            Row {
                name: format!("{file}::{}", name.replace(' ', "_")),
                ours_alone: reason,
                script,
                output: output.trim_end(),
            }
        })
        .collect();
    assert!(!rows.is_empty(), "{file} has no rows");
    rows
}

/// Runs a script with a program, and gives its output without white space at the end.
fn printed(program: &Path, script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-c", &format!("umask 022; exec 2>&1; chmod 755 .\n{script}")])
        .current_dir(dir.path())
        .env("O", program)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env_remove("SOURCE_DATE_EPOCH")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
