// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why no switch is planned.

use crate::loader::LoaderError;

/// Why there is no plan. Each says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The sysroot was never initialised.
    #[error("There is no directory /ostree; run `ostree admin init-fs` first")]
    NoOstree,
    /// The links layout needs links.
    #[error("/boot is a FAT file system, which has no links; mount one of type ext4, xfs or btrfs there")]
    Fat,
    /// `/boot/loader` belongs to an installation without ostree.
    #[error("/boot/loader is a directory, left by another installation; move it away and try again")]
    LoaderIsDirectory,
    /// `/boot/loader` is not what ostree makes.
    #[error("/boot/loader is {0:?} and no link to loader.0 or loader.1; remove it and try again")]
    LoaderIsOther(String),
    /// An entry of ours is damaged: what it stands for would get lost.
    #[error(
        "Boot entry /boot/{path} {reason}; repair or remove it and try again: `ostree admin fsck-boot --repair` does what can be done"
    )]
    Unreadable {
        /// Below `/boot`.
        path: String,
        /// The fault, for a person.
        reason: String,
    },
    /// There are boot links, but no entries for them: what they lead to would get lost.
    #[error(
        "There is no /boot/loader, but /ostree/boot.0 or boot.1: mount the boot file system at /boot, or remove those \
         links if nothing is booted from here, and try again"
    )]
    NoLoader,
    /// An entry whose deployment cannot be found: it would get lost.
    #[error(
        "Boot entry {entry}: {bootlink} leads to no deployment; make it a link to ../../../deploy/STATEROOT/deploy/\
         CHECKSUM.SERIAL, or remove the entry, and try again"
    )]
    NoDeployment {
        /// Its file name.
        entry: String,
        /// Its `ostree=`.
        bootlink: String,
    },
    /// A deployment that an edited entry leads to behind its first `ostree=`, and no other entry does: it would get lost.
    #[error(
        "Boot entry {entry} has several arguments ostree=, and only a further one of them leads to {deployment}, which \
         would be removed; run `ostree admin fsck-boot --repair` and try again"
    )]
    Behind {
        /// Its file name.
        entry: String,
        /// The deployment that it leads to as well.
        deployment: String,
    },
    /// Two entries for one deployment, and none for another: it would get lost.
    #[error(
        "Boot entries {} and {} lead to the same deployment, and none leads to {deployment}, which would be removed; give \
         one of them the ostree= of that deployment, or remove one of them and run `ostree admin fsck-boot --repair`, and \
         try again", entries.0, entries.1
    )]
    Twice {
        /// Their file names.
        entries: (String, String),
        /// The deployment that neither leads to.
        deployment: String,
    },
    /// A boot file in use has other contents than the new deployment has for it.
    #[error(
        "/boot/{0} has other contents than the new deployment has for it, and a boot entry names it already; run \
         `ostree admin fsck-boot --repair` and try again"
    )]
    Torn(String),
    /// The loader cannot boot such entries.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// There must be something to boot.
    #[error("There is no deployment to make a boot entry for")]
    NoEntries,
    /// The same deployment twice would be two entries for one link.
    #[error("Deployment {0} is twice in the list")]
    Duplicate(String),
    /// The former switch may not have reached the boot loader yet.
    #[error(
        "The boot entries were changed since the last reboot, and the boot loader may still see the old ones: {0}; reboot first"
    )]
    RebootFirst(String),
}
