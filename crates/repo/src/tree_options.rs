// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules by which a directory is read into a tree of objects.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use formats::object::{OSTREEMETA_XATTR, Xattrs};

use crate::{DevInoCache, Mode, PathSet};

/// Change of one path's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeChange {
    /// These bits are added.
    Add(u32),
    /// These are the permissions.
    Set(u32),
}

/// The rules of a commit: the parts of a directory that are taken over, and the changes on the way.
#[derive(Debug, Default)]
pub struct TreeOptions {
    /// Owner of everything, instead of the one on disk.
    pub uid: Option<u32>,
    /// Group of everything, instead of the one on disk.
    pub gid: Option<u32>,
    /// Owner and group 0, no xattrs, no mode bits but those of 0755.
    pub canonical_permissions: bool,
    /// Extended attributes are not read.
    pub no_xattrs: bool,
    /// Executable files lose their write bits.
    pub read_only_executables: bool,
    /// Files that are hard links of objects.
    pub devino: Option<DevInoCache>,
    /// Hard links of objects are taken for unmodified, whatever their metadata says.
    pub devino_canonical: bool,
    /// Paths with a leading slash and how their modes change.
    pub mode_changes: HashMap<String, ModeChange>,
    /// Paths with a leading slash that are left out, with all below them.
    pub skip: PathSet,
}

/// Reads a file of `--statoverride`: lines `MODE PATH`, the mode in decimal, with `=` in front to set it instead
/// of adding bits.
pub fn parse_mode_changes(text: &str) -> Result<HashMap<String, ModeChange>> {
    let mut out = HashMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (mode, path) = line
            .split_once(' ')
            .with_context(|| format!("Malformed statoverride file (no space found): {line}"))?;
        let parse =
            |mode: &str| mode.parse().with_context(|| format!("Malformed statoverride file: mode in {line}"));
        let change = match mode.strip_prefix('=') {
            Some(mode) => ModeChange::Set(parse(mode)?),
            None => ModeChange::Add(parse(mode)?),
        };
        out.insert(path.to_owned(), change);
    }
    Ok(out)
}

impl TreeOptions {
    /// The xattr of a bare-user repository describes the object, not the file: a hard link to such an object has
    /// it, a commit must not.
    pub(crate) fn without_own(&self, xattrs: Xattrs, mode: Mode) -> Xattrs {
        let own = |(name, _): &(&[u8], &[u8])| *name == OSTREEMETA_XATTR.as_bytes();
        if mode != Mode::BareUser || !xattrs.iter().any(|attr| own(&attr)) {
            return xattrs;
        }
        Xattrs::new(xattrs.iter().filter(|attr| !own(attr)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_changes_are_decimal() {
        let changes = parse_mode_changes("2048 /usr/bin/su\n=420 /a b\n\n").unwrap();
        assert_eq!(changes.get("/usr/bin/su"), Some(&ModeChange::Add(0o4000)));
        assert_eq!(changes.get("/a b"), Some(&ModeChange::Set(0o644)));
        for bad in ["x /a", "2048", "-1 /a"] {
            assert!(parse_mode_changes(bad).is_err(), "{bad}");
        }
    }
}
