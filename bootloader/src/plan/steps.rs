// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a plan, as plain data.

use std::fmt;

use crate::files::CopyFile;
use crate::loader::AfterSwitch;
use crate::names::{NOTE_PATH, STAMP_PATH, aside};

/// The switch that a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The previous one, which has left something to be done.
    Previous,
    /// The one that is planned.
    This,
}

/// One thing that is done. All of what applying a plan writes, removes or runs is one of its steps, and they are done in their order.
///
/// Paths begin at the physical root; `/boot/…` is below `/boot`, which may be a file system of its own. Each step stands for
/// one path, or for the two of a rename or an exchange ([`paths`](Self::paths)). What is below a path belongs to a step only if that makes
/// or removes the whole directory. Names of the form `.ostree-tmp-BOOT-RANDOM` beside a path belong to its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Proves the previous switch, or refuses the plan: before this, and the check of space that follows it, nothing is written.
    ProvePrevious,
    /// Writes the note that there is a switch to be proven. Of a previous switch it is skipped where that is proven.
    Note {
        /// The switch whose note it is.
        of: Of,
        /// The set that is or will be chosen.
        boot_version: u8,
    },
    /// Makes the loader's first file lead to the chosen set, or runs the loader's tool. A failure refuses the plan, or
    /// keeps the old set: see [`Stamp`](Self::Stamp).
    Update {
        /// The set that it belongs to.
        of: Of,
        /// The change.
        update: AfterSwitch,
    },
    /// Proves what an update has written; skipped after a failure, and where the switch is not proven.
    ProveUpdate(Of),
    /// Removes what the exchange of the first file has put aside; skipped without a proof.
    RemoveAside {
        /// Its path.
        path: String,
    },
    /// Removes the stamp once the boot loader is up to date, or writes the reason of the failure into it.
    SettleStamp(Of),
    /// Makes `/boot/ostree` anew in the shape that it keeps, and exchanges the two; skipped where it has that shape.
    ForceBlockFormat,
    /// Brings what the deployments consist of to the disk.
    SyncDeployments,
    /// Removes what is in the way of the new set.
    Clear {
        /// Its path.
        path: String,
    },
    /// Makes a directory; skipped where it is there.
    MakeDirectory {
        /// Its path.
        path: String,
    },
    /// Brings a boot file to `/boot`.
    Copy(CopyFile),
    /// Writes a file.
    Write {
        /// Its path.
        path: String,
        /// All of it.
        text: String,
    },
    /// Gives a file that was written ahead its name in the new set.
    Adopt {
        /// Where it was written.
        from: String,
        /// Its path.
        path: String,
        /// All of it.
        text: String,
    },
    /// Has a program write a file in the loader's own format; what else that writes is its own business.
    Generate {
        /// The program that is run, with `-o PATH`.
        program: String,
        /// The file.
        path: String,
        /// The set that it is for.
        boot_version: u8,
    },
    /// Copies a file of others, so that it comes along.
    Carry {
        /// The file in the old set.
        from: String,
        /// Its path.
        path: String,
    },
    /// Makes a link from an entry to its deployment.
    Link {
        /// Its path.
        path: String,
        /// Relative to it.
        target: String,
    },
    /// Makes `boot.N` lead to the new `boot.N.M`.
    ChooseLinks {
        /// The path of `boot.N`.
        path: String,
        /// `boot.N.M`.
        target: String,
    },
    /// Makes `/boot/boot`, a link to where it is: so paths with `/boot/` work on a file system of its own too.
    SelfLink,
    /// Makes the link `/boot/loader.tmp`, which the commit exchanges with `/boot/loader`.
    StageLoader {
        /// `loader.N`.
        target: String,
    },
    /// Writes the stamp that something is to be done after the commit.
    Stamp,
    /// Reads everything again, by a loader's rules.
    Verify,
    /// Reads what was written ahead again, by a loader's rules.
    VerifyPrestaged,
    /// Brings all of it to its place on the device, so that the commit is the only thing that a boot loader may see or not see.
    Settle,
    /// Makes `/boot/loader` lead to the new set. The old link stays as `/boot/loader.tmp` until it is swept.
    Commit {
        /// `loader.N`.
        target: String,
    },
    /// Proves that a boot loader sees the new set.
    Prove,
    /// Removes what was written ahead and not adopted.
    Forget {
        /// Its directory.
        path: String,
    },
    /// Removes the note; skipped without a proof.
    RemoveNote,
    /// Removes what the chosen entries do not need; skipped without a proof, and where an entry needs it after all.
    Sweep {
        /// Its path.
        path: String,
    },
    /// Proves all that was written so far, for what is removed next.
    ProveStale,
    /// Removes what an interruption has left under a temporary name; skipped without a proof.
    RemoveStale {
        /// Its path.
        path: String,
    },
    /// Removes the links that `boot.N` led to before: only the initramfs reads them, which replays the journal.
    RemoveLinks {
        /// Their directory.
        path: String,
    },
}

impl Step {
    /// The paths that the step writes or removes: none, one, or the two of a rename or an exchange, the first being that which
    /// it stands for.
    pub fn paths(&self) -> Vec<String> {
        let below_boot = |path: &str| format!("/boot/{path}");
        match self {
            Self::ProvePrevious | Self::ProveUpdate(_) | Self::SyncDeployments | Self::Verify => Vec::new(),
            Self::VerifyPrestaged | Self::Settle | Self::Prove | Self::ProveStale => Vec::new(),
            Self::Note { .. } | Self::RemoveNote => vec![NOTE_PATH.to_owned()],
            Self::Stamp | Self::SettleStamp(_) => vec![STAMP_PATH.to_owned()],
            Self::Update { update, .. } => match update {
                AfterSwitch::Nothing | AfterSwitch::Run(_) => Vec::new(),
                AfterSwitch::Link { path, .. } => vec![below_boot(path), below_boot(&aside(path))],
                AfterSwitch::Stub { path, .. } => vec![below_boot(path), below_boot(&format!("{path}.old"))],
            },
            Self::ForceBlockFormat => vec!["/boot/ostree".to_owned(), below_boot(&aside("ostree"))],
            Self::Copy(copy) => vec![below_boot(&copy.to)],
            Self::Adopt { from, path, .. } => vec![path.clone(), from.clone()],
            Self::SelfLink => vec!["/boot/boot".to_owned()],
            Self::StageLoader { .. } => vec!["/boot/loader.tmp".to_owned()],
            Self::Commit { .. } => vec!["/boot/loader".to_owned(), "/boot/loader.tmp".to_owned()],
            Self::RemoveAside { path }
            | Self::Clear { path }
            | Self::MakeDirectory { path }
            | Self::Write { path, .. }
            | Self::Generate { path, .. }
            | Self::Carry { path, .. }
            | Self::Link { path, .. }
            | Self::ChooseLinks { path, .. }
            | Self::Forget { path }
            | Self::Sweep { path }
            | Self::RemoveStale { path }
            | Self::RemoveLinks { path } => vec![path.clone()],
        }
    }

    /// Whether the step removes all that is below its path.
    pub fn removes_tree(&self) -> bool {
        matches!(
            self,
            Self::Clear { .. }
                | Self::Forget { .. }
                | Self::RemoveAside { .. }
                | Self::Sweep { .. }
                | Self::RemoveStale { .. }
                | Self::RemoveLinks { .. }
                | Self::ForceBlockFormat
        )
    }

    /// Whether the step brings the file system of `/boot` to its device, by freezing it where nothing less helps.
    pub fn proves(&self) -> bool {
        let exchanges =
            |update: &AfterSwitch| matches!(update, AfterSwitch::Link { .. } | AfterSwitch::Stub { .. });
        match self {
            Self::ProvePrevious | Self::ProveUpdate(_) | Self::Settle | Self::Prove | Self::ProveStale => {
                true
            }
            Self::ForceBlockFormat => true,
            Self::Update { update, .. } => exchanges(update),
            _ => false,
        }
    }

    /// Whether this is the write that decides, so that an error cannot be undone: it may have been made all the same.
    pub fn is_commit(&self, change: super::Change) -> bool {
        match change {
            super::Change::Nothing => false,
            super::Change::Bootlinks => matches!(self, Self::ChooseLinks { .. }),
            super::Change::Entries => matches!(self, Self::Commit { .. }),
        }
    }

    /// The name of the point before it, for the tests of interruptions.
    pub(crate) fn point(&self) -> &'static str {
        match self {
            Self::ProvePrevious => "prove-previous",
            Self::Note { .. } => "note",
            Self::Update { .. } => "after-switch",
            Self::ProveUpdate(_) => "prove-update",
            Self::RemoveAside { .. } => "remove-aside",
            Self::SettleStamp(_) => "settle-stamp",
            Self::ForceBlockFormat => "force-block-format",
            Self::SyncDeployments => "sync-deployments",
            Self::Clear { .. } => "clear",
            Self::MakeDirectory { path } => match path.strip_prefix("/boot/loader.") {
                Some(rest) if !rest.contains('/') => "clear-slot",
                _ if path.strip_prefix("/ostree/").is_some_and(|rest| !rest.contains('/')) => "clear-links",
                _ => "make-directory",
            },
            Self::Copy(_) => "copy",
            Self::Write { .. } | Self::Adopt { .. } => "write",
            Self::Generate { .. } => "generate",
            Self::Carry { .. } => "carry",
            Self::Link { .. } => "link",
            Self::ChooseLinks { .. } => "choose-links",
            Self::SelfLink => "self-link",
            Self::StageLoader { .. } => "stage-loader",
            Self::Stamp => "stamp",
            Self::Verify | Self::VerifyPrestaged => "verify",
            Self::Settle => "settle",
            Self::Commit { .. } => "commit",
            Self::Prove => "prove",
            Self::Forget { .. } => "forget",
            Self::RemoveNote => "before-sweep",
            Self::Sweep { .. } => "sweep",
            Self::ProveStale => "prove-stale",
            Self::RemoveStale { .. } => "remove-stale",
            Self::RemoveLinks { .. } => "remove-links",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProvePrevious => f.write_str("Proving the previous switch"),
            Self::Note { .. } => f.write_str("Writing /ostree/boot-switch"),
            Self::Update { update: AfterSwitch::Run(tool), .. } => write!(f, "Running {}", tool.program),
            Self::Update { .. } => f.write_str("Leading the boot loader to the new entries"),
            Self::ProveUpdate(_) => f.write_str("Proving that the boot loader is led to the new entries"),
            Self::SettleStamp(_) => f.write_str("Noting that the boot loader is up to date"),
            Self::ForceBlockFormat => {
                f.write_str("Making /boot/ostree one that a boot loader can read at any moment")
            }
            Self::SyncDeployments => f.write_str("Syncing the deployments"),
            Self::Clear { path } => write!(f, "Clearing {path}"),
            Self::MakeDirectory { path } => write!(f, "Making directory {path}"),
            Self::Copy(copy) => write!(f, "Installing /boot/{}", copy.to),
            Self::Write { path, .. } | Self::Adopt { path, .. } => write!(f, "Writing {path}"),
            Self::Generate { program, .. } => write!(f, "Running {program}"),
            Self::Carry { path, .. } => write!(f, "Carrying over {path}"),
            Self::Link { path, .. } => write!(f, "Making boot link {path}"),
            Self::ChooseLinks { .. } => f.write_str("Switching the boot links"),
            Self::SelfLink => f.write_str("Making /boot/boot"),
            Self::StageLoader { .. } => f.write_str("Staging /boot/loader"),
            Self::Stamp => f.write_str("Noting that the boot loader has to be updated"),
            Self::Verify => f.write_str("Verifying the new boot entries"),
            Self::VerifyPrestaged => f.write_str("Reading the new boot entries back"),
            Self::Settle => f.write_str("Bringing the new boot entries to the device"),
            Self::Commit { .. } => f.write_str("Switching /boot/loader"),
            Self::Prove | Self::ProveStale => f.write_str("Proving the switch"),
            Self::RemoveNote => f.write_str("Removing /ostree/boot-switch"),
            Self::Forget { path }
            | Self::RemoveAside { path }
            | Self::Sweep { path }
            | Self::RemoveStale { path }
            | Self::RemoveLinks { path } => write!(f, "Removing {path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Change;
    use super::*;

    /// A set that `boot.N` leads to already must not be removed because a sync after it has failed.
    #[test]
    fn each_change_has_one_write_that_decides() {
        let commit = || Step::Commit { target: "loader.1".to_owned() };
        let links = || Step::ChooseLinks { path: "/ostree/boot.1".to_owned(), target: "boot.1.0".to_owned() };
        for (change, step, decides) in [
            (Change::Entries, commit(), true),
            (Change::Entries, links(), false),
            (Change::Bootlinks, links(), true),
            (Change::Bootlinks, Step::Verify, false),
        ] {
            assert_eq!(step.is_commit(change), decides, "{change:?} {step:?}");
        }
    }
}
