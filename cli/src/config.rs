// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ostree config`.

use anyhow::{Context as _, Result, bail};

use crate::Output;
use crate::global::Global;

/// Change repo configuration settings
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ostree --repo=repo config set core.fsync false")]
pub(crate) struct Args {
    /// get KEY, set KEY VALUE or unset KEY; KEY is GROUP.NAME, or NAME with --group
    #[arg(value_name = "OPERATION")]
    words: Vec<String>,
    /// Group name
    #[arg(long)]
    group: Option<String>,
}

impl Args {
    pub(crate) fn run(&self, global: &Global, out: &mut Output<'_>) -> Result<()> {
        let mut repo = global.open()?;
        let (operation, rest) = self.words.split_first().context("OPERATION must be specified")?;
        if !matches!(operation.as_str(), "get" | "set" | "unset") {
            bail!("Unknown operation {operation}; there are get, set and unset");
        }
        let has_group = self.group.is_some();
        if operation == "set" && rest.len() < 2 {
            bail!(if has_group {
                "GROUP name, KEY and VALUE must be specified"
            } else {
                "KEY and VALUE must be specified"
            });
        }
        let missing =
            if has_group { "Group name and key must be specified" } else { "KEY must be specified" };
        let (group, key) = self.key(rest.first().context(missing)?)?;
        let mut config = repo.config().clone();
        match (operation.as_str(), rest.get(1..).unwrap_or_default()) {
            ("get", []) => {
                let value = config.string(group, key)?;
                let value = value.with_context(|| match config.has_group(group) {
                    true => format!("Key file does not have key “{key}” in group “{group}”"),
                    false => format!("Key file does not have group “{group}”"),
                })?;
                writeln!(out, "{value}")?;
                Ok(())
            }
            ("set", [value]) => {
                config.set_string(group, key, value);
                repo.write_config(config)
            }
            ("unset", []) => {
                config.remove_key(group, key);
                repo.write_config(config)
            }
            _ => bail!("Too many arguments given"),
        }
    }

    fn key<'a>(&'a self, name: &'a str) -> Result<(&'a str, &'a str)> {
        match &self.group {
            Some(group) => Ok((group, name)),
            None => name.split_once('.').context("Key must be of the form \"sectionname.keyname\""),
        }
    }
}
