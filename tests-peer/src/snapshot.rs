// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything below a directory, a line for each thing, so that two worlds can be compared.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{lgetxattr, llistxattr};

/// Times after this are those of the run.
const NOW: i64 = 1_600_000_000;

/// Path → what it is.
pub(crate) type Snapshot = BTreeMap<String, String>;

/// Describes all that is below the directory.
pub(crate) fn take(dir: &Path) -> Result<Snapshot> {
    let mut all = Snapshot::new();
    let mut first_names: BTreeMap<u64, String> = BTreeMap::new();
    let mut below = Vec::new();
    walk(dir, PathBuf::new(), &mut below)?;
    below.sort();
    for relative in below {
        let name = relative.to_string_lossy().into_owned();
        let path = dir.join(&relative);
        let meta = fs::symlink_metadata(&path).with_context(|| format!("Looking at {}", path.display()))?;
        if !is_defined(&name, meta.is_dir()) {
            continue;
        }
        let mut text = format!("{:06o} {}:{}", meta.mode(), meta.uid(), meta.gid());
        if meta.is_file() {
            if !name.ends_with(".filez") {
                let content = fs::read(&path).with_context(|| format!("Reading {}", path.display()))?;
                let mut hasher = DefaultHasher::new();
                hasher.write(&content);
                _ = write!(text, " {} bytes {:x}", content.len(), hasher.finish());
            }
            // Whether it is another name of something: the first of its names, in the order of names. Whether two
            // repositories share an object is a program's own business.
            let first = first_names.entry(meta.ino()).or_insert_with(|| name.clone());
            if *first != name && !(is_repository(first) && is_repository(&name)) {
                _ = write!(text, " is {first}");
            }
        }
        if meta.is_symlink() {
            let target = fs::read_link(&path).with_context(|| format!("Reading {}", path.display()))?;
            _ = write!(text, " -> {}", target.display());
        }
        if !is_repository(&name) && !meta.is_dir() || name.contains("/objects/") {
            let time = match meta.mtime() {
                old @ ..NOW => old.to_string(),
                _ => "now".to_owned(),
            };
            _ = write!(text, " at {time}");
        }
        text.push_str(&xattrs(&path));
        all.insert(name, text);
    }
    Ok(all)
}

/// Whether the path is one of a repository's.
fn is_repository(name: &str) -> bool {
    name.starts_with('r')
}

/// Whether it is part of the format: the rest is a program's own business.
fn is_defined(name: &str, is_directory: bool) -> bool {
    if !is_repository(name) {
        return true;
    }
    let Some((_, inside)) = name.split_once('/') else { return true };
    // Locks, work in progress and caches; and which of the directories of objects are there.
    let own = inside.starts_with("tmp")
        || inside.starts_with(".lock")
        || inside.starts_with("uncompressed-objects-cache")
        || inside.starts_with("extensions")
        || inside.starts_with("objects/") && is_directory;
    !own
}

fn walk(root: &Path, relative: PathBuf, out: &mut Vec<PathBuf>) -> Result<()> {
    let path = root.join(&relative);
    let entries = fs::read_dir(&path).with_context(|| format!("Listing {}", path.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("Listing {}", path.display()))?;
        let below = relative.join(entry.file_name());
        let kind = entry.file_type().with_context(|| format!("Looking at {}", below.display()))?;
        out.push(below.clone());
        if kind.is_dir() {
            walk(root, below, out)?;
        }
    }
    Ok(())
}

/// The extended attributes, less those that the system gives by itself.
fn xattrs(path: &Path) -> String {
    let mut names = vec![0; 4096];
    let Ok(length) = llistxattr(path, &mut names[..]) else { return String::new() };
    names.truncate(length);
    let mut all: Vec<String> = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 65536];
        let length = lgetxattr(path, name, &mut value[..]).unwrap_or_default();
        value.truncate(length);
        let shown: String =
            value.iter().map(|byte| char::from(*byte)).flat_map(char::escape_default).collect();
        all.push(format!(" {}={shown}", String::from_utf8_lossy(name)));
    }
    all.sort();
    all.concat()
}
