// SPDX-License-Identifier: MIT OR Apache-2.0
//! The row of what happens at shutdown, which `tests-vm` measures in virtual machines.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fn_error_context::context;

use super::measure::Sample;
use super::sides::Measured;
use crate::peer::Peer;
use crate::workspace::Workspace;
use crate::{install, process, terminal, vm};

/// The row.
pub(crate) const NAME: &str = "finalization at shutdown, in a virtual machine";

/// The program that measures it, built before the first case so that all cases measure one state of the source.
pub(crate) struct Machines(Command);

impl Machines {
    #[context("Building what measures {NAME}")]
    pub(crate) fn build(workspace: &Workspace, peer: &Peer) -> Result<Self> {
        install::into(workspace, &workspace.destdir())?;
        Ok(Self(vm::driver(workspace, peer, &["finalization"])?))
    }

    /// Both programs finalize a staged deployment, in turn.
    #[context("Measuring {NAME}")]
    pub(crate) fn measure(mut self) -> Result<Measured> {
        terminal::progress(&format!("{NAME} (six boots)"));
        let text = process::output(&mut self.0)?;
        let (ours, theirs) = parse(&text)?;
        ensure!(!ours.is_empty() && !theirs.is_empty(), "tests-vm has measured nothing");
        Ok(Measured { name: NAME, target: 0.5, ours, theirs })
    }
}

/// Lines `ours MICROSECONDS` and `theirs MICROSECONDS`.
fn parse(text: &str) -> Result<(Vec<Sample>, Vec<Sample>)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let step = || format!("Reading {line:?}");
        let (side, micros) = line.split_once(' ').with_context(step)?;
        let wall = Duration::from_micros(micros.parse().with_context(step)?);
        match side {
            "ours" => ours.push(Sample::of_wall(wall)),
            "theirs" => theirs.push(Sample::of_wall(wall)),
            _ => bail!("No side has the name {side}"),
        }
    }
    Ok((ours, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_sides_are_read() {
        let (ours, theirs) = parse("theirs 2500000\nours 1500000\nours 1\n").unwrap();
        assert_eq!(ours, [1_500_000, 1].map(|micros| Sample::of_wall(Duration::from_micros(micros))));
        assert_eq!(theirs, [Sample::of_wall(Duration::from_millis(2500))]);
        for bad in ["ours", "ours x", "others 1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
