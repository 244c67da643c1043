// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy that the configuration of a tree asks for (`selinux(8)`, `SELINUX=` and `SELINUXTYPE=`).

use std::os::fd::BorrowedFd;

use anyhow::Result;

use crate::tree;

/// The places of the policies in a tree: the directory that is, or will be, `/etc`.
const PLACES: [&str; 2] = ["etc/selinux", "usr/etc/selinux"];

/// The policy of a tree without `SELINUXTYPE=` in its configuration, as libselinux says.
const DEFAULT_POLICY: &str = "targeted";

/// An installed policy that `/etc/selinux/config` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Its directory in the tree.
    pub(crate) dir: String,
    /// Its name.
    pub(crate) name: String,
    /// Whether a forbidden act fails, and is not only written to a log.
    pub(crate) enforcing: bool,
}

impl Policy {
    /// Reads the configuration of a tree; `None` if the tree has no SELinux, or it is disabled, or its policy is not installed.
    pub(crate) fn of(tree: BorrowedFd<'_>) -> Result<Option<Self>> {
        for place in PLACES {
            if let Some(text) = tree::read_text(tree, &format!("{place}/config"))? {
                let Some((enforcing, name)) = parse(&text) else { return Ok(None) };
                let dir = format!("{place}/{name}");
                let there = rustix::fs::statat(tree, &dir, rustix::fs::AtFlags::empty()).is_ok();
                return Ok(there.then_some(Self { dir, name, enforcing }));
            }
        }
        Ok(None)
    }
}

/// Reads whether SELinux enforces, and the name of the policy; `None` if it is disabled. Of two lines the last counts.
pub(crate) fn parse(config: &str) -> Option<(bool, String)> {
    let value = |key: &str| {
        let mut values = config.lines().rev().filter_map(|line| line.trim().split_once('='));
        values.find(|(k, _)| k.trim() == key).map(|(_, v)| v.trim())
    };
    let mode = value("SELINUX")?;
    let is = |name: &str| mode.eq_ignore_ascii_case(name);
    if !is("enforcing") && !is("permissive") {
        return None;
    }
    let policy = value("SELINUXTYPE").filter(|name| !name.is_empty()).unwrap_or(DEFAULT_POLICY);
    Some((is("enforcing"), policy.to_owned()))
}
