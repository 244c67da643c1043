// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C tools that the environment names, of several releases of Debian; `./run peer` makes them.

use std::path::{Path, PathBuf};

/// A release of the C tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Its name, as it stands in names of tests.
    pub name: &'static str,
    /// The variable that names its `ostree`.
    pub program: &'static str,
    /// The variable that names the directory of its Debian tree.
    pub directory: &'static str,
}

/// The releases, the newest first.
pub const RELEASES: [Release; 2] = [
    Release { name: "trixie", program: "OSTREE_PEER", directory: "OSTREE_PEER_DIR" },
    Release { name: "bookworm", program: "OSTREE_PEER_BOOKWORM", directory: "OSTREE_PEER_BOOKWORM_DIR" },
];

/// The newest release.
pub const NEWEST: Release = RELEASES[0];

impl Release {
    /// Its `ostree`, if the environment names one.
    pub fn program(&self) -> Option<PathBuf> {
        std::env::var_os(self.program).map(PathBuf::from)
    }

    /// The directory of its Debian tree, if the environment names one.
    pub fn directory(&self) -> Option<PathBuf> {
        std::env::var_os(self.directory).map(PathBuf::from)
    }
}

/// The directory of libraries in a Debian tree, below `usr/lib`.
#[cfg(target_arch = "aarch64")]
pub const LIBRARIES: &str = "aarch64-linux-gnu";
/// The directory of libraries in a Debian tree, below `usr/lib`.
#[cfg(not(target_arch = "aarch64"))]
pub const LIBRARIES: &str = "x86_64-linux-gnu";

/// The command line of a program in the Debian tree `tree`: it is run by the tree's own loader and libraries.
pub fn command_line(tree: &str, name: &str) -> Vec<String> {
    let loader = if cfg!(target_arch = "aarch64") { "ld-linux-aarch64.so.1" } else { "ld-linux-x86-64.so.2" };
    let libraries = format!("{tree}/usr/lib/{LIBRARIES}");
    let last = Path::new(name).file_name().map_or(name, |last| last.to_str().unwrap_or(name));
    let words = [&format!("{libraries}/{loader}"), "--library-path", &libraries, "--argv0", last];
    let mut line: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    line.push(format!("{tree}/{name}"));
    line
}
