// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin kargs`, and the older `ostree admin instutil set-kargs`.

use anyhow::Result;
use clap::Subcommand;
use sysroot::Sysroot;
use sysroot::deploy::{Base, Edits};

use crate::Output;

/// Change kernel arguments
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin kargs edit-in-place --append-if-missing=quiet")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Edit the arguments of all deployments
    EditInPlace {
        /// Append kernel argument to all deployments, if it does not exist
        #[arg(long, value_name = "NAME=VALUE")]
        append_if_missing: Vec<String>,
    },
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let Command::EditInPlace { append_if_missing } = &self.command;
        let lock = super::lock(sysroot)?;
        let switched = sysroot.edit_kernel_args(&lock, |_, args| {
            let missing: Vec<_> = append_if_missing.iter().filter(|arg| !args.contains(arg)).collect();
            missing.iter().for_each(|arg| args.append(arg));
            Ok(!missing.is_empty())
        })?;
        super::print_switched(&switched, out)
    }
}

/// Set new kernel command line arguments of the default deployment
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree admin instutil set-kargs --merge --append=quiet")]
pub(super) struct SetKargs {
    /// Import current /proc/cmdline
    #[arg(long, conflicts_with = "merge")]
    import_proc_cmdline: bool,
    /// Merge with previous command line
    #[arg(long)]
    merge: bool,
    /// Set kernel argument, like root=/dev/sda1; this overrides any earlier argument with the same name
    #[arg(long, value_name = "NAME=VALUE")]
    replace: Vec<String>,
    /// Append kernel argument; useful with e.g. console= that can be used multiple times
    #[arg(long, value_name = "NAME=VALUE")]
    append: Vec<String>,
    /// Appended as they are
    #[arg(value_name = "NAME=VALUE")]
    more: Vec<String>,
}

impl SetKargs {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let edits = Edits {
            base: match (self.import_proc_cmdline, self.merge) {
                (true, _) => Base::ProcCmdline,
                (_, true) => Base::Merge,
                _ => Base::Empty,
            },
            set: self.replace.clone(),
            append: [&self.append[..], &self.more[..]].concat(),
            delete: Vec::new(),
        };
        let lock = super::lock(sysroot)?;
        let switched = sysroot.edit_kernel_args(&lock, |index, args| {
            if index > 0 {
                return Ok(false);
            }
            *args = edits.apply(Some(args))?;
            Ok(true)
        })?;
        super::print_switched(&switched, out)
    }
}
