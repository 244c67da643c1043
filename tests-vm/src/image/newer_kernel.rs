// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same tree with a newer kernel, of Debian's backports. Not a tree of its own by mkosi: a layer over the one that is there.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use super::{Commit, Tree, keep_newest};
use crate::command;
use crate::environment::Environment;
use crate::loader::package;

/// Where the kernel is from. Of trixie's backports it is Linux 7.
const RELEASE: &str = "trixie-backports";

/// Commits the tree with that kernel, and an initramfs made for it, unless it is in the cache.
#[context("Giving {} a newer kernel", tree.path.display())]
pub(crate) fn commit(environment: &Environment, tree: &Tree) -> Result<Commit> {
    let packages = package::fetch_kernel(environment, RELEASE)?;
    let _lock = environment.lock("newer-kernel")?;
    let repos = environment.cache("newer-kernel")?;
    let repo = repos.join(&tree.key);
    let reference = format!("debian/{RELEASE}/x86_64");
    let ostree = environment.program("usr/bin/ostree");
    if !repo.exists() {
        let scratch = environment.scratch("newer-kernel")?;
        let mut script = Command::new("unshare");
        script.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-euc"]);
        script.args([include_str!("../../host/newer-kernel.sh"), "sh"]);
        script.arg(&tree.path).arg(packages.join("usr/lib/modules")).arg(&scratch);
        script.arg(environment.definitions("tree").join("make-initramfs.chroot"));
        script.arg(&ostree).arg(&reference);
        command::run_logged(&mut script, &environment.cache("logs")?.join("newer-kernel.txt"))?;
        fs::rename(scratch.join("repo"), &repo).with_context(|| format!("Renaming to {}", repo.display()))?;
        fs::remove_dir_all(&scratch).context("Removing the layer")?;
    }
    keep_newest(&repos, &repo)?;
    let option = format!("--repo={}", repo.display());
    let checksum = command::output(Command::new(&ostree).args([&option, "rev-parse", &reference]))?;
    Ok(Commit { repo, reference, checksum: checksum.trim().to_owned() })
}
