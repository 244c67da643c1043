// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot menu as a boot loader finds it in a directory, by the rules of the Boot Loader Specification; a reader of
//! its own, so that it does not share the mistakes of what it checks.

use std::collections::BTreeMap;
use std::path::Path;

use crate::loader::Loader;
use crate::snapshot::{Hash, Node, Snapshot, hash_file};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MenuEntry {
    /// All kernel arguments.
    pub arguments: String,
    /// The deployment that `ostree=` leads to, below the root; `None` if it leads nowhere.
    pub deployment: Option<String>,
    /// The contents of kernel and initramfs.
    pub files: Vec<Hash>,
}

impl MenuEntry {
    /// The arguments, less the one that says where the deployment is.
    pub fn other_arguments(&self) -> String {
        let words = self.arguments.split_whitespace().filter(|word| !word.starts_with("ostree="));
        words.collect::<Vec<_>>().join(" ")
    }

    /// The commit of the deployment.
    pub fn commit(&self) -> Option<&str> {
        self.deployment.as_deref()?.rsplit('/').next()?.split('.').next()
    }

    /// Says whether a person would call it the same entry, whichever slot and serial it has.
    pub fn is_same_system(&self, other: &Self) -> bool {
        self.commit() == other.commit()
            && self.files == other.files
            && self.other_arguments() == other.other_arguments()
    }

    /// `ostree=` alone.
    fn bootlink(&self) -> Option<&str> {
        self.arguments.split_whitespace().find_map(|word| word.strip_prefix("ostree="))
    }
}

/// All entries, the default first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Menu {
    /// The entries.
    pub entries: Vec<MenuEntry>,
    /// The parts that a boot loader could not follow.
    pub problems: Vec<String>,
}

impl Menu {
    /// Reads the entries in the directory `boot`, and follows `ostree=` in the root.
    pub fn read(boot: &Path, root: &Snapshot) -> Self {
        let mut menu = Self::visible(boot, Loader::Entries);
        menu.follow(root);
        menu
    }

    /// Reads what a boot loader finds in the directory `boot`; where an entry leads to is not known yet.
    pub fn visible(boot: &Path, loader: Loader) -> Self {
        match loader.file() {
            Some(file) => Self::of_file(boot, loader, file),
            None => Self::of_entries(boot),
        }
    }

    /// A menu in a file of the loader's own.
    fn of_file(boot: &Path, loader: Loader, file: &str) -> Self {
        let mut menu = Self::default();
        let text = std::fs::read_to_string(boot.join(file)).map_err(|error| error.to_string());
        let read = |text: String| -> Result<Vec<MenuEntry>, String> {
            let entry = |own: crate::loader::OwnEntry| {
                let files = own.files.iter().map(|path| hash_in(boot, path)).collect::<Result<_, _>>()?;
                Ok(MenuEntry { arguments: own.arguments, deployment: None, files })
            };
            loader.parse(&text)?.into_iter().map(entry).collect()
        };
        match text.and_then(read) {
            Ok(entries) => menu.entries = entries,
            Err(problem) => menu.problems.push(format!("/boot/{file}: {problem}")),
        }
        menu
    }

    fn of_entries(boot: &Path) -> Self {
        let mut menu = Self::default();
        if std::fs::symlink_metadata(boot.join("loader")).is_err() {
            return menu;
        }
        let names = match names(&boot.join("loader/entries")) {
            Ok(names) => names,
            Err(error) => {
                menu.problems.push(format!("/boot/loader/entries: {error}"));
                return menu;
            }
        };
        for name in names.iter().rev() {
            match read_entry(boot, name) {
                Ok(entry) => menu.entries.push(entry),
                Err(problem) => menu.problems.push(format!("{name}: {problem}")),
            }
        }
        if menu.entries.is_empty() && menu.problems.is_empty() {
            menu.problems.push("/boot/loader/entries is empty".to_owned());
        }
        menu
    }

    /// Follows `ostree=` of each entry in the root.
    pub fn follow(&mut self, root: &Snapshot) {
        for entry in &mut self.entries {
            entry.deployment = entry.bootlink().and_then(|link| resolve(root, link));
            if entry.deployment.is_none() {
                self.problems.push(format!("{} leads to no deployment", entry.arguments));
            }
        }
    }
}

fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| name.ends_with(".conf"));
    names.sort();
    Ok(names)
}

fn read_entry(boot: &Path, name: &str) -> Result<MenuEntry, String> {
    let text = std::fs::read_to_string(boot.join("loader/entries").join(name)).map_err(|e| e.to_string())?;
    let mut keys: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once([' ', '\t']).ok_or_else(|| format!("no value in {line:?}"))?;
        keys.entry(key).or_default().push(value.trim());
    }
    let of = |key: &str| keys.get(key).into_iter().flatten().copied();
    let mut files = Vec::new();
    for path in of("linux").chain(of("initrd")) {
        files.push(hash_in(boot, path)?);
    }
    if of("linux").count() != 1 || of("title").count() != 1 {
        return Err(format!("not one kernel and one title: {text:?}"));
    }
    let arguments = of("options").collect::<Vec<_>>().join(" ");
    Ok(MenuEntry { arguments, deployment: None, files })
}

/// The hash of a file that a menu names.
fn hash_in(boot: &Path, path: &str) -> Result<Hash, String> {
    // With a prefix the path begins at the root of the one file system.
    let below = path.strip_prefix("/boot/").or(path.strip_prefix('/')).unwrap_or(path);
    hash_file(&boot.join(below)).map_err(|error| format!("{path}: {error}"))
}

/// Follows a path below the root, as the initramfs does; gives the directory that it leads to.
fn resolve(root: &Snapshot, path: &str) -> Option<String> {
    /// As many links as the kernel follows.
    const LINKS: usize = 40;
    let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => done.push(name),
        }
        match &root.get(&done.join("/"))?.node {
            Node::Directory => {}
            Node::Link(target) => {
                links += 1;
                done.pop();
                todo.extend(target.split('/').rev().map(str::to_owned));
            }
            _ => return None,
        }
        if links > LINKS {
            return None;
        }
    }
    Some(done.join("/"))
}
