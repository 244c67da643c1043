// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plan for people.

use std::fmt;

use bootloader::{Space, megabytes};
use formats::bootlink::DeploymentPath;

use super::Plan;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(deployment) = &self.deployment {
            write!(f, "{deployment}")?;
        }
        let is_new = |path: &DeploymentPath| !self.before.contains(path);
        writeln!(f, "Boot menu:")?;
        for (index, path) in self.after.iter().enumerate() {
            writeln!(f, "  {index}: {path}{}", if is_new(path) { " (new)" } else { "" })?;
        }
        for path in self.before.iter().filter(|path| !self.after.contains(path)) {
            writeln!(f, "Removed: {path}")?;
        }
        writeln!(f, "Steps:")?;
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        if !self.at_shutdown.is_empty() {
            writeln!(f, "At shutdown:")?;
            self.at_shutdown.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        }
        writeln!(f, "Space:")?;
        space(f, "/", &self.root)?;
        if let Some(boot) = &self.boot {
            space(f, "/boot", boot)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "Note: {warning}"))
    }
}

fn space(f: &mut fmt::Formatter<'_>, place: &str, space: &Space) -> fmt::Result {
    let Space { free, needed, free_files, needed_files } = *space;
    write!(f, "  {place}: {} of {} free", megabytes(needed), megabytes(free))?;
    match free_files {
        u64::MAX => writeln!(f),
        _ => writeln!(f, ", {needed_files} of {free_files} free files"),
    }
}
