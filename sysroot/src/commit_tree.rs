// SPDX-License-Identifier: MIT OR Apache-2.0
//! A commit as a tree that can be looked at, before anybody has checked it out.

use std::io::Read;

use anyhow::Result;
use bootloader::{KernelError, ReadTree};
use formats::Checksum;
use formats::object::{FileEntry, FileHeader};
use repo::{Content, Entry, Repo};

/// How many links are followed on the way to one file, as the kernel has it.
const MAX_LINKS: usize = 40;

/// The largest text that is read of a tree, in bytes: `os-release` and the like have a few hundred.
const MAX_TEXT: u64 = 64 * 1024;

/// The tree of a commit.
pub(crate) struct CommitTree<'a> {
    repo: &'a Repo,
    root: Entry,
}

impl<'a> CommitTree<'a> {
    pub(crate) fn open(repo: &'a Repo, commit: &Checksum) -> Result<Self> {
        Ok(Self { repo, root: repo.root_of(commit)? })
    }

    /// What lies at a path, through links; `None` where there is nothing.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Entry>> {
        let mut todo: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut way = vec![self.root];
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    if way.len() > 1 {
                        way.pop();
                    }
                    continue;
                }
                _ => {}
            }
            let Some(Entry::Dir { tree, .. }) = way.last() else { return Ok(None) };
            let data = self.repo.load_dirtree(tree)?;
            let dir = self.repo.parse_dirtree(tree, &data)?;
            if let Some(dir) = dir.dir(&part) {
                way.push(Entry::Dir { tree: dir.tree, meta: dir.meta });
            } else if let Some(FileEntry { checksum, .. }) = dir.file(&part) {
                match self.link_target(checksum)? {
                    None => way.push(Entry::File(*checksum)),
                    Some(_) if links == MAX_LINKS => return Ok(None),
                    Some(target) => {
                        links += 1;
                        if target.starts_with('/') {
                            way.truncate(1);
                        }
                        todo.extend(target.rsplit('/').map(str::to_owned));
                    }
                }
            } else {
                return Ok(None);
            }
        }
        Ok(way.pop())
    }

    /// The text of a file; `None` where there is none.
    pub(crate) fn read_text(&self, path: &str) -> Result<Option<String>> {
        let Some(Entry::File(checksum)) = self.find(path)? else { return Ok(None) };
        let file = self.repo.load_file(&checksum)?;
        let mut text = String::new();
        file.content.take(MAX_TEXT).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// What a checkout makes, and what the copy of `/usr/etc` does.
    pub(crate) fn census(&self) -> Result<Census> {
        let mut census = Census::default();
        let mut todo = vec![self.root];
        while let Some(Entry::Dir { tree, .. }) = todo.pop() {
            let data = self.repo.load_dirtree(&tree)?;
            let dir = self.repo.parse_dirtree(&tree, &data)?;
            census.directories += 1;
            census.links += dir.files.len() as u64;
            todo.extend(dir.dirs.iter().map(|dir| Entry::Dir { tree: dir.tree, meta: dir.meta }));
        }
        let etc = match self.find("usr/etc")? {
            Some(found) => Some(found),
            None => self.find("etc")?,
        };
        let mut todo: Vec<Entry> = etc.into_iter().collect();
        while let Some(entry) = todo.pop() {
            census.etc_files += 1;
            match entry {
                Entry::File(checksum) => census.etc_bytes.push(self.repo.file_size(&checksum)?),
                Entry::Dir { tree, .. } => {
                    census.etc_bytes.push(1);
                    let data = self.repo.load_dirtree(&tree)?;
                    let dir = self.repo.parse_dirtree(&tree, &data)?;
                    todo.extend(dir.files.iter().map(|file| Entry::File(file.checksum)));
                    todo.extend(dir.dirs.iter().map(|dir| Entry::Dir { tree: dir.tree, meta: dir.meta }));
                }
            }
        }
        Ok(census)
    }

    fn link_target(&self, checksum: &Checksum) -> Result<Option<String>> {
        let file = self.repo.load_file(checksum)?;
        let FileHeader { target, .. } = file.header;
        Ok(matches!(file.content, Content::Link).then_some(target))
    }
}

/// What is in a tree, as far as a deployment has to make it anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Directories: a checkout makes each of them.
    pub(crate) directories: u64,
    /// Files, which become hard links.
    pub(crate) links: u64,
    /// What `/etc` is made of, its directories included.
    pub(crate) etc_files: u64,
    /// The size of each of these, in bytes; of a directory, 1.
    pub(crate) etc_bytes: Vec<u64>,
}

impl ReadTree for CommitTree<'_> {
    fn names(&self, path: &str) -> Result<Option<Vec<String>>, KernelError> {
        let Some(Entry::Dir { tree, .. }) = self.find(path)? else { return Ok(None) };
        let data = self.repo.load_dirtree(&tree)?;
        let dir = self.repo.parse_dirtree(&tree, &data)?;
        let files = dir.files.iter().map(|file| file.name);
        Ok(Some(files.chain(dir.dirs.iter().map(|dir| dir.name)).map(str::to_owned).collect()))
    }

    fn size(&self, path: &str) -> Result<Option<u64>, KernelError> {
        let Some(Entry::File(checksum)) = self.find(path)? else { return Ok(None) };
        Ok(Some(self.repo.file_size(&checksum)?))
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read>, KernelError> {
        match self.find(path)? {
            Some(Entry::File(checksum)) => Ok(Box::new(self.repo.load_file(&checksum)?.content)),
            _ => Err(anyhow::anyhow!("There is no file /{path} in the tree").into()),
        }
    }
}
