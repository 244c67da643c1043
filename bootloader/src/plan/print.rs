// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plan for people.

use std::fmt;

use super::{Change, SwitchPlan};

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
        for path in &self.carry {
            writeln!(f, "carry  /boot/{}/{path}", self.to.loader_dir())?;
        }
        for link in &self.links {
            writeln!(f, "link   /ostree/{}/{} to {}", self.to.links_dir(), link.path, link.target)?;
        }
        for path in &self.sweep {
            writeln!(f, "sweep  {path}")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "note   {warning}"))
    }
}
