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
use repo::{Depth, RefName, Refspec, Repo, Stats, Transaction};

/// What to pull.
#[derive(Debug, Clone)]
pub struct Options {
    /// Refs of the source or checksums; all of its own refs if empty.
    pub refs: Vec<String>,
    /// The refs become those of this remote; without, they become the destination's own.
    pub remote: Option<String>,
    /// How many parents come along.
    pub depth: Depth,
    /// Commits come without their trees and count as partial.
    pub commit_metadata_only: bool,
    /// Every object is checked: none is linked.
    pub untrusted: bool,
    /// A commit whose metadata names refs must name the one that is pulled.
    pub verify_bindings: bool,
}

/// Pulls into `repo` from `source`.
#[context("Pulling from {}", source.path().display())]
pub fn pull(repo: &Repo, source: &Repo, options: &Options) -> Result<Stats> {
    let wanted = wanted(source, options)?;
    let mut transaction = repo.begin()?;
    let mut commits = Vec::new();
    let mut partial = Vec::new();
    for (name, checksum) in &wanted {
        if let Some(name) = name {
            let commit = source.load_commit(checksum)?;
            if options.verify_bindings {
                check_binding(name, checksum, &commit)?;
            }
            transaction.set_ref(Refspec { remote: options.remote.clone(), name: name.clone() }, *checksum);
        }
        commits.extend(history(source, checksum, options.depth)?);
    }
    let mut pull = Pull {
        source,
        link: !options.untrusted
            && source.mode() == repo.mode()
            && source.dir_is_on_same_file_system(repo)?,
        seen: HashSet::new(),
        transaction: &mut transaction,
    };
    for (checksum, commit) in &commits {
        let name = ObjectName::new(*checksum, ObjectType::Commit);
        let whole = pull.transaction.has(name)? && !repo.is_partial(checksum)?;
        if options.commit_metadata_only || source.is_partial(checksum)? {
            if !whole {
                partial.push(*checksum);
            }
        } else if !whole {
            pull.tree(commit.tree, commit.meta)?;
        }
        pull.object(name)?;
        if let Some(detached) = source.load_detached_metadata(checksum)? {
            pull.transaction.set_detached_metadata(*checksum, detached);
        }
    }
    // A commit that lacks its tree is known as such before it is there.
    for checksum in &partial {
        repo.set_partial(checksum, true)?;
    }
    let stats = transaction.commit()?;
    for (checksum, _) in commits.iter().filter(|(checksum, _)| !partial.contains(checksum)) {
        repo.set_partial(checksum, false)?;
    }
    Ok(stats)
}

/// The commits that are asked for, each with its ref unless it was named by checksum.
fn wanted(source: &Repo, options: &Options) -> Result<Vec<(Option<RefName>, Checksum)>> {
    if options.refs.is_empty() {
        // An alias is a name of the source alone.
        let aliases = source.list_aliases(None)?;
        let own = source.list_refs(None)?.into_iter().filter(|(refspec, _)| {
            refspec.remote.is_none() && !aliases.iter().any(|(alias, _)| alias == refspec)
        });
        return Ok(own.map(|(refspec, checksum)| (Some(refspec.name), checksum)).collect());
    }
    options
        .refs
        .iter()
        .map(|text| match text.parse::<Checksum>() {
            Ok(checksum) => Ok((None, checksum)),
            Err(_) => {
                let refspec: Refspec = text.parse()?;
                let checksum = source.read_ref(&refspec)?;
                Ok((Some(refspec.name), checksum.with_context(|| format!("Refspec '{text}' not found"))?))
            }
        })
        .collect()
}

fn check_binding(name: &RefName, checksum: &Checksum, commit: &Commit) -> Result<()> {
    let Some(binding) = commit.lookup(metadata_key::REF_BINDING)? else { return Ok(()) };
    let names = binding.view()?;
    if names.as_strings()?.contains(&name.as_str()) {
        return Ok(());
    }
    bail!("Commit {checksum} has no requested ref '{name}' in ref binding metadata ({names})")
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
    seen: HashSet<ObjectName>,
}

impl Pull<'_, '_> {
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

    fn object(&mut self, name: ObjectName) -> Result<()> {
        if !self.seen.insert(name) || self.transaction.has(name)? {
            return Ok(());
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
            self.transaction.write_metadata(name.kind, &data)?
        };
        if written != name.checksum {
            bail!("Corrupted object {name} in {}: its checksum is {written}", self.source.path().display());
        }
        Ok(())
    }
}
