// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bills of materials in the form of CycloneDX, one for each package whose programs are installed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::workspace::Workspace;
use crate::{build, process, terminal};

/// The tool that knows the form. Another version writes other bytes.
const TOOL: (&str, &str) = ("cargo-cyclonedx", "0.5.9");

/// The name of its files, beside each `Cargo.toml`.
const WRITTEN: &str = "bill-of-materials.cdx";

/// Writes the bills of the sources in `root` to `out`; returns their paths. The time is in seconds since 1970.
#[context("Writing the bills of materials")]
pub(super) fn write(
    workspace: &Workspace,
    root: &Path,
    out: &Path,
    name: &str,
    time: u64,
) -> Result<Vec<PathBuf>> {
    let mut tool = process::command(tool(workspace)?);
    tool.args(["cyclonedx", "--format", "json", "--spec-version", "1.5", "--quiet"]);
    tool.args(["--target", &workspace.triple, "--override-filename", WRITTEN]);
    tool.current_dir(root).env("SOURCE_DATE_EPOCH", time.to_string()).env("CARGO_NET_OFFLINE", "true");
    process::run(tool)?;
    let mut bills = Vec::new();
    for package in build::PACKAGES.iter().copied().chain(["prepare-root"]) {
        let file = |folder: &str| root.join(folder).join(package).join(format!("{WRITTEN}.json"));
        let file = [file(""), file("crates")].into_iter().find(|file| file.is_file());
        let file = file.with_context(|| format!("the tool has written nothing for {package}"))?;
        let text = std::fs::read_to_string(&file).with_context(|| format!("Reading {}", file.display()))?;
        let bill = out.join(format!("{name}-{package}.cdx.json"));
        std::fs::write(&bill, of_any_machine(&text, root)?)
            .with_context(|| format!("Writing {}", bill.display()))?;
        bills.push(bill);
    }
    Ok(bills)
}

/// The bill with paths that begin at the top of the archive.
fn of_any_machine(bill: &str, root: &Path) -> Result<String> {
    let root = root.to_str().context("the path of the archive is no text")?;
    let bill = bill.replace(&format!("file://{root}/"), "file:///");
    ensure!(!bill.contains(root), "a bill has a path of this machine");
    ensure!(bill.contains("\"bomFormat\": \"CycloneDX\""), "the tool has written something else");
    Ok(bill)
}

/// The tool in the cache, built if it is not there.
fn tool(workspace: &Workspace) -> Result<PathBuf> {
    let (name, version) = TOOL;
    let root = workspace.cache.join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if !program.is_file() {
        terminal::progress(&format!("cargo install {name} {version}"));
        let mut cargo = process::cargo("install");
        cargo.args(["--version", &format!("={version}"), name, "--root"]).arg(&root);
        process::run(cargo)?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_names_no_machine() {
        let root = Path::new("/home/me/stage/x-1");
        let text =
            "{\"bomFormat\": \"CycloneDX\", \"bom-ref\": \"path+file:///home/me/stage/x-1/cli#0.1.0\"}";
        let bill = of_any_machine(text, root).unwrap();
        assert_eq!(bill, "{\"bomFormat\": \"CycloneDX\", \"bom-ref\": \"path+file:///cli#0.1.0\"}");
        assert!(of_any_machine(&format!("{text}{}", root.display()), root).is_err());
        assert!(of_any_machine("{}", root).is_err());
    }
}
