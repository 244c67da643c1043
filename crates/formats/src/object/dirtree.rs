// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names in a directory.

use super::error::{ObjectError, read_checksum};
use super::xattrs;
use crate::Checksum;
use crate::gvariant::{SequenceWriter, Variant};

/// The type string.
pub(super) const TYPE: &str = "(a(say)a(sayay))";

/// A file or symbolic link in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileEntry<'a> {
    /// Name, one path component.
    pub name: &'a str,
    /// The file object.
    pub checksum: Checksum,
}

/// A directory in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// Name, one path component.
    pub name: &'a str,
    /// Its dirtree object.
    pub tree: Checksum,
    /// Its dirmeta object.
    pub meta: Checksum,
}

/// A directory tree object: names and what they stand for, each list sorted by the bytes of the names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirTree<'a> {
    /// Files and symbolic links.
    pub files: Vec<FileEntry<'a>>,
    /// Directories.
    pub dirs: Vec<DirEntry<'a>>,
}

impl<'a> DirTree<'a> {
    /// Reads and checks the object.
    pub fn parse(data: &'a [u8]) -> Result<Self, ObjectError> {
        let tree = Variant::new(TYPE, data)?;
        let (files, dirs) = (tree.child(0)?, tree.child(1)?);
        let (files, dirs) = (files.plain_tuples()?, dirs.plain_tuples()?);
        let mut out = Self { files: Vec::with_capacity(files.len()), dirs: Vec::with_capacity(dirs.len()) };
        for entry in files {
            let [name, checksum] = entry?;
            let name = name.as_str()?;
            check_next(out.files.last().map(|entry| entry.name), name)?;
            out.files.push(FileEntry { name, checksum: read_checksum(checksum.as_bytes())? });
        }
        for entry in dirs {
            let [name, tree, meta] = entry?;
            let name = name.as_str()?;
            check_next(out.dirs.last().map(|entry| entry.name), name)?;
            let tree = read_checksum(tree.as_bytes())?;
            out.dirs.push(DirEntry { name, tree, meta: read_checksum(meta.as_bytes())? });
        }
        Ok(out)
    }

    /// The object's bytes. The entries must be sorted, as in every tree that was parsed.
    pub fn serialize(&self) -> Result<Vec<u8>, ObjectError> {
        let mut files = SequenceWriter::array("(say)")?;
        for entry in &self.files {
            files.push(|out| {
                let start = out.len();
                let end = push_name(out, entry.name);
                out.extend_from_slice(entry.checksum.as_bytes());
                xattrs::push_end(out, start, end);
            });
        }
        let mut dirs = SequenceWriter::array("(sayay)")?;
        for entry in &self.dirs {
            dirs.push(|out| {
                let start = out.len();
                let name_end = push_name(out, entry.name);
                out.extend_from_slice(entry.tree.as_bytes());
                out.extend_from_slice(entry.meta.as_bytes());
                push_two_ends(out, start, name_end + entry.tree.as_bytes().len(), name_end);
            });
        }
        let mut out = files.finish();
        let end = out.len();
        out.extend_from_slice(&dirs.finish());
        xattrs::push_end(&mut out, 0, end);
        Ok(out)
    }

    /// The file `name`.
    pub fn file(&self, name: &str) -> Option<&FileEntry<'a>> {
        self.files.binary_search_by(|entry| entry.name.cmp(name)).ok().and_then(|at| self.files.get(at))
    }

    /// The directory `name`.
    pub fn dir(&self, name: &str) -> Option<&DirEntry<'a>> {
        self.dirs.binary_search_by(|entry| entry.name.cmp(name)).ok().and_then(|at| self.dirs.get(at))
    }
}

fn push_name(out: &mut Vec<u8>, name: &str) -> usize {
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    name.len() + 1
}

/// The two framing offsets of a directory's entry. Names have at most 255 bytes on every file system, but an
/// object may come from anywhere, so the width is computed.
fn push_two_ends(out: &mut Vec<u8>, start: usize, first: usize, second: usize) {
    let body = out.len() - start;
    let word =
        [1_u32, 2, 4].into_iter().find(|word| body + 2 * (*word as usize) < 1 << (8 * word)).unwrap_or(8);
    for end in [first, second] {
        out.extend((end as u64).to_le_bytes().iter().take(word as usize));
    }
}

/// Checks that `name` is one path component: not empty, not `.` or `..`, without a slash.
pub fn check_name(name: &str) -> Result<(), ObjectError> {
    match name {
        "" | "." | ".." => Err(ObjectError::Name(name.to_owned())),
        name if name.contains('/') => Err(ObjectError::Name(name.to_owned())),
        _ => Ok(()),
    }
}

fn check_next(former: Option<&str>, name: &str) -> Result<(), ObjectError> {
    check_name(name)?;
    match former {
        Some(former) if former >= name => Err(ObjectError::Order(name.to_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gvariant::Value;

    fn general(files: &[(&str, Checksum)], dirs: &[(&str, Checksum, Checksum)]) -> Vec<u8> {
        let sum = |sum: &Checksum| Value::bytes(sum.as_bytes());
        let files: Vec<_> =
            files.iter().map(|(name, a)| Value::tuple(&[Value::string(name), sum(a)])).collect();
        let dirs: Vec<_> =
            dirs.iter().map(|(name, a, b)| Value::tuple(&[Value::string(name), sum(a), sum(b)])).collect();
        let arrays = [Value::array("(say)", &files).unwrap(), Value::array("(sayay)", &dirs).unwrap()];
        Value::tuple(&arrays).into_data()
    }

    #[test]
    fn trees_are_serialised_as_by_the_general_writer() {
        let (a, b) = (Checksum::of(b"a"), Checksum::of(b"b"));
        for len in [1, 100, 180, 188, 189, 190, 191, 222, 223, 255] {
            let long = "n".repeat(len);
            for count in [0, 1, 2, 200] {
                let names: Vec<String> = (0..count).map(|n| format!("{n:03}{long}")).collect();
                let files: Vec<_> = names.iter().map(|name| (name.as_str(), a)).collect();
                let dirs: Vec<_> = names.iter().map(|name| (name.as_str(), a, b)).collect();
                let bytes = general(&files, &dirs);
                let tree = DirTree::parse(&bytes).unwrap();
                assert_eq!(tree.serialize().unwrap(), bytes, "{count} names of {len}");
                assert_eq!(tree.files.len(), count);
                if let Some((name, ..)) = dirs.last() {
                    assert_eq!(tree.dir(name).unwrap().meta, b);
                    assert!(tree.file(name).is_some() && tree.file("x").is_none());
                }
            }
        }
        assert_eq!(DirTree::default().serialize().unwrap(), [0]);
        assert!(DirTree::parse(b"").is_err(), "a file that was cut off");
    }

    #[test]
    fn bad_names_and_orders_are_refused() {
        let a = Checksum::of(b"a");
        for names in [&[""][..], &["."], &[".."], &["a/b"], &["b", "a"], &["a", "a"]] {
            let files: Vec<_> = names.iter().map(|name| (*name, a)).collect();
            let dirs: Vec<_> = names.iter().map(|name| (*name, a, a)).collect();
            assert!(DirTree::parse(&general(&files, &[])).is_err(), "{names:?}");
            assert!(DirTree::parse(&general(&[], &dirs)).is_err(), "{names:?}");
        }
    }
}
