// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules by which a directory is read into a tree of objects.

use anyhow::{Context as _, Result, ensure};
use formats::object::{FileMeta, OSTREEMETA_XATTR, Xattrs};
use rustix::fs::FileType;

use crate::path_table::PathTable;
use crate::{DevInoCache, Mode, acl};

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
    pub mode_changes: PathTable<ModeChange>,
    /// Paths with a leading slash that are left out, with all below them.
    pub skip: PathTable<()>,
}

/// Reads a file of `--statoverride`: lines `MODE PATH`, the mode in decimal, with `=` in front to set it instead
/// of adding bits.
pub fn parse_mode_changes(text: &str) -> Result<PathTable<ModeChange>> {
    let change = |line: &str| {
        let (mode, path) = line
            .split_once(' ')
            .with_context(|| format!("Malformed statoverride file (no space found): {line}"))?;
        let parse =
            |mode: &str| mode.parse().with_context(|| format!("Malformed statoverride file: mode in {line}"));
        let change = match mode.strip_prefix('=') {
            Some(mode) => ModeChange::Set(parse(mode)?),
            None => ModeChange::Add(parse(mode)?),
        };
        Ok((path.to_owned(), change))
    };
    text.lines().filter(|line| !line.is_empty()).map(change).collect()
}

impl TreeOptions {
    /// Whether a tree may come out otherwise than it is.
    pub(crate) fn change_anything(&self) -> bool {
        self.uid.is_some()
            || self.gid.is_some()
            || self.canonical_permissions
            || self.no_xattrs
            || self.read_only_executables
            || !self.mode_changes.is_empty()
            || !self.skip.is_empty()
    }

    /// Checks that the rules do not contradict each other.
    ///
    /// # Errors
    /// Canonical permissions, and an owner that is not 0.
    pub fn check(&self) -> Result<()> {
        for (name, owner) in [("uid", self.uid), ("gid", self.gid)] {
            ensure!(
                !self.canonical_permissions || owner.unwrap_or(0) == 0,
                "Cannot specify both --canonical-permissions and non-zero --owner-{name}"
            );
        }
        Ok(())
    }

    /// Checks, once all trees are read, that every path that the rules name was in one of them.
    ///
    /// # Errors
    /// One was not: its name may be misspelt, and the commit would hold what it must not.
    pub fn check_met(&self) -> Result<()> {
        check_list("Unmatched statoverride paths", self.mode_changes.unmet())?;
        check_list("Unmatched skip-list paths", self.skip.unmet())
    }

    /// Applies the rules to the metadata of the file or directory at `path`, which begins with a slash.
    pub(crate) fn modify(&self, found: FileMeta, path: &str) -> FileMeta {
        let kind = FileType::from_raw_mode(found.mode);
        let mut mode = found.mode;
        if self.read_only_executables && kind == FileType::RegularFile && mode & 0o111 != 0 {
            mode &= !0o222;
        }
        match self.mode_changes.meet(path) {
            Some(ModeChange::Add(bits)) => mode |= bits,
            Some(ModeChange::Set(bits)) => mode = mode & 0o170_000 | bits & 0o7777,
            None => {}
        }
        let (mut uid, mut gid) = (self.uid.unwrap_or(found.uid), self.gid.unwrap_or(found.gid));
        if self.canonical_permissions {
            (uid, gid) = (0, 0);
            if kind != FileType::Symlink {
                mode &= 0o170_755;
            }
        }
        let xattrs = match mode == found.mode {
            true => found.xattrs,
            false => with_mode(found.xattrs, mode),
        };
        FileMeta { uid, gid, mode, xattrs }
    }

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

/// An access control list holds the mode too: a file that gets both has the list of the mode, and so must the object.
fn with_mode(xattrs: Xattrs, mode: u32) -> Xattrs {
    let Some(list) =
        xattrs.iter().find_map(|(name, value)| (name == acl::ACCESS).then(|| acl::with_mode(value, mode)))
    else {
        return xattrs;
    };
    let changed = |(name, value)| (name, if name == acl::ACCESS { list.as_slice() } else { value });
    Xattrs::new(xattrs.iter().map(changed).collect())
}

fn check_list<'a>(phrase: &str, unmet: impl Iterator<Item = &'a str>) -> Result<()> {
    let unmet: Vec<&str> = unmet.collect();
    ensure!(unmet.is_empty(), "{phrase}: {}", unmet.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_changes_are_decimal() {
        let changes = parse_mode_changes("2048 /usr/bin/su\n=420 /a b\n\n").unwrap();
        assert_eq!(changes.meet("/usr/bin/su"), Some(&ModeChange::Add(0o4000)));
        assert_eq!(changes.meet("/a b"), Some(&ModeChange::Set(0o644)));
        for bad in ["x /a", "2048", "-1 /a"] {
            assert!(parse_mode_changes(bad).is_err(), "{bad}");
        }
    }
}
