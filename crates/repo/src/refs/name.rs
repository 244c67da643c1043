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
        format!("{}/{}", self.root(), self.name)
    }

    /// The path of the directory at which its name begins.
    pub(super) fn root(&self) -> String {
        self.remote.as_ref().map_or_else(|| HEADS.to_owned(), |remote| format!("{REMOTES}/{remote}"))
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

/// The beginning of refs: `NAME` for a ref and all below it, `REMOTE:NAME`, or `REMOTE:` for all of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefPrefix {
    /// The remote that the refs were pulled from.
    pub remote: Option<String>,
    /// The ref, or the first components of refs; all refs of the remote, where it is missing.
    pub name: Option<RefName>,
}

impl RefPrefix {
    /// Whether the prefix stands for a ref.
    pub fn has(&self, refspec: &Refspec) -> bool {
        self.remote == refspec.remote
            && self.name.as_ref().is_none_or(|name| rest(&refspec.name, name).is_some())
    }

    /// Returns the ref without the components of the prefix, as listings show it.
    pub fn strip(&self, refspec: &Refspec) -> String {
        match self.name.as_ref().and_then(|name| rest(&refspec.name, name)).filter(|rest| !rest.is_empty()) {
            None => refspec.to_string(),
            Some(rest) => match &refspec.remote {
                Some(remote) => format!("{remote}:{rest}"),
                None => rest.to_owned(),
            },
        }
    }
}

/// The part of a name below another; empty for the same.
fn rest<'a>(name: &'a RefName, above: &RefName) -> Option<&'a str> {
    let rest = name.as_str().strip_prefix(above.as_str())?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

impl FromStr for RefPrefix {
    type Err = RepoError;

    fn from_str(text: &str) -> Result<Self, RepoError> {
        match text.strip_suffix(':').filter(|remote| is_component(remote)) {
            Some(remote) => Ok(Self { remote: Some(remote.to_owned()), name: None }),
            None => {
                let Refspec { remote, name } = text.parse()?;
                Ok(Self { remote, name: Some(name) })
            }
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

    #[test]
    fn prefixes_are_whole_components() {
        let prefix = |text: &str| text.parse::<RefPrefix>().unwrap();
        for (text, refspec, shown) in [
            ("a", "a/b", Some("b")),
            ("a/b", "a/b", Some("a/b")),
            ("a", "ab", None),
            ("a/b", "a", None),
            ("a", "o:a", None),
            ("o:", "o:a/b", Some("o:a/b")),
            ("o:a", "o:a/b", Some("o:b")),
            ("o:", "a", None),
        ] {
            let refspec: Refspec = refspec.parse().unwrap();
            let found = prefix(text).has(&refspec).then(|| prefix(text).strip(&refspec));
            assert_eq!(found.as_deref(), shown, "{text} {refspec}");
        }
        for bad in ["", "/", "a/", "*", "..", ":", "o:a/", "a b", "o::"] {
            assert!(bad.parse::<RefPrefix>().is_err(), "{bad}");
        }
    }
}
