// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs each case as this program again: as root, in namespaces of its own, with a directory for its files.

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
    /// The directory of the C tools.
    Peer,
}

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
    let trials = cases.iter().map(|&(name, need, _)| {
        if need == Need::Peer && std::env::var_os(system::PEER).is_none() {
            // Shown in the name, since the runner prints only `ignored`.
            let missing = || Err(Failed::from("there are no C tools"));
            return Trial::test(format!("{name} (needs {})", system::PEER), missing).with_ignored_flag(true);
        }
        Trial::test(name, move || outside(name))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn outside(name: &str) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--propagation=private"])
        .arg(std::env::current_exe()?)
        .args([INSIDE, name])
        .env("TMPDIR", dir.path())
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", system::PROGRAMS))
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(Failed::from(format!("this test needs root and `unshare --mount --pid`\n{out}{err}")))
}
