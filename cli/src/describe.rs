// SPDX-License-Identifier: MIT OR Apache-2.0
//! A commit as `log` and `show` print it.

use anyhow::Result;
use formats::gvariant::Variant;
use formats::object::{Commit, ObjectName, ObjectType, metadata_key};
use formats::{Checksum, date};
use repo::Repo;

use crate::Output;

/// Prints a commit for people.
pub(crate) fn commit(out: &mut Output<'_>, checksum: &Checksum, commit: &Commit) -> Result<()> {
    writeln!(out, "commit {checksum}")?;
    if let Some(parent) = commit.parent {
        writeln!(out, "Parent:  {parent}")?;
    }
    writeln!(out, "ContentChecksum:  {}", commit.content_checksum())?;
    writeln!(out, "Date:  {}", date::format(commit.timestamp))?;
    if let Some(version) = commit.lookup(metadata_key::VERSION)? {
        writeln!(out, "Version: {}", version.view()?.as_str()?)?;
    }
    if commit.subject.is_empty() {
        writeln!(out, "(no subject)")?;
    } else {
        indented(out, &commit.subject)?;
    }
    if !commit.body.is_empty() {
        indented(out, &commit.body)?;
    }
    writeln!(out)?;
    Ok(())
}

fn indented(out: &mut Output<'_>, text: &str) -> Result<()> {
    writeln!(out)?;
    for line in text.trim_end_matches('\n').split('\n') {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

/// Prints a metadata object as it is, in GVariant's text format. Numbers are swapped as C `ostree` does: objects
/// are big-endian, GVariant is not.
pub(crate) fn raw(out: &mut Output<'_>, repo: &Repo, name: ObjectName, swap: bool) -> Result<()> {
    let data = repo.load_metadata(name)?;
    let Some(ty) = name.kind.type_string() else { anyhow::bail!("{name} is no metadata object") };
    writeln!(out, "{}", Variant::new(ty, &data)?.to_text_of(true, swap)?)?;
    Ok(())
}

/// As [`raw`], for a commit of `log`: with its heading.
pub(crate) fn raw_commit(out: &mut Output<'_>, repo: &Repo, checksum: &Checksum, swap: bool) -> Result<()> {
    writeln!(out, "commit {checksum}")?;
    raw(out, repo, ObjectName::new(*checksum, ObjectType::Commit), swap)
}
