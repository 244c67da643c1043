// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan for a person: one line a mount.

use std::fmt;

use super::{Access, Mount, MountPlan, Source};

impl fmt::Display for MountPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deployment = &self.deployment;
        writeln!(f, "boot link: {}", deployment.boot_link)?;
        writeln!(
            f,
            "deployment: /{} (device {}, inode {})",
            deployment.path, deployment.device, deployment.inode
        )?;
        writeln!(f, "mounts:")?;
        for mount in &self.mounts {
            writeln!(f, "  {mount}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{} from {}", self.at, self.source)?;
        match self.access {
            Access::Keep => {}
            Access::ReadOnly => f.write_str(", read-only")?,
            Access::Writable => f.write_str(", writable")?,
        }
        if self.shared { f.write_str(", shared") } else { Ok(()) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PhysicalRoot => f.write_str("the physical root"),
            Self::Directory(path) => write!(f, "/{path}"),
            Self::HotfixOverlay => f.write_str("the hotfix overlay"),
        }
    }
}
