// SPDX-License-Identifier: MIT OR Apache-2.0
//! A boot loader, or a kernel, of another release of Debian, out of its packages. Nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fn_error_context::context;

use crate::command;
use crate::environment::Environment;
use crate::image::apt_sources;

/// The files of a package of this release, taken from the host's mirror unless the cache has them.
pub(super) fn fetch(environment: &Environment, release: &str, package: &str) -> Result<PathBuf> {
    fetch_all(environment, release, package, |_| Ok(vec![package.to_owned()]))
}

/// The kernel for virtual machines of this release, and its modules.
pub(crate) fn fetch_kernel(environment: &Environment, release: &str) -> Result<PathBuf> {
    const NEWEST: &str = "linux-image-cloud-amd64";
    let parts = |scratch: &Path| {
        let said = command::output(apt("apt-cache", scratch).args(["show", NEWEST]))?;
        let version = said.lines().find_map(|line| {
            let (_, rest) = line.strip_prefix("Depends: ")?.split_once("linux-image-")?;
            rest.split([' ', ',']).next()
        });
        let version = version.with_context(|| format!("{NEWEST} depends on no kernel: {said}"))?;
        Ok(["linux-binary", "linux-modules"].map(|part| format!("{part}-{version}")).to_vec())
    };
    fetch_all(environment, release, NEWEST, parts)
}

/// The files of some packages, whose names may depend on what the mirror has; `name` names them in the cache.
#[context("Fetching {name} of Debian {release}")]
fn fetch_all(
    environment: &Environment,
    release: &str,
    name: &str,
    packages: impl FnOnce(&Path) -> Result<Vec<String>>,
) -> Result<PathBuf> {
    let name = format!("{name}-{release}");
    let _lock = environment.lock(&name)?;
    let tree = environment.cache("loaders")?.join(&name);
    if !tree.exists() {
        let scratch = environment.scratch(&name)?;
        apt_sources::write(&scratch, release)?;
        for directory in ["state", "cache/archives/partial", "tree"] {
            fs::create_dir_all(scratch.join(directory)).context("Creating apt's directories")?;
        }
        command::run(apt("apt-get", &scratch).arg("update"))?;
        command::run(apt("apt-get", &scratch).arg("download").args(packages(&scratch)?))?;
        let unpack = r#"for package in ./*.deb; do dpkg-deb --extract "$package" tree; done"#;
        command::run(Command::new("sh").args(["-euc", unpack]).current_dir(&scratch))?;
        fs::rename(scratch.join("tree"), &tree).context("Keeping the package")?;
        fs::remove_dir_all(&scratch).context("Removing apt's directories")?;
    }
    Ok(tree)
}

/// `apt-get` or `apt-cache` that knows nothing of the host but its mirrors.
fn apt(program: &str, scratch: &Path) -> Command {
    let mut apt = Command::new(program);
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
