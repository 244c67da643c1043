// SPDX-License-Identifier: MIT OR Apache-2.0
//! The second disk of a guest: a raw tar archive with the scenario's script and the programs that it wants.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::command;
use crate::guest::RUN_SCRIPT;

/// Packs the script, and the directories `parts` under their own names, into `DIRECTORY/payload.tar`.
#[context("Packing the payload of the guest")]
pub(crate) fn pack(directory: &Path, script: &str, parts: &[&Path]) -> Result<PathBuf> {
    let archive = directory.join("payload.tar");
    for (name, text) in [("run.sh", RUN_SCRIPT), ("scenario.sh", script)] {
        fs::write(directory.join(name), text).with_context(|| format!("Writing {name}"))?;
    }
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(&archive).arg("-C").arg(directory).args(["run.sh", "scenario.sh"]);
    for part in parts {
        let name = part.file_name().context("a part of a payload needs a name")?;
        tar.arg("-C").arg(part.parent().unwrap_or(Path::new("/"))).arg(name);
    }
    command::run(&mut tar)?;
    Ok(archive)
}
