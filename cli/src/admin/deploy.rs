// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree admin deploy`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use deploy::{Base, DeployOptions, Deployed, Edits, Request, StagedDeployment};
use sysroot::{Origin, Retention, Sysroot};

use super::dry_run::DryRun;
use super::tree_options::TreeOptions;
use crate::Output;

/// Checkout revision REFSPEC as the new default deployment
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree admin deploy --os=debian --karg=root=LABEL=root --karg=rw debian/trixie\n\nA failure before the boot menu is switched leaves everything as it was."
)]
pub(super) struct Args {
    /// A ref or a checksum in the system's repository
    refspec: String,
    /// Use a different operating system root than the current one
    #[arg(long, value_name = "STATEROOT", visible_alias = "os")]
    stateroot: Option<String>,
    /// Take the origin from this file
    #[arg(long, value_name = "FILENAME")]
    origin_file: Option<PathBuf>,
    /// Don't prune the repo when done
    #[arg(long)]
    no_prune: bool,
    /// Do not apply configuration (/etc and kernel arguments) from booted deployment
    #[arg(long)]
    no_merge: bool,
    /// Do not delete previous deployments
    #[arg(long)]
    retain: bool,
    /// Do not delete pending deployments
    #[arg(long)]
    retain_pending: bool,
    /// Do not delete rollback deployments
    #[arg(long)]
    retain_rollback: bool,
    /// Append rather than prepend new deployment
    #[arg(long)]
    not_as_default: bool,
    /// Complete deployment at OS shutdown: changes of /etc until then are carried over
    #[arg(long)]
    stage: bool,
    /// Prevent automatic deployment finalization on shutdown; implies --stage
    #[arg(long)]
    lock_finalization: bool,
    #[command(flatten)]
    kernel_args: KernelArgsOptions,
    #[command(flatten)]
    tree: TreeOptions,
    #[command(flatten)]
    pub(super) dry_run: DryRun,
    /// Load this initrd after the tree's own; can be used multiple times
    #[arg(long, value_name = "FILE")]
    overlay_initrd: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct KernelArgsOptions {
    /// Import current /proc/cmdline
    #[arg(long, conflicts_with = "karg_none")]
    karg_proc_cmdline: bool,
    /// Set kernel argument, like root=/dev/sda1; this overrides any earlier argument with the same name
    #[arg(long, value_name = "NAME=VALUE")]
    karg: Vec<String>,
    /// Append kernel argument; useful with e.g. console= that can be used multiple times
    #[arg(long, value_name = "NAME=VALUE")]
    karg_append: Vec<String>,
    /// Do not import kernel arguments
    #[arg(long)]
    karg_none: bool,
    /// Delete kernel argument if exists, can be used multiple times
    #[arg(long, value_name = "NAME=VALUE")]
    karg_delete: Vec<String>,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let options = self.options()?;
        let (stages, locked) = (self.stage || self.lock_finalization, self.lock_finalization);
        if self.dry_run.is_on() {
            let request = if stages { Request::Stage { options, locked } } else { Request::Deploy(options) };
            return self.dry_run.show(sysroot, &request, out);
        }
        let lock = super::lock(sysroot)?;
        if stages {
            return print_staged(&deploy::stage(&lock, &options, locked)?, out);
        }
        print_outcome(&deploy::deploy(&lock, &options)?, out)
    }

    fn options(&self) -> Result<DeployOptions> {
        Ok(DeployOptions {
            refspec: self.refspec.clone(),
            stateroot: self.stateroot.clone(),
            origin: self.origin_file.as_deref().map(read_origin).transpose()?,
            merge: !self.no_merge,
            retention: Retention {
                all: self.retain,
                pending: self.retain_pending,
                rollback: self.retain_rollback,
            },
            as_default: !self.not_as_default,
            kernel_args: self.kernel_args.edits(),
            overlay_initrds: self.overlay_initrd.clone(),
            selinux: self.tree.selinux(),
            ignore: self.tree.ignore.clone(),
            prune: !self.no_prune,
        })
    }
}

impl KernelArgsOptions {
    fn edits(&self) -> Edits {
        Edits {
            base: match (self.karg_proc_cmdline, self.karg_none) {
                (true, _) => Base::ProcCmdline,
                (_, true) => Base::Empty,
                _ => Base::Merge,
            },
            set: self.karg.clone(),
            append: self.karg_append.clone(),
            delete: self.karg_delete.clone(),
            ..Edits::default()
        }
    }
}

fn read_origin(path: &Path) -> Result<Origin> {
    let step = || format!("Reading origin {}", path.display());
    let text = std::fs::read_to_string(path).with_context(step)?;
    Ok(Origin(formats::keyfile::Keyfile::parse(&text).with_context(step)?))
}

/// Says what was done, in the C tools' words where they have some.
pub(super) fn print_outcome(done: &Deployed, out: &mut Output<'_>) -> Result<()> {
    if let Some(summary) = done.etc_summary() {
        writeln!(out, "{summary}")?;
    }
    for warning in done.warnings() {
        eprintln!("warning: {warning}");
    }
    super::print_switched(&done.switched, out)?;
    if done.of_running {
        eprintln!(
            "note: what is changed in /etc from now on stays with the running system; --stage carries it over at \
             shutdown"
        );
    }
    Ok(())
}

/// Says what was staged, and when it is applied.
pub(super) fn print_staged(done: &StagedDeployment, out: &mut Output<'_>) -> Result<()> {
    let when =
        if done.locked { "once it is unlocked (`ostree admin lock-finalization -u`)" } else { "at shutdown" };
    for lack in &done.ignored {
        eprintln!("warning: ignored ({}): {}", lack.check, lack.text);
    }
    writeln!(out, "Staged {}; it is applied {when}", done.path)?;
    super::print_cleaned(&done.cleaned, out)
}
