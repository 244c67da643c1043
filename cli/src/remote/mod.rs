// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree remote`: repositories to pull from.

mod add;
mod delete;
mod list;
mod refs;
mod show_url;

use std::path::Path;

use anyhow::{Result, bail};
use clap::Subcommand;
use repo::{Remotes, Repo};

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
    #[command(hide = true)]
    GpgImport(NotYet),
    #[command(hide = true)]
    GpgListKeys(NotYet),
    #[command(hide = true)]
    AddCookie(NotYet),
    #[command(hide = true)]
    DeleteCookie(NotYet),
    #[command(hide = true)]
    ListCookies(NotYet),
    #[command(hide = true)]
    Summary(NotYet),
}

/// Whatever a command of the C tools takes that is refused by name.
#[derive(Debug, clap::Args)]
struct NotYet {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl NotYet {
    fn refuse(&self, name: &str) -> Result<()> {
        log::debug!("{:?}", self.words);
        bail!("remote {name} is not supported yet")
    }
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        match &self.command {
            Command::Add(args) => args.run(global),
            Command::Delete(args) => args.run(global),
            Command::ShowUrl(args) => args.run(global, out),
            Command::List(args) => args.run(global, out),
            Command::Refs(args) => args.run(global, out),
            Command::GpgImport(args) => args.refuse("gpg-import"),
            Command::GpgListKeys(args) => args.refuse("gpg-list-keys"),
            Command::AddCookie(args) => args.refuse("add-cookie"),
            Command::DeleteCookie(args) => args.refuse("delete-cookie"),
            Command::ListCookies(args) => args.refuse("list-cookies"),
            Command::Summary(args) => args.refuse("summary"),
        }
    }
}

/// Opens the repository with its remotes: that of the physical root, else the one that is named as everywhere.
fn open(global: &Global, sysroot: Option<&Path>) -> Result<(Repo, Remotes)> {
    let repo = match sysroot {
        Some(sysroot) => Repo::open(sysroot.join("ostree/repo"))?,
        None => global.open()?,
    };
    let remotes = Remotes::load(&repo, sysroot)?;
    Ok((repo, remotes))
}
