// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a repository in another directory.
//!
//! Commits are planned first: their trees are walked in the source, and whatever the destination has already is
//! left out. Then the objects travel, each as a hard link if both repositories lie on one file system and store
//! it alike, else as a copy in the destination's form. Commits come last, so that one that is there is whole.

use std::collections::HashSet;

use anyhow::{Context as _, Result, bail};
use fn_error_context::context;
use formats::Checksum;
use formats::object::{Commit, ObjectName, ObjectType, metadata_key};
use repo::{
    Depth, Partial, Progress, RefName, Refspec, Repo, RepoError, RepoPlan, RepoStep, Stats, Transaction,
};

use crate::age::check_not_older;

/// The refs, commits and paths that a pull takes, and its checks.
#[derive(Debug, Clone)]
pub struct Options {
    /// Refs of the source, each with `@CHECKSUM` behind it for another commit than the newest, or checksums; all of
    /// its own refs if empty.
    pub refs: Vec<String>,
    /// The refs become those of this remote; without, they become the destination's own.
    pub remote: Option<String>,
    /// Only what is at or below these paths; the commits count as partial then. All if empty.
    pub subpaths: Vec<String>,
    /// A ref must not go back in time.
    pub age_check: AgeCheck,
    /// Files that could not be checked out by a user for a user are refused: setuid, writable by all.
    pub bare_user_only_files: bool,
    /// How many parents come along.
    pub depth: Depth,
    /// Commits come without their trees and count as partial.
    pub commit_metadata_only: bool,
    /// Every object is checked: none is linked.
    pub untrusted: bool,
    /// A commit whose metadata names refs must name the one that is pulled.
    pub verify_bindings: bool,
}

impl Options {
    /// Everything of these refs, with the checks that are made if nothing else is said.
    pub fn new(refs: Vec<String>) -> Self {
        Self {
            refs,
            remote: None,
            subpaths: Vec::new(),
            age_check: AgeCheck::None,
            bare_user_only_files: false,
            depth: Depth::Parents(0),
            commit_metadata_only: false,
            untrusted: false,
            verify_bindings: true,
        }
    }
}

/// The commits that a pull must not go back behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeCheck {
    /// Nothing.
    None,
    /// The commits that their refs name until now.
    Refs,
    /// This commit.
    Commit(Checksum),
}

/// A commit that was asked for, found in the source.
#[derive(Debug, Clone)]
struct Wanted {
    /// The ref, unless a commit was named by checksum.
    name: Option<RefName>,
    commit: Checksum,
}

/// Pulls into `repo` from `source`.
///
/// # Errors
/// As [`pull_with`].
pub fn pull(repo: &Repo, source: &Repo, options: &Options) -> Result<Stats> {
    pull_with(repo, source, options, &mut ())
}

/// As [`pull`]; `progress` is told of every object that travels, and may cancel the pull, which then leaves nothing.
///
/// # Errors
/// A ref or an object that the source lacks, a commit that is older than it may be, a repository that cannot be written, and
/// [`RepoError::Cancelled`].
pub fn pull_with(
    repo: &Repo,
    source: &Repo,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Stats> {
    let PullPlan { steps, commits } = plan(repo, source, options)?;
    let subpaths = options.subpaths.iter().map(|path| parse_subpath(path)).collect::<Result<Vec<_>>>()?;
    let mut transaction = repo.begin_with(progress)?;
    let mut partial = Vec::new();
    steps.give_refs(&mut transaction, None);
    let mut pull = Pull {
        source,
        link: !options.untrusted
            && source.mode() == repo.mode()
            && source.dir_is_on_same_file_system(repo)?,
        bare_user_only_files: options.bare_user_only_files,
        untrusted: options.untrusted,
        seen: HashSet::new(),
        transaction: &mut transaction,
    };
    for Planned { checksum, commit, is_asked_for } in &commits {
        let name = ObjectName::new(*checksum, ObjectType::Commit);
        let whole = pull.transaction.has(name)? && !repo.is_partial(checksum)?;
        if options.commit_metadata_only {
            if !whole {
                partial.push(*checksum);
            }
        } else if !whole {
            if !subpaths.is_empty() {
                partial.push(*checksum);
            }
            match pull.trees(commit, &subpaths) {
                // A history may have holes, as it may end: nobody has asked for the trees of the parents by name.
                Err(error) if !is_asked_for && is_missing(&error) && source.is_partial(checksum)? => {
                    partial.push(*checksum);
                }
                pulled => pulled.with_context(|| match source.is_partial(checksum) {
                    Ok(true) => format!(
                        "Commit {checksum} is partial in {}; pull it there as a whole first",
                        source.path().display()
                    ),
                    _ => format!("Pulling commit {checksum}"),
                })?,
            }
        }
        pull.object(name)?;
        if let Some(detached) = source.load_detached_metadata(checksum)? {
            pull.transaction.set_detached_metadata(*checksum, detached);
        }
    }
    // A commit that lacks its tree is known as such before it is there.
    for checksum in &partial {
        repo.set_partial(checksum, Some(Partial::NotPulled))?;
    }
    let stats = transaction.commit()?;
    for Planned { checksum, .. } in commits.iter().filter(|commit| !partial.contains(&commit.checksum)) {
        repo.set_partial(checksum, None)?;
    }
    Ok(stats)
}

/// A pull that was decided on: its steps, and the commits that travel.
#[derive(Debug)]
pub struct PullPlan {
    /// The steps, among them the refs that are set.
    pub steps: RepoPlan,
    commits: Vec<Planned>,
}

/// Plans a pull into `repo` from `source`, without writing anything. Which objects are missing is found out by the pull.
///
/// # Errors
/// A ref or a commit that the source lacks, a commit that is older than it may be or that does not name its ref, a path that is
/// none, a repository that cannot be read.
pub fn plan(repo: &Repo, source: &Repo, options: &Options) -> Result<PullPlan> {
    options.subpaths.iter().try_for_each(|path| parse_subpath(path).map(drop))?;
    let mut commits: Vec<Planned> = Vec::new();
    let mut refs = Vec::new();
    for Wanted { name, commit: checksum } in wanted(source, options)? {
        let refspec = name.map(|name| Refspec { remote: options.remote.clone(), name });
        check_age(repo, source, options.age_check, refspec.as_ref(), &checksum)?;
        if let Some(name) = refspec {
            if options.verify_bindings {
                let collection = source.settings().collection_id.as_deref();
                check_binding(&name.name, &checksum, &source.load_commit(&checksum)?, collection)?;
            }
            refs.push(RepoStep::SetRef { name, commit: Some(checksum) });
        }
        let history = history(source, &checksum, options.depth)?.into_iter().enumerate();
        commits.extend(history.map(|(index, (checksum, commit))| Planned {
            checksum,
            commit,
            is_asked_for: index == 0,
        }));
    }
    let may_be_partial = |planned: &Planned| -> Result<bool> {
        let is_cut = options.commit_metadata_only || !options.subpaths.is_empty();
        Ok(is_cut || !planned.is_asked_for && source.is_partial(&planned.checksum)?)
    };
    let mut marks: Vec<RepoStep> = Vec::new();
    for planned in &commits {
        let mark = RepoStep::Record { path: format!("state/{}.commitpartial", planned.checksum) };
        if may_be_partial(planned)? && !marks.contains(&mark) {
            marks.push(mark);
        }
    }
    let steps = marks.into_iter().chain([RepoStep::WriteObjects]).chain(refs).collect();
    Ok(PullPlan { steps: RepoPlan::new(repo, "pull-local", steps)?, commits })
}

/// A commit that travels.
#[derive(Debug)]
struct Planned {
    checksum: Checksum,
    commit: Commit,
    /// Whether it was asked for itself, rather than a commit that it comes after.
    is_asked_for: bool,
}

/// Whether an error says that an object is not there.
fn is_missing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(RepoError::NoMetadata(_) | RepoError::NoFile(_)))
}

/// The commits that are asked for.
fn wanted(source: &Repo, options: &Options) -> Result<Vec<Wanted>> {
    if options.refs.is_empty() {
        let all = own_refs(source)?.into_iter();
        return Ok(all.map(|(name, commit)| Wanted { name: Some(name), commit }).collect());
    }
    options.refs.iter().map(|text| find(source, text)).collect()
}

fn find(source: &Repo, text: &str) -> Result<Wanted> {
    if let Ok(commit) = text.parse::<Checksum>() {
        return Ok(Wanted { name: None, commit });
    }
    if let Some((name, commit)) = text.split_once('@') {
        let commit = commit.parse().with_context(|| format!("Invalid commit in '{text}'"))?;
        return Ok(Wanted { name: Some(name.parse()?), commit });
    }
    let refspec: Refspec = text.parse()?;
    let commit = source.read_ref(&refspec)?.ok_or_else(|| RepoError::RefNotFound(text.to_owned()))?;
    Ok(Wanted { name: Some(refspec.name), commit })
}

/// The refs that a repository offers to others: its own, without aliases, which are names for itself alone.
pub fn own_refs(source: &Repo) -> Result<Vec<(RefName, Checksum)>> {
    let aliases = source.list_aliases(None)?;
    let own = source.list_refs(None)?.into_iter().filter(|(refspec, _)| {
        refspec.remote.is_none() && !aliases.iter().any(|alias| alias.name == *refspec)
    });
    Ok(own.map(|(refspec, checksum)| (refspec.name, checksum)).collect())
}

fn check_age(
    repo: &Repo,
    source: &Repo,
    check: AgeCheck,
    refspec: Option<&Refspec>,
    commit: &Checksum,
) -> Result<()> {
    let current = match (check, refspec) {
        (AgeCheck::Commit(current), _) => Some(current),
        (AgeCheck::Refs, Some(refspec)) => repo.read_ref(refspec)?,
        _ => None,
    };
    current.map_or(Ok(()), |current| check_not_older(repo, &current, source, commit))
}

/// The names along a path from the root.
fn parse_subpath(path: &str) -> Result<Vec<&str>> {
    let rest = path.strip_prefix('/').with_context(|| format!("--subpath={path} does not begin with /"))?;
    let names: Vec<_> = rest.split('/').filter(|name| !name.is_empty()).collect();
    if names.iter().any(|name| matches!(*name, "." | "..")) {
        bail!("--subpath={path} has . or .. in it");
    }
    Ok(names)
}

/// Checks that a commit was made for this ref, and where the source has a collection id, for that collection. Without one, a commit
/// that names no refs is taken as it is.
fn check_binding(
    name: &RefName,
    checksum: &Checksum,
    commit: &Commit,
    collection: Option<&str>,
) -> Result<()> {
    let expected = |what: &str| {
        format!(
            "Commit {checksum}: Expected commit metadata to have {what} binding information, found none; commit it again, \
             or pull it with --disable-verify-bindings"
        )
    };
    match commit.lookup(metadata_key::REF_BINDING)? {
        None if collection.is_some() => bail!(expected("ref")),
        None => return Ok(()),
        Some(binding) => {
            let view = binding.view()?;
            let names = view.as_strings()?;
            if !names.contains(&name.as_str()) {
                let names: Vec<_> = names.iter().map(|name| format!("‘{name}’")).collect();
                let names = names.join(", ");
                bail!(
                    "Commit {checksum}: Commit has no requested ref ‘{name}’ in ref binding metadata ({names})"
                )
            }
        }
    }
    let Some(collection) = collection else { return Ok(()) };
    let binding =
        commit.lookup(metadata_key::COLLECTION_BINDING)?.with_context(|| expected("collection ID"))?;
    let bound = binding.view()?.as_str()?.to_owned();
    if bound != collection {
        bail!(
            "Commit {checksum}: Commit has collection ID ‘{bound}’ in collection binding metadata, while the remote it came \
             from has collection ID ‘{collection}’"
        );
    }
    Ok(())
}

/// A commit and its parents; a parent that the source lacks ends the history.
fn history(source: &Repo, from: &Checksum, depth: Depth) -> Result<Vec<(Checksum, Commit)>> {
    let mut out = Vec::new();
    let mut next = Some(*from);
    let mut left = match depth {
        Depth::All => u64::MAX,
        Depth::Parents(count) => count,
    };
    while let Some(checksum) = next {
        if checksum != *from && !source.has_object(ObjectName::new(checksum, ObjectType::Commit))? {
            break;
        }
        let commit = source.load_commit(&checksum)?;
        next = commit.parent.filter(|_| left > 0);
        left = left.saturating_sub(1);
        out.push((checksum, commit));
    }
    Ok(out)
}

struct Pull<'a, 'r> {
    source: &'a Repo,
    transaction: &'a mut Transaction<'r>,
    /// Whether objects may be hard links.
    link: bool,
    bare_user_only_files: bool,
    /// Whether metadata must have the structure of its kind, too.
    untrusted: bool,
    seen: HashSet<ObjectName>,
}

impl Pull<'_, '_> {
    #[context("Pulling from {}", self.source.path().display())]
    fn trees(&mut self, commit: &Commit, subpaths: &[Vec<&str>]) -> Result<()> {
        if subpaths.is_empty() {
            return self.tree(commit.tree, commit.meta);
        }
        subpaths.iter().try_for_each(|path| self.subpath(commit.tree, commit.meta, path))
    }

    /// A directory and all below it. A dirtree that is there already may still lack what it names, since it may
    /// come from a partial commit, so all are walked.
    fn tree(&mut self, tree: Checksum, meta: Checksum) -> Result<()> {
        self.object(ObjectName::new(meta, ObjectType::DirMeta))?;
        let mut trees = vec![tree];
        while let Some(tree) = trees.pop() {
            let name = ObjectName::new(tree, ObjectType::DirTree);
            if self.seen.contains(&name) {
                continue;
            }
            let data = self.source.load_dirtree(&tree)?;
            let dir = self.source.parse_dirtree(&tree, &data)?;
            for file in &dir.files {
                self.object(ObjectName::new(file.checksum, ObjectType::File))?;
            }
            for child in &dir.dirs {
                self.object(ObjectName::new(child.meta, ObjectType::DirMeta))?;
                trees.push(child.tree);
            }
            self.object(name)?;
        }
        Ok(())
    }

    /// Takes everything at or below a path, and the directories that lead there.
    fn subpath(&mut self, tree: Checksum, meta: Checksum, names: &[&str]) -> Result<()> {
        let (mut tree, mut meta) = (tree, meta);
        for (index, wanted) in names.iter().enumerate() {
            self.object(ObjectName::new(meta, ObjectType::DirMeta))?;
            let data = self.source.load_dirtree(&tree)?;
            let dir = self.source.parse_dirtree(&tree, &data)?;
            self.object(ObjectName::new(tree, ObjectType::DirTree))?;
            let last = index + 1 == names.len();
            if let Some(file) = dir.files.iter().find(|file| last && file.name == *wanted) {
                return self.object(ObjectName::new(file.checksum, ObjectType::File));
            }
            let child = dir.dirs.iter().find(|child| child.name == *wanted);
            let child = child.ok_or_else(|| RepoError::NoPath(format!("/{}", names.join("/"))))?;
            (tree, meta) = (child.tree, child.meta);
        }
        self.tree(tree, meta)
    }

    fn object(&mut self, name: ObjectName) -> Result<()> {
        if !self.seen.insert(name) || self.transaction.has(name)? {
            return Ok(());
        }
        if self.bare_user_only_files && name.kind == ObjectType::File {
            let meta = self.source.load_file(&name.checksum)?.header.meta;
            // As the C tools: whatever a user could not make for himself.
            if !meta.is_symlink() && meta.mode & 0o7777 & !0o775 != 0 {
                bail!(
                    "Object {name}: invalid mode 0{:o} with bits 0{:o}",
                    meta.mode,
                    meta.mode & 0o7777 & !0o775
                );
            }
        }
        if self.link && self.transaction.link_from(self.source, name)? {
            return Ok(());
        }
        let written = if name.kind == ObjectType::File {
            let mut file = self.source.load_file(&name.checksum)?;
            match file.header.meta.is_symlink() {
                true => self.transaction.write_symlink(&file.header)?,
                false => self.transaction.write_file(&file.header, &mut file.content, file.size)?,
            }
        } else {
            let data = self.source.load_metadata(name)?;
            if self.untrusted {
                name.check_structure(&data)
                    .map_err(|error| RepoError::Corrupt { name, reason: error.to_string() })?;
            }
            self.transaction.write_metadata(name.kind, &data)?
        };
        if written != name.checksum {
            bail!("Corrupted object {name} in {}: its checksum is {written}", self.source.path().display());
        }
        Ok(())
    }
}
