// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `admin status` says: for a person in the C tools' words, for a program as JSON.

use std::fmt;

use serde::Serialize;

use crate::deployment::Deployment;
use crate::reorder::Which;
use crate::sysroot::Loaded;

/// The deployments of a sysroot, in the order in which they would be booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Raised when a key changes its meaning or goes; new keys do not raise it.
    pub schema: u32,
    /// One row a deployment.
    pub deployments: Vec<Row>,
    /// Where the boot menu is not what the rows make one think; for a person.
    pub notes: Vec<String>,
}

/// One deployment. The first group of keys is that of the C tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The commit.
    pub checksum: String,
    /// The operating system's state directory.
    pub stateroot: String,
    /// What upgrades follow.
    pub refspec: Option<String>,
    /// The deploy serial.
    pub serial: u32,
    /// The place in the list, 0 is the default.
    pub index: usize,
    /// Whether it is the running system.
    pub booted: bool,
    /// Whether it would be booted next, instead of the running system.
    pub pending: bool,
    /// Whether it is what one would go back to.
    pub rollback: bool,
    /// Whether it waits for shutdown to be finalized.
    pub staged: bool,
    /// Whether it goes on waiting at shutdown.
    pub finalization_locked: bool,
    /// Whether cleanup keeps it.
    pub pinned: bool,
    /// How its `/usr` is writable: `none`, or what the origin says.
    pub unlocked: String,
    /// The version that the commit states.
    pub version: Option<String>,

    /// Checksum over kernel, initramfs and device trees.
    pub boot_checksum: String,
    /// The kernel arguments, `ostree=` included.
    pub kernel_args: String,
}

impl Status {
    /// Puts the rows together; `version_of` finds what a deployment's commit states.
    pub fn new(loaded: &Loaded, version_of: impl Fn(&Deployment) -> Option<String>) -> Self {
        let (pending, rollback) = (loaded.find(Which::Pending), loaded.find(Which::Rollback));
        let row = |(index, d): (usize, &Deployment)| Row {
            checksum: d.path.checksum.to_string(),
            stateroot: d.path.stateroot.clone(),
            refspec: d.origin.refspec(),
            serial: d.path.deploy_serial,
            index,
            booted: d.booted,
            pending: pending == Some(index),
            rollback: rollback == Some(index),
            staged: d.staged,
            finalization_locked: d.staged && loaded.staged.as_ref().is_some_and(|record| record.locked),
            pinned: d.origin.pinned(),
            unlocked: d.origin.unlocked().unwrap_or_else(|| "none".to_owned()),
            version: version_of(d),
            boot_checksum: d.boot_checksum.to_string(),
            kernel_args: d.kernel_args().to_string(),
        };
        let deployments = loaded.deployments.iter().enumerate().map(row).collect();
        Self { schema: 1, deployments, notes: loaded.notes() }
    }

    /// Whether the running system is the one that the next boot starts.
    pub fn booted_is_default(&self) -> bool {
        self.deployments.first().is_some_and(|row| row.booted)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deployments.is_empty() {
            return writeln!(f, "No deployments.");
        }
        self.deployments.iter().try_for_each(|row| write!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.booted { '*' } else { ' ' };
        let Self { stateroot, checksum, serial, .. } = self;
        let place = match self {
            Self { finalization_locked: true, .. } => " (finalization locked)",
            Self { staged: true, .. } => " (staged)",
            Self { pending: true, .. } => " (pending)",
            Self { rollback: true, .. } => " (rollback)",
            _ => "",
        };
        writeln!(f, "{mark} {stateroot} {checksum}.{serial}{place}")?;
        if let Some(version) = &self.version {
            writeln!(f, "    Version: {version}")?;
        }
        if self.unlocked != "none" {
            writeln!(f, "    Unlocked: {}", self.unlocked)?;
        }
        if self.pinned {
            writeln!(f, "    Pinned: yes")?;
        }
        match &self.refspec {
            Some(refspec) => writeln!(f, "    origin refspec: {refspec}"),
            None => writeln!(f, "    origin: <unknown origin type>"),
        }
    }
}
