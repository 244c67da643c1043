// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree ls`.

use anyhow::{Context as _, Result, anyhow};
use formats::Checksum;
use formats::object::{FileMeta, Xattrs};
use repo::{Entry, Repo, check_depth};

use crate::Output;
use crate::global::Global;

/// List file paths
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo ls -R exampleos/x86_64 /usr/bin")]
pub(crate) struct Args {
    /// Ref or checksum
    commit: String,
    /// Files and directories; the root if none are given
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Do not recurse into directory arguments
    #[arg(short, long)]
    dironly: bool,
    /// Print directories recursively
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Print checksum
    #[arg(short = 'C', long)]
    checksum: bool,
    /// Print extended attributes
    #[arg(short = 'X', long)]
    xattrs: bool,
    /// Print only filenames, NUL separated
    #[arg(long)]
    nul_filenames_only: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = global.open()?;
        let commit = repo.resolve_rev(&self.commit)?;
        let root = repo.root_of(&commit)?;
        let root_path = ["/".to_owned()];
        let paths = if self.paths.is_empty() { &root_path[..] } else { &self.paths[..] };
        for path in paths {
            let step = || format!("Inspecting path '{path}'");
            let entry = repo.lookup_from(root, path).with_context(step)?;
            if path.ends_with('/') && matches!(entry, Entry::File(_)) {
                return Err(anyhow!("Not a directory")).with_context(step);
            }
            let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            let path = format!("/{}", parts.join("/"));
            self.entry(&repo, &path, entry, out)?;
            if let (Entry::Dir { tree, .. }, false) = (entry, self.dironly) {
                self.directory(&repo, &path, &tree, out)?;
            }
        }
        Ok(())
    }

    /// Prints the entries of a directory: files, then directories, each with its own below it if asked for.
    fn directory(&self, repo: &Repo, path: &str, tree: &Checksum, out: &mut Output<'_>) -> Result<()> {
        check_depth(path)?;
        let data = repo.load_dirtree(tree)?;
        let dir = repo.parse_dirtree(tree, &data)?;
        let parent = path.trim_end_matches('/');
        for file in &dir.files {
            self.entry(repo, &format!("{parent}/{}", file.name), Entry::File(file.checksum), out)?;
        }
        for child in &dir.dirs {
            let path = format!("{parent}/{}", child.name);
            self.entry(repo, &path, Entry::Dir { tree: child.tree, meta: child.meta }, out)?;
            if self.recursive {
                self.directory(repo, &path, &child.tree, out)?;
            }
        }
        Ok(())
    }

    fn entry(&self, repo: &Repo, path: &str, entry: Entry, out: &mut Output<'_>) -> Result<()> {
        if self.nul_filenames_only {
            return Ok(write!(out, "{path}\0")?);
        }
        match entry {
            Entry::Dir { tree, meta } => {
                let dirmeta = repo.load_dirmeta(&meta)?;
                self.line(out, 'd', dirmeta.meta(), 0, &[tree, meta])?;
                writeln!(out, "{path}")?;
            }
            Entry::File(checksum) => {
                let (header, size) = repo
                    .describe_file(&checksum, self.xattrs)
                    .with_context(|| format!("Opening content object {checksum}"))?;
                let meta = &header.meta;
                let kind = if meta.is_symlink() { 'l' } else { '-' };
                self.line(out, kind, meta, size, &[checksum])?;
                match meta.is_symlink() {
                    true => writeln!(out, "{path} -> {}", header.target)?,
                    false => writeln!(out, "{path}")?,
                }
            }
        }
        Ok(())
    }

    fn line(
        &self,
        out: &mut Output<'_>,
        kind: char,
        meta: &FileMeta,
        size: u64,
        sums: &[Checksum],
    ) -> Result<()> {
        // Room for three digits of size beside the owners, as scripts know it.
        write!(out, "{kind}{:05o} {} {} {size:6} ", meta.mode & 0o7777, meta.uid, meta.gid)?;
        if self.checksum {
            sums.iter().try_for_each(|sum| write!(out, "{sum} "))?;
        }
        if self.xattrs {
            write!(out, "{{ {} }} ", xattr_text(&meta.xattrs)?)?;
        }
        Ok(())
    }
}

fn xattr_text(xattrs: &Xattrs) -> Result<String> {
    Ok(xattrs.view()?.to_text(true)?)
}
