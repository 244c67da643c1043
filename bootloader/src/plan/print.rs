// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plan for people.

use std::fmt;

use super::steps::Step;
use super::sweep::SweepPlan;
use super::switch::{Change, SwitchPlan};
use crate::loader::AfterSwitch;
use crate::names::{LOADER_TEMPORARY, NOTE_PATH, STAMP_PATH};

impl SwitchPlan {
    /// The plan for programs.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl fmt::Display for SwitchPlan {
    /// A line that says what is switched, one for each step, and the warnings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            Change::Nothing => writeln!(f, "keep   {} and its entries", self.to.links_dir())?,
            Change::Bootlinks => {
                writeln!(
                    f,
                    "switch {} from {} to {}",
                    self.to.link(),
                    self.from.links_dir(),
                    self.to.links_dir()
                )?;
            }
            Change::Entries => {
                let (from, to) = (self.from.loader_dir(), self.to.loader_dir());
                writeln!(
                    f,
                    "switch /boot/loader from {from} to {to}, with links in {}",
                    self.to.links_dir()
                )?;
            }
        }
        self.steps().iter().try_for_each(|step| print_step(f, step))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "note   {warning}"))
    }
}

impl fmt::Display for SweepPlan {
    /// A line for each step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps().iter().try_for_each(|step| print_step(f, step))
    }
}

fn print_step(f: &mut fmt::Formatter<'_>, step: &Step) -> fmt::Result {
    match step {
        Step::ProvePrevious => writeln!(f, "prove  the previous switch"),
        Step::ProveUpdate(_) => writeln!(f, "prove  that the boot loader is led to the chosen entries"),
        Step::Prove => writeln!(f, "prove  that a boot loader sees the chosen entries"),
        Step::ProveStale => writeln!(f, "prove  that a boot loader reads nothing under a temporary name"),
        Step::Settle => writeln!(f, "prove  that the new entries are in their place"),
        Step::SyncDeployments => writeln!(f, "sync   the deployments"),
        Step::Verify | Step::VerifyPrestaged => {
            writeln!(f, "verify the new entries, by a boot loader's rules")
        }
        Step::Note { .. } => writeln!(f, "write  {NOTE_PATH}"),
        Step::Stamp => writeln!(f, "write  {STAMP_PATH}"),
        Step::SettleStamp(_) => writeln!(f, "remove {STAMP_PATH}"),
        Step::RemoveNote => writeln!(f, "remove {NOTE_PATH}"),
        Step::ForceBlockFormat => writeln!(f, "make   /boot/ostree anew, with its names in a block"),
        Step::MakeDirectory { path } => writeln!(f, "make   {path}"),
        Step::Copy(copy) => {
            let from = copy.from.trim_start_matches('/');
            writeln!(f, "copy   /{from} to /boot/{} ({} bytes)", copy.to, copy.size)
        }
        Step::Write { path, text } => print_text(f, "write ", path, text),
        Step::Adopt { from, path, .. } => writeln!(f, "rename {from} to {path}"),
        Step::Generate { program, path, .. } => writeln!(f, "run    {program} -o {path}"),
        Step::Carry { path, .. } => writeln!(f, "carry  {path}"),
        Step::Link { path, target } => writeln!(f, "link   {path} to {target}"),
        Step::SelfLink => writeln!(f, "link   /boot/boot to ."),
        Step::StageLoader { target } => writeln!(f, "link   /boot/{LOADER_TEMPORARY} to {target}"),
        Step::ChooseLinks { path, target } => writeln!(f, "switch {path} to {target}"),
        Step::Commit { target } => writeln!(f, "switch /boot/loader to {target}"),
        Step::Update { update, .. } => match update {
            AfterSwitch::Nothing => Ok(()),
            AfterSwitch::Link { path, target } => writeln!(f, "then   make /boot/{path} a link to {target}"),
            AfterSwitch::Stub { path, text } => print_text(f, "then   write", &format!("/boot/{path}"), text),
            AfterSwitch::Run(tool) => writeln!(f, "then   run {} {}", tool.program, tool.args.join(" ")),
        },
        Step::Clear { path } | Step::Forget { path } | Step::RemoveAside { path } => {
            writeln!(f, "remove {path}")
        }
        Step::Sweep { path } | Step::RemoveStale { path } | Step::RemoveLinks { path } => {
            writeln!(f, "sweep  {path}")
        }
    }
}

fn print_text(f: &mut fmt::Formatter<'_>, verb: &str, path: &str, text: &str) -> fmt::Result {
    writeln!(f, "{verb} {path}")?;
    text.lines().try_for_each(|line| writeln!(f, "       | {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use crate::files::{CopyFile, NewFile, NewLink};
    use crate::slot::Slot;

    fn plan() -> SwitchPlan {
        SwitchPlan {
            change: Change::Entries,
            from: Slot { boot_version: 0, sub_boot_version: 1 },
            to: Slot { boot_version: 1, sub_boot_version: 0 },
            copy: vec![CopyFile {
                kind: crate::FileKind::Kernel,
                from: "ostree/deploy/os/deploy/c.0/usr/lib/modules/6.1/vmlinuz".to_owned(),
                to: "ostree/os-b/vmlinuz-6.1".to_owned(),
                size: 7,
                replaces: false,
                label: None,
            }],
            needs: Vec::new(),
            entries: vec![NewFile {
                path: "entries/ostree-1.conf".to_owned(),
                text: "title a\nversion 1\n".to_owned(),
            }],
            native: Vec::new(),
            generate: None,
            after: AfterSwitch::Nothing,
            carry: vec!["entries/memtest.conf".to_owned()],
            links: vec![NewLink {
                path: "os/b/0".to_owned(),
                target: "../../../deploy/os/deploy/c.0".to_owned(),
            }],
            sweep: vec!["/boot/loader.0".to_owned()],
            prove_previous: true,
            finish: None,
            force_block_format: false,
            clear: Vec::new(),
            boot_directories: vec!["/boot/ostree/os-b".to_owned()],
            adopt: BTreeSet::new(),
            prestaged: false,
            note: true,
            stale_temps: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn reads_well() {
        let expected = "\
switch /boot/loader from loader.0 to loader.1, with links in boot.1.0
prove  the previous switch
sync   the deployments
write  /ostree/boot-switch
make   /boot/loader.1
make   /boot/loader.1/entries
make   /boot/ostree/os-b
copy   /ostree/deploy/os/deploy/c.0/usr/lib/modules/6.1/vmlinuz to /boot/ostree/os-b/vmlinuz-6.1 (7 bytes)
write  /boot/loader.1/entries/ostree-1.conf
       | title a
       | version 1
carry  /boot/loader.1/entries/memtest.conf
make   /ostree/boot.1.0
make   /ostree/boot.1.0/os
make   /ostree/boot.1.0/os/b
link   /ostree/boot.1.0/os/b/0 to ../../../deploy/os/deploy/c.0
switch /ostree/boot.1 to boot.1.0
link   /boot/boot to .
link   /boot/loader.tmp to loader.1
verify the new entries, by a boot loader's rules
prove  that the new entries are in their place
switch /boot/loader to loader.1
prove  that a boot loader sees the chosen entries
remove /ostree/boot-switch
sweep  /boot/loader.0
";
        assert_eq!(plan().to_string(), expected);
        let links = SwitchPlan {
            change: Change::Bootlinks,
            to: Slot { boot_version: 0, sub_boot_version: 0 },
            ..plan()
        };
        assert!(links.to_string().starts_with("switch boot.0 from boot.0.1 to boot.0.0\n"));
    }

    #[test]
    fn programs_find_everything() {
        let json: serde_json::Value = serde_json::from_str(&plan().to_json().unwrap()).unwrap();
        assert_eq!(json["change"], "entries");
        assert_eq!(json["to"]["boot-version"], 1);
        assert_eq!(json["copy"][0]["kind"], "kernel");
        assert_eq!(json["entries"][0]["text"], "title a\nversion 1\n");
        assert_eq!(json["sweep"][0], "/boot/loader.0");
    }
}
