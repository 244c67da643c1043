// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prepares a root for real, without booting: as root, in a mount namespace of its own, with a `/run` of its own.
//!
//! Each case is this program again, run by `unshare --mount`, so that no case can reach the mounts of the machine.
#![allow(clippy::unwrap_used, reason = "a case of this harness is no #[test] that clippy would know")]

mod cases;
mod mountinfo;
mod peer;
mod world;

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

const INSIDE: &str = "--inside-namespace";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(INSIDE) {
        return inside(&arguments.next().unwrap_or_default());
    }
    let trials = cases::ALL.iter().map(|(name, _)| {
        let trial = Trial::test(*name, move || outside(name));
        let missing = cases::missing_tool(name);
        // Shown in the name, since the runner prints only `ignored`.
        match missing {
            Some(what) => Trial::test(format!("{name} (needs {what})"), || Ok(())).with_ignored_flag(true),
            None => trial,
        }
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn outside(name: &str) -> Result<(), Failed> {
    let this = std::env::current_exe()?;
    let output = Command::new("unshare")
        .args(["--mount", "--propagation=private"])
        .arg(this)
        .args([INSIDE, name])
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(Failed::from(format!("this test needs root and `unshare --mount`\n{out}{err}")))
}

fn inside(name: &str) -> ExitCode {
    match cases::ALL.iter().find(|(case, _)| *case == name) {
        Some((_, run)) => {
            run();
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}
