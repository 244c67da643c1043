// SPDX-License-Identifier: MIT OR Apache-2.0
//! The group `[sysroot]` of the system repository's `config`.

use anyhow::{Context, Result, bail};
use bootloader::loader::Choice;
use durable::Freezing;
use formats::bls::Tries;
use formats::keyfile::Keyfile;
use formats::keyfile::typed::flag;
use serde::Deserialize;

/// The decisions of the administrator or the image about boot menus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `bootloader`: whom to write for; `auto` by default.
    pub bootloader: Choice,
    /// `bootprefix`: paths in entries begin with `/boot/`; false by default.
    pub boot_prefix: bool,
    /// `freeze-root`: whether the running root may be frozen to make a switch visible; `no` by default.
    pub freezing: Freezing,
    /// `boot-counting-tries`: how often a new deployment may fail to boot before another is tried, by a boot loader that
    /// counts; 0, which is the default, counts nothing.
    pub tries: u32,
    /// `finalize-attempts`: how many shutdowns may begin to finalize an update before it is given up; 2 by default. With 0 an
    /// update does not outlive a power cut.
    pub finalize_attempts: u32,
    /// `selinux-refresh`: whether an update fails when the SELinux policy with local additions cannot be compiled again
    /// (`required`), or goes on without them and says so (`optional`, which is the default).
    pub selinux_refresh_required: bool,
    /// `keep-retired-tree`: whether the tree of a deployment that goes may stay for the next one to begin with; true by default.
    pub keep_checkout_cache: bool,
    /// `bls-append-except-default`: keys and values of every boot entry but the default, `;` between them; none by default.
    pub except_default: Vec<(String, String)>,
}

/// More tries are a mistake: a system that failed as often as this will not start the next time.
const MAX_TRIES: u32 = 5;

/// One shutdown may fail by chance.
const FINALIZE_ATTEMPTS: u32 = 2;

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
    finalize_attempts: Option<u32>,
    selinux_refresh: Option<String>,
    #[serde(rename = "keep-retired-tree", deserialize_with = "flag")]
    keep_checkout_cache: Option<bool>,
    bls_append_except_default: Option<String>,
}

impl Config {
    /// Makes the boot counters of a new entry.
    pub fn new_tries(&self) -> Option<Tries> {
        (self.tries > 0).then_some(Tries { left: self.tries, done: 0 })
    }

    /// Reads the group, and refuses by name a value that cannot be.
    ///
    /// # Errors
    ///
    /// The key and the value that cannot be.
    pub fn parse(file: &Keyfile) -> Result<Self> {
        let Group {
            bootloader,
            bootprefix,
            freeze_root,
            boot_counting_tries,
            finalize_attempts,
            selinux_refresh,
            keep_checkout_cache,
            bls_append_except_default,
        } = file.typed::<File>().context("[sysroot]")?.sysroot;
        let tries = boot_counting_tries.unwrap_or(0);
        if tries > MAX_TRIES {
            bail!("[sysroot] boot-counting-tries={tries} is more than {MAX_TRIES}");
        }
        let except_default = bls_append_except_default.as_deref().unwrap_or_default();
        let except_default = except_default.split(';').filter(|field| !field.is_empty());
        let except_default = except_default.map(key_and_value).collect::<Result<_>>()?;
        let freezing = match freeze_root.as_deref() {
            None | Some("no" | "false" | "0") => Freezing::NotTheRoot,
            Some("yes" | "true" | "1") => Freezing::EvenTheRoot,
            Some(other) => bail!("[sysroot] freeze-root={other} is neither yes nor no"),
        };
        let selinux_refresh_required = match selinux_refresh.as_deref() {
            None | Some("optional") => false,
            Some("required") => true,
            Some(other) => bail!("[sysroot] selinux-refresh={other} is neither optional nor required"),
        };
        let bootloader = bootloader.map_or(Ok(Choice::default()), |name| name.parse())?;
        let boot_prefix = bootprefix.unwrap_or(false);
        let finalize_attempts = finalize_attempts.unwrap_or(FINALIZE_ATTEMPTS);
        Ok(Self {
            bootloader,
            boot_prefix,
            freezing,
            tries,
            finalize_attempts,
            selinux_refresh_required,
            keep_checkout_cache: keep_checkout_cache.unwrap_or(true),
            except_default,
        })
    }
}

fn key_and_value(field: &str) -> Result<(String, String)> {
    match field.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() && !key.contains([' ', '\t']) => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => bail!("[sysroot] bls-append-except-default: {field:?} is not of the form KEY=VALUE"),
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
        let default = Config {
            bootloader: Choice::default(),
            boot_prefix: false,
            freezing: Freezing::NotTheRoot,
            tries: 0,
            finalize_attempts: 2,
            selinux_refresh_required: false,
            keep_checkout_cache: true,
            except_default: Vec::new(),
        };
        assert_eq!(parse("").unwrap(), default);
        let all = "bootloader=none\nbootprefix=true\nfreeze-root=yes\nboot-counting-tries=3\nfinalize-attempts=5\nselinux-refresh=required\n";
        let (freezing, tries) = (Freezing::EvenTheRoot, 3);
        assert_eq!(
            parse(all).unwrap(),
            Config {
                bootloader: Choice::None,
                boot_prefix: true,
                freezing,
                tries,
                finalize_attempts: 5,
                selinux_refresh_required: true,
                ..default
            }
        );
        let keys = parse("bls-append-except-default=grub_users=\"\";a=b=c d;\n").unwrap().except_default;
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(keys, [pair("grub_users", "\"\""), pair("a", "b=c d")]);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (group, name) in [
            ("bootloader=lilo\n", "lilo"),
            ("bootprefix=perhaps\n", "perhaps"),
            ("freeze-root=maybe\n", "freeze-root=maybe"),
            ("boot-counting-tries=6\n", "boot-counting-tries=6"),
            ("selinux-refresh=never\n", "selinux-refresh=never"),
            ("bls-append-except-default=a=b;=c\n", "\"=c\" is not"),
            ("bls-append-except-default=a=\n", "\"a=\" is not"),
        ] {
            let error = format!("{:#}", parse(group).unwrap_err());
            assert!(error.contains(name), "{error}");
        }
    }
}
