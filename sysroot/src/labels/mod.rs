// SPDX-License-Identifier: MIT OR Apache-2.0
//! SELinux labels: which one the policy of a tree gives to a path, and setting it.
//!
//! A commit brings the labels of `/usr` along. What is made from it is labelled here: the deployment's `/etc`, its origin,
//! the boot files that are copied to `/boot`, and once in a stateroot's life `/var`. A label is an extended attribute, which
//! can be set whether the running kernel has SELinux or not.

mod apply;
mod boot_files;
mod ensure;
mod refresh;
mod var;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, ensure};
use fn_error_context::context;
use formats::bootlink::DeploymentPath;
use formats::file_contexts::{FileContexts, Kind, Sources};
use prepare_root::calls::Calls;
use prepare_root::open::open_in_root;
use rustix::io::Errno;

pub(crate) use apply::Extent;
pub(crate) use boot_files::label_copies;
pub use ensure::Labelled;
pub(crate) use refresh::{notes as refresh_notes, refresh};
pub(crate) use var::label_once as label_var_once;

use crate::directory;
use crate::preflight::read_text;
use crate::sysroot::Sysroot;

/// Where a tree keeps its policies: the directory that is, or will be, `/etc`.
const PLACES: [&str; 2] = ["etc/selinux", "usr/etc/selinux"];

/// What a tree without `SELINUXTYPE=` in its configuration has, as libselinux says.
const DEFAULT_POLICY: &str = "targeted";

/// The labels that a policy gives.
#[derive(Debug)]
pub(crate) struct Labeler {
    /// The name of the policy.
    pub(crate) policy: String,
    contexts: FileContexts,
}

/// What to do about a tree with an SELinux policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Selinux {
    /// What is made from it is labelled; where that cannot be, there is no deployment.
    #[default]
    Label,
    /// It is deployed without labels.
    Ignore,
}

impl Selinux {
    /// The labels for a tree.
    pub(crate) fn labeler(self, tree: BorrowedFd<'_>) -> Result<Option<Labeler>> {
        if self == Self::Ignore { Ok(None) } else { Labeler::of(tree) }
    }
}

/// What `/etc/selinux/config` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    /// The directory of the policy in the tree.
    dir: String,
    /// The name of the policy.
    policy: String,
    /// Whether what the policy forbids is forbidden, and not only written to a log.
    enforcing: bool,
}

impl Wanted {
    /// Reads it; `None` if the tree has no SELinux, or it is disabled, or its policy is not installed.
    fn of(tree: BorrowedFd<'_>) -> Result<Option<Self>> {
        for place in PLACES {
            if let Some(text) = read_text(tree, &format!("{place}/config"))? {
                let Some((enforcing, policy)) = parse(&text) else { return Ok(None) };
                let dir = format!("{place}/{policy}");
                let there = rustix::fs::statat(tree, &dir, rustix::fs::AtFlags::empty()).is_ok();
                return Ok(there.then_some(Self { dir, policy, enforcing }));
            }
        }
        Ok(None)
    }
}

/// Whether it is enforced and which policy it is; `None` if SELinux is disabled. Of two lines the last counts.
fn parse(config: &str) -> Option<(bool, String)> {
    let value = |key: &str| {
        let mut values = config.lines().rev().filter_map(|line| line.trim().split_once('='));
        values.find(|(k, _)| k.trim() == key).map(|(_, v)| v.trim())
    };
    let mode = value("SELINUX")?;
    let is = |name: &str| mode.eq_ignore_ascii_case(name);
    if !is("enforcing") && !is("permissive") {
        return None;
    }
    let policy = value("SELINUXTYPE").filter(|name| !name.is_empty()).unwrap_or(DEFAULT_POLICY);
    Some((is("enforcing"), policy.to_owned()))
}

impl Labeler {
    /// The labels of the policy of a tree; `None` if it has none.
    #[context("Reading the SELinux policy of the tree")]
    pub(crate) fn of(tree: BorrowedFd<'_>) -> Result<Option<Self>> {
        let Some(Wanted { dir, policy, enforcing }) = Wanted::of(tree)? else { return Ok(None) };
        ensure!(!policy.contains('/') && policy != "..", "SELINUXTYPE={policy} is no name of a policy");
        let read = |ending: &str| read_whole(tree, &format!("{dir}/contexts/files/file_contexts{ending}"));
        let Some(main) = read("")? else {
            ensure!(
                !enforcing,
                "/{dir} has no contexts/files/file_contexts, and is enforced: nothing can be labelled; install the policy \
                 whole, set SELINUX=permissive in the tree, or go on with --selinux=ignore"
            );
            return Ok(None);
        };
        let optional = |ending: &str| read(ending).map(Option::unwrap_or_default);
        let (homedirs, local) = (optional(".homedirs")?, optional(".local")?);
        let (subs, subs_dist) = (optional(".subs")?, optional(".subs_dist")?);
        let contexts = FileContexts::parse(&Sources {
            policy: &main,
            homedirs: &homedirs,
            local: &local,
            subs: &subs,
            subs_dist: &subs_dist,
        })
        .with_context(|| format!("In /{dir}/contexts/files"))?;
        Ok(Some(Self { policy, contexts }))
    }

    /// Labels what has no label in the `/etc` of the deployment in `tree`: local files of a system that had none.
    pub(crate) fn fill_etc(&self, tree: BorrowedFd<'_>) -> Result<()> {
        self.label_tree(directory::open(tree, "etc")?.as_fd(), "/etc", Extent::Unlabelled).map(drop)
    }

    /// Labels the origin of a deployment, as the C tools do: as something that an upgrade may change.
    pub(crate) fn label_origin(&self, sysroot: &Sysroot, path: &DeploymentPath) -> Result<()> {
        const LIKE: &str = "/etc/ostree/remotes.d/dummy.conf";
        let dir = directory::open(sysroot.root(), &format!("ostree/deploy/{}/deploy", path.stateroot))?;
        self.label_at(dir.as_fd(), &format!("{}.origin", path.name()), LIKE)
    }

    /// The label of an absolute path of the system that the tree will be.
    fn label_of(&self, path: &[u8], kind: Kind) -> Result<Option<&str>> {
        self.contexts.lookup(path, kind).with_context(|| {
            format!(
                "Looking for the label of {} in the policy {} (--selinux=ignore goes on without labels)",
                String::from_utf8_lossy(path),
                self.policy
            )
        })
    }
}

/// Reads a file of the tree; links in it stay in it.
fn read_whole(tree: BorrowedFd<'_>, path: &str) -> Result<Option<Vec<u8>>> {
    /// In bytes. Those of distributions have half a megabyte.
    const LONGEST: u64 = 32 << 20;
    let file = match open_in_root(tree, path, &Calls::ALL) {
        Err(Errno::NOENT) => return Ok(None),
        other => File::from(other.with_context(|| format!("Opening /{path} of the tree"))?),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).with_context(|| format!("Reading /{path} of the tree"))?;
    ensure!(bytes.len() as u64 != LONGEST, "/{path} of the tree is longer than any policy");
    Ok(Some(bytes))
}

/// As [`Labeler::of`], where nobody can be asked any more: a policy that cannot be used counts as none, and is told of.
pub(crate) fn as_far_as_possible(tree: BorrowedFd<'_>) -> Option<Labeler> {
    Labeler::of(tree).unwrap_or_else(|error| {
        log::warn!("{error:#}; going on without labels");
        None
    })
}

/// Labels what a merge has copied into `/etc`, and `/var` if a tree that others have staged is the first to have a policy. What
/// fails is told: an update is not lost over it.
pub(crate) fn label_merged(tree: BorrowedFd<'_>, stateroot: Option<BorrowedFd<'_>>) {
    let Some(labeler) = as_far_as_possible(tree) else { return };
    let var = || stateroot.map_or(Ok(()), |stateroot| label_var_once(stateroot, &labeler));
    if let Err(error) = labeler.fill_etc(tree).and_then(|()| var()) {
        log::warn!("{error:#}; run `restorecon` on it in the new system");
    }
}

#[cfg(test)]
mod tests;
