// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules that are checked without running anything of ours: one list.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::test::beyond;
use crate::workspace::Workspace;
use crate::{
    book, circles, doc_names, licenses, picture, process, ratchet, static_program, terminal, upstream,
};

/// How a rule ended, if it did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds.
    Holds,
    /// It could not be checked here, and why.
    Skipped(String),
}

/// A rule: what it says, and its check.
pub(crate) type Rule = (&'static str, fn(&Workspace) -> Result<Verdict>);

/// All rules, the quick ones first.
pub(crate) const RULES: &[Rule] = &[
    ("every file names its licence", spdx_headers),
    ("no file is longer than 900 lines", short_files),
    ("no circles of files inside a crate", no_circles),
    ("comments begin with their subject", ratcheted_comments),
    ("no paths of machines, no hosts of mirrors", no_machines),
    ("files that the documents name are there", named_files),
    ("every scenario beyond the boot budget has passed, and docs/test-all.md says when", recorded_scenarios),
    ("docs/upstream-tests.md says what the list of passing tests says", recorded_upstream),
    ("docs/SUMMARY.md lists every page", listed_pages),
    ("pictures show what their tables and transcripts say", drawn_pictures),
    ("shell scripts pass shellcheck", shellcheck),
    ("formatted by rustfmt", rustfmt),
    ("the static program links only crates of its list", initramfs_crates),
    ("licences are on the list of deny.toml", license_list),
    ("cargo-deny agrees", cargo_deny),
    ("clippy finds nothing", clippy),
];

/// Checks those whose names have `part` in them; prints what does not hold.
pub(crate) fn run(workspace: &Workspace, part: &str) -> Result<()> {
    let rules: Vec<&Rule> = RULES.iter().filter(|(name, _)| name.contains(part)).collect();
    ensure!(!rules.is_empty(), "no rule has {part:?} in its name");
    let mut broken = 0;
    for (name, check) in &rules {
        terminal::progress(name);
        match check(workspace) {
            Ok(Verdict::Holds) => println!("ok      {name}"),
            Ok(Verdict::Skipped(why)) => println!("skipped {name}: {why}"),
            Err(error) => {
                println!("FAILED  {name}: {error:#}");
                broken += 1;
            }
        }
    }
    if broken > 0 {
        bail!("{broken} of {} rules do not hold", rules.len());
    }
    Ok(())
}

/// Texts of the checkout with their names; what is not UTF-8 is data of a test.
fn texts(workspace: &Workspace) -> Result<Vec<(PathBuf, String)>> {
    let mut texts = Vec::new();
    for name in workspace.files()? {
        let path = workspace.root.join(&name);
        if path.is_file() {
            let bytes = std::fs::read(&path).with_context(|| format!("Reading {}", path.display()))?;
            if let Ok(text) = String::from_utf8(bytes) {
                texts.push((name, text));
            }
        }
    }
    Ok(texts)
}

fn none(kind: &str, found: Vec<String>) -> Result<Verdict> {
    if found.is_empty() {
        return Ok(Verdict::Holds);
    }
    bail!("{kind}: {}", found.join(", "))
}

/// Files that people wrote and that have comments: by ending, and whatever begins as a script.
fn has_comments(name: &Path, text: &str) -> bool {
    const ENDINGS: &[&str] = &["rs", "toml", "sh", "service", "target", "path", "conf", "yml", "yaml", "py"];
    let ending = name.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.contains(&ending) || text.starts_with("#!")
}

fn spdx_headers(workspace: &Workspace) -> Result<Verdict> {
    let named = |text: &str| {
        text.lines().take(3).any(|line| line.contains("SPDX-License-Identifier: MIT OR Apache-2.0"))
    };
    let texts = texts(workspace)?;
    let without = texts.iter().filter(|(name, text)| has_comments(name, text) && !named(text));
    none("no SPDX line at the top", without.map(|(name, _)| name.display().to_string()).collect())
}

fn short_files(workspace: &Workspace) -> Result<Verdict> {
    let sources = texts(workspace)?
        .into_iter()
        .filter(|(name, _)| name.extension().is_some_and(|ending| ending == "rs"));
    let long = sources.map(|(name, text)| (name, text.lines().count())).filter(|(_, lines)| *lines > 900);
    none("too long", long.map(|(name, lines)| format!("{} ({lines})", name.display())).collect())
}

fn no_circles(workspace: &Workspace) -> Result<Verdict> {
    circles::check(workspace)?;
    Ok(Verdict::Holds)
}

fn ratcheted_comments(workspace: &Workspace) -> Result<Verdict> {
    ratchet::check(workspace, &texts(workspace)?)?;
    Ok(Verdict::Holds)
}

/// Lowers the counts of comments to those of the checkout.
pub(crate) fn lower(workspace: &Workspace) -> Result<()> {
    ratchet::lower(workspace, &texts(workspace)?)
}

/// Written in two parts each, so that this file does not find itself.
const MACHINES: &[&str] = &[
    concat!("/work", "/main"),
    concat!("/work", "/shared"),
    concat!("/root", "/.cache"),
    concat!("/root", "/.cargo"),
    concat!("deb.debian", ".org"),
    concat!("snapshot.debian", ".org"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
];

fn no_machines(workspace: &Workspace) -> Result<Verdict> {
    let mut found = Vec::new();
    for (name, text) in texts(workspace)? {
        for (number, line) in text.lines().enumerate() {
            if let Some(machine) = MACHINES.iter().find(|machine| line.contains(**machine)) {
                found.push(format!("{}:{} has {machine}", name.display(), number + 1));
            }
        }
    }
    none("found", found)
}

fn named_files(workspace: &Workspace) -> Result<Verdict> {
    let files = workspace.files()?;
    let mut missing = Vec::new();
    for (name, text) in texts(workspace)? {
        let at_the_top =
            name.components().count() == 1 && name.extension().is_some_and(|ending| ending == "md");
        if at_the_top || name.starts_with("docs") {
            missing.extend(doc_names::missing(&name, &text, &files));
        }
    }
    none("no such file", missing)
}

fn recorded_upstream(workspace: &Workspace) -> Result<Verdict> {
    upstream::check_table(workspace).map(|()| Verdict::Holds)
}

fn listed_pages(workspace: &Workspace) -> Result<Verdict> {
    let path = workspace.root.join(book::SUMMARY);
    let summary = std::fs::read_to_string(&path).with_context(|| format!("Reading {}", path.display()))?;
    none(book::SUMMARY, book::faults(&summary, &workspace.files()?))
}

fn drawn_pictures(workspace: &Workspace) -> Result<Verdict> {
    none("./run pictures draws them anew", picture::stale(&workspace.root)?)
}

fn recorded_scenarios(workspace: &Workspace) -> Result<Verdict> {
    none("in docs/test-all.md", beyond::faults(workspace)?)
}

fn shellcheck(workspace: &Workspace) -> Result<Verdict> {
    if !process::found("shellcheck") {
        return Ok(Verdict::Skipped("shellcheck is not installed".to_owned()));
    }
    let script = |text: &str| {
        text.lines()
            .next()
            .is_some_and(|line| line.starts_with("#!") && (line.ends_with("sh") || line.contains("sh ")))
    };
    let scripts: Vec<PathBuf> =
        texts(workspace)?.into_iter().filter(|(_, text)| script(text)).map(|(name, _)| name).collect();
    let mut command = process::command("shellcheck");
    command
        .current_dir(&workspace.root)
        .args(["--severity=style", "--external-sources", "--exclude=SC2187", "--"])
        .args(scripts);
    process::run(command)?;
    Ok(Verdict::Holds)
}

fn rustfmt(workspace: &Workspace) -> Result<Verdict> {
    let mut command = process::command("cargo");
    command.current_dir(&workspace.root).args(["fmt", "--all", "--check"]);
    process::run(command)?;
    Ok(Verdict::Holds)
}

fn initramfs_crates(workspace: &Workspace) -> Result<Verdict> {
    let foreign = static_program::foreign_crates(workspace)?;
    none("not on the list in xtask/src/static_program.rs", foreign.into_iter().collect())
}

fn license_list(workspace: &Workspace) -> Result<Verdict> {
    licenses::check(workspace)?;
    Ok(Verdict::Holds)
}

fn cargo_deny(workspace: &Workspace) -> Result<Verdict> {
    if !process::found("cargo-deny") {
        return Ok(Verdict::Skipped(
            "cargo-deny is not installed; the list of licences was checked without it".to_owned(),
        ));
    }
    let mut command = process::command("cargo");
    command.current_dir(&workspace.root).args(["deny", "--offline", "check", "licenses", "bans", "sources"]);
    process::run(command)?;
    Ok(Verdict::Holds)
}

fn clippy(workspace: &Workspace) -> Result<Verdict> {
    let mut command = process::cargo("clippy");
    command.current_dir(&workspace.root).args(["--workspace", "--all-targets", "--", "--deny", "warnings"]);
    process::run(command)?;
    Ok(Verdict::Holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_carry_a_header() {
        for (name, text, expected) in [
            ("a.rs", "", true),
            ("run", "#!/bin/sh\n", true),
            ("a.service", "[Unit]\n", true),
            ("README.md", "# x\n", false),
            ("Cargo.lock", "", false),
        ] {
            assert_eq!(has_comments(Path::new(name), text), expected, "{name}");
        }
    }

    #[test]
    fn findings_are_failures() {
        assert_eq!(none("x", vec![]).unwrap(), Verdict::Holds);
        assert!(none("x", vec!["y".to_owned()]).is_err());
    }
}
