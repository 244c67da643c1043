// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of `shapes.txt`.

/// The part of the output that a program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    Stdout,
    Sorted,
    Hex,
    Status,
}

/// A call, and the programs that make it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) reads: Reads,
    /// The part without which ours does otherwise.
    pub(crate) waits: Option<&'static str>,
    /// The part that is not built, where the row is not run.
    pub(crate) left: Option<&'static str>,
    /// The test that compares it, where the row is not run here.
    pub(crate) elsewhere: Option<&'static str>,
    pub(crate) programs: Vec<&'static str>,
    pub(crate) script: &'static str,
}

impl Row {
    /// Whether it runs in the running system.
    pub(crate) fn is_booted(&self) -> bool {
        self.name.starts_with("booted::")
    }
}

/// Reads the table.
pub(crate) fn all() -> Vec<Row> {
    let rows: Vec<Row> = include_str!("shapes.txt").split("\n== ").skip(1).map(row).collect();
    for (at, row) in rows.iter().enumerate() {
        assert!(rows.iter().skip(at + 1).all(|other| other.name != row.name), "{}: twice", row.name);
    }
    assert!(!rows.is_empty(), "the table has no rows");
    rows
}

fn row(text: &'static str) -> Row {
    let (name, mut rest) = text.split_once('\n').unwrap();
    let mut row = Row {
        name,
        reads: Reads::Status,
        waits: None,
        left: None,
        elsewhere: None,
        programs: Vec::new(),
        script: "",
    };
    while let Some((line, after)) = rest.split_once('\n') {
        let Some((key, value)) = line.split_once(": ") else { break };
        match key {
            "reads" => {
                row.reads = match value {
                    "stdout" => Reads::Stdout,
                    "sorted" => Reads::Sorted,
                    "hex" => Reads::Hex,
                    "status" => Reads::Status,
                    _ => panic!("{name}: {line}"),
                };
            }
            "waits" => row.waits = Some(value),
            "elsewhere" => row.elsewhere = Some(value),
            "left" => row.left = Some(value),
            "for" => row.programs = value.split("; ").collect(),
            _ => break,
        }
        rest = after;
    }
    row.script = rest.trim_end();
    assert!(!row.programs.is_empty(), "{name}: no line `for:`");
    let is_run = row.left.is_none() && row.elsewhere.is_none();
    assert_eq!(row.script.is_empty(), !is_run, "{name}: a script, or a line `left:` or `elsewhere:`");
    row
}
