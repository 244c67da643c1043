// SPDX-License-Identifier: MIT OR Apache-2.0
//! Differences that are meant, each with its reason. `docs/diff-peer.md` says them again; a test compares the two.

use crate::case::Call;
use crate::difference::{Difference, Part};

/// A difference that is explained.
#[derive(Debug)]
pub(crate) struct Row {
    /// A short name, as in the document.
    pub(crate) name: &'static str,
    /// Whether this is it.
    is: fn(&Difference) -> bool,
}

/// All of them.
pub(crate) const ROWS: &[Row] = &[
    // Ours refuses, names the option and says what to use instead; the option is in the list of what is missing.
    Row {
        name: "options that are not supported yet",
        is: |difference| {
            ours_says(difference, "is not supported yet")
                && matches!(difference.part, Part::Status | Part::Disk)
        },
    },
    // A directory of the file system is one side of `diff` of the peer only.
    Row {
        name: "a directory beside a commit in diff",
        is: |difference| {
            difference.call.command() == "diff" && ours_says(difference, "cannot be compared yet")
        },
    },
    // The peer forgets a path of a list when it has met it once, so that the next tree brings the file back.
    Row {
        name: "lists of paths for several trees",
        is: |difference| {
            difference.call.command() == "commit"
                && (difference.call.has("--skip-list") || difference.call.has("--statoverride"))
                && several_trees(&difference.call)
        },
    },
    // The peer writes objects before it sees that a path of a list was not there; they are left for the next prune.
    Row {
        name: "objects of a commit that fails",
        is: |difference| {
            difference.call.command() == "commit"
                && both_fail(difference)
                && all(difference, |line| line.starts_with("+\"r") && line.contains("/objects/"))
        },
    },
    // The peer sets `tombstone-commits` before it looks for the commit; a command that fails should change nothing.
    Row {
        name: "tombstones for a commit that is not there",
        is: |difference| {
            difference.call.has("--delete-commit")
                && both_fail(difference)
                && all(difference, |line| line.contains("/config\" "))
        },
    },
    // The peer removes the tree of `--consume` bit by bit while it commits, and what it has removed stays so.
    Row {
        name: "a tree that is consumed by a commit that fails",
        is: |difference| {
            difference.call.has("--consume")
                && both_fail(difference)
                && all(difference, |line| line.starts_with('-') || line.contains("/objects/"))
        },
    },
    // The peer moves the file into the repository as it is; in all other commits the time of an object is 0.
    Row {
        name: "the time of an object that was consumed",
        is: |difference| {
            difference.call.has("--consume")
                && difference.part == Part::Disk
                && same_without_times(difference)
        },
    },
    // The peer marks a commit as incomplete before it sees that the source has none.
    Row {
        name: "a mark for a commit that the source has not",
        is: |difference| {
            difference.call.command() == "pull-local"
                && both_fail(difference)
                && all(difference, |line| line.contains(".commitpartial\" ") || line.contains("/objects/"))
        },
    },
    // The peer looks at the overrides of a path before it sees that the path is skipped.
    Row {
        name: "an override of a path that is skipped",
        is: |difference| {
            difference.call.has("--skip-list") && ours_says(difference, "Unmatched statoverride paths")
        },
    },
    // The peer sets neither owner nor attributes of a link that takes the place of something.
    Row {
        name: "a link that a union replaces",
        is: |difference| {
            difference.call.has("--union")
                && difference.part == Part::Disk
                && all(difference, |line| line.contains("\" 120777 "))
        },
    },
    // Waits for a decision: the peer leaves 0700 at the directory that it makes for a single file.
    Row {
        name: "the directory of a subpath that is a file",
        is: |difference| {
            difference.call.command() == "checkout"
                && difference.call.has("--subpath")
                && difference.part == Part::Disk
                && all(difference, |line| line.contains("\" 040"))
        },
    },
    // It ends in the middle of a tree; how much is there depends on the order.
    Row {
        name: "the remains of a checkout that fails",
        is: |difference| difference.call.command() == "checkout" && both_fail(difference),
    },
    // The cache doubles the space of an archive repository, and what is changed in one checkout changes all.
    Row {
        name: "no cache of uncompressed objects",
        is: |difference| {
            difference.call.command() == "checkout"
                && difference.mode.starts_with("archive")
                && difference.call.has("-U")
                && (same_without_links(difference) || ours_says(difference, "Unable to hardlink"))
        },
    },
];

/// Whether a commit is put together from several trees.
fn several_trees(call: &Call) -> bool {
    call.words().iter().filter(|word| word.starts_with("--tree=") || word.starts_with("--base=")).count() > 1
}

/// Whether only times differ.
fn same_without_times(difference: &Difference) -> bool {
    let side = |sign: char| -> Vec<&str> {
        let own = difference.lines.iter().filter_map(|line| line.strip_prefix(sign));
        own.map(|line| line.rsplit_once(" at ").map_or(line, |(before, _)| before)).collect()
    };
    side('-') == side('+')
}

/// Whether only hard links differ.
fn same_without_links(difference: &Difference) -> bool {
    let side = |sign: char| -> Vec<String> {
        let own = difference.lines.iter().filter_map(|line| line.strip_prefix(sign));
        own.map(|line| {
            let (before, rest) = line.split_once(" is ").unwrap_or((line, ""));
            let after = if rest.is_empty() {
                ""
            } else {
                rest.rfind(" at ").and_then(|at| rest.get(at..)).unwrap_or_default()
            };
            format!("{before}{after}")
        })
        .collect()
    };
    difference.part == Part::Disk && side('-') == side('+')
}

/// Whether ours said this on standard error.
fn ours_says(difference: &Difference, text: &str) -> bool {
    difference.said[0].contains(text)
}

/// Whether both failed, and it is about the disk.
fn both_fail(difference: &Difference) -> bool {
    difference.part == Part::Disk && difference.both_failed
}

/// Whether every line is so.
fn all(difference: &Difference, is: fn(&str) -> bool) -> bool {
    difference.lines.iter().all(|line| is(line))
}

/// The row that explains the difference.
pub(crate) fn explains(difference: &Difference) -> Option<&'static Row> {
    ROWS.iter().find(|row| (row.is)(difference))
}

/// The output without what depends on how well a program compresses.
pub(crate) fn normal(call: &Call, mode: &str, output: &str) -> String {
    let compressed = mode.starts_with("archive");
    if compressed && call.command() == "prune" {
        return output.lines().map(without_bytes).collect();
    }
    output.to_owned()
}

/// The line up to the sum of bytes.
fn without_bytes(line: &str) -> String {
    let end = line.find(" objects, ").map_or(line.len(), |at| at + " objects, ".len());
    format!("{}\n", line.get(..end).unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_a_line_for_each() {
        let document = include_str!("../../docs/diff-peer.md");
        let named: Vec<&str> = document
            .lines()
            .skip_while(|line| *line != "|---|---|")
            .skip(1)
            .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
            .collect();
        assert_eq!(named, ROWS.iter().map(|row| row.name).collect::<Vec<_>>());
    }
}
