// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a plan, for people and for programs.

use std::fmt;

use bootloader::{AfterSwitch, Change, Step as BootStep, SwitchPlan};
use serde::Serialize;

/// One thing that is written, copied, switched or removed. Paths are those of the physical root. The keys are described in
/// `docs/plans.md`; a test compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Step {
    /// A ref of the repository, so that a prune spares what it names.
    SetRef {
        /// The ref.
        name: String,
        /// The commit.
        commit: String,
    },
    /// A tree of hard links of objects; it begins with the retired tree, if there is one.
    CheckOut {
        /// The commit.
        commit: String,
        /// The deployment's directory.
        to: String,
    },
    /// The new `/etc`, from the tree's defaults.
    CopyEtc {
        /// It.
        to: String,
    },
    /// The local changes, into the new `/etc`.
    MergeEtc {
        /// Whose changes.
        from: String,
        /// The new `/etc`.
        to: String,
    },
    /// The stateroot's `/var`, if there is nothing in it.
    FillVar {
        /// It.
        path: String,
    },
    /// A directory, made if it is not there; one that the next steps fill is emptied first.
    MakeDirectory {
        /// It.
        path: String,
    },
    /// A file, new or in place of an old one.
    Write {
        /// It.
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
    /// A symbolic link that nobody reads yet.
    Link {
        /// It.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A symbolic link that leads elsewhere from now on, in one durable write.
    Switch {
        /// It.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A program.
    Run {
        /// With its arguments.
        command: String,
    },
    /// What was written is brought to the disk.
    Sync {
        /// A place in the file system.
        path: String,
    },
    /// The new boot entries are read again, by a boot loader's rules.
    Verify,
    /// What was written is brought to where a boot loader finds it.
    Prove,
    /// A file or a directory with all that is in it; of what a boot loader may still see, only after the proof. The
    /// tree of one deployment may become the retired tree.
    Remove {
        /// It.
        path: String,
    },
    /// Objects of the repository that nothing needs any more.
    Prune,
}

impl Step {
    pub(super) fn write(path: impl Into<String>) -> Self {
        Self::Write { path: path.into(), text: None }
    }

    pub(super) fn remove(path: impl Into<String>) -> Self {
        Self::Remove { path: path.into() }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetRef { name, commit } => write!(f, "ref     {name} to {commit}"),
            Self::CheckOut { commit, to } => write!(f, "tree    {to} of {commit}"),
            Self::CopyEtc { to } => write!(f, "etc     {to} from the tree's defaults"),
            Self::MergeEtc { from, to } => write!(f, "merge   the changes of {from} into {to}"),
            Self::FillVar { path } => write!(f, "fill    {path}, if it is empty"),
            Self::MakeDirectory { path } => write!(f, "make    {path}"),
            Self::Write { path, text } => {
                write!(f, "write   {path}")?;
                text.iter().flat_map(|text| text.lines()).try_for_each(|line| write!(f, "\n        | {line}"))
            }
            Self::Copy { from, to, bytes: Some(bytes) } => {
                write!(f, "copy    {from} to {to} ({bytes} bytes)")
            }
            Self::Copy { from, to, bytes: None } => write!(f, "copy    {from} to {to}"),
            Self::Link { path, target } => write!(f, "link    {path} to {target}"),
            Self::Switch { path, target } => write!(f, "switch  {path} to {target}"),
            Self::Run { command } => write!(f, "run     {command}"),
            Self::Sync { path } => write!(f, "sync    {path}"),
            Self::Verify => f.write_str("verify  the new boot entries"),
            Self::Prove => f.write_str("prove   that a boot loader sees /boot as it is now"),
            Self::Remove { path } => write!(f, "remove  {path}"),
            Self::Prune => f.write_str("prune   objects that nothing needs"),
        }
    }
}

/// The steps of a switch, its sweep included.
pub(super) fn of_switch(plan: &SwitchPlan) -> Vec<Step> {
    let mut steps: Vec<Step> = plan.steps().iter().map(|step| of_boot_step(plan, step)).collect();
    if plan.change == Change::Entries {
        steps.push(Step::Prove);
        steps.extend(of_after(&plan.after));
        steps.push(Step::remove("/ostree/boot-switch"));
        steps.push(Step::remove("/boot/loader.tmp"));
    }
    steps.extend(plan.sweep.iter().map(Step::remove));
    if plan.change == Change::Bootlinks {
        let former = format!("/ostree/boot.{}.{}", plan.from.boot_version, plan.from.sub_boot_version);
        if !plan.sweep.contains(&former) {
            steps.push(Step::remove(former));
        }
    }
    steps
}

fn of_boot_step(plan: &SwitchPlan, step: &BootStep) -> Step {
    let loader = format!("loader.{}", plan.to.boot_version);
    let links = format!("boot.{}.{}", plan.to.boot_version, plan.to.sub_boot_version);
    match step {
        BootStep::SyncDeployments => Step::Sync { path: "/".to_owned() },
        BootStep::Note => Step::write("/ostree/boot-switch"),
        BootStep::ClearSlot => Step::MakeDirectory { path: format!("/boot/{loader}/entries") },
        BootStep::Copy(copy) => Step::Copy {
            from: format!("/{}", copy.from.trim_start_matches('/')),
            to: format!("/boot/{}", copy.to),
            bytes: Some(copy.size),
        },
        BootStep::Write(file) => {
            Step::Write { path: format!("/boot/{loader}/{}", file.path), text: Some(file.text.clone()) }
        }
        BootStep::Generate(generate) => {
            Step::Run { command: format!("{} -o /boot/{loader}/{}", generate.program, generate.path) }
        }
        BootStep::Carry(path) => Step::Copy {
            from: format!("/boot/loader.{}/{path}", plan.from.boot_version),
            to: format!("/boot/{loader}/{path}"),
            bytes: None,
        },
        BootStep::Stamp => Step::write("/boot/ostree-bootloader-update.stamp"),
        BootStep::ClearLinks => Step::MakeDirectory { path: format!("/ostree/{links}") },
        BootStep::Link(link) => {
            Step::Link { path: format!("/ostree/{links}/{}", link.path), target: link.target.clone() }
        }
        BootStep::ChooseLinks => {
            Step::Switch { path: format!("/ostree/boot.{}", plan.to.boot_version), target: links }
        }
        BootStep::SelfLink => Step::Link { path: "/boot/boot".to_owned(), target: ".".to_owned() },
        BootStep::StageLoader => Step::Link { path: "/boot/loader.tmp".to_owned(), target: loader },
        BootStep::Verify => Step::Verify,
        BootStep::Settle => Step::Prove,
        BootStep::Commit => Step::Switch { path: "/boot/loader".to_owned(), target: loader },
    }
}

fn of_after(after: &AfterSwitch) -> Vec<Step> {
    let step = match after {
        AfterSwitch::Nothing => return Vec::new(),
        AfterSwitch::Link { path, target } => {
            Step::Switch { path: format!("/boot/{path}"), target: target.clone() }
        }
        AfterSwitch::Stub { path, text } => {
            Step::Write { path: format!("/boot/{path}"), text: Some(text.clone()) }
        }
        AfterSwitch::Run(tool) => Step::Run { command: format!("{} {}", tool.program, tool.args.join(" ")) },
    };
    vec![step, Step::remove("/boot/ostree-bootloader-update.stamp")]
}
