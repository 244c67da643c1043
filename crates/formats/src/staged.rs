// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/run/ostree/staged-deployment`: a deployment that is made, and takes its place in the boot menu when the system
//! is shut down.
//!
//! One GVariant of type `a{sv}`:
//!
//! ```text
//! target             a{sv}   name: CHECKSUM.SERIAL, osname: the stateroot, bootcsum: the boot checksum
//! locked             b       it shall stay as it is at shutdown
//! merge-deployment   a{sv}   as target; whose /etc changes and kernel arguments it takes over
//! kargs              as      its kernel arguments, where they are not those of the merge deployment
//! overlay-initrds    as      checksums of more initrds, in /run/ostree/staged-initrds
//! bootconfig-extra   a{ss}   keys of other tools for its boot entry
//!
//! retain             as      what stays beyond what always does: all, pending, rollback
//! not-as-default     b       it goes behind the running system, not in front
//! ignore             as      checks before a deployment whose findings are ignored: mount-points, initramfs, …
//! options            as      words of OSTREE_SYSROOT_OPTS and OSTREE_SYSROOT_DEBUG that finalizing honours: no-dtb, no-xattrs, bootloader-naming-1
//! ```
//!
//! It is written in this order, as the C tools do, and keys of newer programs are kept behind it. The last four are
//! ours, and the C tools pass over the keys when they finalize: they look up those that they know (`_ostree_sysroot_reload_staged` in
//! `ostree-sysroot.c`). They refuse to stage with such options as the first three; they take the fourth from their environment.

use crate::Checksum;
use crate::bootlink::{DeploymentPath, is_stateroot};
use crate::gvariant::{self, DictBuilder, Value, Variant};

/// A staged deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The deployment.
    pub target: Place,
    /// Whether it stays staged at shutdown. There is a file beside the record that says the same.
    pub locked: bool,
    /// The deployment whose `/etc` changes and kernel arguments it takes over.
    pub merge: Option<Place>,
    /// Its kernel arguments, one a word; else those of the merge deployment.
    pub kernel_args: Option<Vec<String>>,
    /// More initrds for its boot entry.
    pub overlay_initrds: Vec<Checksum>,
    /// Keys of other tools for its boot entry, in place of those of the merge deployment.
    pub extra: Vec<(String, String)>,
    /// Which others stay beyond those that always do: `all`, `pending`, `rollback`.
    pub retain: Vec<String>,
    /// Whether it goes behind the running system.
    pub not_as_default: bool,
    /// Checks before a deployment whose findings are ignored.
    pub ignore: Vec<String>,
    /// The words of the variables `OSTREE_SYSROOT_OPTS` and `OSTREE_SYSROOT_DEBUG` that finalizing honours.
    pub options: Vec<String>,
    /// Keys that are not known here.
    pub others: DictBuilder,
}

/// A deployment and its boot files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub path: DeploymentPath,
    /// Over kernel, initramfs and device trees.
    pub boot_checksum: Checksum,
}

/// Why a record cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StagedError {
    /// No `a{sv}`, or a value of another type.
    #[error(transparent)]
    Value(#[from] gvariant::Error),
    /// A key that must be there is not.
    #[error("the staged deployment's record has no {0:?}")]
    Missing(&'static str),
    /// A text that is no name of a deployment, no stateroot or no checksum.
    #[error("the staged deployment's record says {key:?} is {value:?}")]
    Malformed {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
}

const TARGET: &str = "target";
const LOCKED: &str = "locked";
const MERGE: &str = "merge-deployment";
const KERNEL_ARGS: &str = "kargs";
const OVERLAY_INITRDS: &str = "overlay-initrds";
const EXTRA: &str = "bootconfig-extra";
const RETAIN: &str = "retain";
const NOT_AS_DEFAULT: &str = "not-as-default";
const IGNORE: &str = "ignore";
const OPTIONS: &str = "options";
const NAME: &str = "name";
const STATEROOT: &str = "osname";
const BOOT_CHECKSUM: &str = "bootcsum";

impl Staged {
    /// A deployment that takes over nothing.
    pub fn new(target: Place) -> Self {
        Self {
            target,
            locked: false,
            merge: None,
            kernel_args: None,
            overlay_initrds: Vec::new(),
            extra: Vec::new(),
            retain: Vec::new(),
            not_as_default: false,
            ignore: Vec::new(),
            options: Vec::new(),
            others: DictBuilder::new(),
        }
    }

    /// Reads the content of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, StagedError> {
        let mut others = DictBuilder::from_variant(Variant::new("a{sv}", bytes)?)?;
        let mut take = |key: &str| {
            let value = others.get(key).cloned();
            others.remove(key);
            value
        };
        let target = take(TARGET).ok_or(StagedError::Missing(TARGET))?;
        let mut staged = Self::new(Place::parse(&target)?);
        if let Some(locked) = take(LOCKED) {
            staged.locked = locked.view()?.as_bool()?;
        }
        staged.merge = take(MERGE).as_ref().map(Place::parse).transpose()?;
        let texts = |value: Value| -> Result<Vec<String>, StagedError> {
            Ok(value.view()?.as_strings()?.into_iter().map(str::to_owned).collect())
        };
        staged.kernel_args = take(KERNEL_ARGS).map(texts).transpose()?;
        staged.retain = take(RETAIN).map(texts).transpose()?.unwrap_or_default();
        if let Some(behind) = take(NOT_AS_DEFAULT) {
            staged.not_as_default = behind.view()?.as_bool()?;
        }
        staged.ignore = take(IGNORE).map(texts).transpose()?.unwrap_or_default();
        staged.options = take(OPTIONS).map(texts).transpose()?.unwrap_or_default();
        if let Some(initrds) = take(OVERLAY_INITRDS) {
            for text in initrds.view()?.as_strings()? {
                let checksum = text.parse().map_err(|_| malformed(OVERLAY_INITRDS, text))?;
                staged.overlay_initrds.push(checksum);
            }
        }
        if let Some(extra) = take(EXTRA) {
            for pair in extra.view()?.iter()? {
                let pair = pair?;
                let text = |index| pair.child(index)?.as_str().map(str::to_owned);
                staged.extra.push((text(0)?, text(1)?));
            }
        }
        staged.others = others;
        Ok(staged)
    }

    /// The content of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut dict = DictBuilder::new();
        dict.insert(TARGET, self.target.to_value());
        if self.locked {
            dict.insert(LOCKED, true);
        }
        if let Some(merge) = &self.merge {
            dict.insert(MERGE, merge.to_value());
        }
        if let Some(args) = &self.kernel_args {
            dict.insert(KERNEL_ARGS, Value::strings(args));
        }
        if !self.overlay_initrds.is_empty() {
            dict.insert(
                OVERLAY_INITRDS,
                Value::strings(self.overlay_initrds.iter().map(Checksum::to_string)),
            );
        }
        if let Some(extra) = self.extra_value() {
            dict.insert(EXTRA, extra);
        }
        if !self.retain.is_empty() {
            dict.insert(RETAIN, Value::strings(&self.retain));
        }
        if self.not_as_default {
            dict.insert(NOT_AS_DEFAULT, true);
        }
        if !self.ignore.is_empty() {
            dict.insert(IGNORE, Value::strings(&self.ignore));
        }
        if !self.options.is_empty() {
            dict.insert(OPTIONS, Value::strings(&self.options));
        }
        for (key, value) in self.others.iter() {
            dict.insert(key, value.clone());
        }
        dict.build().into_data()
    }

    fn extra_value(&self) -> Option<Value> {
        let pair = |(key, value): &(String, String)| {
            Value::dict_entry(&Value::string(key), &Value::string(value)).ok()
        };
        let pairs: Vec<Value> = self.extra.iter().filter_map(pair).collect();
        if pairs.is_empty() { None } else { Value::array("{ss}", &pairs).ok() }
    }
}

/// The copy of a staged deployment's record that survives a power cut, `/ostree/staged-deployment`, with the facts by
/// what the next boot knows whether it is still true.
///
/// ```text
/// …                          all keys of the record
/// attempts           u       how many shutdowns have begun to finalize it
/// changed            (tu)    the time of ostree/deploy, which every change of the deployments sets: seconds, nanoseconds
/// deployments        as      the boot menu: ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL of each, the default first
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The record.
    pub staged: Staged,
    /// How many shutdowns have begun to finalize it.
    pub attempts: u32,
    /// When the deployments were changed, in seconds since 1970 and nanoseconds.
    pub changed: (u64, u32),
    /// The boot menu, the default first.
    pub deployments: Vec<DeploymentPath>,
}

const ATTEMPTS: &str = "attempts";
const CHANGED: &str = "changed";
const DEPLOYMENTS: &str = "deployments";

impl Kept {
    /// Reads the content of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, StagedError> {
        let mut staged = Staged::parse(bytes)?;
        let mut take = |key: &'static str| {
            let value = staged.others.get(key).cloned().ok_or(StagedError::Missing(key));
            staged.others.remove(key);
            value
        };
        let (attempts, changed, deployments) = (take(ATTEMPTS)?, take(CHANGED)?, take(DEPLOYMENTS)?);
        let changed = changed.view()?;
        let deployment = |text: &str| text.parse().map_err(|_| malformed(DEPLOYMENTS, text));
        Ok(Self {
            attempts: attempts.view()?.as_u32()?,
            changed: (changed.child(0)?.as_u64()?, changed.child(1)?.as_u32()?),
            deployments: deployments
                .view()?
                .as_strings()?
                .into_iter()
                .map(deployment)
                .collect::<Result<_, _>>()?,
            staged,
        })
    }

    /// The content of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut staged = self.staged.clone();
        let (seconds, nanoseconds) = self.changed;
        staged.others.insert(ATTEMPTS, self.attempts);
        staged.others.insert(CHANGED, Value::tuple(&[seconds.into(), nanoseconds.into()]));
        let deployments = self.deployments.iter().map(DeploymentPath::to_string);
        staged.others.insert(DEPLOYMENTS, Value::strings(deployments));
        staged.to_bytes()
    }
}

impl Place {
    fn parse(value: &Value) -> Result<Self, StagedError> {
        let dict = value.view()?;
        let text = |key: &'static str| {
            let value = dict.lookup(key)?.ok_or(StagedError::Missing(key))?;
            Ok::<_, StagedError>(value.as_str()?)
        };
        let (stateroot, name, boot_checksum) = (text(STATEROOT)?, text(NAME)?, text(BOOT_CHECKSUM)?);
        if !is_stateroot(stateroot) {
            return Err(malformed(STATEROOT, stateroot));
        }
        Ok(Self {
            path: DeploymentPath::from_name(stateroot, name).ok_or_else(|| malformed(NAME, name))?,
            boot_checksum: boot_checksum.parse().map_err(|_| malformed(BOOT_CHECKSUM, boot_checksum))?,
        })
    }

    fn to_value(&self) -> Value {
        let mut dict = DictBuilder::new();
        dict.insert(NAME, Value::string(&self.path.name()));
        dict.insert(STATEROOT, Value::string(&self.path.stateroot));
        dict.insert(BOOT_CHECKSUM, Value::string(&self.boot_checksum.to_string()));
        dict.build()
    }
}

fn malformed(key: &'static str, value: &str) -> StagedError {
    StagedError::Malformed { key, value: value.to_owned() }
}

#[cfg(test)]
mod tests;
