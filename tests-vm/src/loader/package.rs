// SPDX-License-Identifier: MIT OR Apache-2.0
//! A boot loader of another release of Debian, out of its package. Nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::command;
use crate::environment::Environment;
use crate::image::apt_sources;

/// The files of a package of this release, taken from the host's mirror unless the cache has them.
#[context("Fetching {package} of Debian {release}")]
pub(super) fn fetch(environment: &Environment, release: &str, package: &str) -> Result<PathBuf> {
    let name = format!("{package}-{release}");
    let _lock = environment.lock(&name)?;
    let tree = environment.cache("loaders")?.join(&name);
    if !tree.exists() {
        let scratch = environment.scratch(&name)?;
        apt_sources::write(&scratch, release)?;
        for directory in ["state", "cache/archives/partial", "tree"] {
            fs::create_dir_all(scratch.join(directory)).context("Creating apt's directories")?;
        }
        command::run(apt(&scratch).arg("update"))?;
        command::run(apt(&scratch).args(["download", package]))?;
        let unpack = "dpkg-deb --extract ./*.deb tree";
        command::run(Command::new("sh").args(["-euc", unpack]).current_dir(&scratch))?;
        fs::rename(scratch.join("tree"), &tree).context("Keeping the package")?;
        fs::remove_dir_all(&scratch).context("Removing apt's directories")?;
    }
    Ok(tree)
}

/// `apt-get` that knows nothing of the host but its mirrors.
fn apt(scratch: &Path) -> Command {
    let mut apt = Command::new("apt-get");
    apt.current_dir(scratch).args([
        "-q",
        "-o",
        "Dir::State::status=/dev/null",
        "-o",
        "APT::Sandbox::User=root",
    ]);
    for (key, place) in [
        ("Dir::Etc::sourcelist", "none"),
        ("Dir::Etc::sourceparts", "etc/apt/sources.list.d"),
        ("Dir::Etc::parts", "etc/apt/apt.conf.d"),
        ("Dir::State", "state"),
        ("Dir::Cache", "cache"),
    ] {
        apt.arg("-o").arg(format!("{key}={}", scratch.join(place).display()));
    }
    apt
}
