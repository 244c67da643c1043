// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy of a tree, and the labels that it gives.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, ensure};
use fn_error_context::context;
use formats::file_contexts::{FileContexts, Kind, Sources};

use crate::extent::Extent;
use crate::policy::Policy;
use crate::tree;

/// The labels that the policy of a tree gives.
#[derive(Debug)]
pub struct Labeler {
    /// The name of the policy.
    pub policy: String,
    contexts: FileContexts,
}

/// The treatment of a tree with an SELinux policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Selinux {
    /// Everything made from it is labelled; where that cannot be, there is no deployment.
    #[default]
    Label,
    /// It is deployed without labels.
    Ignore,
}

impl Selinux {
    /// Reads the policy of a tree, if it counts and there is one.
    ///
    /// # Errors
    ///
    /// As [`Labeler::of`].
    pub fn labeler(self, tree: BorrowedFd<'_>) -> Result<Option<Labeler>> {
        if self == Self::Ignore { Ok(None) } else { Labeler::of(tree) }
    }
}

impl Labeler {
    /// Reads the policy of a tree; `None` if it has none.
    ///
    /// # Errors
    ///
    /// The policy is enforced and has no `file_contexts`, or one of its files cannot be read or parsed.
    #[context("Reading the SELinux policy of the tree")]
    pub fn of(tree: BorrowedFd<'_>) -> Result<Option<Self>> {
        let Some(Policy { dir, name: policy, enforcing }) = Policy::of(tree)? else { return Ok(None) };
        ensure!(!policy.contains('/') && policy != "..", "SELINUXTYPE={policy} is no name of a policy");
        let read = |ending: &str| tree::read(tree, &format!("{dir}/contexts/files/file_contexts{ending}"));
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

    /// Labels unlabelled files in the `/etc` of the deployment in `tree`: local files of a system that had no policy.
    ///
    /// # Errors
    ///
    /// As [`Labeler::label_tree`].
    pub fn fill_etc(&self, tree: BorrowedFd<'_>) -> Result<()> {
        let etc = tree::find_dir(tree, "etc")?.context("Opening etc: No such file or directory")?;
        self.label_tree(etc.as_fd(), "/etc", Extent::Unlabelled).map(drop)
    }

    /// Labels the origin `name` in the directory `deployments`, as the C tools do: as something that an upgrade may change.
    ///
    /// # Errors
    ///
    /// As [`Labeler::label_tree`].
    pub fn label_origin(&self, deployments: BorrowedFd<'_>, name: &str) -> Result<()> {
        const LIKE: &str = "/etc/ostree/remotes.d/dummy.conf";
        self.label_at(deployments, name, LIKE)
    }

    /// Gives the label of an absolute path of the system that the tree will be; `None` if the policy gives it none.
    ///
    /// # Errors
    ///
    /// An expression of the policy that could match is none that is understood here.
    pub fn label_of(&self, path: &[u8], kind: Kind) -> Result<Option<&str>> {
        self.contexts.lookup(path, kind).with_context(|| {
            format!(
                "Looking for the label of {} in the policy {} (--selinux=ignore goes on without labels)",
                String::from_utf8_lossy(path),
                self.policy
            )
        })
    }
}

#[cfg(test)]
mod tests;
