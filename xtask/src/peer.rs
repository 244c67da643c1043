// SPDX-License-Identifier: MIT OR Apache-2.0
//! The peers: Debian's `ostree` of two releases, each in a tree of its own. They are never installed on this machine; their
//! programs run through their own loader and libraries, and so see this machine's paths.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::tree::Tree;
use crate::workspace::Workspace;

/// A Debian release that has an `ostree`.
struct Suite {
    name: &'static str,
    /// Its name in the environment of tests.
    variable: &'static str,
    /// Its packages beyond [`PACKAGES`], with a comma in front of each: programs that say how an SELinux policy labels, and
    /// in one of them a policy.
    more: &'static str,
}

/// The first one is what is measured and packaged against; the others are older ones that systems still run.
const SUITES: [Suite; 2] = [
    Suite { name: "trixie", variable: "OSTREE_PEER", more: ",selinux-utils,selinux-policy-default" },
    Suite { name: "bookworm", variable: "OSTREE_PEER_BOOKWORM", more: ",selinux-utils" },
];

/// The programs, and a Python that can use the library as a program that runs for long does.
const PACKAGES: &str = "ostree,ostree-boot,libostree-1-1,gir1.2-ostree-1.0,python3-gi";

/// One peer's programs.
pub(crate) struct Peer {
    suite: &'static Suite,
    /// The Debian tree.
    pub(crate) dir: PathBuf,
    /// A script that runs its `ostree`.
    pub(crate) program: PathBuf,
    /// A script that runs its `ostree-prepare-root`.
    pub(crate) prepare_root: PathBuf,
}

impl Peer {
    /// Where the first one is, made or not.
    pub(crate) fn at(cache: &Path) -> Self {
        let [first, ..] = Self::all(cache);
        first
    }

    /// Where each of them is, made or not.
    pub(crate) fn all(cache: &Path) -> [Self; SUITES.len()] {
        SUITES.each_ref().map(|suite| {
            let dir = cache.join(format!("peer-{}", suite.name));
            let script = |name: &str| PathBuf::from(format!("{}.{name}", dir.display()));
            Self { suite, program: script("ostree"), prepare_root: script("ostree-prepare-root"), dir }
        })
    }

    /// Returns the variables by which tests find it.
    pub(crate) fn environment(&self) -> [(String, &Path); 3] {
        let name = |what: &str| format!("{}{what}", self.suite.variable);
        [(name(""), &self.program), (name("_PREPARE_ROOT"), &self.prepare_root), (name("_DIR"), &self.dir)]
    }

    /// The `ostree` program and the arguments before its own, without the shell of the script: for measuring.
    pub(crate) fn command_line(&self) -> Vec<PathBuf> {
        let mut line = loader(&self.dir);
        line.extend(["--argv0".into(), "ostree".into(), self.dir.join("usr/bin/ostree")]);
        line
    }

    /// Makes it unless it is there.
    #[context("Making the Debian {} tree with the ostree to compare with", self.suite.name)]
    pub(crate) fn ensure(&self) -> Result<()> {
        let suite = self.suite.name;
        let packages = format!("{PACKAGES}{}", self.suite.more);
        let recipe = format!("{suite} minbase {packages}\n");
        Tree { dir: self.dir.clone(), suite, packages, recipe }.ensure(|_| Ok(()))?;
        write_wrapper(self, &self.program, "usr/bin/ostree", "ostree")?;
        write_wrapper(self, &self.prepare_root, "usr/lib/ostree/ostree-prepare-root", "ostree-prepare-root")
    }
}

/// The first one, made unless it is there.
pub(crate) fn ensure(workspace: &Workspace) -> Result<Peer> {
    let peer = Peer::at(&workspace.cache);
    peer.ensure()?;
    Ok(peer)
}

/// All of them, made unless they are there.
pub(crate) fn ensure_all(workspace: &Workspace) -> Result<[Peer; SUITES.len()]> {
    let peers = Peer::all(&workspace.cache);
    peers.iter().try_for_each(Peer::ensure)?;
    Ok(peers)
}

/// The loader of the tree with the library path of its architecture.
fn loader(dir: &Path) -> Vec<PathBuf> {
    let (loader, libraries) = match std::env::consts::ARCH {
        "aarch64" => ("lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
        _ => ("lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    };
    vec![dir.join(loader), "--library-path".into(), dir.join(libraries)]
}

fn write_wrapper(peer: &Peer, script: &Path, program: &str, name: &str) -> Result<()> {
    let loader: Vec<String> = loader(&peer.dir).iter().map(|word| quoted(&word.to_string_lossy())).collect();
    let text = format!(
        "#!/bin/sh\n# The peer's {name}, run by its own loader and libraries.\nexec {} --argv0 {name} {} \"$@\"\n",
        loader.join(" "),
        quoted(&peer.dir.join(program).to_string_lossy()),
    );
    if std::fs::read_to_string(script).is_ok_and(|present| present == text) {
        return Ok(());
    }
    let new = PathBuf::from(format!("{}.new", script.display()));
    std::fs::write(&new, text).with_context(|| format!("Writing {}", new.display()))?;
    std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .with_context(|| format!("Making {} executable", new.display()))?;
    std::fs::rename(&new, script).with_context(|| format!("Renaming {} into place", script.display()))
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_the_shell() {
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }

    #[test]
    fn each_has_names_of_its_own() {
        let peers = Peer::all(Path::new("/cache"));
        let all: Vec<String> = peers
            .iter()
            .flat_map(Peer::environment)
            .map(|(name, path)| format!("{name}={}", path.display()))
            .collect();
        assert_eq!(
            all,
            [
                "OSTREE_PEER=/cache/peer-trixie.ostree",
                "OSTREE_PEER_PREPARE_ROOT=/cache/peer-trixie.ostree-prepare-root",
                "OSTREE_PEER_DIR=/cache/peer-trixie",
                "OSTREE_PEER_BOOKWORM=/cache/peer-bookworm.ostree",
                "OSTREE_PEER_BOOKWORM_PREPARE_ROOT=/cache/peer-bookworm.ostree-prepare-root",
                "OSTREE_PEER_BOOKWORM_DIR=/cache/peer-bookworm",
            ]
        );
    }
}
