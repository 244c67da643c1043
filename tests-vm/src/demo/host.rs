// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of the demo on the host: shell scripts, shown while they run.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::tell::Teller;
use crate::environment::Environment;

/// In front of each script.
const COMMON: &str = include_str!("../../host/demo.sh");

/// Runs a script in the directory, with our programs before those of the machine.
pub(super) fn run(
    environment: &Environment,
    directory: &Path,
    script: &str,
    teller: &mut Teller<impl Write>,
) -> Result<()> {
    let mut path = environment.program("usr/bin").into_os_string();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/sbin:/usr/bin")));
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", &[COMMON, script].concat()]);
    command.current_dir(directory).env("PATH", path).env_remove("OSTREE_REPO").env_remove("OSTREE_SYSROOT");
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("Running unshare (is it installed?)")?;
    let mut report = teller.report();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        report.add(&line.context("Reading what a script says")?);
    }
    let status = child.wait().context("Waiting for a script")?;
    if !status.success() {
        bail!("the last command failed ({status}), see above");
    }
    report.end()
}
