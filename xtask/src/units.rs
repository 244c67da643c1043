// SPDX-License-Identifier: MIT OR Apache-2.0
//! `systemd-analyze verify` of our units, in a tree that holds this machine's units and our installed files.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::process;
use crate::workspace::Workspace;

/// Where systemd keeps units, below `/`.
const UNITS: &str = "usr/lib/systemd/system";

/// Checks each installed service; returns how many.
#[context("Verifying the units")]
pub(crate) fn verify(workspace: &Workspace) -> Result<u32> {
    let root = workspace.target.join("verify-units");
    if root.exists() {
        std::fs::remove_dir_all(&root).with_context(|| format!("Removing {}", root.display()))?;
    }
    copy_tree(&Path::new("/").join(UNITS), &root.join(UNITS))?;
    for part in [UNITS, "usr/lib/ostree", "usr/bin"] {
        copy_tree(&workspace.destdir().join(part), &root.join(part))?;
    }
    let mut verified = 0;
    for entry in std::fs::read_dir(workspace.destdir().join(UNITS)).context("Reading the installed units")? {
        let unit = Path::new(UNITS).join(entry?.file_name());
        let mut command = process::command("systemd-analyze");
        command
            .arg("verify")
            .arg("--man=no")
            .arg("--recursive-errors=no")
            .arg("--root")
            .arg(&root)
            .arg(root.join(&unit));
        let line = process::line_of(&command);
        let finished = process::capture(command)?;
        // It ends with 0 after a warning: what it says about our own file counts too.
        let name = unit.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let said: Vec<&str> = finished.output.lines().filter(|text| text.contains(&name)).collect();
        ensure!(finished.success && said.is_empty(), "{line}: {}", finished.output.trim_end());
        verified += 1;
    }
    ensure!(verified > 0, "no unit is installed");
    Ok(verified)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("Creating {}", to.display()))?;
    let mut command = process::command("cp");
    command.arg("-a").arg(from.join(".")).arg(to);
    process::run(command)
}
