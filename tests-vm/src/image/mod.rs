// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Debian tree that is committed: built by mkosi, kept under a key of everything that went into it.

pub(crate) mod apt_sources;
mod key;
mod mkosi;
pub(crate) mod newer_kernel;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::command;
use crate::environment::Environment;

pub(crate) use mkosi::Recipe;

/// Trees, and repositories, of earlier programs that are kept beside the present one.
const KEPT: usize = 2;

/// A built tree.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Its root directory.
    pub(crate) path: PathBuf,
    /// Names all that went into it.
    key: String,
    /// Whether this call built it.
    pub(crate) fresh: bool,
}

/// A tree, committed by our `ostree`.
#[derive(Debug)]
pub(crate) struct Commit {
    /// The bare repository that holds it.
    pub(crate) repo: PathBuf,
    /// The ref that names it.
    pub(crate) reference: String,
    /// Its checksum.
    pub(crate) checksum: String,
}

/// Builds the tree with our programs in it, or finds it in the cache.
pub(crate) fn build(environment: &Environment) -> Result<Tree> {
    let recipe = Recipe {
        name: "debian",
        definitions: environment.definitions("tree"),
        extra_packages: Vec::new(),
        programs: Some(environment.destdir().to_owned()),
    };
    build_recipe(environment, &recipe)
}

/// Builds what a recipe says, or finds it in the cache.
#[context("Building the Debian tree {:?}", recipe.name)]
pub(crate) fn build_recipe(environment: &Environment, recipe: &Recipe) -> Result<Tree> {
    let _lock = environment.lock("build")?;
    let key = recipe.key()?;
    let trees = environment.cache(&format!("trees-{}", recipe.name))?;
    let path = trees.join(&key);
    let fresh = !path.exists();
    if fresh {
        mkosi::build(environment, recipe, &path)?;
    }
    keep_newest(&trees, &path)?;
    Ok(Tree { path, key, fresh })
}

/// Commits the tree into a repository of the cache, unless it is there already.
#[context("Committing {}", tree.path.display())]
pub(crate) fn commit(environment: &Environment, tree: &Tree) -> Result<Commit> {
    let repos = environment.cache("repos")?;
    let _lock = environment.lock("commit")?;
    let repo = repos.join(&tree.key);
    let reference = "debian/trixie/x86_64".to_owned();
    let ostree = || {
        let mut command = Command::new(environment.program("usr/bin/ostree"));
        command.arg(format!("--repo={}", repo.display()));
        command
    };
    if !repo.exists() {
        // Made under another name: a commit that was interrupted is not found again.
        let partial = repos.join("partial");
        let _ = fs::remove_dir_all(&partial);
        let partial_option = format!("--repo={}", partial.display());
        let program = environment.program("usr/bin/ostree");
        command::run(Command::new(&program).args([partial_option.as_str(), "init", "--mode=bare"]))?;
        let branch = format!("--branch={reference}");
        let subject = "--subject=A Debian system";
        command::run(
            Command::new(&program).args([&partial_option, "commit", &branch, subject]).arg(&tree.path),
        )?;
        fs::rename(&partial, &repo).with_context(|| format!("Renaming to {}", repo.display()))?;
    }
    keep_newest(&repos, &repo)?;
    let checksum = command::output(ostree().args(["rev-parse", &reference]))?.trim().to_owned();
    Ok(Commit { repo, reference, checksum })
}

/// Marks `current` as used now, and removes the directories beside it that were not used for longest.
fn keep_newest(directory: &Path, current: &Path) -> Result<()> {
    let touch = File::open(current).and_then(|file| file.set_modified(SystemTime::now()));
    touch.with_context(|| format!("Marking {} as used", current.display()))?;
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("Reading {}", directory.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.path() != current {
            found.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    found.sort();
    let superfluous = found.len().saturating_sub(KEPT - 1);
    for (_, path) in found.iter().take(superfluous) {
        fs::remove_dir_all(path).with_context(|| format!("Removing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let place = tempfile::tempdir().unwrap();
        for (name, age) in [("old", 30), ("older", 60), ("oldest", 90), ("current", 120)] {
            let path = place.path().join(name);
            fs::create_dir(&path).unwrap();
            let then = SystemTime::now() - Duration::from_secs(age);
            File::open(&path).unwrap().set_modified(then).unwrap();
        }
        keep_newest(place.path(), &place.path().join("current")).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["current", "old"]);
    }
}
