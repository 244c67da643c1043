// SPDX-License-Identifier: MIT OR Apache-2.0
//! The group `[sysroot]` of the system repository's `config`.

use anyhow::{Context, Result, bail};
use bootloader::loader::Choice;
use durable::Freezing;
use formats::keyfile::Keyfile;
use formats::keyfile::typed::flag;
use serde::Deserialize;

/// What the administrator or the image decided about boot menus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// `bootloader`: whom to write for; `auto` by default.
    pub(crate) bootloader: Choice,
    /// `bootprefix`: paths in entries begin with `/boot/`; false by default.
    pub(crate) boot_prefix: bool,
    /// `freeze-root`: whether the running root may be frozen to make a switch visible; `no` by default.
    pub(crate) freezing: Freezing,
}

/// The file as far as it is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    sysroot: Group,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Group {
    bootloader: Option<String>,
    #[serde(deserialize_with = "flag")]
    bootprefix: Option<bool>,
    freeze_root: Option<String>,
    boot_counting_tries: Option<u32>,
    bls_append_except_default: Option<String>,
}

impl Config {
    /// Reads the group. What is asked for and not built yet is refused by name.
    pub(crate) fn parse(file: &Keyfile) -> Result<Self> {
        let Group { bootloader, bootprefix, freeze_root, boot_counting_tries, bls_append_except_default } =
            file.typed::<File>().context("[sysroot]")?.sysroot;
        if boot_counting_tries.is_some_and(|tries| tries > 0) {
            bail!("[sysroot] boot-counting-tries is not supported by this version: set it to 0");
        }
        if bls_append_except_default.is_some() {
            bail!("[sysroot] bls-append-except-default is not supported by this version: remove it");
        }
        let freezing = match freeze_root.as_deref() {
            None | Some("no" | "false" | "0") => Freezing::NotTheRoot,
            Some("yes" | "true" | "1") => Freezing::EvenTheRoot,
            Some(other) => bail!("[sysroot] freeze-root={other} is neither yes nor no"),
        };
        let bootloader = bootloader.map_or(Ok(Choice::default()), |name| name.parse())?;
        Ok(Self { bootloader, boot_prefix: bootprefix.unwrap_or(false), freezing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(group: &str) -> Result<Config> {
        let text = format!("[core]\nmode=bare\n[remote \"o\"]\nurl=x\n[sysroot]\nreadonly=true\n{group}");
        Config::parse(&Keyfile::parse(&text).unwrap())
    }

    #[test]
    fn values() {
        assert_eq!(parse("").unwrap(), Config::default());
        let all =
            parse("bootloader=none\nbootprefix=true\nfreeze-root=yes\nboot-counting-tries=0\n").unwrap();
        let freezing = Freezing::EvenTheRoot;
        assert_eq!(all, Config { bootloader: Choice::None, boot_prefix: true, freezing });
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (group, name) in [
            ("bootloader=lilo\n", "lilo"),
            ("bootprefix=perhaps\n", "perhaps"),
            ("freeze-root=maybe\n", "freeze-root=maybe"),
            ("boot-counting-tries=3\n", "boot-counting-tries"),
            ("bls-append-except-default=a=b\n", "bls-append-except-default"),
        ] {
            let error = format!("{:#}", parse(group).unwrap_err());
            assert!(error.contains(name), "{error}");
        }
    }
}
