// SPDX-License-Identifier: MIT OR Apache-2.0
//! The environment of a scenario: its directory, and the systems that all scenarios share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};

use super::expect::check;
use crate::disk::{self, Disk};
use crate::environment::Environment;
use crate::image::{self, Commit, Tree};
use crate::small;

/// The environment of one scenario.
pub(super) struct Bench {
    pub(super) environment: Environment,
    /// For its logs and scratch files; kept when it fails.
    pub(super) directory: PathBuf,
}

/// The things that all scenarios share: made once, by the first that needs them.
pub(super) struct Prepared {
    pub(super) tree: Tree,
    pub(super) commit: Commit,
    pub(super) disk: Disk,
}

impl Bench {
    /// The tree, its commit, and a disk that has it deployed.
    pub(super) fn prepared(&self) -> Result<&'static Prepared> {
        static PREPARED: OnceLock<Result<Prepared>> = OnceLock::new();
        let prepare = || {
            let tree = image::build(&self.environment)?;
            let commit = image::commit(&self.environment, &tree)?;
            let (disk, _) = disk::make(&self.environment, &commit, &self.environment.scratch("disk")?)?;
            Ok(Prepared { tree, commit, disk })
        };
        PREPARED.get_or_init(prepare).as_ref().map_err(|error| anyhow!("{error:#}"))
    }

    /// Versions 1 and 2 of a system that boots in seconds.
    pub(super) fn small(&self) -> Result<&'static [Commit]> {
        static SMALL: OnceLock<Result<Vec<Commit>>> = OnceLock::new();
        let commit = || {
            let tree = image::build(&self.environment)?;
            small::commit(&self.environment, &tree, &self.environment.scratch("small")?, &["1", "2"])
        };
        SMALL.get_or_init(commit).as_deref().map_err(|error| anyhow!("{error:#}"))
    }

    /// A fresh directory with files of these contents, to be laid over a version.
    pub(super) fn changes(&self, files: &[(&str, &[u8])]) -> Result<PathBuf> {
        let changes = self.directory.join("changes");
        if changes.exists() {
            fs::remove_dir_all(&changes).context("Removing the former changes")?;
        }
        for (file, content) in files {
            let file = changes.join(file);
            fs::create_dir_all(file.parent().unwrap_or(&changes)).context("Creating the changes")?;
            fs::write(&file, content).with_context(|| format!("Writing {}", file.display()))?;
        }
        Ok(changes)
    }

    /// Commits what the ref of the tree holds in `repo`, a path on the disk, with the changes over it; the checksum.
    pub(super) fn add_version(
        &self,
        disk: &Disk,
        repo: &str,
        version: &str,
        changes: &Path,
    ) -> Result<String> {
        self.add_version_of(disk, repo, &self.prepared()?.commit.reference, version, changes)
    }

    /// The same of another ref.
    pub(super) fn add_version_of(
        &self,
        disk: &Disk,
        repo: &str,
        reference: &str,
        version: &str,
        changes: &Path,
    ) -> Result<String> {
        let ostree = self.environment.program("usr/bin/ostree");
        let arguments =
            [ostree.as_os_str(), repo.as_ref(), reference.as_ref(), version.as_ref(), changes.as_os_str()];
        let said = disk.run(include_str!("../../host/add-version.sh"), &arguments)?;
        let (former, new) = said.trim().split_once('\n').context("two checksums were expected")?;
        check(former != new, "the new version is another commit", &said)?;
        Ok(new.to_owned())
    }
}
