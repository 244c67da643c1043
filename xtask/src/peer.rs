// SPDX-License-Identifier: MIT OR Apache-2.0
//! The peer: Debian trixie's `ostree`, in a tree of its own. It is never installed on this machine; its programs run through
//! their own loader and libraries, and so see this machine's paths.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fn_error_context::context;
use rustix::fs::FlockOperation;

use crate::workspace::Workspace;
use crate::{apt, process, terminal};

const SUITE: &str = "trixie";
const PACKAGES: &str = "ostree,ostree-boot,libostree-1-1";
/// In the tree, written last; a tree without it, or with another text in it, is made again.
const STAMP: &str = ".made-by-xtask-peer";

/// The peer's programs.
pub(crate) struct Peer {
    /// The Debian tree.
    pub(crate) dir: PathBuf,
    /// A script that runs its `ostree`.
    pub(crate) program: PathBuf,
    /// A script that runs its `ostree-prepare-root`.
    pub(crate) prepare_root: PathBuf,
}

impl Peer {
    /// Where it is, made or not.
    pub(crate) fn at(cache: &Path) -> Self {
        Self {
            dir: cache.join("peer-trixie"),
            program: cache.join("peer-trixie.ostree"),
            prepare_root: cache.join("peer-trixie.ostree-prepare-root"),
        }
    }

    /// What tests read to find it.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 3] {
        [
            ("OSTREE_PEER", &self.program),
            ("OSTREE_PEER_PREPARE_ROOT", &self.prepare_root),
            ("OSTREE_PEER_DIR", &self.dir),
        ]
    }

    /// The `ostree` program and the arguments before its own, without the shell of the script: for measuring.
    pub(crate) fn command_line(&self) -> Vec<PathBuf> {
        let mut line = loader(&self.dir);
        line.extend(["--argv0".into(), "ostree".into(), self.dir.join("usr/bin/ostree")]);
        line
    }
}

/// Makes the peer unless it is there.
#[context("Making the Debian {SUITE} tree with the ostree to compare with")]
pub(crate) fn ensure(workspace: &Workspace) -> Result<Peer> {
    let peer = Peer::at(&workspace.cache);
    let lock =
        std::fs::File::create(workspace.cache.join("peer-trixie.lock")).context("Creating the lock file")?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).context("Waiting for another run")?;
    if !complete(&peer.dir) {
        make(workspace, &peer)?;
    }
    write_wrapper(&peer, &peer.program, "usr/bin/ostree", "ostree")?;
    write_wrapper(&peer, &peer.prepare_root, "usr/lib/ostree/ostree-prepare-root", "ostree-prepare-root")?;
    Ok(peer)
}

fn recipe() -> String {
    format!("{SUITE} minbase {PACKAGES}\n")
}

fn complete(dir: &Path) -> bool {
    std::fs::read_to_string(dir.join(STAMP)).is_ok_and(|text| text == recipe())
}

fn make(workspace: &Workspace, peer: &Peer) -> Result<()> {
    let mirror = apt::mirror()?;
    terminal::progress(&format!(
        "debootstrap {SUITE} from the mirror of this machine (about a minute, 270 MB)"
    ));
    let new = workspace.cache.join("peer-trixie.new");
    let mut remove = process::as_root("rm");
    remove.args(["-rf", "--one-file-system", "--"]).arg(&new).arg(&peer.dir);
    process::run(remove)?;
    let mut debootstrap = process::as_root("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE]).arg(&new).arg(&mirror);
    process::run(debootstrap)?;
    let mut stamp = process::as_root("sh");
    // The packages were unpacked: their archives are as big as half of the tree.
    stamp.args([
        "-c",
        r#"set -eu; rm -f "$1"/var/cache/apt/archives/*.deb; printf %s "$2" > "$1/$3"; sync -f "$1"; mv -T "$1" "$4""#,
        "sh",
    ]);
    stamp.arg(&new).arg(recipe()).arg(STAMP).arg(&peer.dir);
    process::run(stamp)
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
    fn a_tree_without_its_stamp_is_half_made() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!complete(dir.path()));
        std::fs::write(dir.path().join(STAMP), "other\n").unwrap();
        assert!(!complete(dir.path()));
        std::fs::write(dir.path().join(STAMP), recipe()).unwrap();
        assert!(complete(dir.path()));
    }
}
