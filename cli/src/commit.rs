// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree commit`.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use formats::Checksum;
use formats::gvariant::{DictBuilder, Value};
use formats::object::{Commit, metadata_key};
use repo::commit::{
    PathTable, TreeOptions, add_commit, add_directory, consume_directory, parse_mode_changes,
};
use repo::tree::Tree;
use repo::{Consumption, DevInoCache, Entry, Refspec, Repo, RepoPlan, RepoStep};
use rustix::fs::CWD;

use crate::checkout::parse_policy;
use crate::dry_run::DryRun;
use crate::global::Global;
use crate::owner::Owner;
use crate::{Output, time};

/// The last second of the year 9999.
const LAST_TIME: u64 = 253_402_300_799;

/// Commit a new revision
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree --repo=repo commit --branch=exampleos/x86_64 --subject='Build 7' tree/"
)]
pub(crate) struct Args {
    /// Directory to commit; the current one if there is no --tree either
    path: Option<PathBuf>,
    /// Parent commit checksum, or "none"
    #[arg(long, value_name = "COMMIT")]
    parent: Option<String>,
    /// One line subject
    #[arg(short, long)]
    subject: Option<String>,
    /// Full description
    #[arg(short = 'm', long)]
    body: Option<String>,
    /// Commit message from FILE path
    #[arg(short = 'F', long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// Branch
    #[arg(short, long)]
    branch: Option<String>,
    /// Create a commit without writing a ref
    #[arg(long)]
    orphan: bool,
    /// Do not write any ref bindings
    #[arg(long)]
    no_bindings: bool,
    /// Add a ref to ref binding commit metadata
    #[arg(long, value_name = "BRANCH")]
    bind_ref: Vec<String>,
    /// Start from the given commit as a base (no modifiers apply)
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Overlay the given argument as a tree
    #[arg(long, value_name = "dir=PATH or ref=COMMIT")]
    tree: Vec<String>,
    /// Add a key/value pair to metadata
    #[arg(long, value_name = "KEY=VALUE")]
    add_metadata_string: Vec<String>,
    /// Add a key/value pair to metadata, where VALUE is in GVariant text format
    #[arg(long, value_name = "KEY=VALUE")]
    add_metadata: Vec<String>,
    /// Keep metadata KEY and its associated VALUE from parent
    #[arg(long, value_name = "KEY")]
    keep_metadata: Vec<String>,
    /// Add a key/value pair to detached metadata
    #[arg(long, value_name = "KEY=VALUE")]
    add_detached_metadata_string: Vec<String>,
    /// Set file ownership user id
    #[arg(long, value_name = "UID", allow_negative_numbers = true)]
    owner_uid: Option<Owner>,
    /// Set file ownership group id
    #[arg(long, value_name = "GID", allow_negative_numbers = true)]
    owner_gid: Option<Owner>,
    /// Canonicalize permissions in the same way bare-user does for hardlinked files
    #[arg(long)]
    canonical_permissions: bool,
    /// Flag this commit as a bootable OSTree (e.g. contains a Linux kernel)
    #[arg(long)]
    bootable: bool,
    /// Ensure executable files are not writable
    #[arg(long)]
    mode_ro_executables: bool,
    /// Do not import extended attributes
    #[arg(long)]
    no_xattrs: bool,
    /// Optimize for commits of trees composed of hardlinks into the repository
    #[arg(long)]
    link_checkout_speedup: bool,
    /// Assume hardlinked objects are unmodified. Implies --link-checkout-speedup
    #[arg(short = 'I', long)]
    devino_canonical: bool,
    /// If the contents are unchanged from previous commit, do nothing
    #[arg(long)]
    skip_if_unchanged: bool,
    /// File containing list of modifications to make to permissions
    #[arg(long, value_name = "PATH")]
    statoverride: Option<PathBuf>,
    /// File containing list of files to skip
    #[arg(long, value_name = "PATH")]
    skip_list: Option<PathBuf>,
    /// Consume (delete) content after commit (for local directories)
    #[arg(long)]
    consume: bool,
    /// Output more information in a KEY: VALUE format
    #[arg(long)]
    table_output: bool,
    /// Specify how to invoke fsync()
    #[arg(long, value_name = "POLICY")]
    fsync: Option<String>,
    /// Do not invoke fsync()
    #[arg(long, hide = true)]
    disable_fsync: bool,
    /// Override the timestamp of the commit
    #[arg(long)]
    timestamp: Option<String>,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        if self.branch.is_none() && !self.orphan {
            bail!("A branch must be specified with --branch, or use --orphan");
        }
        let mut repo = global.open()?;
        if let Some(policy) = &self.fsync {
            repo.set_fsync(parse_policy(policy)?);
        }
        if self.disable_fsync {
            repo.set_fsync(false);
        }
        let branch = self.branch.as_deref().map(str::parse::<Refspec>).transpose()?;
        let parent = self.parent(&repo, branch.as_ref())?;
        let timestamp = self.timestamp()?;
        let options = self.tree_options(&repo)?;
        if !self.consume {
            let plan = RepoPlan::commit(&repo, branch)?;
            if self.dry_run.is_on() {
                self.look(&repo, &plan, parent.as_ref())?;
                return self.dry_run.print(&plan, out);
            }
            return self.commit(&repo, &plan, parent, timestamp, &options, None, out);
        }
        branch.as_ref().map_or(Ok(()), |branch| repo.check_ref_place(branch))?;
        let mut consumption = self.look_at_trees(&repo, parent.as_ref(), &options)?;
        let mut plan = RepoPlan::commit(&repo, branch)?;
        if self.dry_run.is_on() {
            plan.steps.extend(self.consumed());
            return self.dry_run.print(&plan, out);
        }
        let done = self.commit(&repo, &plan, parent, timestamp, &options, Some(&mut consumption), out);
        if let Err(error) = done {
            return Err(match consumption.describe_gone() {
                Some(gone) => error.context(gone),
                None => error,
            });
        }
        match &consumption.finish()[..] {
            [] => Ok(()),
            [first, ..] => bail!("It was committed, but {first}"),
        }
    }

    /// Checks what a plan relies on: the place of the ref, the message, the metadata, and that each tree is there. Which files cannot
    /// be read is found out by the commit.
    fn look(&self, repo: &Repo, plan: &RepoPlan, parent: Option<&Checksum>) -> Result<()> {
        for step in &plan.steps {
            if let RepoStep::SetRef { name, .. } = step {
                repo.check_ref_place(name)?;
            }
        }
        self.body()?;
        self.detached()?;
        // The release of the kernel is in a tree that is not read here.
        self.metadata(repo, parent, Some(String::new()))?;
        self.read_trees(repo, &mut |_, source| match source {
            Source::Commit(commit) => repo.check_tree(&commit),
            Source::Directory(path) => {
                std::fs::read_dir(path).with_context(|| format!("opendir({})", path.display())).map(drop)
            }
        })
        .map(drop)
    }

    /// Finds out whether all of it can be committed, before the first file is touched.
    fn look_at_trees(
        &self,
        repo: &Repo,
        parent: Option<&Checksum>,
        options: &TreeOptions,
    ) -> Result<Consumption> {
        let mut consumption = Consumption::default();
        let mut tree = self.read_trees(repo, &mut |tree, source| match source {
            Source::Directory(path) => consumption.look(repo, tree, path, options),
            Source::Commit(commit) => consumption.look_at_commit(repo, tree, &commit, options),
        })?;
        consumption.check_options(options)?;
        let release = if self.bootable { tree.kernel_release(repo)? } else { None };
        self.metadata(repo, parent, release)?;
        self.body()?;
        self.detached()?;
        Ok(consumption)
    }

    #[expect(clippy::too_many_arguments, reason = "what the options say, read once")]
    fn commit(
        &self,
        repo: &Repo,
        plan: &RepoPlan,
        parent: Option<Checksum>,
        timestamp: u64,
        options: &TreeOptions,
        mut consumption: Option<&mut Consumption>,
        out: &mut Output<'_>,
    ) -> Result<()> {
        let mut transaction = repo.begin()?;
        let mut tree = self.read_trees(repo, &mut |tree, source| match (source, &mut consumption) {
            (Source::Commit(commit), _) => add_commit(&mut transaction, tree, &commit, options),
            (Source::Directory(path), None) => add_directory(&mut transaction, tree, CWD, path, options),
            (Source::Directory(path), Some(consumption)) => {
                consume_directory(&mut transaction, tree, path, options, consumption)
            }
        })?;
        options.check_met()?;
        let release = if self.bootable { tree.kernel_release(repo)? } else { None };
        let (root, meta) = tree.write(&mut transaction)?;
        let mut commit = Commit::new(root, meta);
        // A partial one is none to go by: what it lacks was just written.
        if self.skip_if_unchanged
            && let Some(parent) = parent
            && !repo.is_partial(&parent)?
            && repo.load_commit(&parent)?.content_checksum() == commit.content_checksum()
        {
            if consumption.is_some() {
                // The parent has all of it; nothing goes before that is durable.
                transaction.commit()?;
            }
            return Ok(writeln!(out, "{parent}")?);
        }
        commit.parent = parent;
        commit.subject = self.subject.clone().unwrap_or_default();
        commit.body = self.body()?;
        commit.timestamp = timestamp;
        commit.metadata = self.metadata(repo, parent.as_ref(), release)?;
        let checksum = transaction.write_commit(&commit)?;
        if let Some(detached) = self.detached()? {
            transaction.set_detached_metadata(checksum, detached);
        }
        plan.give_refs(&mut transaction, Some(checksum));
        let stats = transaction.commit()?;
        if !self.table_output {
            return Ok(writeln!(out, "{checksum}")?);
        }
        writeln!(out, "Commit: {checksum}")?;
        for (name, count) in [
            ("Metadata Total", stats.metadata_total),
            ("Metadata Written", stats.metadata_written),
            ("Content Total", stats.content_total),
            ("Content Written", stats.content_written),
            ("Content Cache Hits", stats.cache_hits),
            ("Content Bytes Written", stats.bytes_written),
        ] {
            writeln!(out, "{name}: {count}")?;
        }
        Ok(())
    }

    /// The directories that go with `--consume`.
    fn consumed(&self) -> impl Iterator<Item = RepoStep> {
        let default = self.tree.is_empty().then(|| self.path.clone().unwrap_or_else(|| PathBuf::from(".")));
        let given = self.tree.iter().filter_map(|tree| tree.strip_prefix("dir=").map(PathBuf::from));
        default.into_iter().chain(given).map(|path| {
            let path = std::path::absolute(&path).unwrap_or(path);
            RepoStep::Remove { path: path.display().to_string() }
        })
    }

    fn parent(&self, repo: &Repo, branch: Option<&Refspec>) -> Result<Option<Checksum>> {
        match (&self.parent, branch) {
            (Some(none), _) if none == "none" => Ok(None),
            (Some(parent), _) => {
                Ok(Some(parent.parse().with_context(|| format!("Invalid parent '{parent}'"))?))
            }
            (None, Some(branch)) if !self.orphan => repo.read_ref(branch),
            _ => Ok(None),
        }
    }

    /// As given, else `SOURCE_DATE_EPOCH` for reproducible builds, else now.
    fn timestamp(&self) -> Result<u64> {
        if let Some(text) = &self.timestamp {
            let time = time::parse(text)?;
            // The C tools write such a commit, and then cannot show it.
            ensure!(time <= LAST_TIME, "Could not parse '{text}': it is after the year 9999");
            return Ok(time);
        }
        let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else {
            return Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
        };
        let text = text.to_string_lossy();
        let seconds: u64 = text
            .trim_start()
            .parse()
            .with_context(|| format!("Failed to convert SOURCE_DATE_EPOCH '{text}'"))?;
        if i64::try_from(seconds).is_err() {
            bail!("Parsing SOURCE_DATE_EPOCH: Numerical result out of range; give the seconds since 1970");
        }
        Ok(seconds)
    }

    fn body(&self) -> Result<String> {
        match (&self.body, &self.body_file) {
            // Of both, the C tools take the file.
            (_, Some(path)) => {
                std::fs::read_to_string(path).with_context(|| format!("Reading {}", path.display()))
            }
            (Some(body), None) => Ok(body.clone()),
            (None, None) => Ok(String::new()),
        }
    }

    fn tree_options(&self, repo: &Repo) -> Result<TreeOptions> {
        let overrides = self.statoverride.as_deref().map(|path| {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("Reading {}", path.display()))?;
            parse_mode_changes(&text)
        });
        let wants_links = self.link_checkout_speedup || self.devino_canonical;
        let skip = self.skip_list.as_deref().map(|path| {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("Reading {}", path.display()))?;
            Ok::<_, anyhow::Error>(PathTable::parse(&text))
        });
        let options = TreeOptions {
            uid: self.owner_uid.and_then(|owner| owner.0),
            gid: self.owner_gid.and_then(|owner| owner.0),
            canonical_permissions: self.canonical_permissions,
            no_xattrs: self.no_xattrs,
            read_only_executables: self.mode_ro_executables,
            devino: if wants_links { Some(DevInoCache::scan(repo)?) } else { None },
            devino_canonical: self.devino_canonical,
            mode_changes: overrides.transpose()?.unwrap_or_default(),
            skip: skip.transpose()?.unwrap_or_default(),
        };
        options.check()?;
        Ok(options)
    }

    /// The trees in the order of the command line, one over the other; `add` takes the directories.
    fn read_trees(
        &self,
        repo: &Repo,
        add: &mut dyn FnMut(&mut Tree, Source<'_>) -> Result<()>,
    ) -> Result<Tree> {
        let mut tree = Tree::new();
        if let Some(base) = &self.base {
            overlay(repo, &mut tree, base)?;
        }
        if self.tree.is_empty() {
            add(&mut tree, Source::Directory(self.path.as_deref().unwrap_or(Path::new("."))))?;
        }
        for given in &self.tree {
            match given.split_once('=') {
                Some(("dir", path)) => add(&mut tree, Source::Directory(Path::new(path)))?,
                Some(("ref", rev)) => add(&mut tree, Source::Commit(repo.resolve_rev(rev)?))?,
                Some(("tar", _)) => bail!("--tree=tar= is not supported yet; unpack it and use --tree=dir="),
                _ => bail!("Missing type in tree specification '{given}'"),
            }
        }
        Ok(tree)
    }

    fn metadata(&self, repo: &Repo, parent: Option<&Checksum>, release: Option<String>) -> Result<Value> {
        // The order is that of the C tools, and a key may stand twice: else the commit has another checksum.
        let mut out = DictBuilder::new();
        for (key, text) in pairs(&self.add_metadata_string)? {
            out.push(key, text);
        }
        for (key, text) in pairs(&self.add_metadata)? {
            out.push(key, Value::parse_text(text).with_context(|| format!("Parsing metadata value {text}"))?);
        }
        if !self.keep_metadata.is_empty() {
            let parent =
                parent.context("Either --branch or --parent must be specified when using --keep-metadata")?;
            let old = repo.load_commit(parent)?;
            for key in &self.keep_metadata {
                // Of a key that stands there twice, the C tools keep the last value.
                let entries = DictBuilder::from_variant(old.metadata.view()?)?;
                let value = entries.get(key).cloned();
                out.push(
                    key,
                    value.with_context(|| format!("Missing metadata key '{key}' from commit '{parent}'"))?,
                );
            }
        }
        if !self.no_bindings {
            let mut refs: Vec<&str> = self.branch.iter().chain(&self.bind_ref).map(String::as_str).collect();
            refs.sort_unstable();
            out.push(metadata_key::REF_BINDING, Value::strings(refs));
            if let Some(id) = &repo.settings().collection_id {
                out.push(metadata_key::COLLECTION_BINDING, id.as_str());
            }
        }
        if self.bootable {
            let release =
                release.context("Could not find kernel in /usr/lib/modules, which --bootable needs")?;
            out.insert(metadata_key::BOOTABLE, true);
            out.insert(metadata_key::LINUX, release.as_str());
            out.order_by_hash();
        }
        Ok(out.build())
    }

    fn detached(&self) -> Result<Option<Value>> {
        let mut out = DictBuilder::new();
        for (key, text) in pairs(&self.add_detached_metadata_string)? {
            out.insert(key, text);
        }
        Ok((!out.is_empty()).then(|| out.build()))
    }
}

/// A tree of the command line.
enum Source<'a> {
    Directory(&'a Path),
    Commit(Checksum),
}

fn overlay(repo: &Repo, tree: &mut Tree, rev: &str) -> Result<()> {
    let commit = repo.resolve_rev(rev)?;
    repo.check_tree(&commit)?;
    match repo.root_of(&commit)? {
        Entry::Dir { tree: root, meta } => tree.overlay(repo, &root, &meta),
        Entry::File(_) => bail!("{rev} has no root directory"),
    }
}

fn pairs(given: &[String]) -> Result<Vec<(&str, &str)>> {
    given
        .iter()
        .map(|pair| {
            pair.split_once('=').with_context(|| format!("Missing '=' in KEY=VALUE metadata '{pair}'"))
        })
        .collect()
}
