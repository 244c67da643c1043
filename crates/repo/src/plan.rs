// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of a repository as plain data: the steps of a command, made without touching anything.
//!
//! ```text
//! command ──▶ RepoPlan ──▶ printed (--dry-run)
//!                    └───▶ applied: refs are set and deleted as the plan says
//! ```

use std::fmt;
use std::os::fd::AsFd;

use anyhow::{Result, bail};
use formats::Checksum;
use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;
use serde::{Serialize, Serializer};

use crate::{RefName, RefPrefix, Refspec, Repo, Transaction};

/// The version of the JSON form, which is that of the plans of deployments.
const SCHEMA: u32 = 1;

/// The steps of a command that changes a repository. The keys are described in `docs/plans.md`; a test compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RepoPlan {
    /// The version of the JSON form.
    pub schema: u32,
    /// The name of the command that asks for it.
    pub operation: &'static str,
    /// The repository's path, at which relative paths of the steps begin.
    pub repository: String,
    /// The steps, in this order.
    pub steps: Vec<RepoStep>,
}

/// One thing that is written or removed. Relative paths begin at the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum RepoStep {
    /// A directory of the repository that somebody has removed is made again.
    MakeDirectory {
        /// Its path.
        path: String,
    },
    /// Objects are written, through names in `tmp`; with them go the marks of commits that are whole from now on.
    WriteObjects,
    /// Objects that nothing needs are removed, with stale temporary names.
    RemoveObjects,
    /// A ref is pointed at a commit.
    SetRef {
        /// The ref.
        #[serde(serialize_with = "as_text")]
        name: Refspec,
        /// The commit; left out where only writing it tells its checksum.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_optional_text")]
        commit: Option<Checksum>,
    },
    /// A head is made a link to another head.
    SetAlias {
        /// The new name.
        #[serde(serialize_with = "as_text")]
        name: RefName,
        /// The head that it stands for.
        #[serde(serialize_with = "as_text")]
        target: RefName,
    },
    /// A ref or an alias is removed.
    DeleteRef {
        /// The ref.
        #[serde(serialize_with = "as_text")]
        name: Refspec,
    },
    /// A file is written if there is something to be recorded.
    Record {
        /// Its path.
        path: String,
    },
    /// A file or directory is removed, with all that is in it.
    Remove {
        /// Its path.
        path: String,
    },
}

impl RepoPlan {
    /// Makes a plan of these steps, in front of which the missing directories of the repository are made.
    ///
    /// # Errors
    /// The directories cannot be looked at.
    pub fn new(repo: &Repo, operation: &'static str, steps: Vec<RepoStep>) -> Result<Self> {
        let missing = if steps.is_empty() { Vec::new() } else { Repo::missing_parts(repo.dir(), ".")? };
        let missing = missing.into_iter().map(|path| RepoStep::MakeDirectory { path: path.to_owned() });
        Ok(Self {
            schema: SCHEMA,
            operation,
            repository: repo.path().display().to_string(),
            steps: missing.chain(steps).collect(),
        })
    }

    /// Plans a ref for an existing commit.
    ///
    /// # Errors
    /// As [`RepoPlan::new`], and the ref cannot have this name.
    pub fn set_ref(repo: &Repo, operation: &'static str, name: Refspec, commit: Checksum) -> Result<Self> {
        repo.check_ref_place(&name)?;
        Self::new(repo, operation, vec![RepoStep::SetRef { name, commit: Some(commit) }])
    }

    /// Plans a commit, to which `branch` is pointed if there is one.
    ///
    /// # Errors
    /// As [`RepoPlan::new`], and the ref cannot have this name.
    pub fn commit(repo: &Repo, branch: Option<Refspec>) -> Result<Self> {
        branch.as_ref().map_or(Ok(()), |branch| repo.check_ref_place(branch))?;
        let set = branch.map(|name| RepoStep::SetRef { name, commit: None });
        Self::new(repo, "commit", [RepoStep::WriteObjects].into_iter().chain(set).collect())
    }

    /// Plans the deletion of all refs that are, or lie below, one of `prefixes`.
    ///
    /// # Errors
    /// The refs cannot be listed, a prefix stands for all of a remote, or an alias stands for one of them: then none is deleted.
    pub fn delete_refs(repo: &Repo, prefixes: &[RefPrefix]) -> Result<Self> {
        let aliases = repo.list_aliases(None)?;
        let mut doomed: Vec<Refspec> = Vec::new();
        for prefix in prefixes {
            let below = repo.ref_names(Some(prefix))?;
            if let (RefPrefix { remote: Some(remote), name: None }, [first, ..]) = (prefix, &below[..]) {
                bail!(
                    "Invalid refspec {remote}: name what shall go, such as {first}; the C tools delete no whole remote, either"
                );
            }
            for refspec in &below {
                // An alias that an earlier prefix has deleted stands for nothing.
                let active = aliases.iter().find(|alias| {
                    alias.stands_for(refspec) && alias.name != *refspec && !doomed.contains(&alias.name)
                });
                if let Some(alias) = active {
                    bail!("Ref '{refspec}' has an active alias: '{}'", alias.name);
                }
            }
            let new = below.into_iter().filter(|refspec| !doomed.contains(refspec)).collect::<Vec<_>>();
            doomed.extend(new);
        }
        let steps = doomed.into_iter().map(|name| RepoStep::DeleteRef { name }).collect();
        Self::new(repo, "refs", steps)
    }

    /// Plans a prune, after the deletion of one commit if that is asked for.
    ///
    /// # Errors
    /// The configuration or a directory of the repository cannot be read.
    pub fn prune(repo: &Repo, deletes_commit: bool) -> Result<Self> {
        let has_tombstones = repo.config().boolean("core", "tombstone-commits")?.unwrap_or(false);
        // Deleting a commit on purpose turns tombstones on.
        let config =
            (deletes_commit && !has_tombstones).then(|| RepoStep::Record { path: "config".to_owned() });
        let tombstones = (deletes_commit || has_tombstones).then_some(RepoStep::WriteObjects);
        Self::new(
            repo,
            "prune",
            config.into_iter().chain(tombstones).chain([RepoStep::RemoveObjects]).collect(),
        )
    }

    /// Hands the refs of the plan to a transaction, which sets them when it is committed; those without a commit get
    /// `commit`.
    pub fn give_refs(&self, transaction: &mut Transaction<'_>, commit: Option<Checksum>) {
        for step in &self.steps {
            if let RepoStep::SetRef { name, commit: planned } = step
                && let Some(commit) = planned.or(commit)
            {
                transaction.set_ref(name.clone(), commit);
            }
        }
    }

    /// Sets and deletes the refs of a plan that writes and removes no objects.
    ///
    /// # Errors
    /// The plan has another kind of step, or the file system says no.
    pub fn apply_refs(&self, repo: &Repo) -> Result<()> {
        for step in &self.steps {
            match step {
                RepoStep::SetRef { name, commit: Some(commit) } => repo.set_ref(name, commit)?,
                RepoStep::SetAlias { name, target } => repo.set_alias(name, target)?,
                RepoStep::DeleteRef { name } => repo.delete_ref(name)?,
                RepoStep::MakeDirectory { .. } => repo.furnish()?,
                other => bail!("{} plans more than refs: {other}", self.operation),
            }
        }
        Ok(())
    }
}

impl Repo {
    /// The parts of a whole repository that there are not at `path` below `at`, in the order in which [`Repo::init_at`] makes
    /// them: directories, an empty name for the repository itself, and `config`.
    ///
    /// # Errors
    /// A directory cannot be looked at.
    pub fn missing_parts(at: impl AsFd, path: &str) -> Result<Vec<&'static str>> {
        let parts = [""].into_iter().chain(crate::init::DIRECTORIES.iter().copied()).chain(["config"]);
        let mut missing = Vec::new();
        for name in parts {
            let path = format!("{path}/{name}");
            match statat(at.as_fd(), path.trim_end_matches('/'), AtFlags::empty()) {
                Ok(_) => {}
                Err(Errno::NOENT) => missing.push(name),
                Err(error) => return Err(anyhow::Error::from(error).context(path)),
            }
        }
        Ok(missing)
    }
}

impl fmt::Display for RepoPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Repository: {}", self.repository)?;
        writeln!(f, "Steps:")?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))
    }
}

impl fmt::Display for RepoStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDirectory { path } => write!(f, "make    {path}"),
            Self::WriteObjects => f.write_str("objects that are not there yet"),
            Self::RemoveObjects => f.write_str("prune   objects that nothing needs"),
            Self::SetRef { name, commit: Some(commit) } => write!(f, "ref     {name} to {commit}"),
            Self::SetRef { name, commit: None } => write!(f, "ref     {name} to the new commit"),
            Self::SetAlias { name, target } => write!(f, "alias   {name} of {target}"),
            Self::DeleteRef { name } => write!(f, "unref   {name}"),
            Self::Record { path } => write!(f, "record  {path}, if there is something to record"),
            Self::Remove { path } => write!(f, "remove  {path}"),
        }
    }
}

fn as_text<S: Serializer>(value: &impl fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[expect(clippy::ref_option, reason = "serde passes the field")]
fn as_optional_text<S: Serializer>(value: &Option<Checksum>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&value.map(|checksum| checksum.to_string()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::{InitOptions, Mode};

    fn new() -> (tempfile::TempDir, Repo) {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions { mode: Mode::BareUser, collection_id: None };
        let repo = Repo::init(dir.path().join("repo"), &options).unwrap();
        (dir, repo)
    }

    fn checksum() -> Checksum {
        Checksum::of(b"commit")
    }

    fn refspec(name: &str) -> Refspec {
        name.parse().unwrap()
    }

    fn told(plan: &RepoPlan) -> Vec<String> {
        plan.steps.iter().map(ToString::to_string).collect()
    }

    fn paths(top: &Path) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(top).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(paths(&path));
            }
            found.insert(path);
        }
        found
    }

    #[test]
    fn plans_write_nothing() {
        let (dir, repo) = new();
        repo.set_ref(&refspec("a"), &checksum()).unwrap();
        let before = paths(dir.path());
        let commit = RepoPlan::commit(&repo, Some(refspec("b"))).unwrap();
        assert_eq!(told(&commit), ["objects that are not there yet", "ref     b to the new commit"]);
        let set = RepoPlan::set_ref(&repo, "refs", refspec("o:c"), checksum()).unwrap();
        assert_eq!(told(&set), [format!("ref     o:c to {}", checksum())]);
        let deleted = RepoPlan::delete_refs(&repo, &[prefix("a"), prefix("a")]).unwrap();
        assert_eq!(told(&deleted), ["unref   a"]);
        let prune = RepoPlan::prune(&repo, true).unwrap();
        let expected = [
            "record  config, if there is something to record",
            "objects that are not there yet",
            "prune   objects that nothing needs",
        ];
        assert_eq!(told(&prune), expected);
        assert_eq!(paths(dir.path()), before);
        set.apply_refs(&repo).unwrap();
        deleted.apply_refs(&repo).unwrap();
        let refs: Vec<_> = repo.list_refs(None).unwrap();
        assert_eq!(refs, [(refspec("o:c"), checksum())]);
        assert!(commit.apply_refs(&repo).is_err(), "it has objects to write");
    }

    fn prefix(text: &str) -> RefPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_ref_with_an_alias_stays() {
        let (_dir, repo) = new();
        repo.set_ref(&refspec("a/x"), &checksum()).unwrap();
        let steps = vec![RepoStep::SetAlias { name: "b/y".parse().unwrap(), target: "a/x".parse().unwrap() }];
        RepoPlan::new(&repo, "refs", steps).unwrap().apply_refs(&repo).unwrap();
        assert!(RepoPlan::delete_refs(&repo, &[prefix("a")]).is_err());
        // After the alias it may go.
        let both = RepoPlan::delete_refs(&repo, &[prefix("b"), prefix("a")]).unwrap();
        assert_eq!(told(&both), ["unref   b/y", "unref   a/x"]);
    }

    #[test]
    fn what_is_missing_is_made_first() {
        let (dir, repo) = new();
        std::fs::remove_dir(dir.path().join("repo/refs/remotes")).unwrap();
        let plan = RepoPlan::prune(&repo, false).unwrap();
        assert_eq!(told(&plan), ["make    refs/remotes", "prune   objects that nothing needs"]);
        assert_eq!(RepoPlan::new(&repo, "prune", Vec::new()).unwrap().steps, []);
    }

    #[test]
    fn the_steps_are_described() {
        let text = String::new;
        let (name, target) = ("n".parse().unwrap(), "t".parse().unwrap());
        let steps = [
            RepoStep::MakeDirectory { path: text() },
            RepoStep::WriteObjects,
            RepoStep::RemoveObjects,
            RepoStep::SetRef { name: refspec("n"), commit: Some(checksum()) },
            RepoStep::SetAlias { name, target },
            RepoStep::DeleteRef { name: refspec("n") },
            RepoStep::Record { path: text() },
            RepoStep::Remove { path: text() },
        ];
        let row = |step: &RepoStep| {
            let json = serde_json::to_value(step).unwrap();
            let keys: BTreeSet<_> = json.as_object().unwrap().keys().filter(|key| *key != "step").collect();
            let keys: Vec<_> = keys.into_iter().map(String::as_str).collect();
            let name = json["step"].as_str().unwrap();
            format!("{name}: {}", keys.join(", ")).trim_end_matches(": ").to_owned()
        };
        let known: BTreeSet<String> = steps.iter().map(row).collect();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plans.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (_, section) = text.split_once("\n## Plans of a repository\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("- `")?.split_once("`: "));
        assert_eq!(rows.map(|(row, _)| row.to_owned()).collect::<BTreeSet<_>>(), known);
    }
}
