// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree summary`.

use anyhow::{Context as _, Result, bail};
use formats::gvariant::{DictBuilder, Value, Variant};
use formats::{Checksum, date};
use repo::summary::{TYPE, key};

use crate::global::Global;
use crate::{Output, size};

/// Manage summary metadata
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo summary --update")]
pub(crate) struct Args {
    /// Update the summary
    #[arg(short, long)]
    update: bool,
    /// View the local summary file; so does -v
    #[arg(long)]
    view: bool,
    /// View the raw bytes of the summary file
    #[arg(long)]
    raw: bool,
    /// List the available metadata keys
    #[arg(long)]
    list_metadata_keys: bool,
    /// Print string value of metadata key
    #[arg(long, value_name = "KEY")]
    print_metadata_key: Option<String>,
    /// Additional metadata field to add to the summary
    #[arg(short = 'm', long, value_name = "KEY=VALUE")]
    add_metadata: Vec<String>,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let mut repo = global.open()?;
        if self.update {
            let mut more = DictBuilder::new();
            for pair in &self.add_metadata {
                let (key, text) = pair
                    .split_once('=')
                    .with_context(|| format!("Missing '=' in KEY=VALUE metadata '{pair}'"))?;
                let value =
                    Value::parse_text(text).with_context(|| format!("Error parsing variant ‘{text}’"))?;
                more.insert(key, value);
            }
            return repo.write_summary(&more);
        }
        let wanted =
            Wanted { raw: self.raw, keys: self.list_metadata_keys, key: self.print_metadata_key.as_deref() };
        // The short form of --verbose is that of --view here.
        if !(self.view || global.verbose || wanted.is_any()) {
            bail!("No option specified; use -u to update summary");
        }
        let data =
            repo.read_summary()?.context("openat(summary): No such file or directory; make it with -u")?;
        wanted.print(&data, out)
    }
}

/// The part of a summary that is printed.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) raw: bool,
    pub(crate) keys: bool,
    pub(crate) key: Option<&'a str>,
}

impl Wanted<'_> {
    fn is_any(&self) -> bool {
        self.raw || self.keys || self.key.is_some()
    }

    /// Prints it from the bytes of a summary, which may be anybody's.
    pub(crate) fn print(&self, data: &[u8], out: &mut Output<'_>) -> Result<()> {
        let summary = Variant::new(TYPE, data)?;
        summary.check_normal().context("The summary is damaged; make it again with `ostree summary -u`")?;
        let (refs, metadata) = (summary.child(0)?, summary.child(1)?);
        if let Some(key) = self.key {
            let value = metadata.lookup(key)?.with_context(|| format!("No such metadata key '{key}'"))?;
            return Ok(writeln!(out, "{}", value.to_text_of(true, true)?)?);
        }
        if self.keys {
            let mut keys = Vec::new();
            for entry in metadata.iter()? {
                keys.push(entry?.child(0)?.as_str()?);
            }
            keys.sort_unstable();
            return keys.iter().try_for_each(|key| Ok(writeln!(out, "{key}")?));
        }
        if self.raw {
            return Ok(writeln!(out, "{}", summary.to_text_of(true, true)?)?);
        }
        let collection = metadata.lookup(key::COLLECTION_ID)?.map(|id| id.as_str()).transpose()?;
        print_refs(refs, collection, out)?;
        if let Some(map) = metadata.lookup(key::COLLECTION_MAP)? {
            for entry in map.iter()? {
                let entry = entry?;
                print_refs(entry.child(1)?, Some(entry.child(0)?.as_str()?), out)?;
            }
        }
        for entry in metadata.iter()? {
            let entry = entry?;
            let (key, value) = (entry.child(0)?.as_str()?, entry.child(1)?.as_variant()?);
            print_metadata(key, value, out)?;
        }
        Ok(())
    }
}

fn print_refs(refs: Variant<'_>, collection: Option<&str>, out: &mut Output<'_>) -> Result<()> {
    for entry in refs.iter()? {
        let entry = entry?;
        let (name, described) = (entry.child(0)?.as_str()?, entry.child(1)?);
        match collection {
            Some(collection) => writeln!(out, "* ({collection}, {name})")?,
            None => writeln!(out, "* {name}")?,
        }
        writeln!(out, "    Latest Commit ({}):", size::format(described.child(0)?.as_u64()?))?;
        let checksum = described.child(1)?.as_bytes()?;
        let checksum =
            Checksum::try_from(checksum).map_or_else(|_| "invalid".to_owned(), |sum| sum.to_string());
        writeln!(out, "      {checksum}")?;
        for entry in described.child(2)?.iter()? {
            let entry = entry?;
            let (key, value) = (entry.child(0)?.as_str()?, entry.child(1)?.as_variant()?);
            match key {
                key::VERSION => writeln!(out, "    Version ({key}): {}", text(value)?)?,
                key::TIMESTAMP => writeln!(out, "    Timestamp ({key}): {}", time(value))?,
                _ => writeln!(out, "    {key}: {}", value.to_text(false)?)?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn print_metadata(key: &str, value: Variant<'_>, out: &mut Output<'_>) -> Result<()> {
    let (name, value) = match key {
        key::MODE => ("Repository Mode", text(value)?),
        key::LAST_MODIFIED => ("Last-Modified", time(value)),
        key::EXPIRES => ("Expires", time(value)),
        key::COLLECTION_ID => ("Collection ID", text(value)?),
        key::COLLECTION_MAP => ("Collection Map", "(printed above)".to_owned()),
        key::TOMBSTONES => {
            let has = value.as_bool().map_or_else(|_| "invalid", |has| if has { "Yes" } else { "No" });
            ("Has Tombstone Commits", has.to_owned())
        }
        _ => return Ok(writeln!(out, "{key}: {}", value.to_text(false)?)?),
    };
    Ok(writeln!(out, "{name} ({key}): {value}")?)
}

/// A string as it is, all else in text format.
fn text(value: Variant<'_>) -> Result<String> {
    Ok(match value.as_str() {
        Ok(text) => text.to_owned(),
        Err(_) => value.to_text(false)?,
    })
}

/// A time that is stored big-endian, in the form of ISO 8601.
fn time(value: Variant<'_>) -> String {
    let seconds = value.as_u64().ok().map(u64::swap_bytes).filter(|seconds| *seconds <= date::LAST);
    let text = seconds.map(date::format);
    let text =
        text.and_then(|text| Some(format!("{}+00", text.strip_suffix(" +0000")?.replacen(' ', "T", 1))));
    text.unwrap_or_else(|| "invalid".to_owned())
}
