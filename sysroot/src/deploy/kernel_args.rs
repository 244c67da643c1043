// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel arguments of a new deployment.

use anyhow::{Context, Result};
use formats::kernel_args::KernelArgs;

/// Where the arguments start from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Base {
    /// Those of the merge deployment.
    #[default]
    Merge,
    /// Those that the running kernel was started with, less what its boot loader added.
    ProcCmdline,
    /// None.
    Empty,
}

/// What the caller wants changed; the lists are worked off in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// What the edits start from.
    pub base: Base,
    /// `NAME=VALUE` in place of every argument of this name.
    pub set: Vec<String>,
    /// `NAME=NEW` in the place of the only argument of this name, `NAME=OLD=NEW` of one of several.
    pub replace: Vec<String>,
    /// Added at the end.
    pub append: Vec<String>,
    /// Added at the end unless this name with this value is there.
    pub append_if_missing: Vec<String>,
    /// Removed; one that is not there is an error.
    pub delete_present: Vec<String>,
    /// Removed if present.
    pub delete: Vec<String>,
}

/// Keys that a boot loader adds to the running kernel's arguments.
const LOADERS_OWN: [&str; 2] = ["BOOT_IMAGE", "initrd"];

impl Edits {
    /// The arguments of a deployment that takes over those of `merge`.
    pub fn apply(&self, merge: Option<&KernelArgs>) -> Result<KernelArgs> {
        let mut args = match self.base {
            Base::Merge => merge.cloned().unwrap_or_default(),
            Base::ProcCmdline => running_arguments()?,
            Base::Empty => KernelArgs::default(),
        };
        for arg in &self.set {
            args.set(arg);
        }
        for arg in &self.replace {
            args.replace(arg).with_context(|| format!("Replacing kernel argument {arg}"))?;
        }
        for arg in &self.append {
            args.append(arg);
        }
        for arg in &self.append_if_missing {
            args.append_if_missing(arg);
        }
        for arg in &self.delete_present {
            args.delete(arg).with_context(|| format!("Deleting kernel argument {arg}"))?;
        }
        for arg in &self.delete {
            args.delete_if_present(arg).with_context(|| format!("Deleting kernel argument {arg}"))?;
        }
        Ok(args)
    }
}

/// The arguments of the running kernel, less what its boot loader added.
pub(crate) fn running_arguments() -> Result<KernelArgs> {
    const PATH: &str = "/proc/cmdline";
    let line = std::fs::read_to_string(PATH).with_context(|| format!("Reading {PATH}"))?;
    Ok(without_loaders_own(&line))
}

fn without_loaders_own(line: &str) -> KernelArgs {
    let mut args = KernelArgs::parse(line);
    for key in LOADERS_OWN {
        args.remove_key(key);
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_in_their_order() {
        let merge = KernelArgs::parse("root=LABEL=r rw quiet ostree=/x");
        let list = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
        for (edits, expected) in [
            (Edits::default(), "root=LABEL=r rw quiet ostree=/x"),
            (Edits { base: Base::Empty, set: list(&["rw"]), ..Edits::default() }, "rw"),
            (
                Edits { set: list(&["root=LABEL=s"]), append: list(&["a=1", "a=2"]), ..Edits::default() },
                "rw quiet ostree=/x root=LABEL=s a=1 a=2",
            ),
            (
                Edits {
                    append: list(&["a=1"]),
                    delete: list(&["quiet", "absent", "a=1"]),
                    ..Edits::default()
                },
                "root=LABEL=r rw ostree=/x",
            ),
        ] {
            assert_eq!(edits.apply(Some(&merge)).unwrap().to_string(), expected, "{edits:?}");
        }
        let ambiguous = Edits { append: list(&["a=1", "a=2"]), delete: list(&["a"]), ..Edits::default() };
        assert!(ambiguous.apply(None).is_err());
        // Who edits the arguments of what is deployed means one that is there.
        let present = Edits { delete_present: list(&["quiet"]), ..Edits::default() };
        assert_eq!(present.apply(Some(&merge)).unwrap().to_string(), "root=LABEL=r rw ostree=/x");
        let absent = Edits { delete_present: list(&["absent"]), ..Edits::default() };
        assert!(absent.apply(Some(&merge)).is_err());
    }

    #[test]
    fn what_the_loader_added_is_not_inherited() {
        assert_eq!(
            without_loaders_own("BOOT_IMAGE=/v initrd=/i quiet \"a=b c\"\n").to_string(),
            "quiet \"a=b c\""
        );
    }
}
