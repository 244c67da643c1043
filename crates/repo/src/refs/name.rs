// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names of refs.

use std::fmt;
use std::str::FromStr;

use crate::RepoError;

/// Directory of the refs that are the repository's own.
pub(super) const HEADS: &str = "refs/heads";
/// Directory of the refs that were pulled, below it a directory a remote.
pub(super) const REMOTES: &str = "refs/remotes";

/// A ref name: components of letters, digits, `-`, `.` and `_`, joined by slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RefName {
    type Err = RepoError;

    fn from_str(text: &str) -> Result<Self, RepoError> {
        if text.split('/').all(is_component) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RepoError::InvalidRef(text.to_owned()))
        }
    }
}

/// Each component begins with a letter, digit or underscore, so that none is `.` or `..` or looks like an option.
pub(super) fn is_component(part: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    part.starts_with(word) && part.chars().all(|c| word(c) || matches!(c, '-' | '.'))
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `NAME`, or `REMOTE:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Refspec {
    /// The remote that the ref was pulled from.
    pub remote: Option<String>,
    /// The ref.
    pub name: RefName,
}

impl Refspec {
    /// The path of its file below the repository.
    pub(super) fn path(&self) -> String {
        match &self.remote {
            Some(remote) => format!("{REMOTES}/{remote}/{}", self.name),
            None => format!("{HEADS}/{}", self.name),
        }
    }
}

impl FromStr for Refspec {
    type Err = RepoError;

    fn from_str(text: &str) -> Result<Self, RepoError> {
        let invalid = || RepoError::InvalidRef(text.to_owned());
        let (remote, name) = match text.split_once(':') {
            Some((remote, name)) if is_component(remote) => (Some(remote.to_owned()), name),
            Some(_) => return Err(invalid()),
            None => (None, text),
        };
        Ok(Self { remote, name: name.parse().map_err(|_| invalid())? })
    }
}

impl fmt::Display for Refspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remote {
            Some(remote) => write!(f, "{remote}:{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refspecs() {
        for good in ["a", "exampleos/x86_64/standard", "origin:a.b/c-d", "_x"] {
            assert_eq!(good.parse::<Refspec>().unwrap().to_string(), good);
        }
        for bad in ["", "/", "a/", "../a", "a/..", ".a", "-a", "a b", "a:", ":a", "a:b:c", "a//b", "a^"] {
            assert!(bad.parse::<Refspec>().is_err(), "{bad}");
        }
    }
}
