// SPDX-License-Identifier: MIT OR Apache-2.0
//! The texts of the package: templates of `packaging/debian/`, filled in.

use anyhow::{Context, Result, ensure};
use fn_error_context::context;

use crate::process;
use crate::workspace::Workspace;

/// The package, as Debian names it.
pub(super) const NAME: &str = "ostree-rs";
/// The version of the package is that of its programs; it has no Debian revision, as it is made by its own source.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The programs' packages, whose crates are named in the file `copyright`.
const PACKAGES: [&str; 4] = ["cli", "early-boot", "finalize", "prepare-root"];

/// The time that the package and all its files get, in seconds since 1970: `SOURCE_DATE_EPOCH`, else that of the last commit.
#[context("Finding the time of the package")]
pub(super) fn moment(workspace: &Workspace) -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => process::output(process::command("git").current_dir(&workspace.root).args([
            "log",
            "-1",
            "--format=%ct",
        ]))?,
    };
    text.trim().parse().with_context(|| format!("{text:?} is no number of seconds: set SOURCE_DATE_EPOCH"))
}

/// As Debian's tools take it: `DEBFULLNAME` and `DEBEMAIL`; else an address that nobody can have (RFC 2606).
pub(super) fn maintainer() -> String {
    let set = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    format!(
        "{} <{}>",
        set("DEBFULLNAME", "The contributors of ostree-rs"),
        set("DEBEMAIL", "ostree-rs@packages.invalid")
    )
}

/// Source and binary package, for dpkg-gencontrol.
pub(super) fn control(workspace: &Workspace) -> Result<String> {
    Ok(template(workspace, "control")?.replace("@MAINTAINER@", &maintainer()))
}

/// One entry: what changed before is in the history of the source.
pub(super) fn changelog(maintainer: &str, moment: u64) -> Result<String> {
    let mut date = process::command("date");
    let date = process::output(date.args(["--utc", "--rfc-email", &format!("--date=@{moment}")]))
        .context("Asking date")?;
    Ok(format!(
        "{} ({VERSION}) unstable; urgency=medium\n\n  * Built from its source, whose history says what changed.\n\n \
         -- {maintainer}  {}\n",
        NAME,
        date.trim_end()
    ))
}

/// Our licence, and what crates the programs are made of.
#[context("Writing the file copyright")]
pub(super) fn copyright(workspace: &Workspace) -> Result<String> {
    let mit = std::fs::read_to_string(workspace.root.join("LICENSE-MIT")).context("Reading LICENSE-MIT")?;
    let mut tree = process::cargo("tree");
    tree.current_dir(&workspace.root);
    tree.args([
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--no-dedupe",
        "--format={p}|{l}",
        "--target",
    ]);
    tree.arg(&workspace.triple);
    for package in PACKAGES {
        tree.args(["--package", package]);
    }
    let crates = crates(&process::output(&mut tree)?);
    ensure!(!crates.is_empty(), "cargo tree names no crates");
    Ok(template(workspace, "copyright")?
        .replace("@CRATES@", &paragraph(&crates.join("\n")))
        .replace("@MIT@", &paragraph(&mit)))
}

/// Names, versions and licences out of what `cargo tree` says; our own crates have a path there.
fn crates(said: &str) -> Vec<String> {
    let foreign = said.lines().filter(|line| !line.is_empty() && !line.contains("(/"));
    let mut crates: Vec<String> = foreign
        .filter_map(|line| line.split_once('|'))
        .map(|(name, license)| format!("{name}: {license}"))
        .collect();
    crates.sort();
    crates.dedup();
    crates
}

/// A text of more lines as a field's value: indented, and a dot where a line is empty.
fn paragraph(text: &str) -> String {
    let lines = text.trim_end().lines();
    lines
        .map(|line| if line.trim().is_empty() { " .".to_owned() } else { format!(" {line}") })
        .collect::<Vec<_>>()
        .join("\n")
}

/// A text of `packaging/debian/`, as it is.
pub(super) fn template(workspace: &Workspace, name: &str) -> Result<String> {
    let path = workspace.root.join("packaging/debian").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_crates_are_named_once() {
        let said = "cli v0.1.0 (/src/cli)|MIT OR Apache-2.0\nb v2.0.0|MIT\na v1.0.0|Zlib\n\nb v2.0.0|MIT\n";
        assert_eq!(crates(said), ["a v1.0.0: Zlib", "b v2.0.0: MIT"]);
    }

    #[test]
    fn paragraphs_of_fields() {
        assert_eq!(paragraph("a\n\n b\n"), " a\n .\n  b");
    }

    #[test]
    fn the_changelog_has_the_form_of_debian() {
        let text = changelog("A <a@example.org>", 0).unwrap();
        assert!(text.starts_with(&format!("ostree-rs ({VERSION}) unstable; urgency=")), "{text}");
        assert!(text.ends_with("\n -- A <a@example.org>  Thu, 01 Jan 1970 00:00:00 +0000\n"), "{text}");
    }
}
