// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree checkout`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use repo::{CheckoutOptions, OverwriteMode, PathSet, Repo, RepoError};

use crate::Output;
use crate::global::Global;

/// Check out a commit into a filesystem tree
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo checkout --require-hardlinks exampleos/x86_64 tree/")]
pub(crate) struct Args {
    /// Ref or checksum; the destination with --from-file or --from-stdin
    commit: String,
    /// Where to; a directory named as the commit if not given
    destination: Option<PathBuf>,
    /// Do not change file ownership or initialize extended attributes
    #[arg(short = 'U', long)]
    user_mode: bool,
    /// Accepted for compatibility: there is no cache of uncompressed objects
    #[arg(long)]
    disable_cache: bool,
    /// Checkout sub-directory PATH
    #[arg(long, value_name = "PATH")]
    subpath: Option<String>,
    /// Keep existing directories, overwrite existing files
    #[arg(long, conflicts_with_all = ["union_add", "union_identical"])]
    union: bool,
    /// Keep existing files/directories, only add new
    #[arg(long, conflicts_with = "union_identical")]
    union_add: bool,
    /// When layering checkouts, error out if a file would be replaced with a different version, but add new files
    /// and directories
    #[arg(long)]
    union_identical: bool,
    /// Process 'whiteout' (Docker style) entries
    #[arg(long)]
    whiteouts: bool,
    /// Enable overlayfs whiteout extraction into char 0:0 devices
    #[arg(long)]
    process_passthrough_whiteouts: bool,
    /// Do nothing if specified path does not exist
    #[arg(long)]
    allow_noent: bool,
    /// Process many checkouts from standard input
    #[arg(long)]
    from_stdin: bool,
    /// Process many checkouts from input file
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Specify how to invoke fsync()
    #[arg(long, value_name = "POLICY")]
    fsync: Option<String>,
    /// Do not fall back to full copies if hardlinking fails
    #[arg(short = 'H', long)]
    require_hardlinks: bool,
    /// Accepted for compatibility: zero-sized files are never hardlinked
    #[arg(short = 'z', long)]
    force_copy_zerosized: bool,
    /// Never hardlink (but may reflink if available)
    #[arg(short = 'C', long)]
    force_copy: bool,
    /// Suppress mode bits outside of 0775 for directories (suid, world writable, etc.)
    #[arg(short = 'M', long)]
    bareuseronly_dirs: bool,
    /// File containing list of files to skip
    #[arg(long, value_name = "FILE")]
    skip_list: Option<PathBuf>,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, _: &mut Output<'_>) -> Result<()> {
        if self.union_identical && !self.require_hardlinks {
            bail!("--union-identical requires --require-hardlinks");
        }
        if self.require_hardlinks && self.force_copy {
            bail!("Cannot specify both --require-hardlinks and --force-copy");
        }
        let repo = global.open()?;
        let options = self.options()?;
        let Some(list) = self.list()? else {
            let destination = self.destination.as_deref().unwrap_or(Path::new(&self.commit));
            return self.one(&repo, &options, destination, &self.commit);
        };
        let mut words = list.split(|byte| *byte == 0).map(|word| {
            std::str::from_utf8(word).context("Reading the list of checkouts: a name in it is not UTF-8")
        });
        while let Some(rev) = words.next() {
            let (rev, subpath) = (rev?, words.next().transpose()?);
            if rev.is_empty() {
                continue;
            }
            let subpath = subpath.filter(|path| !path.is_empty()).map(str::to_owned);
            self.one(&repo, &CheckoutOptions { subpath, ..options.clone() }, Path::new(&self.commit), rev)?;
        }
        Ok(())
    }

    /// Reads the list of checkouts, if one is given: a revision and a path in it, each with a zero byte behind it.
    fn list(&self) -> Result<Option<Vec<u8>>> {
        let mut list = Vec::new();
        match &self.from_file {
            Some(path) => {
                list =
                    std::fs::read(path).with_context(|| format!("Error opening file {}", path.display()))?;
            }
            None if self.from_stdin => {
                std::io::stdin().read_to_end(&mut list).context("Reading the list of checkouts")?;
            }
            None => return Ok(None),
        }
        Ok(Some(list))
    }

    fn one(&self, repo: &Repo, options: &CheckoutOptions, destination: &Path, rev: &str) -> Result<()> {
        let commit = repo.resolve_rev(rev)?;
        match repo.checkout(options, destination, &commit) {
            Err(error) if self.allow_noent && matches!(error.downcast_ref(), Some(RepoError::NoPath(_))) => {
                Ok(())
            }
            done => done,
        }
    }

    fn options(&self) -> Result<CheckoutOptions> {
        let overwrite = match (self.union, self.union_add, self.union_identical) {
            (true, ..) => OverwriteMode::Union,
            (_, true, _) => OverwriteMode::UnionAdd,
            (.., true) => OverwriteMode::UnionIdentical,
            _ => OverwriteMode::None,
        };
        Ok(CheckoutOptions {
            user_mode: self.user_mode,
            overwrite,
            subpath: self.subpath.clone(),
            force_copy: self.force_copy,
            require_hardlinks: self.require_hardlinks,
            whiteouts: self.whiteouts,
            passthrough_whiteouts: self.process_passthrough_whiteouts,
            bare_user_only_dirs: self.bareuseronly_dirs,
            fsync: self.fsync.as_deref().map(parse_policy).transpose()?.unwrap_or(false),
            skip: self.skip_list.as_deref().map(read_paths).transpose()?.unwrap_or_default(),
        })
    }
}

/// A truth value as the C tools take it.
pub(crate) fn parse_policy(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" | "none" => Ok(false),
        _ => bail!("Invalid boolean argument '{text}'"),
    }
}

/// Reads a file with a path a line.
pub(crate) fn read_paths(path: &Path) -> Result<PathSet> {
    let text = std::fs::read_to_string(path).with_context(|| format!("Reading {}", path.display()))?;
    Ok(PathSet::parse(&text))
}
