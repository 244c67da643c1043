// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk that is really full: no free block or no free inode, and then ever more of them, until the operation succeeds.

use anyhow::Result;

use super::call::Failure;
use super::injection::{Outcome, Subject, again, look, manners};
use super::stand::Stand;
use crate::kit::{Kit, Programs};
use crate::rules::Rules;
use crate::session::Done;

/// The resources that a disk runs out of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shortage {
    /// Blocks of 1 KiB, but for so many.
    Blocks(u32),
    /// Inodes, but for so many.
    Inodes(u32),
}

impl Shortage {
    /// Lists the amounts to try of each: each number at first, then in steps.
    pub(super) fn all() -> Vec<Self> {
        let amounts = || (0..16).chain((16..=128).step_by(8));
        amounts().map(Self::Blocks).chain(amounts().map(Self::Inodes)).collect()
    }

    /// A shell line that brings it about, in a directory that nobody looks at.
    fn cause(self) -> String {
        let enter = format!("cd {FILL}/.. && mkdir fill && cd fill");
        match self {
            Self::Blocks(free) => format!(
                "{enter} && fallocate -l $(df --output=avail -B1 . | tail -1) all; dd if=/dev/zero of=rest bs=1k 2>/dev/null; \
                 truncate -s -{free}K all"
            ),
            Self::Inodes(free) => {
                format!(
                    "{enter} && seq -f %.0f 1 $(($(df --output=iavail . | tail -1) - {free})) | xargs touch"
                )
            }
        }
    }
}

/// The file that fills the disk.
const FILL: &str = "$REPO/../../lost+found/fill";

/// Runs an operation on a full disk, then makes room and runs it again.
pub(super) fn starve(
    subject: &Subject,
    shortage: Shortage,
    stand: &Stand,
    (programs, kit): (&Programs, &Kit),
) -> Result<Outcome> {
    let mut system = stand.start(&subject.machine, kit, subject.operation.booted)?;
    system.session()?.ok(&shortage.cause())?;
    let mut problems = Vec::new();
    let mut last = Done { status: 0, said: String::new() };
    for line in subject.operation.commands {
        last = system.session()?.run(line)?;
        problems.extend(manners(Failure::Error("ENOSPC"), &last));
        if last.status != 0 {
            break;
        }
    }
    let rules = Rules { references: &subject.references, operation: subject.operation, programs, kit };
    problems.extend(look(&mut system, &rules, false)?);
    system.session()?.ok(&format!("rm -r {FILL}"))?;
    if problems.is_empty() {
        problems.extend(again(&mut system, &rules)?);
    }
    system.stop()?;
    Ok(Outcome { reached: true, status: last.status, said: last.said, problems })
}
