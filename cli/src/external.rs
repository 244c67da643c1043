// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that others add: `ostree NAME` runs `ostree-NAME` from the directory of extensions, or from PATH.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Error, Result};

/// The directory where packages put extensions of the command (`LIBEXECDIR/libostree/ext` of the C tools), which comes first.
const EXTENSIONS: &str = "/usr/libexec/libostree/ext";

/// Tells whether there is a program for the command `name`.
pub(crate) fn exists(name: &OsStr) -> bool {
    !name.is_empty() && find(name).is_some()
}

/// Becomes the other program, which gets all words, its own name among them; returns only if that cannot be.
pub(crate) fn run(name: &OsStr, words: &[OsString]) -> Result<()> {
    let program = program(name);
    let path = find(name).unwrap_or_else(|| PathBuf::from(&program));
    let error = Command::new(&path).arg0(&program).args(words).exec();
    Err(Error::from(error).context(format!("Running {}", path.display())))
}

/// The program for a command, in the first place that has one.
fn find(name: &OsStr) -> Option<PathBuf> {
    let program = program(name);
    let path = env::var_os("PATH").unwrap_or_default();
    let places = [PathBuf::from(EXTENSIONS)].into_iter().chain(env::split_paths(&path));
    places.map(|dir| dir.join(&program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    let found = std::fs::metadata(path);
    found.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn program(name: &OsStr) -> OsString {
    let mut program = OsString::from("ostree-");
    program.push(name);
    program
}
