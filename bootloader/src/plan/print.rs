// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plan for people.

use std::fmt;

use super::{Change, SwitchPlan};
use crate::loader::AfterSwitch;

impl SwitchPlan {
    /// The plan for programs.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl fmt::Display for SwitchPlan {
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
        for copy in &self.copy {
            writeln!(f, "copy   /{} to /boot/{} ({} bytes)", copy.from, copy.to, copy.size)?;
        }
        for file in self.entries.iter().chain(&self.native) {
            writeln!(f, "write  /boot/{}/{}", self.to.loader_dir(), file.path)?;
            for line in file.text.lines() {
                writeln!(f, "       | {line}")?;
            }
        }
        if let Some(generate) = &self.generate {
            let (loader, path) = (self.to.loader_dir(), &generate.path);
            writeln!(f, "run    {} -o /boot/{loader}/{path}", generate.program)?;
        }
        for path in &self.carry {
            writeln!(f, "carry  /boot/{}/{path}", self.to.loader_dir())?;
        }
        for link in &self.links {
            writeln!(f, "link   /ostree/{}/{} to {}", self.to.links_dir(), link.path, link.target)?;
        }
        match &self.after {
            AfterSwitch::Nothing => {}
            AfterSwitch::Link { path, target } => writeln!(f, "then   make /boot/{path} a link to {target}")?,
            AfterSwitch::Stub { path, text } => {
                writeln!(f, "then   write /boot/{path}")?;
                text.lines().try_for_each(|line| writeln!(f, "       | {line}"))?;
            }
            AfterSwitch::Run(tool) => writeln!(f, "then   run {} {}", tool.program, tool.args.join(" "))?,
        }
        for path in &self.sweep {
            writeln!(f, "sweep  {path}")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "note   {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CopyFile, NewFile, NewLink, Slot};

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
            warnings: Vec::new(),
        }
    }

    #[test]
    fn reads_well() {
        let expected = "\
switch /boot/loader from loader.0 to loader.1, with links in boot.1.0
copy   /ostree/deploy/os/deploy/c.0/usr/lib/modules/6.1/vmlinuz to /boot/ostree/os-b/vmlinuz-6.1 (7 bytes)
write  /boot/loader.1/entries/ostree-1.conf
       | title a
       | version 1
carry  /boot/loader.1/entries/memtest.conf
link   /ostree/boot.1.0/os/b/0 to ../../../deploy/os/deploy/c.0
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
