// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree fsck`.

use anyhow::{Result, bail};
use formats::Checksum;
use formats::object::{ObjectName, ObjectType, metadata_key};
use repo::fsck::{Options, Problem};
use repo::{Refspec, Repo};

use crate::Output;
use crate::global::Global;

/// Check the repository for consistency
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo fsck --all")]
pub(crate) struct Args {
    /// Only print error messages
    #[arg(short, long)]
    quiet: bool,
    /// Don't stop on first corruption
    #[arg(short, long)]
    all: bool,
    /// Remove corrupted objects
    #[arg(long)]
    delete: bool,
    /// Verify that the ref bindings of commits name the refs that point to them
    #[arg(long)]
    verify_bindings: bool,
    /// Verify that the refs in bindings point back to their commits (implies --verify-bindings)
    #[arg(long)]
    verify_back_refs: bool,
    /// Add tombstones for missing commits
    #[arg(long)]
    add_tombstones: bool,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let mut repo = global.open()?;
        let mut say = |line: &str| if self.quiet { Ok(()) } else { writeln!(out, "{line}") };
        say("Validating refs...")?;
        if self.verify_back_refs {
            check_back_refs(&repo, &repo.list_commits()?)?;
        }
        self.check_refs(&repo)?;
        say("Validating refs in collections...")?;
        say("Enumerating commits...")?;
        let commits = repo.list_commits()?;
        let whole = commits.iter().filter(|commit| !repo.is_partial(commit).unwrap_or(false)).count();
        say(&format!("Verifying content integrity of {whole} commit objects..."))?;
        out.flush()?;

        let options = Options { all: self.all, delete: self.delete };
        let mut told = None;
        let mut lines = Vec::new();
        let report = repo.fsck(options, &mut |done: u64, total: Option<u64>| {
            let total = total.unwrap_or(done);
            // The first and the last object, as a program that reads this expects.
            let percent = done * 100 / total.max(1);
            if done == total || told.is_none() {
                told = Some(percent);
                lines.push(format!("fsck objects ({done}/{total}) {percent}%"));
            }
        })?;
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        out.flush()?;
        let mut corrupt = None;
        for problem in &report.problems {
            match &problem.corrupt {
                None => {
                    eprintln!("Object missing in commits {}: {}", list(&problem.commits), problem.name);
                }
                Some(reason) => {
                    let text = describe(problem, reason);
                    match options.all || options.delete {
                        true => eprintln!("{text}"),
                        false => corrupt = Some(text),
                    }
                }
            }
        }
        for commit in &report.newly_partial {
            eprintln!("Marking commit as partial: {commit}");
        }
        if report.partial > 0 {
            writeln!(out, "{} partial commits not verified", report.partial)?;
        }
        if self.add_tombstones && report.problems.is_empty() {
            for commit in repo.add_tombstones()? {
                writeln!(out, "Adding tombstone for commit {commit}")?;
            }
        }
        out.flush()?;
        match corrupt {
            Some(text) => bail!(text),
            None if !report.problems.is_empty() => bail!("Repository corruption encountered"),
            None if report.found_before > 0 => bail!(
                "{} partial commits from fsck-detected corruption; pull them again, or delete them",
                report.found_before
            ),
            None => {
                let count = report.commits;
                writeln!(out, "object fsck of {count} commits completed successfully - no errors found.")?;
                Ok(())
            }
        }
    }

    fn check_refs(&self, repo: &Repo) -> Result<()> {
        for (refspec, commit) in repo.list_refs(None)? {
            if !repo.has_object(ObjectName::new(commit, ObjectType::Commit))? {
                bail!("Loading commit for ref {refspec}: No such metadata object {commit}.commit");
            }
            if self.verify_bindings || self.verify_back_refs {
                check_binding(repo, &refspec, &commit)?;
            }
        }
        Ok(())
    }
}

fn check_binding(repo: &Repo, refspec: &Refspec, commit: &Checksum) -> Result<()> {
    let Some(names) = bound_refs(repo, commit)? else { return Ok(()) };
    if !names.contains(&refspec.name.to_string()) {
        let names: Vec<_> = names.iter().map(|name| format!("‘{name}’")).collect();
        let names = names.join(", ");
        bail!(
            "Commit {commit}: Commit has no requested ref ‘{}’ in ref binding metadata ({names})",
            refspec.name
        );
    }
    Ok(())
}

/// Checks that the refs that commits are bound to point to them; one of a remote does for one of the same name.
fn check_back_refs(repo: &Repo, commits: &[Checksum]) -> Result<()> {
    let refs = repo.list_refs(None)?;
    for commit in commits {
        for name in bound_refs(repo, commit)?.unwrap_or_default() {
            let named: Vec<_> = refs.iter().filter(|(refspec, _)| refspec.name.as_str() == name).collect();
            if named.is_empty() {
                bail!("Ref ‘{name}’ in bindings for commit {commit} does not exist");
            }
            if !named.iter().any(|(_, target)| target == commit) {
                bail!("Ref ‘{name}’ in bindings for commit {commit} does not resolve to that commit");
            }
        }
    }
    Ok(())
}

/// The names of refs in a commit's metadata, if there are any.
fn bound_refs(repo: &Repo, commit: &Checksum) -> Result<Option<Vec<String>>> {
    let Some(binding) = repo.load_commit(commit)?.lookup(metadata_key::REF_BINDING)? else { return Ok(None) };
    let names = binding.view()?;
    Ok(Some(names.as_strings()?.into_iter().map(|name| name.to_owned()).collect()))
}

fn describe(problem: &Problem, reason: &str) -> String {
    let commits = list(&problem.commits);
    let ObjectName { checksum, kind } = problem.name;
    match kind {
        ObjectType::File => {
            format!("In commits {commits}: fsck content object {checksum}: Corrupted file object; {reason}")
        }
        ObjectType::Commit => format!("fsck {}: Corrupted commit object; {reason}", problem.name),
        kind => {
            format!("In commits {commits}: fsck {}: Corrupted {kind} object; {reason}", problem.name)
        }
    }
}

fn list(commits: &[Checksum]) -> String {
    commits.iter().map(Checksum::to_string).collect::<Vec<_>>().join(", ")
}
