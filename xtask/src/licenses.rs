// SPDX-License-Identifier: MIT OR Apache-2.0
//! The licences of every crate that we build, against the list in `deny.toml`. cargo-deny reads the same file and does more,
//! but takes minutes to compile on a fresh machine; where it is installed, `lint` runs it too.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use fn_error_context::context;
use serde::Deserialize;

use crate::workspace::Workspace;

#[derive(Deserialize)]
struct DenyFile {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

/// Whether every crate of the lock file may be used.
#[context("Checking licences against deny.toml")]
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let text = std::fs::read_to_string(workspace.root.join("deny.toml")).context("Reading deny.toml")?;
    let rules: DenyFile = toml::from_str(&text).context("Parsing deny.toml")?;
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(workspace.root.join("Cargo.toml"))
        .other_options(["--locked".to_owned(), format!("--filter-platform={}", workspace.triple)])
        .exec()
        .context("Asking cargo for the crates")?;
    let exceptions: BTreeMap<&str, &BTreeSet<String>> = rules
        .licenses
        .exceptions
        .iter()
        .map(|exception| (exception.name.as_str(), &exception.allow))
        .collect();
    let mut refused = Vec::new();
    for package in &metadata.packages {
        let more = exceptions.get(package.name.as_str()).copied();
        let allowed = |license: &str| {
            rules.licenses.allow.contains(license) || more.is_some_and(|more| more.contains(license))
        };
        let expression = package.license.as_deref().unwrap_or("none named");
        if !satisfied(expression, allowed) {
            refused.push(format!("{} {} ({expression})", package.name, package.version));
        }
    }
    if !refused.is_empty() {
        bail!("not on the list: {}", refused.join(", "));
    }
    Ok(())
}

fn satisfied(expression: &str, allowed: impl Fn(&str) -> bool) -> bool {
    let Ok(parsed) = spdx::Expression::parse_mode(expression, spdx::ParseMode::LAX) else { return false };
    parsed.evaluate(|requirement| allowed(&requirement.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed =
            |license: &str| ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].contains(&license);
        for (expression, expected) in [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("MIT/Apache-2.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("none named", false),
        ] {
            assert_eq!(satisfied(expression, allowed), expected, "{expression}");
        }
    }
}
