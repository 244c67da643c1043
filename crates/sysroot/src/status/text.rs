// SPDX-License-Identifier: MIT OR Apache-2.0
//! A status in words. The short form is the C tools', line for line, since scripts read it; the long form has the same
//! lines in the same order, and more between and after them.

use std::fmt::{self, Display, Formatter};

use formats::date;

use super::{NextBoot, Row, Status};

/// The same and more, for a person.
#[derive(Debug)]
pub struct Long<'a>(&'a Status);

impl Status {
    /// With all that a person wants to know.
    pub fn long(&self) -> Long<'_> {
        Long(self)
    }
}

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.deployments.iter().try_for_each(|row| short(row, f))?;
        none(self, f)
    }
}

impl Display for Long<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Status { deployments, next_boot, notes, .. } = self.0;
        for row in deployments {
            short(row, f)?;
            writeln!(f, "    Index: {}", row.index)?;
            for (what, time) in [("Committed", row.commit_time), ("Deployed", row.deploy_time)] {
                if let Some(time) = time {
                    writeln!(f, "    {what}: {}", date::format(time))?;
                }
            }
        }
        none(self.0, f)?;
        let name = |index: usize| {
            let version = deployments.get(index).and_then(|row| row.version.as_ref());
            version.map_or(index.to_string(), |version| format!("{index} (version {version})"))
        };
        writeln!(f)?;
        if let Some(row) = deployments.iter().find(|row| row.booted) {
            writeln!(f, "Running: {}", name(row.index))?;
        }
        let NextBoot { index, because, .. } = next_boot;
        writeln!(f, "Next boot: {}: {because}", index.map_or("unknown".to_owned(), name))?;
        notes.iter().try_for_each(|note| writeln!(f, "Note: {}", note.text))
    }
}

fn none(status: &Status, f: &mut Formatter<'_>) -> fmt::Result {
    if status.deployments.is_empty() { writeln!(f, "No deployments.") } else { Ok(()) }
}

fn short(row: &Row, f: &mut Formatter<'_>) -> fmt::Result {
    let mark = if row.booted { '*' } else { ' ' };
    let Row { stateroot, checksum, serial, .. } = row;
    let place = match row {
        Row { finalization_locked: true, .. } => " (finalization locked)",
        Row { staged: true, .. } => " (staged)",
        Row { pending: true, .. } => " (pending)",
        Row { rollback: true, .. } => " (rollback)",
        _ => "",
    };
    writeln!(f, "{mark} {stateroot} {checksum}.{serial}{place}")?;
    if let Some(version) = &row.version {
        writeln!(f, "    Version: {version}")?;
    }
    if let Some(how) = row.unlocked.filter(|how| *how != "none") {
        writeln!(f, "    Unlocked: {how}")?;
    }
    if row.pinned == Some(true) {
        writeln!(f, "    Pinned: yes")?;
    }
    match &row.refspec {
        Some(refspec) => writeln!(f, "    origin refspec: {refspec}")?,
        None if row.has_origin => writeln!(f, "    origin: <unknown origin type>")?,
        None => return writeln!(f, "    origin: none"),
    }
    match &row.source_title {
        Some(title) => writeln!(f, "    `- {title}"),
        None => Ok(()),
    }
}
