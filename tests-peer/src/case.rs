// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case as plain data: what is made on the disk, and which commands run.

/// A sequence that two worlds go through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Case {
    /// In their order.
    pub steps: Vec<Step>,
}

/// One step of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Files appear; those that are there are replaced.
    Make(Vec<Entry>),
    /// A command runs.
    Run(Call),
}

/// A command line of `ostree`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// The number by which later steps name the commit that this one prints.
    pub number: usize,
    /// Whether the two programs change places.
    pub swapped: bool,
    /// The option that names the repository, and the command.
    pub head: Vec<String>,
    /// Options; each may be left out, with its value.
    pub options: Vec<Vec<String>>,
    /// Options and arguments without which it would be another command.
    pub rest: Vec<String>,
}

impl Call {
    /// The words in their order, with `@Cn@` for the commit that call n printed.
    pub fn words(&self) -> Vec<String> {
        let options = self.options.iter().flatten();
        self.head.iter().chain(options).chain(&self.rest).cloned().collect()
    }

    /// The command's name.
    pub fn command(&self) -> &str {
        self.head.get(1).map_or("", String::as_str)
    }

    /// Whether one of the words is this, or an option of this name with a value.
    pub fn has(&self, option: &str) -> bool {
        let with_value = format!("{option}=");
        self.words().iter().any(|word| word == option || word.starts_with(&with_value))
    }
}

/// A thing in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the world.
    pub path: String,
    /// Its kind and content.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Extended attributes: names and values.
    pub xattrs: Vec<(String, String)>,
}

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file of so many bytes: the decimal number and a newline, again and again.
    Filled(usize, u64),
    /// A file with this text.
    Text(String),
    /// A symbolic link to this.
    Link(String),
    /// Another name of this path.
    Hard(String),
    /// A fifo.
    Fifo,
}

impl Entry {
    /// Something of root's that everybody may read.
    pub fn plain(path: String, kind: Kind) -> Self {
        let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
        Self { path, kind, mode, owner: (0, 0), xattrs: Vec::new() }
    }
}
