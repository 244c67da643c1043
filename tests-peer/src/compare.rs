// SPDX-License-Identifier: MIT OR Apache-2.0
//! Playing a case in two worlds, and what differs.

use std::path::Path;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::case::{Call, Case, Step};
use crate::difference::{Difference, Part};
use crate::ended::Ended;
use crate::known::{self, Row};
use crate::snapshot::{self, Snapshot};
use crate::world::{Programs, World};

/// The result of a case.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// How many commands ran, in both worlds together.
    pub(crate) commands: usize,
    /// How many comparisons were made: statuses, outputs, disks, checks.
    pub(crate) comparisons: usize,
    /// Those that the table explains.
    pub(crate) explained: Vec<&'static Row>,
    /// The first that it does not.
    pub(crate) difference: Option<Difference>,
}

/// Plays until a difference changes what follows.
#[context("Playing a case")]
pub(crate) fn play(programs: &Programs, case: &Case) -> Result<Played> {
    let place =
        tempfile::Builder::new().prefix("diff-peer.").tempdir_in("/var/tmp").context("Making a directory")?;
    let mut worlds = [World::new(place.path().join("a"), true)?, World::new(place.path().join("b"), false)?];
    let mut played = Played::default();
    for step in &case.steps {
        match step {
            Step::Make(entries) => worlds.iter().for_each(|world| world.make(entries)),
            Step::Run(call) => {
                if !at(programs, &mut worlds, call, &mut played)? {
                    return Ok(played);
                }
            }
        }
    }
    cross_checks(programs, &mut worlds, case, &mut played)?;
    Ok(played)
}

/// Runs a call in both; false where the case ends.
fn at(programs: &Programs, worlds: &mut [World; 2], call: &Call, played: &mut Played) -> Result<bool> {
    let [a, b] = worlds;
    let (in_a, in_b) = (a.run(programs, call)?, b.run(programs, call)?);
    let (ours, peer) = if call.swapped { (&in_b, &in_a) } else { (&in_a, &in_b) };
    played.commands += 2;
    played.comparisons += 3;
    let mode = mode_of(&a.dir, call);
    let seen = |part, lines| Difference {
        call: call.clone(),
        part,
        lines,
        said: [ours.said.clone(), peer.said.clone()],
        both_failed: !ours.good && !peer.good,
        mode: mode.clone(),
    };
    let mut all = Vec::new();
    if ours.crashed {
        all.push(seen(Part::Crash, vec!["-ended by a signal or a panic".to_owned()]));
    }
    if ours.good != peer.good {
        let told = |ended: &Ended| if ended.good { "status 0" } else { "a failure" };
        all.push(seen(Part::Status, vec![format!("-{}", told(ours)), format!("+{}", told(peer))]));
    } else if ours.good {
        let lines =
            lines(&known::normal(call, &mode, &ours.output), &known::normal(call, &mode, &peer.output));
        if !lines.is_empty() {
            all.push(seen(Part::Output, lines));
        }
    }
    let (disk_a, disk_b) = (snapshot::take(&a.dir)?, snapshot::take(&b.dir)?);
    let (disk_ours, disk_peer) = if call.swapped { (&disk_b, &disk_a) } else { (&disk_a, &disk_b) };
    let disk = changed(disk_ours, disk_peer);
    let same_disk = disk.is_empty();
    if !same_disk {
        all.push(seen(Part::Disk, disk));
    }
    for difference in all {
        match known::explains(&difference) {
            Some(row) => played.explained.push(row),
            None => {
                played.difference = Some(difference);
                return Ok(false);
            }
        }
    }
    Ok(same_disk)
}

/// Each program checks each repository that is left, the other one's, too.
fn cross_checks(
    programs: &Programs,
    worlds: &mut [World; 2],
    case: &Case,
    played: &mut Played,
) -> Result<()> {
    let heads = case.steps.iter().filter_map(|step| match step {
        Step::Run(call) if call.command() == "init" => call.head.first().cloned(),
        _ => None,
    });
    for repository in heads {
        for swapped in [false, true] {
            let call = Call {
                swapped,
                head: vec![repository.clone(), "fsck".to_owned()],
                rest: vec!["--quiet".to_owned()],
                ..Call::default()
            };
            if !at(programs, worlds, &call, played)? {
                if let Some(difference) = &mut played.difference
                    && difference.part == Part::Status
                {
                    difference.part = Part::Fsck;
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The mode of the repository that the call works on.
fn mode_of(dir: &Path, call: &Call) -> String {
    let repository = call.head.first().and_then(|word| word.strip_prefix("--repo=")).unwrap_or_default();
    let config = std::fs::read_to_string(dir.join(repository).join("config")).unwrap_or_default();
    config.lines().find_map(|line| line.strip_prefix("mode=")).unwrap_or_default().to_owned()
}

/// Lines of one text that the other has not, in their order.
fn lines(ours: &str, peer: &str) -> Vec<String> {
    if ours == peer {
        return Vec::new();
    }
    let (first, second): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), peer.lines().collect());
    let only = |of: &[&str], other: &[&str], sign: char| -> Vec<String> {
        of.iter().filter(|line| !other.contains(line)).map(|line| format!("{sign}{line}")).collect()
    };
    let mut all = only(&first, &second, '-');
    all.extend(only(&second, &first, '+'));
    if all.is_empty() {
        all.push("-the same lines in another order or number".to_owned());
        all.extend(first.iter().map(|line| format!("-{line}")));
        all.extend(second.iter().map(|line| format!("+{line}")));
    }
    all
}

fn changed(ours: &Snapshot, peer: &Snapshot) -> Vec<String> {
    let mut all = Vec::new();
    for (path, text) in ours {
        if peer.get(path) != Some(text) {
            all.push(format!("-{path:?} {text}"));
        }
    }
    for (path, text) in peer {
        if ours.get(path) != Some(text) {
            all.push(format!("+{path:?} {text}"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_of_two_texts_has_a_line() {
        assert_eq!(lines("a\nb\n", "a\nc\n"), ["-b", "+c"]);
        assert!(lines("a\n", "a\n").is_empty());
        assert!(!lines("a\na\n", "a\n").is_empty());
        assert!(!lines("a\nb\n", "b\na\n").is_empty());
    }
}
