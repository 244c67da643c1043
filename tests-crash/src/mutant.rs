// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mistakes on purpose. A check that does not see them is no check.

use crate::disk::{Kind, Layout};
use crate::loader::Loader;

/// One mistake, and where it must be seen.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// Its name for `--mutant`.
    pub name: &'static str,
    /// Its name in `DURABLE_MUTANT`, or [`FLUSH_DROPPED`].
    pub fault: &'static str,
    /// The mistake, for a person.
    pub about: &'static str,
    /// Whether it is a mistake of the switch, so that what comes before that need not be looked at.
    pub in_window: bool,
    /// Operations and layouts, tried in turn until one of them shows it.
    pub rows: &'static [(&'static str, Layout)],
}

/// The mistake of a disk: it says that what it was sent is safe, and it is not. Made when the log is replayed.
pub const FLUSH_DROPPED: &str = "flush-dropped";

const EXT4: Layout = Layout::new(Kind::Ext4, None);
const XFS: Layout = Layout::new(Kind::Xfs, None);
const XFS_BOOT: Layout = Layout::new(Kind::Ext4, Some(Kind::Xfs));
const GENERATED: Layout = SPLIT.with(Loader::GrubGenerated);
const SPLIT: Layout = Layout::new(Kind::Ext4, Some(Kind::Ext4));

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "sweep-before-prove",
        fault: "sweep-before-prove",
        about: "the old entries' files go while a boot loader may still read the old entries",
        in_window: true,
        rows: &[("deploy", SPLIT), ("deploy", EXT4), ("deploy", XFS)],
    },
    Mutant {
        name: "commit-before-stage",
        fault: "commit-before-stage",
        about: "the entries are switched before they are written",
        in_window: false,
        rows: &[("deploy", EXT4), ("deploy", SPLIT)],
    },
    Mutant {
        name: "loader-before-links",
        fault: "loader-before-links",
        about: "the entries are switched before the links that they name",
        in_window: true,
        rows: &[("deploy", EXT4), ("deploy", SPLIT)],
    },
    Mutant {
        name: "commit-by-unlink",
        fault: "commit-by-unlink",
        about: "the link to the entries is removed and made anew",
        in_window: true,
        rows: &[("deploy", EXT4), ("deploy", SPLIT), ("deploy", XFS)],
    },
    Mutant {
        name: "no-file-sync",
        fault: "no-file-sync",
        about: "files get their names before their contents are on the disk",
        in_window: false,
        rows: &[("pull-local", EXT4), ("commit", EXT4), ("pull-local", XFS)],
    },
    Mutant {
        name: "record-unsynced",
        fault: "record-unsynced",
        about: "what is kept of a staged deployment gets its name before its contents are on the disk",
        in_window: false,
        rows: &[("stage", EXT4), ("stage", XFS)],
    },
    Mutant {
        name: "no-directory-sync",
        fault: "no-directory-sync",
        about: "names are relied upon that are not on the disk",
        in_window: false,
        rows: &[("deploy", SPLIT), ("pull-local", XFS)],
    },
    Mutant {
        name: "proof-by-sync",
        fault: "proof-by-sync",
        about: "synced is taken for what a boot loader sees, which does not read the log of an xfs",
        in_window: true,
        rows: &[("undeploy", XFS_BOOT), ("undeploy", XFS)],
    },
    Mutant {
        name: "running-root-not-pushed",
        fault: "running-root-not-pushed",
        about: "the log of the running root, an xfs, is left to reach its place by itself",
        in_window: true,
        rows: &[("deploy-booted", XFS), ("upgrade", XFS)],
    },
    Mutant {
        name: "running-root-frozen",
        fault: "running-root-frozen",
        about: "the running root is frozen, in which everything hangs that writes",
        in_window: true,
        rows: &[("deploy-booted", XFS)],
    },
    Mutant {
        name: "first-file-by-rename",
        fault: "first-file-by-rename",
        about: "GRUB's first file is replaced as if GRUB replayed the journal",
        in_window: true,
        rows: &[("deploy", GENERATED)],
    },
    Mutant {
        name: "refs-of-others-go",
        fault: "refs-of-others-go",
        about: "every ref below ostree/ is taken for one of a deployment",
        in_window: true,
        rows: &[("refs-of-others", EXT4)],
    },
    Mutant {
        name: "temporary-by-name",
        fault: "temporary-by-name",
        about: "what is being made has a name that may be somebody's",
        in_window: false,
        rows: &[("names-of-others", EXT4)],
    },
    Mutant {
        name: "record-before-lock",
        fault: "record-before-lock",
        about: "what is staged is read before the lock is taken",
        in_window: false,
        rows: &[("stage-again", EXT4)],
    },
    Mutant {
        name: FLUSH_DROPPED,
        fault: FLUSH_DROPPED,
        about: "the disk ignores flushes",
        in_window: false,
        rows: &[("deploy", EXT4), ("deploy", SPLIT)],
    },
];
