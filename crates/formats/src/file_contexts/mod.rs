// SPDX-License-Identifier: MIT OR Apache-2.0
//! `file_contexts`: which SELinux label a policy gives to which path.
//!
//! A policy has it in `contexts/files`, one file of its own and some beside it (`selabel_file(5)`):
//!
//! ```text
//! file_contexts             /etc/shadow[^/]*   --   system_u:object_r:shadow_t:s0
//! file_contexts.homedirs    the same for the directories of users; made from templates
//! file_contexts.local       the same, by the administrator
//! file_contexts.subs        /srv/web /var/www      a path that counts as another one
//! file_contexts.subs_dist   /usr/etc /etc          the same, by the distribution
//! ```
//!
//! A line has a path, perhaps a kind of file, and a label or `<<none>>`. The path is a regular expression for all of a path.
//! One without special characters counts more than all that have some; beyond that the last line that fits counts, in the
//! order of the first three files above. That is how a policy is written out, from the general to the special.
//!
//! Most lines need no regular expression: they name one path, or a directory with all that is in it. The others are
//! grouped by what they begin with, and compiled when a path first begins so.

mod pattern;
mod substitutions;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

pub use pattern::{BadPattern, Unsupported};
use pattern::{Pattern, Shape};
use substitutions::Substitutions;

/// The kinds of files that a line may be limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `--`: a regular file.
    File,
    /// `-d`: a directory.
    Directory,
    /// `-l`: a symbolic link.
    Link,
    /// `-b`: a block device.
    BlockDevice,
    /// `-c`: a character device.
    CharacterDevice,
    /// `-p`: a named pipe.
    Pipe,
    /// `-s`: a socket.
    Socket,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::File,
        Self::Directory,
        Self::Link,
        Self::BlockDevice,
        Self::CharacterDevice,
        Self::Pipe,
        Self::Socket,
    ];

    /// Of the mode that `stat(2)` gives; `None` for none that there is.
    pub fn of_mode(mode: u32) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o100_000 => Self::File,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Link,
            0o060_000 => Self::BlockDevice,
            0o020_000 => Self::CharacterDevice,
            0o010_000 => Self::Pipe,
            0o140_000 => Self::Socket,
            _ => return None,
        })
    }

    /// The word for it in a line.
    fn word(self) -> &'static str {
        match self {
            Self::File => "--",
            Self::Directory => "-d",
            Self::Link => "-l",
            Self::BlockDevice => "-b",
            Self::CharacterDevice => "-c",
            Self::Pipe => "-p",
            Self::Socket => "-s",
        }
    }
}

/// The files of a policy; only the first one has to be there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sources<'a> {
    /// `file_contexts`
    pub policy: &'a [u8],
    /// `file_contexts.homedirs`
    pub homedirs: &'a [u8],
    /// `file_contexts.local`
    pub local: &'a [u8],
    /// `file_contexts.subs`
    pub subs: &'a [u8],
    /// `file_contexts.subs_dist`
    pub subs_dist: &'a [u8],
}

/// The mistakes that a line may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// There is only a path.
    #[error("there is no label after the path")]
    NoLabel,
    /// The second of three words.
    #[error("{0:?} is no kind of file: none of --, -d, -l, -b, -c, -p, -s")]
    Kind(String),
    /// The label.
    #[error("{0:?} is no label")]
    Label(String),
}

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} line {line}: {mistake}")]
pub struct LineError {
    /// The name of the file.
    pub file: &'static str,
    /// From 1.
    pub line: usize,
    /// The mistake in it.
    pub mistake: Mistake,
}

/// A line whose regular expression cannot be used. It is found out when a path begins as it does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {bad}")]
pub struct PatternError {
    /// Where it is.
    pub place: Place,
    /// Why not.
    pub bad: BadPattern,
}

/// A line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The name of the file.
    pub file: &'static str,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}", self.file, self.line)
    }
}

/// A line.
#[derive(Debug)]
struct Spec {
    pattern: Pattern,
    kind: Option<Kind>,
    /// `None` for `<<none>>`.
    label: Option<Box<str>>,
    place: Place,
}

/// The rules of all the files together.
#[derive(Debug, Default)]
pub struct FileContexts {
    /// In their order.
    specs: Vec<Spec>,
    /// Lines that name one path.
    exact: HashMap<Box<[u8]>, Vec<usize>>,
    /// The others, by what each path that they fit begins with.
    by_prefix: HashMap<Box<[u8]>, Vec<usize>>,
    /// How long the longest of these is: no longer beginning of a path is looked for.
    longest_prefix: usize,
    subs: Substitutions,
    subs_dist: Substitutions,
}

impl FileContexts {
    /// Reads them. Regular expressions are not looked at yet.
    pub fn parse(sources: &Sources<'_>) -> Result<Self, LineError> {
        let mut all = Self {
            subs: Substitutions::parse(sources.subs),
            subs_dist: Substitutions::parse(sources.subs_dist),
            ..Self::default()
        };
        all.add("file_contexts", sources.policy)?;
        all.add("file_contexts.homedirs", sources.homedirs)?;
        all.add("file_contexts.local", sources.local)?;
        Ok(all)
    }

    /// The label of `path`, which begins at the root of the system; `None` if it is to have none. Slashes that are too many
    /// do not count.
    pub fn lookup(&self, path: &[u8], kind: Kind) -> Result<Option<&str>, PatternError> {
        let path = tidy(path);
        let path = self.subs.apply(path);
        let path = self.subs_dist.apply(path);
        let fits_kind =
            |index: &usize| self.specs.get(*index).is_some_and(|s| s.kind.is_none_or(|k| k == kind));

        let exact = self.exact.get(&*path).and_then(|found| found.iter().rev().copied().find(fits_kind));
        if let Some(spec) = exact.and_then(|index| self.specs.get(index)) {
            return Ok(spec.label.as_deref());
        }
        let longest = path.len().min(self.longest_prefix);
        let beginnings = (0..=longest).filter_map(|end| self.by_prefix.get(path.get(..end)?));
        let mut candidates: Vec<usize> = beginnings.flatten().copied().filter(fits_kind).collect();
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        for spec in candidates.into_iter().filter_map(|index| self.specs.get(index)) {
            if spec.pattern.fits(&path).map_err(|bad| PatternError { place: spec.place, bad })? {
                return Ok(spec.label.as_deref());
            }
        }
        Ok(None)
    }

    fn add(&mut self, file: &'static str, text: &[u8]) -> Result<(), LineError> {
        for (number, line) in text.split(|&b| b == b'\n').enumerate() {
            let place = Place { file, line: number + 1 };
            let spec = spec(line, place).map_err(|mistake| LineError { file, line: place.line, mistake })?;
            if let Some(spec) = spec {
                let groups = match spec.pattern.shape() {
                    Shape::Exact => &mut self.exact,
                    _ => {
                        self.longest_prefix = self.longest_prefix.max(spec.pattern.prefix().len());
                        &mut self.by_prefix
                    }
                };
                groups.entry(spec.pattern.prefix().into()).or_default().push(self.specs.len());
                self.specs.push(spec);
            }
        }
        Ok(())
    }
}

/// Reads a line; `None` for an empty one or a comment. What follows the label does not count.
fn spec(line: &[u8], place: Place) -> Result<Option<Spec>, Mistake> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let Some(path) = words.next().filter(|path| !path.starts_with(b"#")) else { return Ok(None) };
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let (kind, label) = match (words.next(), words.next()) {
        (None, _) => return Err(Mistake::NoLabel),
        (Some(label), None) => (None, label),
        (Some(kind), Some(label)) => {
            let known = Kind::ALL.into_iter().find(|known| known.word().as_bytes() == kind);
            (Some(known.ok_or_else(|| Mistake::Kind(text(kind)))?), label)
        }
    };
    let label = match std::str::from_utf8(label) {
        Ok("<<none>>") => None,
        Ok(label) if label.bytes().all(|b| b.is_ascii_graphic()) => Some(label.into()),
        _ => return Err(Mistake::Label(text(label))),
    };
    Ok(Some(Spec { pattern: Pattern::new(path), kind, label, place }))
}

/// The path with one slash where there are more, and none at the end.
fn tidy(path: &[u8]) -> Cow<'_, [u8]> {
    let is_tidy = !path.windows(2).any(|pair| pair == b"//") && (path.len() <= 1 || !path.ends_with(b"/"));
    if is_tidy {
        return Cow::Borrowed(path);
    }
    let mut tidied = path.to_vec();
    tidied.dedup_by(|a, b| (*a, *b) == (b'/', b'/'));
    if tidied.len() > 1 && tidied.ends_with(b"/") {
        tidied.pop();
    }
    Cow::Owned(tidied)
}

#[cfg(test)]
mod tests;
