// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin kargs`, and the older `ostree admin instutil set-kargs`.

use anyhow::Result;
use clap::Subcommand;
use deploy::{Base, Edits, Request};
use sysroot::Sysroot;

use super::dry_run::DryRun;
use crate::Output;

/// Show or change the kernel arguments of a deployment
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example: ostree admin kargs --append=quiet --delete-if-present=debug --diff\n\n\
    Without options it prints them. Arguments are changed in place, in one switch of the boot menu; another \
    deployment keeps its own. The image's own arguments, from usr/lib/ostree/kargs.d, are shown with their file."
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which deployment, as `ostree admin status` lists them; the default is the first
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    deployment: usize,
    /// Append kernel argument; useful with e.g. console= that can be used multiple times
    #[arg(long, value_name = "NAME=VALUE")]
    append: Vec<String>,
    /// Append kernel argument unless it is there with this value
    #[arg(long, value_name = "NAME=VALUE")]
    append_if_missing: Vec<String>,
    /// Replace the only argument of this name, or with NAME=OLD=NEW one of several
    #[arg(long, value_name = "NAME=VALUE")]
    replace: Vec<String>,
    /// Delete kernel argument; it must be there
    #[arg(long, value_name = "NAME=VALUE")]
    delete: Vec<String>,
    /// Delete kernel argument, if it is there
    #[arg(long, value_name = "NAME=VALUE")]
    delete_if_present: Vec<String>,
    /// Show what is different afterwards; alone, what is different from what the image asks for
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    dry_run: DryRun,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Edit the arguments of all deployments
    EditInPlace {
        /// Append kernel argument to all deployments, if it does not exist
        #[arg(long, value_name = "NAME=VALUE")]
        append_if_missing: Vec<String>,
        #[command(flatten)]
        dry_run: DryRun,
    },
}

impl Args {
    /// Whether nothing is to be changed.
    pub(super) fn only_reads(&self) -> bool {
        self.dry_run().is_on() || self.command.is_none() && self.edits() == Edits::default()
    }

    fn dry_run(&self) -> &DryRun {
        match &self.command {
            Some(Command::EditInPlace { dry_run, .. }) => dry_run,
            None => &self.dry_run,
        }
    }

    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let (index, edits) = match &self.command {
            Some(Command::EditInPlace { append_if_missing, .. }) => {
                (None, Edits { append_if_missing: append_if_missing.clone(), ..Edits::default() })
            }
            None => (Some(self.deployment), self.edits()),
        };
        if self.dry_run().is_on() {
            return self.dry_run().show(sysroot, &Request::KernelArgs { index, edits }, out);
        }
        if self.command.is_some() {
            let lock = super::lock(sysroot)?;
            return super::print_switched(&deploy::edit_kernel_args(&lock, index, &edits)?, out);
        }
        if edits == Edits::default() {
            return self.show(sysroot, out);
        }
        let lock = super::lock(sysroot)?;
        let before = sysroot.kernel_args(self.deployment)?;
        let switched = deploy::edit_kernel_args(&lock, index, &edits)?;
        if self.diff {
            let after = sysroot.kernel_args(self.deployment)?;
            write!(out, "{}", before.all.diff(&after.all))?;
        }
        super::print_switched(&switched, out)
    }

    fn edits(&self) -> Edits {
        Edits {
            replace: self.replace.clone(),
            append: self.append.clone(),
            append_if_missing: self.append_if_missing.clone(),
            delete_present: self.delete.clone(),
            delete: self.delete_if_present.clone(),
            ..Edits::default()
        }
    }

    fn show(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let args = sysroot.kernel_args(self.deployment)?;
        if self.diff {
            return Ok(write!(out, "{}", args.image.args().diff(&args.all))?);
        }
        writeln!(out, "{}", args.all)?;
        for (owner, arg) in args.image.iter() {
            let gone = if args.all.contains(arg) { "" } else { " (not used)" };
            writeln!(out, "{owner}: {arg}{gone}")?;
        }
        Ok(())
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
            ..Edits::default()
        };
        let lock = super::lock(sysroot)?;
        let switched = deploy::edit_kernel_args(&lock, Some(0), &edits)?;
        super::print_switched(&switched, out)
    }
}
