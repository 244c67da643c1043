// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boot Loader Specification, type 1: the text of an entry, its file name, and the order of entries.
//! <https://uapi-group.org/specifications/specs/boot_loader_specification/>
//!
//! ```text
//! loader/entries/ostree-2+3-1.conf        id "ostree-2", 3 tries left, 1 done
//!
//! title Debian GNU/Linux 13 (ostree:0)
//! version 2
//! options root=LABEL=root rw ostree=/ostree/boot.1/debian/<boot checksum>/0
//! linux /ostree/debian-<boot checksum>/vmlinuz-6.12.0
//! initrd /ostree/debian-<boot checksum>/initramfs-6.12.0.img
//! ```

mod name;

use std::cmp::Ordering;
use std::fmt;

use crate::version;

pub use name::{EntryName, NameError, Tries};

/// An entry: keys and values in the order of the file. Unknown keys are kept: they belong to other tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    fields: Vec<(String, String)>,
}

/// A line that no text file has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} holds a control character: the file is damaged")]
pub struct EntryError {
    /// Counted from 1.
    pub line: usize,
}

impl Entry {
    /// Reads `text` as boot loaders do: comments, and keys without a value, are passed over.
    pub fn parse(text: &str) -> Result<Self, EntryError> {
        let mut fields = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.contains(|c: char| c.is_control() && c != '\t') {
                return Err(EntryError { line: index + 1 });
            }
            let line = line.trim();
            if let Some((key, value)) = line.split_once([' ', '\t'])
                && !line.starts_with('#')
            {
                fields.push((key.to_owned(), value.trim_start().to_owned()));
            }
        }
        Ok(Self { fields })
    }

    /// The fields in the order of the file.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// All values of a key, as of `initrd`.
    pub fn all(&self, key: &str) -> impl DoubleEndedIterator<Item = &str> {
        self.fields.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The value of a key that is given once; of several the last, which is what systemd-boot and GRUB take.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next_back()
    }

    /// The name in the menu.
    pub fn title(&self) -> Option<&str> {
        self.get("title")
    }

    /// The version by which entries of one system are sorted.
    pub fn version(&self) -> Option<&str> {
        self.get("version")
    }

    /// The path of the kernel, from the root of its file system as the loader sees it.
    pub fn linux(&self) -> Option<&str> {
        self.get("linux")
    }

    /// The paths of the initrds, in the order in which they are loaded. The key may be repeated; GRUB takes several paths, and its
    /// variables, on a line as well.
    pub fn initrd(&self) -> Vec<&str> {
        self.all("initrd").flat_map(str::split_ascii_whitespace).collect()
    }

    /// The kernel command line. The key may be repeated; the lines are joined, as the specification says.
    pub fn options(&self) -> String {
        self.all("options").collect::<Vec<_>>().join(" ")
    }

    /// Adds a field at the end. A line break in `value` would forge another field and becomes a blank.
    pub fn push(&mut self, key: &str, value: &str) {
        self.fields.push((key.to_owned(), value.replace(['\n', '\r'], " ")));
    }

    /// Gives a key one value: in the place of its first, or at the end.
    pub fn set(&mut self, key: &str, value: &str) {
        let at = self.fields.iter().position(|(k, _)| k == key).unwrap_or(self.fields.len());
        self.remove(key);
        self.push(key, value);
        let last = self.fields.len() - 1;
        self.fields[at..=last].rotate_right(1);
    }

    /// Removes every field with this key.
    pub fn remove(&mut self, key: &str) {
        self.fields.retain(|(k, _)| k != key);
    }
}

/// Sorts as systemd-boot shows its menu: the first one is the default. Entries without tries come last, those
/// with a `sort-key` before those without; then by `sort-key`, `machine-id`, `version` (newest first), and by
/// id (newest first). Without a `sort-key`, the `version` field takes no part: the file name decides.
pub fn sort<T>(entries: &mut [T], parts: impl Fn(&T) -> (&EntryName, &Entry)) {
    entries.sort_by(|a, b| compare(parts(a), parts(b)));
}

fn compare(a: (&EntryName, &Entry), b: (&EntryName, &Entry)) -> Ordering {
    let ((name_a, a), (name_b, b)) = (a, b);
    let spent = |name: &EntryName| name.tries.as_ref().is_some_and(|tries| tries.left == 0);
    let by_key = match (a.get("sort-key"), b.get("sort-key")) {
        (Some(key_a), Some(key_b)) => {
            let newest = version::compare(b.version().unwrap_or(""), a.version().unwrap_or(""));
            key_a.cmp(key_b).then(a.get("machine-id").cmp(&b.get("machine-id"))).then(newest)
        }
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    let left = |name: &EntryName| name.tries.as_ref().map_or(u32::MAX, |tries| tries.left);
    let done = |name: &EntryName| name.tries.as_ref().map_or(0, |tries| tries.done);
    spent(name_a)
        .cmp(&spent(name_b))
        .then(by_key)
        .then_with(|| version::compare(&name_b.id, &name_a.id))
        .then(left(name_b).cmp(&left(name_a)))
        .then(done(name_a).cmp(&done(name_b)))
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields.iter().try_for_each(|(key, value)| writeln!(f, "{key} {value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "title Debian\nversion 2\noptions root=/dev/vda  rw\nlinux /vmlinuz\ninitrd /a\ninitrd /b\n\
                        x-options-source-me quiet\n";

    #[test]
    fn reads_and_writes() {
        let entry = Entry::parse(TEXT).unwrap();
        assert_eq!(entry.to_string(), TEXT);
        assert_eq!((entry.title(), entry.version()), (Some("Debian"), Some("2")));
        assert_eq!((entry.linux(), entry.initrd()), (Some("/vmlinuz"), vec!["/a", "/b"]));
        assert_eq!(entry.options(), "root=/dev/vda  rw");
        assert_eq!(entry.get("x-options-source-me"), Some("quiet"));
        let loose = Entry::parse("# c\n\n  title\t Debian \nversion\noptions a\noptions b\n").unwrap();
        assert_eq!(loose.fields().count(), 3);
        assert_eq!((loose.title(), loose.options()), (Some("Debian"), "a b".to_owned()));
        assert_eq!(Entry::parse("initrd /a  $x\ninitrd /b").unwrap().initrd(), ["/a", "$x", "/b"]);
    }

    #[test]
    fn damage_is_seen() {
        assert_eq!(Entry::parse("title a\nlinux /v\0\n"), Err(EntryError { line: 2 }));
    }

    #[test]
    fn edits_keep_the_order() {
        let mut entry = Entry::parse(TEXT).unwrap();
        entry.set("version", "3");
        entry.set("initrd", "/c");
        entry.set("new", "x\nforged y");
        let keys: Vec<_> = entry.fields().map(|(key, _)| key).collect();
        assert_eq!(keys, ["title", "version", "options", "linux", "initrd", "x-options-source-me", "new"]);
        assert_eq!((entry.version(), entry.initrd()), (Some("3"), vec!["/c"]));
        assert_eq!(entry.get("new"), Some("x forged y"));
    }

    #[test]
    fn order_is_systemd_boots() {
        let sorted = [
            "key-2.conf",
            "key-1.conf",
            "ostree-10.conf",
            "ostree-2+3.conf",
            "ostree-2+1-2.conf",
            "a.conf",
            "z+0-3.conf",
        ];
        let mut entries: Vec<(EntryName, Entry)> = sorted
            .iter()
            .rev()
            .map(|name| {
                let version = name.trim_start_matches("key-");
                let text = if name.starts_with("key") {
                    format!("sort-key k\nversion {version}\n")
                } else {
                    String::new()
                };
                (name.parse().unwrap(), Entry::parse(&text).unwrap())
            })
            .collect();
        sort(&mut entries, |(name, entry)| (name, entry));
        let names: Vec<_> = entries.iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, sorted);
    }

    proptest! {
        #[test]
        fn any_text_is_a_result(text in "(title|initrd|#)?[a-c \t\n\0]{0,40}") {
            if let Ok(entry) = Entry::parse(&text) {
                prop_assert_eq!(Entry::parse(&entry.to_string()), Ok(entry));
            }
        }
    }
}
