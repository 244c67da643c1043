// SPDX-License-Identifier: MIT OR Apache-2.0
//! The typed view of a repository's `config`.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use formats::keyfile::Keyfile;

use crate::Mode;

const CORE: &str = "core";

/// Space of the file system that commits leave free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinFree {
    /// Percent of all blocks.
    Percent(u64),
    /// Bytes.
    Bytes(u64),
}

/// The keys of `config` that the object store heeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `core.mode`.
    pub mode: Mode,
    /// `core.fsync`: whether writes are made durable.
    pub fsync: bool,
    /// `core.per-object-fsync`: whether each object is, instead of all together.
    pub per_object_fsync: bool,
    /// `core.locking`.
    pub locking: bool,
    /// `core.lock-timeout-secs`; none waits for ever.
    pub lock_timeout: Option<Duration>,
    /// `core.disable-xattrs`: xattrs are not read from the trees that are committed.
    pub disable_xattrs: bool,
    /// `core.min-free-space-size`, else `core.min-free-space-percent`.
    pub min_free: MinFree,
    /// `core.tmp-expiry-secs`: age at which left-overs in `tmp/` are removed.
    pub tmp_expiry: Duration,
    /// `core.collection-id`.
    pub collection_id: Option<String>,
    /// `archive.zlib-level`, 1 to 9.
    pub zlib_level: u32,
}

impl Settings {
    /// Reads the settings; a value that is none, and a key whose meaning is not built, is refused by name.
    pub fn from_keyfile(config: &Keyfile) -> Result<Self> {
        let version = config.raw(CORE, "repo_version").context("config: core.repo_version is not set")?;
        if version.trim() != "1" {
            bail!("Invalid repository version '{version}'");
        }
        if config.string(CORE, "parent")?.is_some_and(|parent| !parent.is_empty()) {
            bail!("config: core.parent is set, but parent repositories are not supported yet");
        }
        for (group, key) in [("ex-integrity", "fsverity"), ("ex-fsverity", "required")] {
            if matches!(config.raw(group, key), Some("yes" | "true" | "1")) {
                bail!("config: {group}.{key} is set, but fs-verity is not supported yet");
            }
        }
        let flag = |key, default| Ok::<_, anyhow::Error>(config.boolean(CORE, key)?.unwrap_or(default));
        Ok(Self {
            mode: mode(config)?,
            fsync: flag("fsync", true)?,
            per_object_fsync: flag("per-object-fsync", false)?,
            locking: flag("locking", true)?,
            lock_timeout: match signed(config, "lock-timeout-secs", 300)? {
                -1 => None,
                seconds => Some(Duration::from_secs(u64::try_from(seconds).context("lock-timeout-secs")?)),
            },
            disable_xattrs: flag("disable-xattrs", false)?,
            min_free: min_free(config)?,
            tmp_expiry: Duration::from_secs(config.integer(CORE, "tmp-expiry-secs")?.unwrap_or(86_400)),
            collection_id: config.string(CORE, "collection-id")?.filter(|id| !id.is_empty()),
            zlib_level: match config.integer("archive", "zlib-level")?.unwrap_or(6) {
                level @ 1..=9 => u32::try_from(level)?,
                level => bail!("config: archive.zlib-level {level} is not in 1..9"),
            },
        })
    }
}

fn mode(config: &Keyfile) -> Result<Mode> {
    let name = config.string(CORE, "mode")?.unwrap_or_else(|| "bare".to_owned());
    match Mode::from_name(&name) {
        Some(mode) => Ok(mode),
        None if name == "bare-split-xattrs" => {
            bail!("config: mode bare-split-xattrs is not supported; pull into a repository of another mode")
        }
        None => bail!("Invalid mode '{name}' in repository configuration"),
    }
}

fn signed(config: &Keyfile, key: &str, default: i64) -> Result<i64> {
    match config.string(CORE, key)? {
        Some(text) => {
            text.trim().parse().with_context(|| format!("config: core.{key} '{text}' is no number"))
        }
        None => Ok(default),
    }
}

fn min_free(config: &Keyfile) -> Result<MinFree> {
    if let Some(text) = config.string(CORE, "min-free-space-size")? {
        return size(&text)
            .map(MinFree::Bytes)
            .with_context(|| format!("Invalid min-free-space-size '{text}'; use a number and MB, GB or TB"));
    }
    match config.integer(CORE, "min-free-space-percent")?.unwrap_or(3) {
        percent @ 0..=99 => Ok(MinFree::Percent(percent)),
        percent => bail!("Invalid min-free-space-percent '{percent}'"),
    }
}

/// A number followed by a power of 1024: `50MB`.
fn size(text: &str) -> Option<u64> {
    let (number, shift) = [("MB", 20), ("GB", 30), ("TB", 40)]
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(lines: &str) -> Result<Settings> {
        Settings::from_keyfile(&Keyfile::parse(&format!("[core]\nrepo_version=1\n{lines}")).unwrap())
    }

    #[test]
    fn defaults() {
        let settings = settings("").unwrap();
        assert_eq!((settings.mode, settings.fsync, settings.zlib_level), (Mode::Bare, true, 6));
        assert_eq!(settings.lock_timeout, Some(Duration::from_secs(300)));
        assert_eq!(settings.min_free, MinFree::Percent(3));
    }

    #[test]
    fn values() {
        let set =
            settings("mode=archive-z2\nlock-timeout-secs=-1\nmin-free-space-size=2GB\nfsync=false").unwrap();
        assert_eq!((set.mode, set.lock_timeout, set.fsync), (Mode::Archive, None, false));
        assert_eq!(set.min_free, MinFree::Bytes(2 << 30));
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        for (lines, names) in [
            ("mode=bare-split-xattrs", "bare-split-xattrs"),
            ("mode=x", "'x'"),
            ("parent=/srv/repo", "core.parent"),
            ("min-free-space-percent=100", "'100'"),
            ("min-free-space-size=5", "'5'"),
            ("fsync=perhaps", "perhaps"),
            ("[archive]\nzlib-level=10", "zlib-level"),
            ("[ex-integrity]\nfsverity=yes", "fsverity"),
        ] {
            let error = format!("{:#}", settings(lines).unwrap_err());
            assert!(error.contains(names), "{error}");
        }
    }
}
