// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree show`.

use anyhow::{Context as _, Result};
use formats::Checksum;
use formats::gvariant::{Value, Variant};
use formats::object::{ObjectName, ObjectType};
use repo::Repo;

use crate::global::Global;
use crate::{Output, describe};

/// Output a metadata object
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo show --print-metadata-key=version exampleos/x86_64")]
pub(crate) struct Args {
    /// Ref or checksum of a commit, or checksum of another metadata object
    object: String,
    /// List the available metadata keys
    #[arg(long)]
    list_metadata_keys: bool,
    /// Print string value of metadata key
    #[arg(long, value_name = "KEY")]
    print_metadata_key: Option<String>,
    /// For byte array valued keys, output an unquoted hexadecimal string
    #[arg(long)]
    print_hex: bool,
    /// List the available detached metadata keys
    #[arg(long)]
    list_detached_metadata_keys: bool,
    /// Print string value of detached metadata key
    #[arg(long, value_name = "KEY")]
    print_detached_metadata_key: Option<String>,
    /// Show raw variant data
    #[arg(long)]
    raw: bool,
    /// Do not automatically convert archive to host byte order
    #[arg(short = 'B', long)]
    no_byteswap: bool,
    /// Show the "related" commits
    #[arg(long)]
    print_related: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = global.open()?;
        let wants_detached = self.list_detached_metadata_keys || self.print_detached_metadata_key.is_some();
        if wants_detached {
            let commit = repo.resolve_rev(&self.object)?;
            let detached = repo.load_detached_metadata(&commit)?;
            let detached = detached.with_context(|| format!("No detached metadata for commit {commit}"))?;
            return self.metadata(out, &detached, self.print_detached_metadata_key.as_deref());
        }
        if self.list_metadata_keys || self.print_metadata_key.is_some() {
            let commit = repo.load_commit(&repo.resolve_rev(&self.object)?)?;
            return self.metadata(out, &commit.metadata, self.print_metadata_key.as_deref());
        }
        if self.print_related {
            // No tool fills the list of related commits.
            repo.load_commit(&repo.resolve_rev(&self.object)?)?;
            return Ok(());
        }
        match self.object.parse::<Checksum>() {
            Ok(checksum) => self.any_object(&repo, checksum, out),
            Err(_) => self.commit(&repo, &repo.resolve_rev(&self.object)?, out),
        }
    }

    fn any_object(&self, repo: &Repo, checksum: Checksum, out: &mut Output<'_>) -> Result<()> {
        for kind in [ObjectType::Commit, ObjectType::DirTree, ObjectType::DirMeta] {
            let name = ObjectName::new(checksum, kind);
            if repo.has_object(name)? {
                if kind == ObjectType::Commit {
                    return self.commit(repo, &checksum, out);
                }
                writeln!(out, "{kind} {checksum}")?;
                return if self.raw { describe::raw(out, repo, name, !self.no_byteswap) } else { Ok(()) };
            }
        }
        repo.load_file(&checksum)?;
        writeln!(out, "{} {checksum}", ObjectType::File)?;
        Ok(())
    }

    fn commit(&self, repo: &Repo, checksum: &Checksum, out: &mut Output<'_>) -> Result<()> {
        match self.raw {
            true => describe::raw_commit(out, repo, checksum, !self.no_byteswap),
            false => describe::commit(out, checksum, &repo.load_commit(checksum)?),
        }
    }

    fn metadata(&self, out: &mut Output<'_>, metadata: &Value, key: Option<&str>) -> Result<()> {
        let dict = metadata.view()?;
        let Some(key) = key else {
            let mut keys = Vec::new();
            for entry in dict.iter()? {
                keys.push(entry?.child(0)?.as_str()?);
            }
            keys.sort_unstable();
            return Ok(keys.into_iter().try_for_each(|key| writeln!(out, "{key}"))?);
        };
        let value = dict.lookup(key)?.with_context(|| format!("No such metadata key '{key}'"))?;
        self.value(out, value)
    }

    fn value(&self, out: &mut Output<'_>, value: Variant<'_>) -> Result<()> {
        match value.as_bytes() {
            Ok(bytes) if self.print_hex => {
                bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
                writeln!(out)?;
            }
            _ => writeln!(out, "{}", value.to_text_of(true, !self.no_byteswap)?)?,
        }
        Ok(())
    }
}
