// SPDX-License-Identifier: MIT OR Apache-2.0
//! A harness that runs each case as its program again, as root in namespaces of its own, so that no case can reach
//! the mounts of the machine.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Failed, Trial};

use crate::peer::{NEWEST, RELEASES, Release};
use crate::trial::{run_trials, with_root};

const INSIDE: &str = "--inside-namespace";

/// The variable that names the Debian tree with the C tools of a case, inside.
pub const PEER: &str = "PEER_DIR";

/// A case: its name, its needs besides root, and its function.
pub type Case = (&'static str, Need, fn());

/// The needs of a case besides root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// None.
    Nothing,
    /// The C tools: the case runs once with each release of them.
    EachPeer,
    /// The C tools of the newest release: the others have no command for this.
    NewestPeer,
    /// A program in `PATH` that answers `--version`.
    Program(&'static str),
    /// A file that a variable names.
    Variable(&'static str),
}

/// The namespaces of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespaces {
    /// Mounts only.
    Mount,
    /// Mounts, and processes that end with the case; this directory, which the case may fill, is first in `PATH`, and what
    /// the case leaves in `TMPDIR` is removed.
    System(&'static str),
}

/// Runs the cases that the arguments ask for.
pub fn run(namespaces: Namespaces, cases: &[Case]) -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(INSIDE) {
        let name = arguments.next().unwrap_or_default();
        return match cases.iter().find(|(case, ..)| *case == name) {
            Some((.., run)) => {
                run();
                ExitCode::SUCCESS
            }
            None => ExitCode::FAILURE,
        };
    }
    let trials = cases.iter().flat_map(|&(name, need, _)| trials(namespaces, name, need));
    run_trials(trials.collect())
}

/// The trials of a case: one, or one beside each release of the C tools.
fn trials(namespaces: Namespaces, name: &'static str, need: Need) -> Vec<Trial> {
    let run = move |peer: Option<PathBuf>| outside(namespaces, name, peer.as_deref());
    let beside = |release: Release| {
        let title = format!("{name}_{}", release.name);
        with_root(release.directory(), &title, release.directory, move |peer| run(Some(peer)))
    };
    match need {
        Need::Nothing => vec![with_root(Some(()), name, "", move |()| run(None))],
        Need::EachPeer => RELEASES.map(beside).into(),
        Need::NewestPeer => vec![beside(NEWEST)],
        Need::Program(program) => {
            let there = Command::new(program).arg("--version").output().ok();
            vec![with_root(there, name, program, move |_| run(None))]
        }
        Need::Variable(variable) => {
            vec![with_root(std::env::var_os(variable), name, variable, move |_| run(None))]
        }
    }
}

fn outside(namespaces: Namespaces, name: &str, peer: Option<&Path>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("unshare");
    match peer {
        Some(peer) => command.env(PEER, peer),
        None => command.env_remove(PEER),
    };
    command.args(["--mount", "--propagation=private"]);
    if let Namespaces::System(programs) = namespaces {
        command.args(["--pid", "--fork"]);
        command.env("PATH", format!("{programs}:/usr/sbin:/usr/bin:/sbin:/bin"));
        command.env("TMPDIR", dir.path());
    }
    let output = command.arg(std::env::current_exe()?).args([INSIDE, name]).output()?;
    crate::tree::make_removable(dir.path());
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(Failed::from(format!("{out}{err}")))
}
