// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a plan, for people and for programs.

use std::fmt;

use bootloader::{AfterSwitch, Step as BootStep};
use durable::fault::Mutant;
use serde::Serialize;

/// One thing that is written, copied, switched or removed. Paths are those of the physical root. The keys are described in
/// `docs/plans.md`; a test compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Step {
    /// Objects are written to the repository, through names in its `tmp`.
    WriteObjects,
    /// A ref of the repository, so that a prune spares what it names.
    SetRef {
        /// The ref.
        name: String,
        /// The commit; left out where only the pull tells it.
        #[serde(skip_serializing_if = "Option::is_none")]
        commit: Option<String>,
    },
    /// A ref of a deployment that is no longer there, or that has another one now, or the ref of a remote that is not followed
    /// any more. Refs of others stay.
    DeleteRef {
        /// The ref.
        name: String,
    },
    /// A tree of hard links of objects; it begins with the checkout cache, if there is one.
    CheckOut {
        /// The commit.
        commit: String,
        /// The deployment's directory.
        to: String,
    },
    /// The new `/etc`, from the tree's defaults.
    CopyEtc {
        /// The path of the new `/etc`.
        to: String,
    },
    /// The local changes, into the new `/etc`.
    MergeEtc {
        /// The `/etc` whose local changes are merged.
        from: String,
        /// The new `/etc`.
        to: String,
    },
    /// The stateroot's `/var`, if there is nothing in it.
    FillVar {
        /// Its path, from the physical root.
        path: String,
    },
    /// A directory, made if it is not there; one that the next steps fill is emptied first.
    MakeDirectory {
        /// Its path, from the physical root.
        path: String,
    },
    /// A stateroot with an empty `var`, which gets its name when it is whole.
    MakeStateroot {
        /// Its path, from the physical root.
        path: String,
    },
    /// A file, new or in place of an old one.
    Write {
        /// Its path, from the physical root.
        path: String,
        /// All that it says; left out where that is known only when it is written.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A file of its own, or where it can be, a hard link.
    Copy {
        /// The source.
        from: String,
        /// The copy.
        to: String,
        /// Its size; left out for small files of others.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// A file that was written ahead gets its name.
    Rename {
        /// Where it was written.
        from: String,
        /// Its name.
        to: String,
    },
    /// A directory is made anew with links to all that is in it, and exchanged with the old one, which goes.
    RemakeDirectory {
        /// Its path, from the physical root.
        path: String,
    },
    /// A symbolic link that nobody reads yet.
    Link {
        /// Its path, from the physical root.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A symbolic link that leads elsewhere from now on, in one durable write.
    Switch {
        /// Its path, from the physical root.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A program.
    Run {
        /// With its arguments.
        command: String,
    },
    /// Brings all that was written to the disk.
    Sync {
        /// A place in the file system.
        path: String,
    },
    /// The new boot entries are read again, by a boot loader's rules.
    Verify,
    /// Brings all that was written to the place where a boot loader finds it.
    Prove,
    /// A file or a directory with all that is in it; of what a boot loader may still see, only after the proof. The
    /// tree of one deployment may become the checkout cache.
    Remove {
        /// Its path, from the physical root.
        path: String,
    },
    /// Objects of the repository that nothing needs any more.
    Prune,
    /// A file that goes if it is there.
    Forget {
        /// Its path.
        path: String,
    },
    /// A file that is written if there is something to be recorded, and else removed.
    Record {
        /// Its path.
        path: String,
    },
    /// The SELinux policy of a deployment, compiled with the local changes if there are some.
    RefreshPolicy {
        /// Its directory.
        path: String,
    },
    /// The SELinux labels of a directory and all that is in it.
    Label {
        /// The directory.
        path: String,
    },
    /// The immutable flag of a deployment.
    Seal {
        /// The deployment.
        path: String,
    },
    /// The time of a directory that other programs watch.
    Notify {
        /// The directory.
        path: String,
    },
    /// The files of the checkout cache that are no objects, if there is one: they go.
    TrimCache {
        /// The cache.
        path: String,
    },
    /// A directory whose files keep room for going back on a full disk; made where there is plenty.
    FillReserve {
        /// The directory.
        path: String,
    },
}

impl Step {
    pub(crate) fn write(path: impl Into<String>) -> Self {
        Self::Write { path: path.into(), text: None }
    }

    pub(crate) fn remove(path: impl Into<String>) -> Self {
        Self::Remove { path: path.into() }
    }
}

/// Prints the steps for programs. A test that compares them with what happens must see when one is hidden.
pub(crate) fn printed<S: serde::Serializer>(steps: &[Step], to: S) -> Result<S::Ok, S::Error> {
    let is_hidden = |step: &&Step| match step {
        Step::SetRef { .. } | Step::DeleteRef { .. } => Mutant::PlanHidesRefs.is_on(),
        Step::Remove { .. } => Mutant::PlanHidesRemovals.is_on(),
        Step::Write { .. } => Mutant::PlanHidesFiles.is_on(),
        Step::Switch { .. } => Mutant::PlanHidesSwitch.is_on(),
        _ => false,
    };
    to.collect_seq(steps.iter().filter(|step| !is_hidden(step)))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteObjects => f.write_str("objects that are not there yet"),
            Self::SetRef { name, commit: Some(commit) } => write!(f, "ref     {name} to {commit}"),
            Self::SetRef { name, commit: None } => write!(f, "ref     {name} to its newest commit"),
            Self::DeleteRef { name } => write!(f, "unref   {name}"),
            Self::CheckOut { commit, to } => write!(f, "tree    {to} of {commit}"),
            Self::CopyEtc { to } => write!(f, "etc     {to} from the tree's defaults"),
            Self::MergeEtc { from, to } => write!(f, "merge   the changes of {from} into {to}"),
            Self::FillVar { path } => write!(f, "fill    {path}, if it is empty"),
            Self::MakeDirectory { path } => write!(f, "make    {path}"),
            Self::MakeStateroot { path } => write!(f, "make    {path} with an empty var"),
            Self::Write { path, text } => {
                write!(f, "write   {path}")?;
                text.iter().flat_map(|text| text.lines()).try_for_each(|line| write!(f, "\n        | {line}"))
            }
            Self::Copy { from, to, bytes: Some(bytes) } => {
                write!(f, "copy    {from} to {to} ({bytes} bytes)")
            }
            Self::Copy { from, to, bytes: None } => write!(f, "copy    {from} to {to}"),
            Self::Rename { from, to } => write!(f, "rename  {from} to {to}"),
            Self::RemakeDirectory { path } => write!(f, "remake  {path}"),
            Self::Link { path, target } => write!(f, "link    {path} to {target}"),
            Self::Switch { path, target } => write!(f, "switch  {path} to {target}"),
            Self::Run { command } => write!(f, "run     {command}"),
            Self::Sync { path } => write!(f, "sync    {path}"),
            Self::Verify => f.write_str("verify  the new boot entries"),
            Self::Prove => f.write_str("prove   that a boot loader sees /boot as it is now"),
            Self::Remove { path } => write!(f, "remove  {path}"),
            Self::Prune => f.write_str("prune   objects that nothing needs"),
            Self::Forget { path } => write!(f, "remove  {path}, if it is there"),
            Self::Record { path } => write!(f, "record  {path}, if there is something to record"),
            Self::RefreshPolicy { path } => write!(f, "compile {path} again, if it was changed locally"),
            Self::Label { path } => write!(f, "label   {path}"),
            Self::Seal { path } => write!(f, "seal    {path}"),
            Self::Notify { path } => write!(f, "touch   {path}"),
            Self::TrimCache { path } => write!(f, "trim    {path}, if it is there"),
            Self::FillReserve { path } => write!(f, "reserve {path}"),
        }
    }
}

/// The steps of a switch, a sweep or what is written ahead of a switch.
pub(super) fn of_boot(steps: &[BootStep]) -> impl Iterator<Item = Step> + '_ {
    steps.iter().filter_map(of_boot_step)
}

fn of_boot_step(step: &BootStep) -> Option<Step> {
    let stamp = || "/boot/ostree-bootloader-update.stamp";
    Some(match step {
        BootStep::ProvePrevious
        | BootStep::ProveUpdate(_)
        | BootStep::Settle
        | BootStep::Prove
        | BootStep::ProveStale => Step::Prove,
        BootStep::SyncDeployments => Step::Sync { path: "/".to_owned() },
        BootStep::Verify | BootStep::VerifyPrestaged => Step::Verify,
        BootStep::Note { .. } => Step::write("/ostree/boot-switch"),
        BootStep::RemoveNote => Step::remove("/ostree/boot-switch"),
        BootStep::Stamp => Step::write(stamp()),
        BootStep::SettleStamp(_) => Step::remove(stamp()),
        BootStep::ForceBlockFormat => Step::RemakeDirectory { path: "/boot/ostree".to_owned() },
        BootStep::MakeDirectory { path } => Step::MakeDirectory { path: path.clone() },
        BootStep::Copy(copy) => Step::Copy {
            from: format!("/{}", copy.from.trim_start_matches('/')),
            to: format!("/boot/{}", copy.to),
            bytes: Some(copy.size),
        },
        BootStep::Write { path, text } => Step::Write { path: path.clone(), text: Some(text.clone()) },
        BootStep::Adopt { from, path, .. } => Step::Rename { from: from.clone(), to: path.clone() },
        BootStep::Generate { program, path, .. } => Step::Run { command: format!("{program} -o {path}") },
        BootStep::Carry { from, path } => Step::Copy { from: from.clone(), to: path.clone(), bytes: None },
        BootStep::Link { path, target } => Step::Link { path: path.clone(), target: target.clone() },
        BootStep::SelfLink => Step::Link { path: "/boot/boot".to_owned(), target: ".".to_owned() },
        BootStep::StageLoader { target } => {
            Step::Link { path: "/boot/loader.tmp".to_owned(), target: target.clone() }
        }
        BootStep::ChooseLinks { path, target } => Step::Switch { path: path.clone(), target: target.clone() },
        BootStep::Commit { target } => {
            Step::Switch { path: "/boot/loader".to_owned(), target: target.clone() }
        }
        BootStep::Update { update, .. } => return of_update(update),
        BootStep::Clear { path }
        | BootStep::Forget { path }
        | BootStep::RemoveAside { path }
        | BootStep::Sweep { path }
        | BootStep::RemoveStale { path }
        | BootStep::RemoveLinks { path } => Step::remove(path.clone()),
    })
}

fn of_update(update: &AfterSwitch) -> Option<Step> {
    Some(match update {
        AfterSwitch::Nothing => return None,
        AfterSwitch::Link { path, target } => {
            Step::Switch { path: format!("/boot/{path}"), target: target.clone() }
        }
        AfterSwitch::Stub { path, text } => {
            Step::Write { path: format!("/boot/{path}"), text: Some(text.clone()) }
        }
        AfterSwitch::Run(tool) => Step::Run { command: format!("{} {}", tool.program, tool.args.join(" ")) },
    })
}
