// SPDX-License-Identifier: MIT OR Apache-2.0
//! Aliases: refs that are links to other refs.

use std::path::Path;

use super::name::Refspec;

/// A ref that is a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The alias itself.
    pub name: Refspec,
    /// The target as listings show it: a name beside the alias, `heads/NAME` or `remotes/REMOTE/NAME` from elsewhere.
    pub target: String,
    /// The path of the target below the repository, or an absolute one.
    pub(super) path: String,
}

impl Alias {
    /// Reads the text of a link in the repository at `repo`.
    pub(super) fn new(name: Refspec, link: &str, repo: &Path) -> Self {
        let below = std::path::absolute(repo)
            .ok()
            .and_then(|repo| Path::new(link).strip_prefix(repo).ok()?.to_str().map(str::to_owned));
        let path = match below {
            Some(below) => below,
            None if link.starts_with('/') => link.to_owned(),
            None => joined(&name.path(), link),
        };
        let root = name.root();
        let beside = path.strip_prefix(&root).and_then(|rest| rest.strip_prefix('/'));
        let target = match beside.or_else(|| path.strip_prefix("refs/")) {
            _ if link.starts_with('/') => link,
            Some(target) => target,
            None => link,
        };
        Self { target: target.to_owned(), name, path }
    }

    /// Tells whether the link leads to this ref at once, not through another alias.
    pub fn stands_for(&self, refspec: &Refspec) -> bool {
        self.path == refspec.path()
    }
}

/// The path that a relative link at the path `from` leads to.
fn joined(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_leads_to_a_name() {
        for (alias, link, target, refspec) in [
            ("al", "main", "main", "main"),
            ("a/b/c", "../../main", "main", "main"),
            ("a/b", "c", "a/c", "a/c"),
            ("al", "../remotes/o/x", "remotes/o/x", "o:x"),
            ("al", "remotes/o/x", "remotes/o/x", "remotes/o/x"),
            ("o:a/b", "../x", "x", "o:x"),
            ("o:al", "../../heads/x", "heads/x", "x"),
            ("al", "/repo/refs/heads/x", "/repo/refs/heads/x", ""),
            ("al", "../../../x", "../../../x", ""),
        ] {
            let alias = Alias::new(alias.parse().unwrap(), link, Path::new("/nosuch"));
            assert_eq!(alias.target, target, "{alias:?}");
            let refspec = refspec.parse::<Refspec>().ok();
            assert!(refspec.is_none_or(|refspec| alias.stands_for(&refspec)), "{alias:?}");
        }
    }
}
