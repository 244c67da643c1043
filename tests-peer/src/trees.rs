// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random trees.

use crate::case::{Entry, Kind};
use crate::random::Random;

/// Names; several are hard to read for a program that is not careful.
const NAMES: [&str; 22] = [
    "a",
    "b",
    "c",
    "bin",
    "etc",
    "usr",
    "lib",
    "file.txt",
    "ä",
    "日本",
    "a b",
    "-x",
    "it's",
    "q\"q",
    "back\\slash",
    "*",
    "new\nline",
    ".hidden",
    ".wh.a",
    ".wh.bin",
    "tab\t",
    "~",
];
const MODES: [u32; 14] =
    [0o644, 0o644, 0o644, 0o755, 0o755, 0o600, 0, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777, 0o444, 0o100];
const DIRECTORY_MODES: [u32; 8] = [0o755, 0o755, 0o755, 0o700, 0o1777, 0o2775, 0o555, 0o711];
const OWNERS: [(u32, u32); 6] = [(0, 0), (0, 0), (0, 0), (1000, 1000), (0, 42), (65534, 65534)];
const SIZES: [usize; 10] = [0, 0, 1, 5, 17, 100, 4096, 5000, 70_000, 1 << 20];
const XATTRS: [(&str, &str); 6] = [
    ("user.one", "1"),
    ("user.two", "value with spaces"),
    ("user.ä", "ü"),
    ("security.test", "label"),
    ("user.long", "0123456789012345678901234567890123456789"),
    ("trusted.t", "t"),
];
/// Only links and directories without `user.` have them.
const LINK_XATTRS: [(&str, &str); 2] = [("security.test", "l"), ("trusted.t", "l")];
const TARGETS: [&str; 6] = ["a", "../a", "/etc/passwd", "does/not/exist", "ä b", "."];

/// Makes the entries of a tree; its directory is the first.
pub(crate) fn grow(random: &mut Random, root: &str) -> Vec<Entry> {
    let mut entries = vec![Entry::plain(root.to_owned(), Kind::Directory)];
    let mut directories = vec![root.to_owned()];
    let mut files: Vec<String> = Vec::new();
    let big = random.one_in(20);
    let count = random.below(if big { 60 } else { 12 });
    // Most cases have no use for a big file.
    let sizes = if random.one_in(8) { SIZES.len() } else { 8 };
    for _ in 0..count {
        let directory = random.pick(&directories);
        let path = format!("{directory}/{}", random.pick(&NAMES));
        if entries.iter().any(|entry| entry.path == path) {
            continue;
        }
        let kind = match random.below(12) {
            0..3 => Kind::Directory,
            3 => Kind::Link(random.pick(&TARGETS).to_owned()),
            4 if !files.is_empty() => Kind::Hard(random.pick(&files)),
            5 if random.one_in(40) => Kind::Fifo,
            _ => Kind::Filled(random.pick(&SIZES[..sizes.min(SIZES.len())]), random.below(4) as u64),
        };
        let mut entry = Entry::plain(path.clone(), kind);
        dress(random, &mut entry);
        match &entry.kind {
            Kind::Directory => directories.push(path),
            Kind::Filled(..) => files.push(path),
            _ => {}
        }
        entries.push(entry);
    }
    if random.one_in(10) {
        entries.extend(deep(root));
    }
    entries
}

/// Gives mode, owner and attributes.
fn dress(random: &mut Random, entry: &mut Entry) {
    if let Kind::Hard(_) = entry.kind {
        return;
    }
    if random.one_in(2) {
        entry.mode = match entry.kind {
            Kind::Directory => random.pick(&DIRECTORY_MODES),
            _ => random.pick(&MODES),
        };
    }
    entry.owner = random.pick(&OWNERS);
    if random.one_in(4) {
        let from: &[(&str, &str)] = match entry.kind {
            Kind::Link(_) | Kind::Fifo => &LINK_XATTRS,
            _ => &XATTRS,
        };
        for _ in 0..=random.below(2) {
            let (name, value) = random.pick(from);
            if entry.xattrs.iter().all(|(other, _)| other != name) {
                entry.xattrs.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

/// A directory in a directory, thirty times.
fn deep(root: &str) -> Vec<Entry> {
    let mut path = format!("{root}/deep");
    let mut entries = Vec::new();
    for _ in 0..30 {
        entries.push(Entry::plain(path.clone(), Kind::Directory));
        path.push_str("/d");
    }
    entries.push(Entry::plain(path, Kind::Filled(3, 1)));
    entries
}
