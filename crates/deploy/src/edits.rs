// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel arguments of a new deployment.

use anyhow::{Context, Result};
use formats::kernel_args::KernelArgs;
use sysroot::running::running_arguments;

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

/// Changes to kernel arguments, applied in the order of the fields. Each text may hold several arguments, split as the
/// kernel splits its command line; one with a quote that is never closed is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// The arguments that the edits start from.
    pub base: Base,
    /// `NAME=VALUE` in the place of the first argument of this name; the others go.
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

impl Edits {
    /// The arguments of a deployment that takes over those of `merge`.
    pub fn apply(&self, merge: Option<&KernelArgs>) -> Result<KernelArgs> {
        let mut args = match self.base {
            Base::Merge => merge.cloned().unwrap_or_default(),
            Base::ProcCmdline => running_arguments()?,
            Base::Empty => KernelArgs::default(),
        };
        for arg in &self.set {
            args.set(arg).with_context(|| format!("Setting kernel argument {arg}"))?;
        }
        for arg in &self.replace {
            args.replace(arg).with_context(|| format!("Replacing kernel argument {arg}"))?;
        }
        for arg in &self.append {
            args.append(arg).with_context(|| format!("Appending kernel argument {arg}"))?;
        }
        for arg in &self.append_if_missing {
            args.append_if_missing(arg).with_context(|| format!("Appending kernel argument {arg}"))?;
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
                "root=LABEL=s rw quiet ostree=/x a=1 a=2",
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
        // An edit of a deployment's arguments names one that it has.
        let all = Edits {
            set: list(&["root=LABEL=s x=1"]),
            append: list(&["a=1 v=\"b c\""]),
            append_if_missing: list(&["rw a=1 z"]),
            delete_present: list(&["quiet x=1"]),
            delete: list(&["nothing \"v=b c\""]),
            ..Edits::default()
        };
        assert_eq!(all.apply(Some(&merge)).unwrap().to_string(), "root=LABEL=s rw ostree=/x a=1 z");
        let present = Edits { delete_present: list(&["quiet"]), ..Edits::default() };
        assert_eq!(present.apply(Some(&merge)).unwrap().to_string(), "root=LABEL=r rw ostree=/x");
        let absent = Edits { delete_present: list(&["absent"]), ..Edits::default() };
        assert!(absent.apply(Some(&merge)).is_err());
    }

    #[test]
    fn an_open_quote_is_refused_by_every_list() {
        let merge = KernelArgs::parse("v=x");
        let list = || vec!["v=\"x".to_owned()];
        for edits in [
            Edits { set: list(), ..Edits::default() },
            Edits { replace: list(), ..Edits::default() },
            Edits { append: list(), ..Edits::default() },
            Edits { append_if_missing: list(), ..Edits::default() },
            Edits { delete_present: list(), ..Edits::default() },
            Edits { delete: list(), ..Edits::default() },
        ] {
            let error = format!("{:#}", edits.apply(Some(&merge)).unwrap_err());
            assert!(error.contains("never closed in 'v=\"x'"), "{error}");
        }
    }
}
