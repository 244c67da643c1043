// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-bootloader entries`.

use anyhow::Result;
use bootloader::ReportedEntry;
use sysroot::Sysroot;

use crate::Output;

/// List the entries that the boot loader shows, those of others too, in its order
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ostree-bootloader entries --json\n\nThe entry that is booted if nobody chooses has a *."
)]
pub(super) struct Args {
    /// For programs: one JSON array
    #[arg(short = 'J', long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let entries = sysroot.boot_report()?.entries;
        if self.json {
            return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&entries)?)?);
        }
        entries.iter().try_for_each(|entry| print(entry, out))
    }
}

fn print(entry: &ReportedEntry, out: &mut Output<'_>) -> Result<()> {
    let shown = &entry.shown;
    writeln!(out, "{} {}", if entry.default { '*' } else { ' ' }, shown.title)?;
    let lines = [
        ("deployment", entry.deployment.as_deref()),
        ("linux", shown.linux.as_deref()),
        ("devicetree", shown.devicetree.as_deref()),
        ("options", Some(shown.options.as_str()).filter(|options| !options.is_empty())),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            writeln!(out, "    {name}: {value}")?;
        }
    }
    shown.initrd.iter().try_for_each(|path| Ok(writeln!(out, "    initrd: {path}")?))
}
