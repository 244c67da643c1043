// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls of public programs: our `ostree` must do what the C tools do with them.
//!
//! `clients/shapes.txt` holds the rows. Each runs with both tools in equal copies of a world that the C tools made, and then status,
//! the part of the output that the program reads, and all that was changed must be the same. A row with a line `waits:` must not be
//! the same: when it is, the line goes. `docs/clients.md` counts the rows; `CLIENTS_DOCUMENT=write` writes its table anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a harness of its own, where clippy sees no tests")]

#[path = "clients/document.rs"]
mod document;
#[path = "clients/rows.rs"]
mod rows;
mod world;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use libtest_mimic::Trial;
use test_world::peer::{self, NEWEST};
use test_world::run_trials;

use crate::rows::{Reads, Row};

/// The world of every row, and the programs beside it.
static TOP: OnceLock<PathBuf> = OnceLock::new();

fn main() -> ExitCode {
    let rows = rows::all();
    let mut trials = vec![Trial::test("document", {
        let rows = rows.clone();
        move || document::check(&rows)
    })];
    for row in rows.into_iter().filter(|row| !row.script.is_empty()) {
        let name = row.name.to_owned();
        trials.push(world::beside(name, move |_| {
            let compared = compare(&row);
            match (row.waits, compared) {
                (None, Ok(())) | (Some(_), Err(_)) => {}
                (None, Err(difference)) => panic!("{}\n{difference}", row.script),
                (Some(part), Ok(())) => panic!("does the same: take its line `waits: {part}` off"),
            }
        }));
    }
    let code = run_trials(trials);
    if let Some(top) = TOP.get() {
        test_world::tree::make_removable(top);
        fs::remove_dir_all(top).unwrap();
    }
    code
}

/// The effect of a row with one tool.
#[derive(PartialEq)]
struct Effect {
    status: String,
    read: String,
    changed: String,
}

fn compare(row: &Row) -> Result<(), String> {
    let (ours, ours_err) = effect(row, "ours");
    let (peer, peer_err) = effect(row, "peer");
    for (part, ours, peer) in [
        ("status", &ours.status, &peer.status),
        ("output", &ours.read, &peer.read),
        ("effect", &ours.changed, &peer.changed),
    ] {
        if ours != peer {
            let lines = difference(ours, peer);
            return Err(format!("{part}:\n{lines}ours wrote: {ours_err}\nthe C tools wrote: {peer_err}"));
        }
    }
    Ok(())
}

/// The lines that only one of the texts has.
fn difference(ours: &str, peer: &str) -> String {
    let only = |here: &str, there: &str, sign: &str| -> String {
        here.lines()
            .filter(|line| !there.lines().any(|l| l == *line))
            .map(|l| format!("{sign} {l}\n"))
            .collect()
    };
    only(ours, peer, "ours:") + &only(peer, ours, "peer:")
}

fn effect(row: &Row, tool: &str) -> (Effect, String) {
    let top = TOP.get_or_init(make_world);
    let printed = top.join(format!("{}-{tool}", row.name.replace("::", "-")));
    let output = Command::new("unshare")
        .args(["--mount", "--propagation=private", "--pid", "--fork", "bash"])
        .arg(top.join("run.sh"))
        .env("TOP", top)
        .env("PRINTED", &printed)
        .env("TOOL", tool)
        .env("ROW", row.script)
        .env("BOOTED", if row.is_booted() { "1" } else { "" })
        .env("OSTREE_PEER_DIR", NEWEST.directory().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", row.name, String::from_utf8_lossy(&output.stderr));
    let of = |extension: &str| {
        let path = PathBuf::from(format!("{}.{extension}", printed.display()));
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        fs::remove_file(path).unwrap();
        text
    };
    let read = row.reads.part(of("out"));
    let effect = Effect { status: of("status"), read, changed: of("effect") };
    let err = of("err");
    (effect, err)
}

/// Makes the world with the C tools, in a directory whose path is the same for all that is recorded in it.
fn make_world() -> PathBuf {
    let top = tempfile::tempdir_in("/tmp").unwrap().keep();
    for name in ["w", "world", "root", "bin"] {
        fs::create_dir(top.join(name)).unwrap();
    }
    for (name, text) in
        [("run.sh", include_str!("clients/run.sh")), ("effect.sh", include_str!("clients/effect.sh"))]
    {
        fs::write(top.join(name), text).unwrap();
    }
    let program = |dir: &str, script: Option<String>| {
        let path = top.join("bin").join(dir);
        fs::create_dir(&path).unwrap();
        let path = path.join("ostree");
        match script {
            Some(line) => {
                fs::write(&path, format!("#!/bin/sh\nexec {line} \"$@\"\n")).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            None => drop(fs::copy(world::OSTREE, path).unwrap()),
        }
    };
    let line = |tree: &Path| peer::command_line(tree.to_str().unwrap(), "usr/bin/ostree").join(" ");
    program("ours", None);
    program("peer", Some(line(&NEWEST.directory().unwrap())));
    symlink("ours", top.join("bin/booted-ours")).unwrap();
    program("booted-peer", Some(line(Path::new("/run/peer"))));
    let path = format!("{}:{}", top.join("bin/peer").display(), std::env::var("PATH").unwrap());
    // Where a row has it, so that what names a path is right.
    let made = Command::new("unshare")
        .args(["--mount", "--propagation=private", "bash", "-c"])
        .arg("set -e; mount --bind \"$TOP/world\" \"$TOP/w\"; cd \"$TOP/w\"; eval \"$WORLD\"")
        .env("TOP", &top)
        .env("WORLD", include_str!("clients/world.sh"))
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    top
}

impl Reads {
    /// The part of the output that is read.
    fn part(self, output: String) -> String {
        let is_hex = |line: &&str| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit());
        match self {
            Self::Stdout => output,
            Self::Sorted => {
                let mut lines: Vec<&str> = output.lines().collect();
                lines.sort_unstable();
                lines.join("\n")
            }
            Self::Hex => output.lines().filter(is_hex).collect::<Vec<_>>().join("\n"),
            Self::Status => String::new(),
        }
    }
}
