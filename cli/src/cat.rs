// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree cat`.

use anyhow::{Context as _, Result, bail};
use formats::Checksum;
use repo::{Entry, LoadedFile, Repo};

use crate::Output;
use crate::global::Global;

/// Links that are followed before they count as a loop, as the kernel's bound.
const MAX_LINKS: usize = 40;

/// Concatenate contents of files
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo cat exampleos/x86_64 /usr/lib/os-release")]
pub(crate) struct Args {
    /// Ref or checksum
    commit: String,
    /// Files in the commit; symbolic links are followed
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let repo = global.open()?;
        let commit = repo.resolve_rev(&self.commit)?;
        for path in &self.paths {
            let mut file = open(&repo, &commit, path)?;
            std::io::copy(&mut file.content, out).with_context(|| format!("Reading {path}"))?;
        }
        Ok(())
    }
}

fn open(repo: &Repo, commit: &Checksum, path: &str) -> Result<LoadedFile> {
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Entry::File(checksum) = repo.lookup(commit, &at)? else { bail!("Can't open directory") };
        let file = repo.load_file(&checksum)?;
        if !file.header.meta.is_symlink() {
            return Ok(file);
        }
        at = resolve(&at, &file.header.target);
    }
    bail!("Too many symbolic links: {path}")
}

/// The path that a link at `path` points to, inside the tree.
fn resolve(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => path.split('/').filter(|part| !part.is_empty()).collect(),
    };
    // The link itself is no directory.
    parts.pop();
    for part in target.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn links_stay_inside() {
        for (path, target, resolved) in [
            ("/a/b", "c", "/a/c"),
            ("a/b", "../c", "/c"),
            ("/a", "../../../c", "/c"),
            ("/a/b", "/x/./y", "/x/y"),
        ] {
            assert_eq!(resolve(path, target), resolved);
        }
    }
}
