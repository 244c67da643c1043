// SPDX-License-Identifier: MIT OR Apache-2.0
//! A commit as a tree that can be looked at, before anybody has checked it out.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bootloader::{Found, KernelError, Lookup, ReadTree, resolve_links};
use formats::Checksum;
use formats::object::FileHeader;
use repo::{Content, Entry, Repo};

/// The largest text that is read of a tree, in bytes: `os-release` and the like have a few hundred.
const MAX_TEXT: u64 = 64 * 1024;

/// The tree of a commit.
#[derive(Debug)]
pub struct CommitTree<'a> {
    repo: &'a Repo,
    root: Entry,
    /// The directories that were read, by their checksums: each is asked for once more for every file in it, and a directory of
    /// device trees has a thousand.
    known: Mutex<HashMap<Checksum, Arc<BTreeMap<String, Entry>>>>,
}

impl<'a> CommitTree<'a> {
    /// Opens the tree of a commit.
    ///
    /// # Errors
    ///
    /// The commit cannot be read.
    pub fn open(repo: &'a Repo, commit: &Checksum) -> Result<Self> {
        Ok(Self { repo, root: repo.root_of(commit)?, known: Mutex::default() })
    }

    /// Finds the entry at a path, through links; `None` where there is nothing.
    ///
    /// # Errors
    ///
    /// An object on the way cannot be read.
    pub fn find(&self, path: &str) -> Result<Option<Entry>> {
        Ok(resolve_links(self, path)?.map(|(_, entry)| entry))
    }

    fn directory(&self, tree: &Checksum) -> Result<Arc<BTreeMap<String, Entry>>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(tree) {
            return Ok(Arc::clone(known));
        }
        let data = self.repo.load_dirtree(tree)?;
        let dir = self.repo.parse_dirtree(tree, &data)?;
        let files = dir.files.iter().map(|file| (file.name.to_owned(), Entry::File(file.checksum)));
        let dirs =
            dir.dirs.iter().map(|dir| (dir.name.to_owned(), Entry::Dir { tree: dir.tree, meta: dir.meta }));
        let entries: Arc<BTreeMap<String, Entry>> = Arc::new(files.chain(dirs).collect());
        known().insert(*tree, Arc::clone(&entries));
        Ok(entries)
    }

    /// Tells whether there is a directory of this name at the top, and no link to one.
    ///
    /// # Errors
    ///
    /// The root directory cannot be read.
    pub fn is_directory(&self, name: &str) -> Result<bool> {
        let Entry::Dir { tree, .. } = self.root else { return Ok(false) };
        let data = self.repo.load_dirtree(&tree)?;
        Ok(self.repo.parse_dirtree(&tree, &data)?.dir(name).is_some())
    }

    /// Reads the text of a file; `None` where there is none.
    ///
    /// # Errors
    ///
    /// An object on the way cannot be read, or the file is no text.
    pub fn read_text(&self, path: &str) -> Result<Option<String>> {
        let Some(Entry::File(checksum)) = self.find(path)? else { return Ok(None) };
        let file = self.repo.load_file(&checksum)?;
        let mut text = String::new();
        file.content.take(MAX_TEXT).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// Counts the directories and links that a checkout makes, and the files of the copy of `/usr/etc`.
    ///
    /// # Errors
    ///
    /// A directory cannot be read.
    pub fn census(&self) -> Result<Census> {
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

/// The contents of a tree that a deployment has to make anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Directories: a checkout makes each of them.
    pub directories: u64,
    /// Files, which become hard links.
    pub links: u64,
    /// Files and directories that `/etc` is made of.
    pub etc_files: u64,
    /// The size of each of these, in bytes; of a directory, 1.
    pub etc_bytes: Vec<u64>,
}

impl Lookup for CommitTree<'_> {
    type Entry = Entry;
    type Error = anyhow::Error;

    fn top(&self) -> Result<Entry> {
        Ok(self.root)
    }

    fn look_up(&self, parent: &Entry, path: &str) -> Result<Option<Found<Entry>>> {
        let Entry::Dir { tree, .. } = parent else { return Ok(None) };
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        Ok(match self.directory(tree)?.get(name) {
            None => None,
            Some(Entry::File(checksum)) => Some(match self.link_target(checksum)? {
                Some(target) => Found::Link(target),
                None => Found::Entry(Entry::File(*checksum)),
            }),
            Some(entry) => Some(Found::Entry(*entry)),
        })
    }
}

impl ReadTree for CommitTree<'_> {
    fn names(&self, path: &str) -> Result<Option<Vec<String>>, KernelError> {
        let Some(Entry::Dir { tree, .. }) = self.find(path)? else { return Ok(None) };
        Ok(Some(self.directory(&tree)?.keys().cloned().collect()))
    }

    fn file(&self, path: &str) -> Result<Option<(String, u64)>, KernelError> {
        let Some((path, Entry::File(checksum))) = resolve_links(self, path)? else { return Ok(None) };
        Ok(Some((path, self.repo.file_size(&checksum)?)))
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read>, KernelError> {
        match self.find(path)? {
            Some(Entry::File(checksum)) => Ok(Box::new(self.repo.load_file(&checksum)?.content)),
            _ => Err(anyhow::anyhow!("There is no file /{path} in the tree").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd;
    use std::path::Path;

    use repo::commit::{TreeOptions, add_directory};
    use repo::tree::Tree;
    use repo::{InitOptions, Mode};

    /// A commit of `count` files in `dtb`, and a link to that.
    fn commit_files(top: &Path, count: usize) -> (Repo, Checksum) {
        fs::create_dir_all(top.join("tree/dtb")).unwrap();
        (0..count).for_each(|index| fs::write(top.join(format!("tree/dtb/{index}.dtb")), "t").unwrap());
        std::os::unix::fs::symlink("/dtb", top.join("tree/link")).unwrap();
        commit(top)
    }

    /// A commit of the files in `tree`.
    fn commit(top: &Path) -> (Repo, Checksum) {
        let dir = fs::File::open(top).unwrap();
        Repo::init_at(&dir, "repo", &InitOptions { mode: Mode::Bare, collection_id: None }).unwrap();
        let repo = Repo::open_at(&dir, "repo").unwrap();
        let mut transaction = repo.begin().unwrap();
        let mut tree = Tree::new();
        let files = fs::File::open(top.join("tree")).unwrap();
        let options = TreeOptions::default();
        add_directory(&mut transaction, &mut tree, files.as_fd(), Path::new("."), &options).unwrap();
        let (tree, meta) = tree.write(&mut transaction).unwrap();
        let checksum = transaction.write_commit(&formats::object::Commit::new(tree, meta)).unwrap();
        transaction.commit().unwrap();
        (repo, checksum)
    }

    #[test]
    fn a_directory_is_parsed_once_for_all_its_files() {
        const COUNT: usize = 300;
        let top = tempfile::tempdir().unwrap();
        let (repo, commit) = commit_files(top.path(), COUNT);
        let tree = CommitTree::open(&repo, &commit).unwrap();
        let first = tree.names("dtb").unwrap().unwrap();
        assert_eq!(first.len(), COUNT);
        for name in &first {
            let found = ReadTree::file(&tree, &format!("link/{name}")).unwrap();
            assert_eq!(found, Some((format!("dtb/{name}"), 1)));
        }
        assert_eq!(tree.known.lock().unwrap().len(), 2, "the top, and dtb");
        assert_eq!(ReadTree::file(&tree, "../dtb/./0.dtb").unwrap(), Some(("dtb/0.dtb".to_owned(), 1)));
        assert_eq!(ReadTree::file(&tree, "dtb/none").unwrap(), None);
        assert!(!tree.is_directory("link").unwrap() && tree.is_directory("dtb").unwrap());
    }

    #[test]
    fn links_in_a_commit_lead_as_in_every_tree() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("tree")).unwrap();
        test_world::links::make(&top.path().join("tree"));
        let (repo, commit) = commit(top.path());
        let tree = CommitTree::open(&repo, &commit).unwrap();
        for (path, expected) in test_world::links::CASES {
            let found = ReadTree::file(&tree, path).unwrap().map(|(path, _)| path);
            assert_eq!(found.as_deref(), *expected, "{path}");
        }
    }
}
