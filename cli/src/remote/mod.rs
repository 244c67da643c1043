// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree remote`: repositories to pull from.

mod add;
mod delete;
mod list;
mod open;
mod refs;
mod show_url;
mod summary;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use self::open::open;
use crate::Output;
use crate::global::Global;

/// Remote commands that may involve internet access
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo remote add --no-gpg-verify origin file:///srv/repo")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Add(add::Args),
    Delete(delete::Args),
    ShowUrl(show_url::Args),
    List(list::Args),
    Refs(refs::Args),
    Summary(summary::Args),
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        match &self.command {
            Command::Add(args) => args.run(global),
            Command::Delete(args) => args.run(global),
            Command::ShowUrl(args) => args.run(global, out),
            Command::List(args) => args.run(global, out),
            Command::Refs(args) => args.run(global, out),
            Command::Summary(args) => args.run(global, out),
        }
    }
}
