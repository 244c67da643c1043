// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs each case as this program again: as root, beside the C tools that it needs, in namespaces of its own, with a directory for its files.

use std::ffi::OsStr;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::system;

const INSIDE: &str = "--inside-namespace";

/// A case: its name, what it needs besides root, and what it does.
pub(crate) type Case = (&'static str, Need, fn());

#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each test program uses a part of it")]
pub(crate) enum Need {
    Nothing,
    /// The C tools: the case runs once with each release of them.
    EachPeer,
    /// The C tools of the newest release: the others have no command for this.
    NewestPeer,
}

/// Releases of the C tools, the newest first, and what names the directory of each.
const PEERS: [(&str, &str); 2] = [("trixie", "OSTREE_PEER_DIR"), ("bookworm", "OSTREE_PEER_BOOKWORM_DIR")];

/// Runs the cases that the arguments ask for.
pub(crate) fn run(cases: &[Case]) -> ExitCode {
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
    let trials = cases.iter().flat_map(|&(name, need, _)| match need {
        Need::Nothing => vec![Trial::test(name, move || outside(name, None))],
        Need::NewestPeer => vec![beside(name, PEERS[0])],
        Need::EachPeer => PEERS.iter().map(|&peer| beside(name, peer)).collect(),
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// A case beside a release of the C tools.
fn beside(name: &'static str, (release, variable): (&str, &str)) -> Trial {
    let Some(dir) = std::env::var_os(variable) else {
        // Shown in the name, since the runner prints only `ignored`.
        let missing = || Err(Failed::from("there are no C tools"));
        return Trial::test(format!("{name}_{release} (needs {variable})"), missing).with_ignored_flag(true);
    };
    Trial::test(format!("{name}_{release}"), move || outside(name, Some(&dir)))
}

fn outside(name: &str, peer: Option<&OsStr>) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("unshare");
    match peer {
        Some(peer) => command.env(system::PEER, peer),
        None => command.env_remove(system::PEER),
    };
    let output = command
        .args(["--mount", "--pid", "--fork", "--propagation=private"])
        .arg(std::env::current_exe()?)
        .args([INSIDE, name])
        .env("TMPDIR", dir.path())
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", system::PROGRAMS))
        .output()?;
    // Immutable deployments would survive the temporary directory.
    Command::new("chattr").args(["-R", "-f", "-i"]).arg(dir.path()).status()?;
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(Failed::from(format!("this test needs root and `unshare --mount --pid`\n{out}{err}")))
}
