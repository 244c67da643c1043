// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree-bootloader status`.

use anyhow::Result;
use bootloader::loader::Reads;
use sysroot::Sysroot;

use crate::Output;

/// Say which boot loader is installed, what it reads, and what it boots
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree-bootloader status --json")]
pub(super) struct Args {
    /// For programs: one JSON object, with the entries and with what is wrong
    #[arg(short = 'J', long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self, sysroot: &Sysroot, out: &mut Output<'_>) -> Result<()> {
        let report = sysroot.boot_report()?;
        if self.json {
            return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?);
        }
        writeln!(out, "Boot loader: {} ({})", report.loader, report.because)?;
        if let Some(file) = &report.first_file {
            writeln!(out, "First file:  {file}")?;
        }
        let reads = match report.reads {
            Reads::OurFile => "the menu that is made of the boot entries",
            Reads::BootEntries => "the boot entries",
            Reads::Replaceable => "something else; the next deployment makes it read the menu",
            Reads::Others => "something else, with entries or settings of others",
        };
        writeln!(out, "It reads:    {reads}")?;
        let chosen = report.chosen.map_or("none".to_owned(), |version| format!("/boot/loader.{version}"));
        writeln!(out, "Chosen set:  {chosen}")?;
        let default = report.entries.iter().find(|entry| entry.default);
        writeln!(
            out,
            "It boots:    {}",
            default.map_or("cannot be told", |entry| entry.shown.title.as_str())
        )?;
        report.problems.iter().try_for_each(|problem| writeln!(out, "Problem:     {problem}"))?;
        Ok(())
    }
}
